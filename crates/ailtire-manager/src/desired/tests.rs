use std::collections::BTreeMap;

use ailtire_compose::{Bundle, Network, Service};
use ailtire_swarm::label;
use ailtire_swarm::manager::{DOCKER_SOCKET, MANAGER_ALIAS};
use serde_json::json;

use super::*;
use crate::settings::Settings;
use crate::whoami::Own;

fn place() -> Place {
    let bundle = Bundle {
        format: 1,
        name: "shop".to_owned(),
        package: "Shop".to_owned(),
        application: "shop".to_owned(),
        environment: "dev".to_owned(),
        version: None,
    };
    let variables = BTreeMap::from([("AILTIRE_APPNAME".to_owned(), "shop".to_owned())]);
    Place::find(&Settings::from_variables(variables), &bundle, Own::default())
}

fn design() -> StackDesign {
    let mut design = StackDesign::default();
    for name in ["orders", "web"] {
        let mut service = Service::new(name, Location::file("compose.yaml"));
        service.is_stack = name == "orders";
        design.services.insert(name.to_owned(), service);
    }
    design
}

fn desired(design: &StackDesign) -> Desired {
    let place = place();
    let images = ResolvedImages::new();
    let setup =
        Setup { place: &place, version: None, images: &images, token_secret: "shop-dev.token" };
    setup.desired(design).unwrap()
}

#[test]
fn a_stack_service_is_a_manager() {
    let desired = desired(&design());
    let manager = &desired.stacks[0].services[0].spec;
    assert_eq!(manager.labels[label::MANAGER], "shop-dev_orders-1");
    let container = &manager.task_template.container_spec;
    assert_eq!(container.mounts[0].source, DOCKER_SOCKET);
    assert_eq!(container.secrets[0].secret_name, "shop-dev.token");
    assert!(container.env.contains(&"AILTIRE_STACKPATH=shop-dev/orders".to_owned()));
    assert_eq!(desired.stacks[0].external_secrets[0].name, "shop-dev.token");
    let networks = &manager.task_template.networks;
    let family = networks.iter().find(|it| it.target == "shop_shop-dev_orders_family").unwrap();
    assert_eq!(family.aliases, [MANAGER_ALIAS]);
    let web = &desired.stacks[0].services[1].spec;
    assert!(!web.labels.contains_key(label::MANAGER));
}

#[test]
fn family_networks_are_there_even_if_no_service_is_on_them() {
    let desired = desired(&design());
    let of = |stack: usize| {
        let networks = &desired.stacks[stack].networks;
        networks.iter().find(|network| network.name.ends_with("_family")).unwrap()
    };
    assert_eq!(of(0).name, "shop_shop-dev_family");
    assert_eq!(of(1).name, "shop_shop-dev_orders_family");
    assert!(of(1).attachable && of(1).driver == "overlay");
    assert_eq!(of(1).labels[label::NAMESPACE], "shop-dev_orders-1");
    assert!(desired.covers("shop-dev") && !desired.covers("shop-dev_orders-1"));
}

#[test]
fn a_family_network_of_the_design_s_own_keeps_its_properties() {
    let mut design = design();
    let network = Network {
        name: Some("mine".to_owned()),
        attachable: true,
        internal: true,
        ..Network::default()
    };
    design.networks.insert("family".to_owned(), network);
    let desired = desired(&design);
    let own = desired.stacks[0].networks.iter().find(|network| network.name == "mine").unwrap();
    assert!(own.internal);
}

fn observed(services: &[&DesiredService], more: &[(&str, &str)]) -> Observed {
    let services = services.iter().map(|service| {
        let mut spec = serde_json::to_value(&service.spec).unwrap();
        for (name, value) in more {
            spec["Labels"][name] = json!(value);
        }
        serde_json::from_value(json!({"ID": service.name, "Spec": spec})).unwrap()
    });
    Observed { services: services.collect(), ..Observed::default() }
}

#[test]
fn a_scale_by_hand_is_kept_until_the_design_says_something_else() {
    let plain = desired(&design());
    let web = plain.stacks[0].services[1].clone();
    let kept = |label: &str| {
        let mut desired = plain.clone();
        keep_scales(&mut desired, &observed(&[&web], &[(label::SCALE, label)]));
        let spec = desired.stacks[0].services[1].spec.clone();
        assert_eq!(spec.labels[label::DIGEST], spec.digest());
        replicas(&spec).unwrap()
    };
    assert_eq!(kept("3/1"), 3);
    assert_eq!(kept("3/2"), 1);
    assert_eq!(kept("many"), 1);
}

#[test]
fn scaling_back_leaves_no_trace() {
    let plain = desired(&design()).stacks[0].services[1].spec.clone();
    let mut spec = plain.clone();
    scale(&mut spec, 4);
    assert_eq!(spec.labels[label::SCALE], "4/1");
    scale(&mut spec, 1);
    assert!(!spec.labels.contains_key(label::SCALE));
}

#[test]
fn only_what_is_not_there_is_missing() {
    let mut all = desired(&design());
    let after = ailtire_swarm::Prerequisite {
        stack: 0,
        service: "orders".to_owned(),
        condition: ailtire_compose::Condition::ServiceStarted,
    };
    all.stacks[0].services[1].after.push(after);
    let orders = all.stacks[0].services[0].clone();
    let missing = missing(&all, &observed(&[&orders], &[])).unwrap();
    let [web] = &missing.stacks[0].services[..] else { panic!("{missing:?}") };
    assert_eq!(web.name, "web");
    // What is there is not waited for again.
    assert_eq!(web.after, []);
    assert!(!missing.covers("shop-dev"));
}
