//! What has to be done so that what is to run does.
//!
//! [`plan`] compares, and reads nothing: the same [`Desired`] and [`Observed`] give the same
//! [`Changes`] always. Whether a service is changed is decided by its fields, not by the digest that
//! it carries: somebody may have changed it by hand since. The digest only tells the two apart.

mod checks;
mod objects;
mod services;
#[cfg(test)]
mod tests;

pub(crate) use checks::collides;
pub(crate) use services::compare as service_difference;

use std::collections::{BTreeMap, BTreeSet};

use ailtire_events::{Diagnostic, FieldChange, ObjectAction, ObjectKind};
use serde::{Deserialize, Serialize};

use crate::desired::label;
use crate::observe::Observed;
use crate::order::Graph;
use crate::{Desired, Identity};

/// How to compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether what is not wanted any more is removed.
    pub prune: bool,
    /// Whether stacks that somebody else made are taken over.
    pub adopt: bool,
    /// Names of configs and secrets that stay though nothing uses them: earlier deployments in the
    /// history need them.
    pub keep: BTreeSet<String>,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Whose deployment it is.
    pub identity: Identity,
    /// Stacks, parents before children.
    pub stacks: Vec<StackChanges>,
    /// What is there and not wanted any more.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub orphans: Vec<Orphan>,
    /// What is odd, and keeps nothing from being done.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<Diagnostic>,
    /// Digest of what was compared: see [`Changes::digest`].
    pub digest: String,
}

/// What becomes of the objects of one stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackChanges {
    /// The instance.
    pub namespace: String,
    /// The full path.
    pub path: String,
    /// Networks, configs and secrets, in this order.
    pub objects: Vec<ObjectChange>,
    /// Services, in the order of [`crate::DesiredStack::services`].
    pub services: Vec<ServiceChange>,
}

/// What becomes of a network, a config or a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectChange {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name in the engine.
    pub name: String,
    /// What becomes of it. A network that is updated is removed and made again.
    pub action: ObjectAction,
    /// Why it is updated.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<FieldChange>,
}

/// What becomes of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each a key of the JSON")]
pub struct ServiceChange {
    /// Its short name.
    pub name: String,
    /// Its name in the engine.
    pub full_name: String,
    /// What becomes of it.
    pub action: ObjectAction,
    /// Why it is updated.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<FieldChange>,
    /// Whether its tasks are replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub restarts: bool,
    /// Whether it has to be removed and made again, since the engine can't change it this way.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub recreate: bool,
    /// Whether somebody changed it since it was deployed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub drift: bool,
    /// Whether somebody else made it, and it is taken over.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub adopted: bool,
}

/// Something that is there and not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Orphan {
    /// The stack that it belongs to.
    pub namespace: String,
    /// The full path of that stack, `/` between its parts.
    pub path: String,
    /// What it is.
    pub kind: ObjectKind,
    /// Its name in the engine.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Whether it is removed.
    pub removed: bool,
    /// Whether it is removed before anything else, since something else needs what it holds.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub first: bool,
}

impl Changes {
    /// Digest of what was compared: what is to run, and what ran, as far as the two have to do with
    /// each other. A plan that was made from something else is out of date.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All services with their stacks.
    pub fn services(&self) -> impl Iterator<Item = (&StackChanges, &ServiceChange)> {
        self.stacks.iter().flat_map(|stack| stack.services.iter().map(move |it| (stack, it)))
    }

    /// Whether everything is as it is to be.
    pub fn is_empty(&self) -> bool {
        let objects = self.stacks.iter().flat_map(|stack| &stack.objects);
        objects.map(|object| object.action).all(|action| action == ObjectAction::Untouched)
            && self.services().all(|(_, service)| service.action == ObjectAction::Untouched)
            && self.orphans.iter().all(|orphan| !orphan.removed)
    }
}

/// Compares what is to run with what runs.
///
/// # Errors
/// Everything that keeps it from being done, all at once: names, networks and ports that somebody
/// else has, external objects that are not there, services that wait for one another.
pub fn plan(
    desired: &Desired,
    observed: &Observed,
    options: &PlanOptions,
) -> Result<Changes, Vec<Diagnostic>> {
    let mut planner = Planner { desired, observed, options, diagnostics: Vec::new() };
    if let Err(cycle) = Graph::new(desired).sorted() {
        let diagnostic = Graph::new(desired).cycle(&cycle);
        planner.diagnostics.push(diagnostic);
    }
    planner.check_owners();
    planner.check_externals();
    let mut stacks = planner.compare_stacks();
    let mut orphans = planner.orphans();
    planner.check_networks(&mut stacks, &mut orphans);
    planner.check_ports(&mut orphans);
    orphans.sort();
    let (errors, warnings): (Vec<_>, Vec<_>) =
        planner.diagnostics.into_iter().partition(Diagnostic::is_error);
    if !errors.is_empty() {
        return Err(errors);
    }
    let digest = state_digest(desired, observed, options);
    Ok(Changes { identity: desired.identity.clone(), stacks, orphans, warnings, digest })
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    options: &'a PlanOptions,
    diagnostics: Vec<Diagnostic>,
}

impl Planner<'_> {
    fn compare_stacks(&mut self) -> Vec<StackChanges> {
        let compare = |stack: &crate::DesiredStack| StackChanges {
            namespace: stack.namespace.clone(),
            path: stack.path.clone(),
            objects: self.compare_objects(stack),
            services: stack.services.iter().map(|it| self.compare_service(it)).collect(),
        };
        self.desired.stacks.iter().map(compare).collect()
    }

    fn is_wanted(&self, namespace: &str) -> bool {
        self.desired.stacks.iter().any(|stack| stack.namespace == namespace)
    }
}

/// Services are told apart by what they are to be, not by their version, which the swarm also raises
/// while it updates them.
fn state_digest(desired: &Desired, observed: &Observed, options: &PlanOptions) -> String {
    let mut parts = vec![serde_json::json!([options.prune, options.adopt, desired.identity])];
    let mut namespaces = BTreeSet::new();
    let mut names = BTreeSet::new();
    for stack in &desired.stacks {
        namespaces.insert(stack.namespace.as_str());
        // Configs and secrets are what their names say.
        names.extend(stack.configs.iter().map(|config| config.name.as_str()));
        names.extend(stack.secrets.iter().map(|secret| secret.name.as_str()));
        names.extend(stack.networks.iter().map(|network| network.name.as_str()));
        let externals =
            [&stack.external_networks, &stack.external_configs, &stack.external_secrets];
        names.extend(externals.into_iter().flatten().map(|external| external.name.as_str()));
        names.extend(stack.services.iter().map(|service| service.spec.name.as_str()));
        parts.push(serde_json::json!([stack.namespace, stack.path, stack.networks]));
        parts.extend(stack.services.iter().map(|service| serde_json::json!(service.spec)));
    }
    parts.push(serde_json::json!(names));
    let concerned = |name: &str, labels: &BTreeMap<String, String>| {
        let namespace = labels.get(label::NAMESPACE);
        names.contains(name)
            || namespace.is_some_and(|namespace| namespaces.contains(namespace.as_str()))
            || desired.identity.owns(labels)
    };
    let mut found = Vec::new();
    for service in &observed.services {
        if concerned(service.name(), &service.spec.labels) {
            found.push(serde_json::json!([service.id, service.raw]).to_string());
        }
    }
    for network in &observed.networks {
        if concerned(&network.name, &network.labels) {
            found.push(serde_json::json!([network.id, network.name]).to_string());
        }
    }
    for file in observed.configs.iter().chain(&observed.secrets) {
        if concerned(&file.name, &file.labels) {
            found.push(serde_json::json!([file.id, file.name]).to_string());
        }
    }
    found.sort();
    let mut hasher = blake3::Hasher::new_derive_key("ailtire-build deployment plan 1");
    for part in parts.iter().map(ToString::to_string).chain(found) {
        hasher.update(part.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

/// Whose something is, by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This deployment's.
    Ours,
    /// Nobody says; as what Docker's own client makes.
    Unknown,
    /// Another deployment's: application and environment.
    Other(String, String),
}

impl Owner {
    pub(crate) fn of(labels: &BTreeMap<String, String>, identity: &Identity) -> Self {
        match (labels.get(label::APPLICATION), labels.get(label::ENVIRONMENT)) {
            (None, None) => Self::Unknown,
            _ if identity.owns(labels) => Self::Ours,
            (application, environment) => Self::Other(
                application.cloned().unwrap_or_default(),
                environment.cloned().unwrap_or_default(),
            ),
        }
    }
}
