//! The interface takes away what it manages, and nothing is left.

use super::Example;

#[test]
fn a_shutdown_of_the_root_leaves_nothing() {
    let example = Example::new();
    example.done(&["up"]);
    let token = example.token();
    let refused = example.admin("POST", "/_admin/shutdown", "not-the-token-of-this-one").unwrap();
    assert_eq!(refused.status, 401);
    let answer = example.admin("POST", "/_admin/shutdown", &token).unwrap();
    assert!((200..300).contains(&answer.status), "{answer:?}");
    // The history is of commands, and goes with the next one.
    example.is_gone();
}
