//! What comes before what, and runs that end early.

use ailtire_compose::Condition;
use ailtire_events::EventKind;
use ailtire_swarm::{ApplyError, OnFailure, ServiceEnd};

use crate::support::{Lab, after};

#[tokio::test]
async fn services_begin_when_what_they_need_is_there() {
    let mut lab = Lab::new("order").await;
    lab.add("web", "sleep 1000").after = vec![after("db"), after("migrate")];
    lab.service("web").after[1].condition = Condition::ServiceCompletedSuccessfully;
    let migrate = lab.add("migrate", "sleep 1");
    migrate.after = vec![after("db")];
    migrate.spec.task_template.restart_policy.as_mut().unwrap().condition = "none".to_owned();
    lab.add("db", "sleep 1000");
    lab.deployed().await;
    assert_eq!(
        lab.events.deeds(),
        [
            "created db",
            "converged db",
            "created migrate",
            "converged migrate",
            "created web",
            "converged web"
        ]
    );
    lab.end().await;
}

#[tokio::test]
async fn a_failure_keeps_only_those_from_going_on_that_need_it() {
    let mut lab = Lab::new("continue").await;
    lab.options.on_failure = OnFailure::Continue;
    lab.add("db", "exit 1");
    lab.add("web", "sleep 1000").after = vec![after("db")];
    lab.add("other", "sleep 1000");
    let outcome = lab.deploy().await;
    let end =
        |name: &str| outcome.services.iter().find(|it| it.service == name).unwrap().end.clone();
    assert!(matches!(end("db"), ServiceEnd::Failed(_)));
    let because = Some(format!("{}/db", lab.namespace()));
    assert_eq!(end("web"), ServiceEnd::Skipped { because });
    assert!(matches!(end("other"), ServiceEnd::Converged { .. }));
    assert!(lab.raw("web").await.is_none());
    lab.end().await;
}

#[tokio::test]
async fn a_cancelled_run_leaves_what_it_did_and_says_how_far_it_is() {
    let mut lab = Lab::new("cancel").await;
    lab.add("db", "sleep 1000").spec.task_template.placement =
        Some(ailtire_swarm::spec::Placement {
            constraints: vec!["node.labels.moon == yes".to_owned()],
            ..ailtire_swarm::spec::Placement::default()
        });
    lab.add("web", "sleep 1000").after = vec![after("db")];
    let cancel = async {
        let pending = |event: &EventKind| {
            matches!(event, EventKind::ServiceProgress { message: Some(text), .. }
                if text.contains("no suitable node"))
        };
        lab.events.wait_for(pending).await;
        lab.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(lab.deploy(), cancel);
    assert!(matches!(outcome.error, Some(ApplyError::Cancelled)), "{:?}", outcome.error);
    assert!(outcome.rollback.is_none());
    assert!(matches!(outcome.services[0].end, ServiceEnd::Interrupted { last: Some(_) }));
    assert_eq!(outcome.services[1].end, ServiceEnd::Skipped { because: None });
    assert!(lab.raw("db").await.is_some() && lab.raw("web").await.is_none());
    lab.end().await;
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_is_not_applied() {
    let mut lab = Lab::new("stale").await;
    lab.add("web", "sleep 1000");
    let changes = lab.plan().await.unwrap();
    lab.add("other", "sleep 1000");
    let before = lab.engine.mutating_requests();
    let outcome = ailtire_swarm::apply(
        &lab.engine,
        &lab.desired(),
        &changes,
        &lab.options,
        &*lab.events,
        lab.cancel.clone(),
    )
    .await;
    assert!(matches!(outcome.error, Some(ApplyError::OutOfDate)));
    assert_eq!(lab.engine.mutating_requests(), before);
}
