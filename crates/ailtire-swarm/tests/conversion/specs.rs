//! What specs hold beyond what Docker's client would put in.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::{Condition, Network, SERVICE_NAME_LIMIT, Service, StackDesign};
use ailtire_events::ObjectKind;
use ailtire_swarm::spec::ServiceSpec;
use ailtire_swarm::{Prerequisite, label};
use proptest::prelude::*;

use crate::designs::{self, Variables, dependency, map, service};
use crate::{design_of, spec, stack};

#[test]
fn no_label_of_ours_is_on_a_task() {
    for (_, design) in designs::all(&Variables::default()) {
        for service in stack(&design).services {
            let names = service.spec.task_template.container_spec.labels.into_keys();
            let ours: Vec<String> = names.filter(|name| name.contains("ailtire")).collect();
            assert_eq!(ours, Vec::<String>::new(), "{}", service.name);
        }
    }
}

#[test]
fn a_service_says_where_it_belongs() {
    let labels = spec(&design_of(service("redis:7"))).labels;
    for (name, value) in [
        (label::NAMESPACE, "shop-dev"),
        (label::IMAGE, "redis:7"),
        (label::APPLICATION, "shop"),
        (label::ENVIRONMENT, "dev"),
        (label::STACK_PATH, "shop-dev"),
        (label::SERVICE, "web"),
    ] {
        assert_eq!(labels.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!labels.contains_key(label::VERSION));
}

#[test]
fn what_is_not_said_is_not_sent() {
    let text = serde_json::to_string(&spec(&design_of(service("redis:7"))).task_template).unwrap();
    assert_eq!(
        text,
        "{\"ContainerSpec\":{\"Image\":\"redis:7\",\
         \"Labels\":{\"com.docker.stack.namespace\":\"shop-dev\"},\"Privileges\":{}},\
         \"Resources\":{},\"Placement\":{},\
         \"Networks\":[{\"Target\":\"shop-dev_default\",\"Aliases\":[\"web\"]}]}"
    );
}

#[test]
fn a_dependency_is_waited_for() {
    let mut design = design_of(Service {
        depends_on: map([
            ("db", dependency(Condition::ServiceHealthy)),
            ("not-there", dependency(Condition::ServiceStarted)),
        ]),
        ..service("web:1")
    });
    design.services.insert("db".into(), service("db:1"));
    let stack = stack(&design);
    let after = |name: &str| {
        let service = stack.services.iter().find(|service| service.name == name).unwrap();
        service.after.clone()
    };
    assert_eq!(after("db"), []);
    let db = Prerequisite { stack: 3, service: "db".into(), condition: Condition::ServiceHealthy };
    assert_eq!(after("web"), [db]);
}

#[test]
fn ids_take_the_place_of_names() {
    let variables = Variables::default();
    let [_, _, (_, full), (_, files)] = designs::all(&variables);
    let ids = |names: Vec<&String>| -> BTreeMap<String, String> {
        names.into_iter().map(|name| (name.clone(), format!("id of {name}"))).collect()
    };
    for design in [full, files] {
        let stack = stack(&design);
        let outside = &variables.external;
        let configs =
            ids(stack.configs.iter().map(|config| &config.name).chain([outside]).collect());
        let secrets =
            ids(stack.secrets.iter().map(|secret| &secret.name).chain([outside]).collect());
        let networks =
            ids(stack.networks.iter().map(|network| &network.name).chain([outside]).collect());
        for service in &stack.services {
            let with_ids = service.spec.with_ids(&configs, &secrets, &networks).unwrap();
            let task = &with_ids.task_template;
            assert!(task.networks.iter().all(|network| network.target.starts_with("id of ")));
            let container = &task.container_spec;
            assert!(container.configs.iter().all(|config| !config.config_id.is_empty()));
            assert!(container.secrets.iter().all(|secret| !secret.secret_id.is_empty()));
            if service.name == "account" {
                let privileges = container.privileges.as_ref().unwrap();
                let credentials = privileges.credential_spec.as_ref().unwrap();
                assert!(credentials.config.starts_with("id of shop-dev_credentials_"));
            }
        }
    }
}

#[test]
fn a_missing_object_is_named() {
    let spec = spec(&design_of(service("redis:7")));
    let none = BTreeMap::new();
    let error = spec.with_ids(&none, &none, &none).unwrap_err();
    assert_eq!(error.kind, ObjectKind::Network);
    assert_eq!(
        error.to_string(),
        "service `shop-dev_web` uses network `shop-dev_default`, which the engine does not have"
    );
}

#[test]
fn networks_of_nodes_need_no_id_and_no_alias() {
    let host = Network { name: Some("host".into()), external: true, ..Network::default() };
    let design = StackDesign {
        networks: map([("outside", host)]),
        ..design_of(Service {
            networks: map([("outside", ailtire_compose::Attachment::default())]),
            ..service("redis:7")
        })
    };
    let stack = stack(&design);
    assert_eq!(stack.external_networks, []);
    let none = BTreeMap::new();
    let [service] = stack.services.try_into().unwrap();
    let spec = service.spec.with_ids(&none, &none, &none).unwrap();
    let [attachment] = spec.task_template.networks.try_into().unwrap();
    assert_eq!((attachment.target.as_str(), attachment.aliases.len()), ("host", 0));
}

#[test]
fn external_things_are_listed_with_their_names() {
    let variables = Variables::default();
    let [_, _, (_, full), (_, files)] = designs::all(&variables);
    let [network] = stack(&full).external_networks.try_into().unwrap();
    assert_eq!(network.name, variables.external);
    let files = stack(&files);
    for external in [files.external_configs, files.external_secrets] {
        let [external] = external.try_into().unwrap();
        assert_eq!(external.name, variables.external);
    }
}

#[test]
fn what_the_engine_writes_as_null_is_nothing() {
    let text = r#"{"Name":"a","Labels":null,"TaskTemplate":{"ContainerSpec":{"Image":"b",
        "Env":null,"Privileges":{"CredentialSpec":null,"SELinuxContext":null}},
        "Networks":null,"ForceUpdate":0,"Runtime":"container"},
        "Mode":{"Replicated":{"Replicas":1}},"EndpointSpec":{"Mode":"vip","Ports":null}}"#;
    let spec: ServiceSpec = serde_json::from_str(text).unwrap();
    assert!(spec.labels.is_empty() && spec.task_template.networks.is_empty());
}

proptest! {
    #[test]
    fn names_of_services_keep_the_limit_and_stay_unique(
        names in prop::collection::btree_set("[a-z]{1,10}-service-with-a-long-name-[a-z]{0,60}", 1..10),
    ) {
        let services = names.iter().map(|name| (name.clone(), service("redis:7"))).collect();
        let stack = stack(&StackDesign { services, ..StackDesign::default() });
        let made: BTreeSet<&str> =
            stack.services.iter().map(|service| service.spec.name.as_str()).collect();
        prop_assert_eq!(made.len(), names.len());
        prop_assert!(made.iter().all(|name| name.len() <= SERVICE_NAME_LIMIT));
        for service in &stack.services {
            prop_assert_eq!(service.spec.labels.get(label::SERVICE), Some(&service.name));
        }
    }
}
