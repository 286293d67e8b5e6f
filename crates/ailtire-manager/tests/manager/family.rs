use private_engine::wait_for;
use serde_json::json;

use crate::support::{Lab, SOON, compose, service};

#[test]
fn a_child_announces_itself_and_its_report_is_part_of_its_parent_s() {
    let lab = Lab::new("family");
    let child_root = format!("{}_orders-1", lab.root());
    let stack = service("orders", "    x-ailtire-stack: true\n");
    let parent_file = format!("services:\n{}{stack}", service("web", ""));
    let parent = lab.start(&lab.bundle("shop", &parent_file), &[]);
    // The service runs no manager, but it is one to its parent: its manager is the one below.
    parent.wait_until_ready();
    let host = format!("127.0.0.1:{}", parent.port);
    let path = format!("{}/orders", lab.root());
    let root = lab.root();
    let child = lab.start(
        &lab.bundle("orders", &compose(&["mail"])),
        &[
            ("AILTIRE_STACKNAME", &child_root),
            ("AILTIRE_STACKPATH", &path),
            ("AILTIRE_PARENT", &root),
            ("AILTIRE_PARENTHOST", &host),
        ],
    );
    child.wait_until_ready();
    let is_whole = |it: &serde_json::Value| it["children"][0]["report"]["state"] == "running";
    let status = parent.wait_for_status("the child's report", is_whole);
    let report = &status["children"][0];
    assert_eq!((&report["service"], &report["instance"]), (&json!("orders"), &json!(child_root)));
    assert_eq!(report["report"]["services"][0]["name"], "mail");
    assert!(report["registered_at"].is_u64() && report["error"].is_null());
    let is_reached = |it: &serde_json::Value| it["parent"]["is_reached"] == true;
    let status = child.wait_for_status("a parent that is reached", is_reached);
    assert_eq!(status["parent"]["instance"], root);

    // Shut down by itself, it is not brought back.
    assert_eq!(child.call("POST", "shutdown", "").status, 202);
    assert!(child.wait_for_end());
    parent.wait_for_status("a parent without it", |it| it["children"] == json!([]));
    let mail = || lab.client.services(&child_root).unwrap().is_empty().then_some(());
    wait_for(SOON, "a child that is gone", mail).unwrap();
    parent.call("POST", "shutdown", "");
    assert!(parent.wait_for_end());
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn strangers_cannot_announce_themselves() {
    let lab = Lab::new("strange");
    let parent = lab.deploy(&lab.bundle("shop", &compose(&["web"])));
    let announce = |service: &str| {
        let body = json!({
            "api": 1, "instance": "x", "service": service, "port": 1, "state": "running",
        });
        parent.call("POST", "register", &body.to_string()).status
    };
    assert_eq!((announce("web"), announce("none")), (409, 409));
    parent.call("POST", "shutdown", "");
    assert!(parent.wait_for_end());
}
