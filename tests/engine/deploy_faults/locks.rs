//! Two deployments of one application, and locks that nobody holds any more.

use std::time::Instant;

use super::{Running, application, healthy, lock};
use crate::support::{client, host};

#[test]
fn the_second_of_two_deployments_waits_and_says_for_whom() {
    let application = application(&healthy());
    let first = Running::deploy(&application, &host(), &[]);
    lock(&application);
    let mut second = Running::deploy(&application, &host(), &[]);
    let waiting = second.until(|event| event["reason"] == "waiting-for-deployment");
    let holder = waiting["holder"].as_str().unwrap();
    assert!(holder.contains(&format!("process {}", first.child.id())), "{holder}");
    let (first, second) = (first.end(), second.end());
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{first}{second}");
    assert_eq!(first.events("deployment-finished")[0]["summary"]["created"], 2, "{first}");
    assert_eq!(second.events("deployment-finished")[0]["summary"]["untouched"], 2, "{second}");
}

#[test]
fn what_a_killed_run_held_is_taken_over() {
    let application = application(&healthy());
    let mut killed = Running::deploy(&application, &host(), &[]);
    killed.until(|event| event["reason"] == "object-changed" && event["service"] != "slow");
    killed.signal("-KILL");
    let _ = killed.end();
    let begin = Instant::now();
    let run = application.run(&["deploy", "--message-format", "json"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(run.events("waiting-for-deployment").len(), 1, "{run}");
    assert!(begin.elapsed().as_secs() >= 20, "a lock is not taken away early");
}

#[test]
fn a_run_whose_lock_is_gone_changes_nothing_more() {
    let application = application(super::SLOW);
    let running = Running::deploy(&application, &host(), &[]);
    let id = lock(&application);
    client().delete(&format!("/configs/{id}")).unwrap();
    let run = running.end();
    assert_eq!(run.code, Some(3), "{run}");
    assert!(run.stderr.contains("the lock of this deployment is gone"), "{run}");
}
