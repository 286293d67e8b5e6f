//! What runs already as it is to be is left alone, whoever brought it there.

use super::{Example, PATIENCE, containers, wait_for};
use crate::support::client;

#[test]
fn what_was_deployed_is_taken_over() {
    let example = Example::new();
    example.done(&["deploy"]);
    let before = example.tasks();
    example.done(&["up"]);
    let after = example.tasks();
    for (service, tasks) in &before {
        // The entry gives its port away, and that replaces its task.
        assert_eq!(after[service] == *tasks, *service != "web", "{service}");
    }
    assert_eq!(example.get("/mypackage/stock").unwrap().status, 200);
    // And back, by hand: without managers it is deployed again.
    example.application.done(&["down"]);
}

#[test]
fn a_manager_that_was_killed_goes_on_where_it_was() {
    let example = Example::new();
    example.done(&["up"]);
    let tasks = example.tasks();
    let manager = format!("{}_mypackage", example.root());
    let old = containers(&manager);
    let kill = format!("/containers/{}/kill", old[0]);
    assert!(client().post_json(&kill, &serde_json::json!({})).unwrap().status < 300);
    wait_for(PATIENCE, "another manager of the package", || {
        let new = containers(&manager);
        (!new.is_empty() && new != old).then_some(())
    })
    .unwrap();
    example.answered("/mypackage/orders", 200);
    example.done(&["up"]);
    assert_eq!(example.tasks(), tasks);
    example.application.done(&["down"]);
}
