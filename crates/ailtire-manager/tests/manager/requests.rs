use private_engine::wait_for;
use serde_json::json;

use crate::support::{Lab, SOON, compose, service};

#[test]
fn a_scale_is_kept_and_forgotten_when_the_stack_is_redeployed() {
    let lab = Lab::new("scale");
    let each = service("each", "").replace("dnsrr", "dnsrr, mode: global");
    let bundle = lab.bundle("shop", &format!("{}{each}", compose(&["web"])));
    let manager = lab.deploy(&bundle);
    assert_eq!(manager.call("POST", "scale?name=web&replicas=2", "").status, 202);
    let number = |number: usize| {
        let look = || (lab.tasks("web").len() == number).then(|| lab.tasks("web"));
        wait_for(SOON, "that many tasks", look).unwrap()
    };
    let two = number(2);
    manager.kill();
    let manager = lab.deploy(&bundle);
    let running = |it: &serde_json::Value| it["state"] == "running";
    let status = manager.wait_for_status("a stack that runs", running);
    assert_eq!((&status["services"][1]["wanted"], &status["message"]), (&json!(2), &json!(null)));
    let can_scale = status["services"].as_array().unwrap().iter().map(|it| &it["can_scale"]);
    assert_eq!(can_scale.collect::<Vec<_>>(), [&json!(false), &json!(true)]);
    assert_eq!(number(2), two);

    assert_eq!(manager.call("POST", "redeploy", "").status, 202);
    number(1);
    let status = |path: &str| manager.call("POST", path, "").status;
    assert_eq!(status("scale?name=none&replicas=2"), 404);
    assert_eq!(status("scale?name=each&replicas=2"), 409);
    assert_eq!(status("scale?name=web&replicas=many"), 400);
    assert_eq!(status("scale?replicas=2"), 400);
    assert_eq!(status("scale?name=web&replicas=100000"), 422);
    assert_eq!(manager.call("GET", "scale", "").status, 405);
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn a_service_gets_new_tasks_when_it_is_redeployed() {
    let lab = Lab::new("again");
    let manager = lab.deploy(&lab.bundle("shop", &compose(&["one", "other"])));
    let (one, other) = (lab.tasks("one"), lab.tasks("other"));
    assert_eq!(manager.call("POST", "redeploy?name=one", "").status, 202);
    let replaced = || (lab.tasks("one").len() == 1 && lab.tasks("one") != one).then_some(());
    wait_for(SOON, "another task", replaced).unwrap();
    assert_eq!(lab.tasks("other"), other);
    assert_eq!(manager.call("POST", "redeploy?name=none", "").status, 404);
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
}

#[test]
fn an_update_is_looked_at_first_deployed_and_kept() {
    let lab = Lab::new("update");
    let bundle = lab.bundle("shop", &compose(&["old", "same"]));
    let manager = lab.deploy(&bundle);
    let same = lab.tasks("same");
    let wrong = json!({ "compose": "services: {same: {image: x, networks: [nowhere]}}" });
    let answer = manager.call("POST", "update", &wrong.to_string());
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.json()["diagnostics"][0]["message"].as_str().unwrap().contains("nowhere"));
    assert_eq!(manager.call("POST", "update", "not JSON").status, 400);
    let long = json!({ "compose": "#".repeat(1024 * 1024) }).to_string();
    assert_eq!(manager.call("POST", "update", &long).status, 413);
    assert_eq!(lab.tasks("same"), same);

    let compose_file = compose(&["new", "same"]).replace("echo new", "echo ${WORD}");
    let update = json!({ "compose": compose_file, "variables": { "WORD": "changed" } });
    let answer = manager.call("POST", "update", &update.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    let new = || (lab.tasks("new").len() == 1 && lab.tasks("old").is_empty()).then_some(());
    wait_for(SOON, "the new design", new).unwrap();
    let written = || {
        let text = manager.call("GET", "log?name=new&tail=all", "").body;
        text.contains("changed runs").then_some(())
    };
    wait_for(SOON, "the new design's words", written).unwrap();
    assert_eq!(lab.tasks("same"), same);

    let new = lab.tasks("new");
    assert!(manager.stop());
    let manager = lab.deploy(&bundle);
    let summary = manager.summary();
    assert_eq!((&summary["untouched"], &summary["removed"]), (&json!(2), &json!(0)), "{summary}");
    assert_eq!((lab.tasks("new"), lab.tasks("same")), (new, same));
    assert!(manager.stop());

    // Another stack image has another design, and ends the update.
    lab.bundle("shop", &compose(&["old", "same", "third"]));
    let manager = lab.deploy(&bundle);
    let third = || (lab.tasks("third").len() == 1 && lab.tasks("new").is_empty()).then_some(());
    wait_for(SOON, "the newer design", third).unwrap();
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
    // The container of a service that went just before may still be on its way out.
    let gone = || lab.left().is_empty().then_some(());
    wait_for(SOON, "nothing that is left", gone).unwrap_or_else(|_| panic!("{:?}", lab.left()));
}

#[test]
fn routes_are_added_and_removed() {
    let lab = Lab::new("routes");
    let routes = "x-ailtire-routes:\n  - { prefix: /web, service: web, path: /, port: 80, \
                  protocol: http }\n";
    let bundle = lab.bundle("shop", &format!("{}{routes}", compose(&["web"])));
    let manager = lab.deploy(&bundle);
    let list = || manager.call("GET", "route/list", "").json()["routes"].clone();
    assert_eq!((&list()[0]["prefix"], &list()[0]["added"]), (&json!("/web"), &json!(false)));
    let add = |route: serde_json::Value| manager.call("POST", "route/add", &route.to_string());
    let answer = add(json!({ "prefix": "/web/deep", "service": "web", "port": 81 }));
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["route"]["id"].to_string();
    assert_eq!(list()[0]["prefix"], "/web/deep", "the longest is first");
    let shown = manager.call("GET", &format!("route/show?id={id}"), "").json();
    assert_eq!(shown["route"]["port"], 81);
    assert_eq!(add(json!({ "prefix": "/web", "service": "web", "port": 1 })).status, 409);
    assert_eq!(add(json!({ "prefix": "/_admin/x", "service": "web", "port": 1 })).status, 422);
    assert_eq!(add(json!({ "prefix": "/x", "service": "none", "port": 1 })).status, 422);
    assert_eq!(add(json!({ "prefix": "/x" })).status, 400);
    assert_eq!(manager.call("POST", &format!("route/remove?id={id}"), "").status, 200);
    assert_eq!(manager.call("POST", "route/remove?id=1", "").status, 404, "it is the design's");
    assert_eq!(list().as_array().unwrap().len(), 1);
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
}
