//! What is as it is to be is left alone, and only what differs is changed.

use ailtire_events::{EventKind, ObjectAction, ServiceState};
use ailtire_swarm::spec::{ConfigReference, ConfigSpec, FileTarget, PortConfig, ServiceMode};
use ailtire_swarm::{Changes, PlanOptions, ServiceEnd, label};
use serde_json::json;

use crate::support::{Lab, after};

fn actions(changes: &Changes) -> Vec<(String, ObjectAction)> {
    changes.services().map(|(_, service)| (service.name.clone(), service.action)).collect()
}

#[tokio::test]
async fn deploying_twice_changes_nothing_and_one_variable_restarts_one_service() {
    let mut lab = Lab::new("twice").await;
    lab.add("web", "sleep 1000").spec.task_template.container_spec.env = vec!["A=1".to_owned()];
    lab.add("db", "sleep 1000");
    lab.service("web").after = vec![after("db")];
    lab.network("family", &["web", "db"]);
    let outcome = lab.deployed().await;
    assert_eq!((outcome.summary.created, outcome.summary.stacks), (2, 1));
    let (web, db) = (lab.tasks("web").await, lab.tasks("db").await);
    assert_eq!((web.len(), db.len()), (1, 1));

    lab.events.clear();
    let before = lab.engine.mutating_requests();
    assert!(lab.plan().await.unwrap().is_empty(), "{:#?}", lab.plan().await);
    let outcome = lab.deployed().await;
    assert_eq!(lab.engine.mutating_requests(), before, "{:#?}", lab.events.events());
    assert_eq!(outcome.summary.untouched, 2);
    assert_eq!((lab.tasks("web").await, lab.tasks("db").await), (web.clone(), db.clone()));

    lab.service("web").spec.task_template.container_spec.env = vec!["A=2".to_owned()];
    let changes = lab.plan().await.unwrap();
    let change = &changes.stacks[0].services[0];
    let text: Vec<_> = change.changes.iter().map(ToString::to_string).collect();
    assert_eq!(text, ["environment.A changed from `1` to `2`"]);
    assert!(change.restarts && !change.drift);
    let outcome = lab.deployed().await;
    assert_eq!((outcome.summary.updated, outcome.summary.untouched), (1, 1));
    assert_ne!(lab.tasks("web").await, web);
    assert_eq!(lab.tasks("db").await, db);

    // A label of the service and a number of tasks are changed without a restart.
    let web = lab.tasks("web").await;
    lab.service("web").spec.labels.insert("note".to_owned(), "new".to_owned());
    lab.service("web").spec.mode = Some(ServiceMode::Replicated { replicas: Some(2) });
    let outcome = lab.deployed().await;
    assert_eq!(outcome.summary.updated, 1);
    let scaled = lab.tasks("web").await;
    assert!(scaled.len() == 2 && scaled.contains(&web[0]), "{web:?} {scaled:?}");
    lab.end().await;
}

#[tokio::test]
async fn what_somebody_changed_by_hand_is_found_and_set_right() {
    let mut lab = Lab::new("drift").await;
    lab.add("web", "sleep 1000");
    lab.deployed().await;
    let service = lab.raw("web").await.unwrap();
    let mut spec = service["Spec"].clone();
    spec["Mode"]["Replicated"]["Replicas"] = json!(2);
    spec["TaskTemplate"]["ForceUpdate"] = json!(1);
    let path = format!("/services/{}/update", service["ID"].as_str().unwrap());
    let version = service["Version"]["Index"].as_u64().unwrap();
    lab.engine.post(path).query("version", &version).body(&spec).done().await.unwrap();

    let changes = lab.plan().await.unwrap();
    let change = &changes.stacks[0].services[0];
    assert!(change.drift && !change.restarts, "{change:#?}");
    let text: Vec<_> = change.changes.iter().map(ToString::to_string).collect();
    assert_eq!(text, ["deploy.replicas changed from `2` to `1`"]);
    lab.deployed().await;
    let spec = lab.raw("web").await.unwrap()["Spec"].clone();
    assert_eq!(spec["TaskTemplate"]["ForceUpdate"], json!(1));
    assert_eq!(lab.tasks("web").await.len(), 1);
    lab.end().await;
}

#[tokio::test]
async fn another_ones_stack_is_refused_and_adopted_without_a_restart() {
    let mut lab = Lab::new("adopt").await;
    lab.add("web", "sleep 1000");
    let ours = lab.desired.clone();
    // As Docker's own client labels it.
    let labels = &mut lab.service("web").spec.labels;
    labels.retain(|name, _| name == label::NAMESPACE || name == label::IMAGE);
    let spec = lab.desired.stacks[0].services[0].spec.clone();
    lab.engine.post("/services/create").body(&spec).done().await.unwrap();
    lab.desired = ours;
    let errors = lab.plan().await.unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].code, "foreign-stack");

    lab.options.plan = PlanOptions { adopt: true, ..PlanOptions::default() };
    let changes = lab.plan().await.unwrap();
    let change = &changes.stacks[0].services[0];
    assert!(change.adopted && !change.restarts, "{change:#?}");
    // Tasks come a moment after their service.
    let running = async {
        while lab.tasks("web").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), running).await.unwrap();
    let tasks = lab.tasks("web").await;
    lab.deployed().await;
    assert_eq!(lab.tasks("web").await, tasks);
    lab.options.plan.adopt = false;
    assert_eq!(actions(&lab.plan().await.unwrap()), [("web".to_owned(), ObjectAction::Untouched)]);
    lab.end().await;
}

#[tokio::test]
async fn a_port_of_another_service_and_a_missing_network_are_told_at_once() {
    let mut other = Lab::new("holder").await;
    let service = other.add("web", "sleep 1000");
    service.spec.mode = Some(ServiceMode::Replicated { replicas: Some(0) });
    let port = PortConfig {
        protocol: "tcp".to_owned(),
        target_port: 80,
        published_port: 31_999,
        publish_mode: "ingress".to_owned(),
    };
    let endpoint = service.spec.endpoint_spec.as_mut().unwrap();
    endpoint.mode = "vip".to_owned();
    endpoint.ports = vec![port.clone()];
    other.deployed().await;

    let mut lab = Lab::new("taker").await;
    lab.add("web", "sleep 1000").spec.endpoint_spec.as_mut().unwrap().ports = vec![port];
    lab.desired.stacks[0].external_networks.push(ailtire_swarm::External {
        name: "no-such-network".to_owned(),
        location: Some(ailtire_events::Location::file("docker-compose.yaml")),
    });
    let errors = lab.plan().await.unwrap_err();
    let codes: Vec<_> = errors.iter().map(|error| error.code.as_ref()).collect();
    assert_eq!(codes, ["external-missing", "port-taken"]);
    assert!(errors[1].message.contains(&format!("{}_web", other.namespace())), "{errors:?}");
    other.end().await;
}

#[tokio::test]
async fn a_config_with_new_content_replaces_the_old_one() {
    let mut lab = Lab::new("config").await;
    let config = |lab: &Lab, hash: &str, data: &str| ConfigSpec {
        name: format!("{}_conf_{hash}", lab.namespace()),
        labels: lab.labels(),
        data: data.to_owned(),
        templating: None,
    };
    let reference = |name: &str| ConfigReference {
        file: Some(FileTarget {
            name: "/conf".to_owned(),
            uid: "0".to_owned(),
            gid: "0".to_owned(),
            mode: 0o444,
        }),
        config_name: name.to_owned(),
        ..ConfigReference::default()
    };
    lab.add("web", "sleep 1000");
    let mut names = Vec::new();
    for (hash, data) in [("0123456789ab", "b25l"), ("ba9876543210", "dHdv")] {
        let config = config(&lab, hash, data);
        names.push(config.name.clone());
        lab.service("web").spec.task_template.container_spec.configs =
            vec![reference(&config.name)];
        lab.desired.stacks[0].configs = vec![config];
        lab.deployed().await;
    }
    let left = lab.left().await;
    assert!(!left.contains(&names[0]) && left.contains(&names[1]), "{left:?}");
    lab.end().await;
}

#[tokio::test]
async fn services_with_no_task_and_with_one_a_node_are_done() {
    let mut lab = Lab::new("modes").await;
    lab.add("none", "sleep 1000").spec.mode = Some(ServiceMode::Replicated { replicas: Some(0) });
    lab.add("global", "sleep 1000").spec.mode = Some(ServiceMode::Global {});
    lab.add("nowhere", "sleep 1000").spec.mode = Some(ServiceMode::Global {});
    lab.service("nowhere").spec.task_template.placement = Some(ailtire_swarm::spec::Placement {
        constraints: vec!["node.labels.moon == yes".to_owned()],
        ..ailtire_swarm::spec::Placement::default()
    });
    let job = ServiceMode::ReplicatedJob { max_concurrent: Some(1), total_completions: Some(2) };
    let once = lab.add("job", "echo done");
    once.spec.mode = Some(job);
    once.spec.update_config = None;
    once.spec.task_template.restart_policy.as_mut().unwrap().condition = "on-failure".to_owned();
    let once = lab.add("once", "echo done");
    once.spec.task_template.restart_policy.as_mut().unwrap().condition = "none".to_owned();
    let outcome = lab.deployed().await;
    let state = |name: &str| {
        let found = outcome.services.iter().find(|it| it.service == name).unwrap();
        match &found.end {
            ServiceEnd::Converged { state, .. } => *state,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(state("none"), ServiceState::Stopped);
    assert_eq!(state("global"), ServiceState::Running);
    assert_eq!(state("nowhere"), ServiceState::Stopped);
    assert_eq!(state("job"), ServiceState::Completed);
    assert_eq!(state("once"), ServiceState::Completed);
    let before = lab.engine.mutating_requests();
    lab.deployed().await;
    assert_eq!(lab.engine.mutating_requests(), before);
    let finished = |event: &EventKind| matches!(event, EventKind::DeploymentFinished { .. });
    assert_eq!(lab.events.events().iter().filter(|event| finished(event)).count(), 2);
    lab.end().await;
}
