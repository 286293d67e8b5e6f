//! Services that do not become what they are to be.

use std::time::Duration;

use ailtire_swarm::ServiceEnd;
use ailtire_swarm::spec::{Mount, Placement};

use crate::support::{Lab, failure_of, health, stop};

/// What a failure says that is only known because the time is over.
const TIME_OUT: &str = "is not what it is to be after";

#[tokio::test]
async fn a_command_that_fails_is_told_with_its_code_and_its_last_lines() {
    let mut lab = Lab::new("failing").await;
    stop(&mut lab);
    lab.add("web", "echo begins; echo can not go on >&2; exit 3");
    let outcome = lab.deploy().await;
    let failure = failure_of(&outcome, "web");
    assert!(!failure.message.contains(TIME_OUT), "it waited for the end: {failure:?}");
    assert_eq!(failure.exit_code, Some(3), "{failure:?}");
    assert!(failure.message.contains("non-zero exit (3)"), "{failure:?}");
    assert_eq!(failure.task, Some(format!("{}_web.1", lab.namespace())));
    assert!(failure.node.is_some() && failure.help.is_some());
    let mut log = failure.log;
    log.sort();
    assert_eq!(log, ["begins", "can not go on"]);
    assert_eq!(outcome.summary.failed, 1);

    // Nothing differs, and it is no better.
    lab.events.clear();
    let again = lab.deploy().await;
    assert!(again.error.is_some());
    lab.end().await;
}

#[tokio::test]
async fn a_one_shot_service_that_failed_before_fails_again_at_once() {
    let mut lab = Lab::new("once").await;
    stop(&mut lab);
    let once = lab.add("migrate", "exit 1");
    once.spec.task_template.restart_policy.as_mut().unwrap().condition = "none".to_owned();
    assert_eq!(failure_of(&lab.deploy().await, "migrate").exit_code, Some(1));
    let failure = failure_of(&lab.deploy().await, "migrate");
    assert_eq!(failure.exit_code, Some(1));
    assert!(!failure.message.contains(TIME_OUT), "it waited for the end: {failure:?}");
    lab.end().await;
}

#[tokio::test]
async fn a_health_check_decides() {
    let mut lab = Lab::new("health").await;
    stop(&mut lab);
    let good = lab.add("good", "touch /tmp/up; sleep 1000");
    good.spec.task_template.container_spec.healthcheck = Some(health("test -e /tmp/up"));
    let bad = lab.add("bad", "sleep 1000");
    bad.spec.task_template.container_spec.healthcheck = Some(health("echo no; exit 1"));
    let outcome = lab.deploy().await;
    let failure = failure_of(&outcome, "bad");
    assert!(failure.message.contains("unhealthy"), "{failure:?}");
    assert!(failure.help.unwrap().contains("health check"));
    let good = outcome.services.iter().find(|it| it.service == "good").unwrap();
    assert!(matches!(good.end, ServiceEnd::Converged { .. }), "{good:?}");
    lab.end().await;
}

#[tokio::test]
async fn a_service_that_no_node_may_run_is_told_so_in_the_end() {
    let mut lab = Lab::new("nowhere").await;
    stop(&mut lab);
    lab.options.wait.timeout = Duration::from_secs(4);
    lab.add("web", "sleep 1000").spec.task_template.placement = Some(Placement {
        constraints: vec!["node.labels.moon == yes".to_owned()],
        ..Placement::default()
    });
    let failure = failure_of(&lab.deploy().await, "web");
    assert!(failure.message.contains("no suitable node"), "{failure:?}");
    assert!(failure.help.unwrap().contains("placement"));
    lab.options.wait.timeout = Duration::from_mins(1);
    lab.end().await;
}

#[tokio::test]
async fn an_image_and_a_folder_that_are_not_there_are_told() {
    let mut lab = Lab::new("missing").await;
    lab.options.on_failure = ailtire_swarm::OnFailure::Continue;
    lab.add("image", "x").spec.task_template.container_spec.image = "no-such/image:1".to_owned();
    lab.add("folder", "x").spec.task_template.container_spec.mounts = vec![Mount {
        kind: "bind".to_owned(),
        source: "/no/such/folder".to_owned(),
        target: "/data".to_owned(),
        ..Mount::default()
    }];
    let outcome = lab.deploy().await;
    let failure = failure_of(&outcome, "image");
    assert!(failure.message.contains("No such image"), "{failure:?}");
    let failure = failure_of(&outcome, "folder");
    assert!(failure.help.clone().unwrap().contains("folder"), "{failure:?}");
    lab.end().await;
}

#[tokio::test]
async fn a_service_that_keeps_ending_well_is_no_service() {
    let mut lab = Lab::new("ending").await;
    stop(&mut lab);
    lab.add("web", "echo done");
    let failure = failure_of(&lab.deploy().await, "web");
    assert!(failure.message.contains("exit code 0"), "{failure:?}");
    assert!(failure.help.unwrap().contains("replicated-job"));
    lab.end().await;
}
