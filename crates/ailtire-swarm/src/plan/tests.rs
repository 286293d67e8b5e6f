//! What counts as not wanted any more.

use std::collections::BTreeSet;

use serde_json::json;

use super::{PlanOptions, plan};
use crate::observe::{Observed, ObservedService};
use crate::{Desired, DesiredStack, Identity, Scope, label};

fn identity() -> Identity {
    Identity { application: "shop".into(), environment: "test".into(), root: "shop-test".into() }
}

fn stack(namespace: &str) -> DesiredStack {
    DesiredStack {
        namespace: namespace.into(),
        path: namespace.into(),
        parent: None,
        networks: Vec::new(),
        external_networks: Vec::new(),
        configs: Vec::new(),
        external_configs: Vec::new(),
        secrets: Vec::new(),
        external_secrets: Vec::new(),
        services: Vec::new(),
    }
}

fn service(namespace: &str, application: &str) -> ObservedService {
    let name = format!("{namespace}_web");
    let labels = json!({
        label::NAMESPACE: namespace,
        label::APPLICATION: application,
        label::ENVIRONMENT: "test",
    });
    serde_json::from_value(json!({ "ID": name, "Spec": { "Name": name, "Labels": labels } }))
        .unwrap()
}

/// The services that `--prune` would remove.
fn pruned(stacks: &[&str], scope: Scope, running: &[(&str, &str)]) -> Vec<String> {
    let desired = Desired {
        identity: identity(),
        version: None,
        stacks: stacks.iter().map(|name| stack(name)).collect(),
        scope,
    };
    let services = running.iter().map(|(stack, application)| service(stack, application));
    let observed = Observed { services: services.collect(), ..Observed::default() };
    let options = PlanOptions { prune: true, ..PlanOptions::default() };
    let changes = plan(&desired, &observed, &options).unwrap();
    changes.orphans.into_iter().filter(|it| it.removed).map(|it| it.name).collect()
}

const RUNNING: [(&str, &str); 4] = [
    ("shop-test", "shop"),
    ("shop-test_old-1", "shop"),
    ("shop-test_extra", "shop"),
    ("elsewhere", "other"),
];

#[test]
fn a_whole_deployment_prunes_all_of_the_application_and_nothing_else() {
    let found = pruned(&["shop-test"], Scope::default(), &RUNNING);
    assert_eq!(found, ["shop-test_web", "shop-test_extra_web", "shop-test_old-1_web"]);
}

#[test]
fn stacks_that_are_deployed_by_themselves_are_left_alone() {
    let except = BTreeSet::from(["shop-test_extra".to_owned()]);
    let found = pruned(&["shop-test"], Scope::Whole { except }, &RUNNING);
    assert_eq!(found, ["shop-test_web", "shop-test_old-1_web"]);
}

#[test]
fn a_deployment_of_some_stacks_prunes_in_these_only() {
    assert_eq!(pruned(&["shop-test"], Scope::Stacks, &RUNNING), ["shop-test_web"]);
}
