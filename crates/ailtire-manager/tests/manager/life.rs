use private_engine::wait_for;
use serde_json::{Value, json};

use crate::support::{Lab, SOON, compose, service};

fn names(report: &Value) -> Vec<String> {
    let services = report["services"].as_array().unwrap().iter();
    services.map(|it| format!("{} {}", it["name"], it["condition"]).replace('"', "")).collect()
}

#[test]
fn a_stack_is_deployed_adopted_and_removed() {
    let lab = Lab::new("life");
    let second = service("second", "    depends_on: [first]\n");
    let bundle = lab.bundle("shop", &format!("services:\n{}{second}", service("first", "")));
    let manager = lab.deploy(&bundle);
    let status = manager.status();
    assert_eq!(status["state"], "running");
    assert_eq!(names(&status), ["first running", "second running"]);
    assert_eq!((&status["path"], &status["version"]), (&json!(lab.root()), &json!("1.2.3")));
    let before = [lab.tasks("first"), lab.tasks("second")];
    assert!(manager.stop());
    assert_eq!([lab.tasks("first"), lab.tasks("second")], before, "a stack outlives its manager");

    let versions = |lab: &Lab| -> Vec<Value> {
        let services = lab.client.services(&lab.root()).unwrap();
        services.iter().map(|service| service["Version"].clone()).collect()
    };
    let unchanged = versions(&lab);
    let manager = lab.deploy(&bundle);
    let summary = manager.summary();
    assert_eq!((&summary["created"], &summary["updated"]), (&json!(0), &json!(0)), "{summary}");
    assert_eq!(summary["untouched"], 2);
    assert_eq!([lab.tasks("first"), lab.tasks("second")], before);
    assert_eq!(versions(&lab), unchanged, "nothing was sent");

    assert_eq!(manager.call("POST", "shutdown", "").status, 202);
    assert!(manager.wait_for_end());
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn what_disappears_comes_back_and_what_was_changed_by_hand_stays() {
    let lab = Lab::new("back");
    let bundle = lab.bundle("shop", &compose(&["kept", "lost"]));
    let manager = lab.deploy(&bundle);
    let kept = format!("{}_kept", lab.root());
    let service = lab.client.get_json(&format!("/services/{kept}")).unwrap();
    let mut spec = service["Spec"].clone();
    spec["Labels"]["by-hand"] = json!("yes");
    let path = format!("/services/{kept}/update?version={}", service["Version"]["Index"]);
    lab.client.post_json(&path, &spec).unwrap().accepted("update").unwrap();
    let tasks = lab.tasks("kept");
    manager.wait_for_line("somebody changed a service by hand");

    lab.client.delete(&format!("/services/{}_lost", lab.root())).unwrap();
    let back = || (lab.tasks("lost").len() == 1).then_some(());
    wait_for(SOON, "a service that comes back", back).unwrap();
    manager.wait_for_line("something disappeared");
    let status = manager.wait_for_status("a stack that runs", |it| it["state"] == "running");
    assert_eq!(status["message"], "changed by hand: kept");
    let now = lab.client.get_json(&format!("/services/{kept}")).unwrap();
    assert_eq!(now["Spec"]["Labels"]["by-hand"], "yes");
    assert_eq!(lab.tasks("kept"), tasks);

    // Asked for, everything becomes as the design has it; a label restarts nothing.
    assert_eq!(manager.call("POST", "redeploy", "").status, 202);
    let is_undone = || {
        let now = lab.client.get_json(&format!("/services/{kept}")).unwrap();
        now["Spec"]["Labels"]["by-hand"].is_null().then_some(())
    };
    wait_for(SOON, "the design", is_undone).unwrap();
    assert_eq!(lab.tasks("kept"), tasks);
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
}

#[test]
fn a_stack_that_cannot_be_deployed_says_why_and_is_tried_again() {
    let lab = Lab::new("wrong");
    let text = "services:\n  web:\n    image: ailtire-test/busybox:1\n    networks: [nowhere]\n";
    let bundle = lab.bundle("shop", text);
    let manager = lab.start(&bundle, &[]);
    manager.wait_for_line("nowhere");
    let status = manager.wait_for_status("a failure", |it| it["state"] == "failed");
    assert!(status["message"].as_str().unwrap().contains("nowhere"), "{status}");
    assert_eq!(manager.ask("GET", "/healthz", &[], "").status, 200);
    assert_eq!(manager.ask("GET", "/healthz?ready", &[], "").status, 503);
    lab.bundle("shop", &compose(&["web"]));
    // What can be put right is put right over the interface, too.
    let update = json!({ "compose": compose(&["web"]) }).to_string();
    assert_eq!(manager.call("POST", "update", &update).status, 202);
    manager.wait_until_ready();
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn a_manager_without_an_engine_answers_and_waits_for_one() {
    let lab = Lab::new("alone");
    let bundle = lab.bundle("shop", &compose(&["web"]));
    let manager = lab.start(&bundle, &[("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
    let alive = || (manager.ask("GET", "/healthz", &[], "").status == 200).then_some(());
    manager.wait_for_line("ready to route");
    wait_for(SOON, "a manager that lives", alive).unwrap();
    manager.wait_for_line("/nowhere/docker.sock");
    // Without the token nobody is let in, not even with the right one.
    assert_eq!(manager.ask("GET", "/_admin/status", &[], "").status, 503);
    assert!(manager.stop());
}
