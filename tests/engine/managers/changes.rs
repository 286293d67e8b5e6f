//! What changes restarts, and nothing else does.

use std::fs;

use super::Example;

#[test]
fn a_changed_image_restarts_its_service_alone() {
    let example = Example::new();
    example.done(&["up"]);
    let before = example.tasks();
    let server = "api/MyPackage/SubPackage/deploy/mserviceA/server.js";
    let path = example.application.path(server);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("apple: 100", "apple: 7")).unwrap();
    example.done(&["up"]);
    let after = example.tasks();
    for (service, tasks) in &before {
        // The context of mservice1 has the whole package in it.
        let is_changed = service.ends_with("mserviceA") || service.ends_with("mservice1");
        assert_eq!(after[service] != *tasks, is_changed, "{service}");
    }
    assert!(example.get("/mypackage/stock").unwrap().body.contains("\"apple\":7"));
    rotate(&example);
    example.application.done(&["down"]);
}

/// A new token opens the interface, the one before does not, and no service restarts.
fn rotate(example: &Example) {
    let (tasks, old) = (example.tasks(), example.token());
    let rotated = example.application.done(&["token", "--rotate"]);
    let new = rotated.stdout.trim().to_owned();
    assert_ne!(new, old);
    assert!(rotated.stderr.contains("Rotated the token of 3 managers"), "{rotated}");
    // At once, and at the managers inside, too.
    for prefix in ["", "/mypackage"] {
        let path = format!("{prefix}/_admin/status");
        for (token, status) in [(&new, 200), (&old, 401)] {
            let answer = example.admin("GET", &path, token).unwrap();
            assert_eq!(answer.status, status, "{path}: {answer:?}");
        }
    }
    assert_eq!(example.get("/mypackage/orders").unwrap().status, 200);
    example.done(&["up"]);
    assert_eq!(example.token(), new);
    assert_eq!(example.tasks(), tasks);
}
