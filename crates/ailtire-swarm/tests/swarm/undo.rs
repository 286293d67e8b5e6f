//! Going back after a failure.

use std::collections::BTreeSet;

use ailtire_events::EventKind;
use ailtire_swarm::ServiceEnd;
use ailtire_swarm::spec::ServiceMode;

use crate::support::{Lab, after};

#[tokio::test]
async fn everything_goes_back_when_a_service_fails() {
    let mut lab = Lab::new("undo").await;
    lab.add("db", "sleep 1000");
    lab.add("web", "sleep 1000").after = vec![after("db")];
    lab.add("calm", "sleep 1000");
    lab.network("family", &["db", "web"]);
    lab.deployed().await;
    let spec = async |name: &str| lab.raw(name).await.unwrap()["Spec"].clone();
    let before = (spec("db").await, spec("web").await);
    let calm = lab.tasks("calm").await;
    let good = lab.desired.clone();

    lab.service("db").spec.task_template.container_spec.env = vec!["A=1".to_owned()];
    lab.service("web").spec.task_template.container_spec.args[3] = "echo oh; exit 1".to_owned();
    lab.add("new", "sleep 1000");
    lab.network("second", &["new"]);
    let outcome = lab.deploy().await;
    assert!(outcome.error.is_some() && outcome.summary.rolled_back, "{outcome:#?}");
    let report = outcome.rollback.unwrap();
    assert_eq!(report.failures, Vec::<String>::new(), "{:#?}", lab.events.events());
    assert_eq!(report.restored, 4);
    let web = outcome.services.iter().find(|it| it.service == "web").unwrap();
    assert!(matches!(web.end, ServiceEnd::Failed(_)));
    let spec = async |name: &str| lab.raw(name).await.unwrap()["Spec"].clone();
    assert_eq!((spec("db").await, spec("web").await), before);
    assert_eq!(lab.tasks("calm").await, calm);
    assert!(lab.raw("new").await.is_none());
    assert_eq!(lab.left().await.len(), 4, "{:?}", lab.left().await);
    let events = lab.events.events();
    assert!(events.iter().any(|it| matches!(it, EventKind::RollbackStarted { .. })));
    assert!(events.iter().any(|it| matches!(it, EventKind::RollbackFinished { .. })));

    lab.desired = good;
    assert!(lab.plan().await.unwrap().is_empty());
    lab.end().await;
}

#[tokio::test]
async fn a_network_that_differs_is_made_again_with_its_services_and_comes_back_on_failure() {
    let mut lab = Lab::new("network").await;
    lab.add("db", "sleep 1000");
    lab.add("web", "sleep 1000").after = vec![after("db")];
    lab.network("family", &["db", "web"]);
    lab.deployed().await;
    let good = lab.desired.clone();

    lab.desired.stacks[0].networks[0].attachable = true;
    lab.service("web").spec.task_template.container_spec.args[3] = "exit 1".to_owned();
    let changes = lab.plan().await.unwrap();
    assert!(changes.services().all(|(_, service)| service.recreate), "{changes:#?}");
    let outcome = lab.deploy().await;
    let report = outcome.rollback.unwrap();
    assert_eq!(report.failures, Vec::<String>::new(), "{:#?}", lab.events.events());
    lab.desired = good;
    let changes = lab.plan().await.unwrap();
    assert!(changes.is_empty(), "{changes:#?}");

    lab.desired.stacks[0].networks[0].attachable = true;
    lab.deployed().await;
    assert!(lab.plan().await.unwrap().is_empty());
    lab.end().await;
}

#[tokio::test]
async fn a_service_of_another_mode_is_made_again() {
    let mut lab = Lab::new("mode").await;
    lab.add("web", "sleep 1000");
    lab.deployed().await;
    lab.service("web").spec.mode = Some(ServiceMode::Global {});
    let changes = lab.plan().await.unwrap();
    assert!(changes.stacks[0].services[0].recreate);
    lab.deployed().await;
    assert!(lab.plan().await.unwrap().is_empty());
    lab.end().await;
}

#[tokio::test]
async fn removal_leaves_nothing() {
    let mut lab = Lab::new("remove").await;
    lab.add("db", "trap '' TERM; sleep 1000");
    lab.add("web", "sleep 1000").after = vec![after("db")];
    lab.network("family", &["db", "web"]);
    lab.deployed().await;
    lab.events.clear();
    let options = ailtire_swarm::RemoveOptions {
        namespaces: BTreeSet::new(),
        volumes: true,
        timeout: std::time::Duration::from_mins(1),
        keep: BTreeSet::new(),
    };
    let desired = lab.desired();
    let identity = &desired.identity;
    let removed = ailtire_swarm::remove(
        &lab.engine,
        identity,
        Some(&desired),
        &options,
        &*lab.events,
        &lab.cancel,
    );
    let removed = removed.await.unwrap();
    assert_eq!(removed.failures, Vec::<String>::new());
    assert_eq!(removed.summary.removed, 3);
    assert_eq!(lab.left().await, Vec::<String>::new());
    let network = format!("removed {}_family", lab.namespace());
    assert_eq!(lab.events.deeds(), ["removed web", "removed db", &network]);
    lab.end().await;
}
