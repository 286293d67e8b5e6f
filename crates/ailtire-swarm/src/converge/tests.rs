//! What a look at a service comes to.

use std::collections::BTreeSet;

use ailtire_events::ServiceState;
use serde_json::{Value, json};

use super::judge::{Memory, Verdict, View, judge};
use super::task::Task;
use crate::observe::ObservedService;

fn template() -> Value {
    json!({"ContainerSpec": {"Image": "i"}, "RestartPolicy": {"Condition": "any"}})
}

fn service(changes: &Value) -> ObservedService {
    let mut service = json!({"ID": "s", "Spec": {"Name": "web", "TaskTemplate": template()}});
    merge(&mut service, changes);
    serde_json::from_value(service).unwrap()
}

fn merge(value: &mut Value, changes: &Value) {
    match changes {
        Value::Object(fields) => {
            for (name, change) in fields {
                merge(&mut value[name], change);
            }
        }
        other => *value = other.clone(),
    }
}

/// A task: id, when it was made, what it is, what it is to be.
fn task(id: &str, age: u32, state: &str, wanted: &str) -> Task {
    serde_json::from_value(json!({"ID": id, "ServiceID": "s", "Slot": 1, "Spec": template(),
        "Status": {"State": state}, "DesiredState": wanted,
        "CreatedAt": format!("2026-01-01T00:00:{age:02}Z")}))
    .unwrap()
}

fn look(service: &ObservedService, tasks: &[Task]) -> View {
    judge(service, tasks, &mut Memory::default())
}

#[test]
fn one_that_runs_is_steady_and_one_of_an_old_spec_is_not() {
    let plain = service(&json!({}));
    let running = task("a", 1, "running", "running");
    let view = look(&plain, std::slice::from_ref(&running));
    assert_eq!(view.verdict, Verdict::Steady(BTreeSet::from(["a".to_owned()])));
    assert_eq!(view.state, ServiceState::Running);
    let changed = json!({"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": "j"}}}});
    assert_eq!(look(&service(&changed), &[running]).verdict, Verdict::Waiting);
    assert_eq!(look(&plain, &[]).verdict, Verdict::Waiting);
    let starting = look(&plain, &[task("a", 1, "starting", "running")]);
    assert_eq!((starting.verdict, starting.state), (Verdict::Waiting, ServiceState::Starting));
}

#[test]
fn an_update_in_progress_is_waited_for_and_one_that_was_given_up_is_a_failure() {
    let running = [task("a", 1, "running", "running")];
    let update = |state: &str| {
        let status = json!({"UpdateStatus": {"State": state, "Message": "because of task a"}});
        look(&service(&status), &running).verdict
    };
    assert_eq!(update("updating"), Verdict::Waiting);
    assert!(matches!(update("completed"), Verdict::Steady(_)));
    for state in ["paused", "rollback_started", "rollback_completed", "rollback_paused"] {
        assert!(matches!(update(state), Verdict::Failed(_)), "{state}");
    }
}

#[test]
fn three_failures_in_one_place_are_enough_even_where_the_engine_forgets_them() {
    let service = service(&json!({}));
    let mut memory = Memory::default();
    for (number, id) in ["a", "b"].into_iter().enumerate() {
        let age = u32::try_from(number).unwrap();
        let tasks = [task(id, age, "failed", "shutdown"), task("next", 9, "ready", "ready")];
        assert_eq!(judge(&service, &tasks, &mut memory).verdict, Verdict::Waiting);
    }
    let tasks = [task("c", 3, "failed", "shutdown"), task("next", 9, "ready", "ready")];
    assert!(matches!(judge(&service, &tasks, &mut memory).verdict, Verdict::Failed(_)));
}

#[test]
fn failures_of_before_are_history_unless_nothing_came_after_them() {
    let plain = service(&json!({}));
    let before = || Memory {
        before: ["a", "b", "c"].map(str::to_owned).into(),
        history_counts: true,
        ..Memory::default()
    };
    let failed = ["a", "b", "c"].map(|id| task(id, 1, "failed", "shutdown"));
    let mut tasks = failed.to_vec();
    tasks.push(task("d", 5, "running", "running"));
    let view = judge(&plain, &tasks, &mut before());
    assert!(matches!(view.verdict, Verdict::Steady(_)) && view.has_failed, "{view:?}");
    assert!(matches!(judge(&plain, &failed, &mut before()).verdict, Verdict::Failed(_)));
    let mut replaced = Memory { history_counts: false, ..before() };
    assert_eq!(judge(&plain, &failed, &mut replaced).verdict, Verdict::Waiting);
}

#[test]
fn a_policy_decides_whether_an_end_is_one() {
    let policy = |condition: &str| {
        let policy = json!({"RestartPolicy": {"Condition": condition}});
        let mut task = task("a", 1, "complete", "shutdown");
        merge(&mut task.spec, &policy);
        let service = service(&json!({"Spec": {"TaskTemplate": policy}}));
        look(&service, &[task])
    };
    for condition in ["none", "on-failure"] {
        let view = policy(condition);
        assert_eq!((view.verdict, view.state), (Verdict::Done, ServiceState::Completed));
    }
    assert_eq!(policy("any").verdict, Verdict::Waiting);
}

#[test]
fn no_task_wanted_is_done_when_none_is_left() {
    let service = service(&json!({"Spec": {"Mode": {"Replicated": {"Replicas": 0}}}}));
    assert_eq!(look(&service, &[]).verdict, Verdict::Done);
    assert_eq!(look(&service, &[task("a", 1, "running", "shutdown")]).verdict, Verdict::Waiting);
    assert_eq!(look(&service, &[task("a", 1, "shutdown", "shutdown")]).verdict, Verdict::Done);
}

#[test]
fn a_job_counts_the_tasks_of_its_newest_run() {
    let job = json!({"Spec": {"Mode": {"ReplicatedJob": {"TotalCompletions": 1}}},
        "JobStatus": {"JobIteration": {"Index": 7}}});
    let service = service(&job);
    let run = |iteration: u64| Task {
        job_iteration: serde_json::from_value(json!({"Index": iteration})).unwrap(),
        ..task("a", 1, "complete", "complete")
    };
    assert_eq!(look(&service, &[run(6)]).verdict, Verdict::Waiting);
    assert_eq!(look(&service, &[run(7)]).verdict, Verdict::Done);
}

/// After the swarm went back, the task that failed is not one of the spec that it went back to.
#[test]
fn the_task_for_which_the_swarm_went_back_is_found() {
    let status = json!({"UpdateStatus": {
        "State": "rollback_completed", "Message": "update rolled back due to failure of task t7x2"}});
    let mut failed = task("t7x2", 2, "failed", "shutdown");
    failed.spec = json!({"ContainerSpec": {"Image": "newer"}});
    failed.status.err = "task: non-zero exit (7)".to_owned();
    let tasks = [task("t7x1", 1, "running", "running"), failed];
    let Verdict::Failed(failure) = look(&service(&status), &tasks).verdict else {
        panic!("it is a failure");
    };
    assert_eq!(failure.message, "non-zero exit (7), and the swarm went back to its earlier spec");
    assert_eq!(failure.task.map(|task| task.id.clone()).as_deref(), Some("t7x2"));
}
