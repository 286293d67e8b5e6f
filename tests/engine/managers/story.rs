//! Up, open in a browser, used, and down again.

use serde_json::Value;

use super::http::{echo, events};
use super::{Example, PATIENCE, wait_for};
use crate::tap::Tap;

#[test]
fn the_whole_tree_is_behind_one_port() {
    let example = Example::new();
    let up = example.done(&["up", "--format", "json"]);
    let said: Value = serde_json::from_str(&up.stdout).unwrap();
    assert_eq!(said["address"], format!("http://{}/", example.address()));
    assert_eq!(said["admin"], format!("http://{}/_admin/", example.address()));
    assert_eq!(said["instance"], example.root());
    // Six services, and the managers of three stacks.
    assert_eq!(said["services"].as_array().unwrap().len(), 9, "{said}");

    reach(&example);
    look(&example, up.stderr.contains("Token"));
    unchanged(&example);
    refused(&example);

    example.application.done(&["down"]);
    assert_eq!(example.application.objects().into_keys().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(example.get("/"), None);
}

/// Everything is there as soon as `up` says so, through one, two and three managers.
fn reach(example: &Example) {
    for (path, expected) in [
        ("/", "<html"),
        ("/doc/", "<html"),
        ("/mypackage/orders", "\"orders\":[]"),
        ("/mypackage/greeting", "\"thanked\":0"),
        ("/mypackage/stock", "\"apple\":100"),
    ] {
        let answer = example.get(path).unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.body.contains(expected), "{path}: {answer:?}");
    }
    for path in ["/mypackage/greeting/socket", "/mypackage/stock/socket"] {
        assert_eq!(echo(example.address(), path, "Is there anybody?"), "Is there anybody?");
    }
    let counted = events(example.address(), "/mypackage/greeting/events", 2);
    assert_eq!(
        counted,
        [1, 2].map(|count| format!("{{\"name\":\"mservice2\",\"count\":{count}}}"))
    );
}

/// The interface knows its token, and the commands know managers.
fn look(example: &Example, token_was_said: bool) {
    assert!(token_was_said);
    let token = example.token();
    let status = example.admin("GET", "/_admin/status", &token).unwrap();
    assert_eq!(status.status, 200, "{status:?}");
    for wrong in ["", "wrong-and-long-enough-to-be-one"] {
        assert_eq!(example.admin("GET", "/_admin/status", wrong).unwrap().status, 401);
    }
    let status = example.application.done(&["status"]).stdout;
    let root = example.root();
    for managed in [root.clone(), format!("{root}_mypackage-1")] {
        assert!(status.contains(&format!("manages {managed}\n")), "{status}");
    }
    let logs = example.application.done(&["logs", "mservice2"]).stdout;
    assert!(logs.contains("mservice2 listens on 3000"), "{logs}");
    let history = example.application.done(&["history"]).stdout;
    assert!(!history.is_empty());
}

/// Bringing it up again asks the engine for nothing, and restarts nothing.
fn unchanged(example: &Example) {
    let (tasks, tap) = (example.tasks(), Tap::start());
    let arguments = example.arguments(&["up"]);
    let up = || example.application.command_with(tap.address(), &arguments).output().unwrap();
    // What is built is known of an engine by its address, and the tap has one of its own.
    assert_eq!(up().status.code(), Some(0));
    tap.forget();
    let run = up();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{said}");
    assert!(!said.contains("Token"), "{said}");
    let requests = tap.requests();
    let changes: Vec<_> = requests
        .iter()
        .filter(|line| ["POST ", "PUT ", "DELETE "].iter().any(|verb| line.starts_with(verb)))
        .collect();
    assert_eq!(changes, [""; 0]);
    assert_eq!(example.tasks(), tasks);
}

/// What managers run is not deployed past them.
fn refused(example: &Example) {
    let deploy = example.arguments(&["deploy"]);
    for command in [&*deploy, &["rollback"], &["undeploy", "MyPackage"]] {
        let run = example.application.run(command);
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains("error: managers run "), "{run}");
    }
    let tasks = example.tasks();
    wait_for(PATIENCE, "the same tasks as before", || (example.tasks() == tasks).then_some(()))
        .unwrap();
}
