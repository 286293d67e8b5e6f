//! Services: which are made, changed, or left alone.

use std::collections::BTreeMap;

use ailtire_events::{FieldChange, ObjectAction, ObjectKind};
use serde_json::Value;

use super::{Orphan, Owner, Planner, ServiceChange};
use crate::DesiredService;
use crate::desired::label;
use crate::fields::{Difference, difference};
use crate::observe::{Observed, ObservedService};

/// Labels that say where a service came from. No reason to touch it.
const ORIGIN: [&str; 2] = [label::VERSION, label::FINGERPRINT];

/// What has to be done to `service` so that it becomes `desired`.
pub(crate) fn compare(
    desired: &DesiredService,
    service: &ObservedService,
    observed: &Observed,
) -> Difference {
    // A spec has only texts as keys, and so always becomes JSON.
    let new = serde_json::to_value(&desired.spec).unwrap_or_default();
    let mut found = difference(&service.raw, &new, observed);
    let is_label = |change: &FieldChange, name: &str| {
        change.field.strip_prefix("deploy.labels.").is_some_and(|label| label == name)
    };
    found.changes.retain(|change| !ORIGIN.iter().any(|name| is_label(change, name)));
    // Another digest alone is no reason either, but for a service that has none.
    let other_reasons = found.changes.iter().any(|change| !is_label(change, label::DIGEST));
    let has_digest = service.spec.labels.contains_key(label::DIGEST);
    if other_reasons || has_digest {
        found.changes.retain(|change| !is_label(change, label::DIGEST));
    }
    found
}

/// Whether the engine refuses to make one of the other: between services that run and jobs, and
/// between numbers of tasks and one a node.
fn is_other_mode(old: &Value, new: &Value) -> bool {
    let name = |spec: &Value| {
        let mode = spec["Mode"].as_object()?;
        mode.iter().find(|(_, details)| !details.is_null()).map(|(name, _)| name.clone())
    };
    let name = |spec| name(spec).unwrap_or_else(|| "Replicated".to_owned());
    name(old) != name(new)
}

impl Planner<'_> {
    pub(super) fn compare_service(&self, desired: &DesiredService) -> ServiceChange {
        let full_name = desired.spec.name.clone();
        let mut change = ServiceChange {
            name: desired.name.clone(),
            action: ObjectAction::Created,
            changes: Vec::new(),
            restarts: false,
            recreate: false,
            drift: false,
            adopted: false,
            full_name,
        };
        let Some(service) = self.observed.service(&change.full_name) else { return change };
        let Difference { changes, task, endpoint } = compare(desired, service, self.observed);
        change.adopted = Owner::of(&service.spec.labels, &self.desired.identity) != Owner::Ours;
        change.action = if changes.is_empty() {
            ObjectAction::Untouched
        } else {
            let digest = service.spec.labels.get(label::DIGEST);
            let wanted = desired.spec.labels.get(label::DIGEST);
            change.drift = digest.is_some() && digest == wanted;
            let new = serde_json::to_value(&desired.spec).unwrap_or_default();
            change.recreate = is_other_mode(&service.raw, &new);
            change.restarts = task || endpoint || change.recreate;
            ObjectAction::Updated
        };
        change.changes = changes;
        change
    }

    /// What is there of ours and not wanted any more.
    pub(super) fn orphans(&self) -> Vec<Orphan> {
        let mut orphans = Vec::new();
        let wanted = |kind: ObjectKind, name: &str| {
            self.desired.stacks.iter().any(|stack| match kind {
                ObjectKind::Service => stack.services.iter().any(|it| it.spec.name == name),
                ObjectKind::Network => stack.networks.iter().any(|it| it.name == name),
                ObjectKind::Config => stack.configs.iter().any(|it| it.name == name),
                _ => stack.secrets.iter().any(|it| it.name == name),
            })
        };
        let mut consider = |kind, id: &str, name: &str, labels: &BTreeMap<String, String>| {
            if let Some(namespace) = self.orphaned_from(labels)
                && !wanted(kind, name)
                && !self.is_kept(kind, name)
            {
                orphans.push(Orphan {
                    namespace: namespace.to_owned(),
                    path: labels
                        .get(label::STACK_PATH)
                        .map_or(namespace, String::as_str)
                        .to_owned(),
                    kind,
                    name: name.to_owned(),
                    id: id.to_owned(),
                    removed: self.options.prune || self.is_replaced(kind, name),
                    first: false,
                });
            }
        };
        for service in &self.observed.services {
            consider(ObjectKind::Service, &service.id, service.name(), &service.spec.labels);
        }
        for network in &self.observed.networks {
            consider(ObjectKind::Network, &network.id, &network.name, &network.labels);
        }
        for config in &self.observed.configs {
            consider(ObjectKind::Config, &config.id, &config.name, &config.labels);
        }
        for secret in &self.observed.secrets {
            consider(ObjectKind::Secret, &secret.id, &secret.name, &secret.labels);
        }
        orphans
    }

    fn is_kept(&self, kind: ObjectKind, name: &str) -> bool {
        matches!(kind, ObjectKind::Config | ObjectKind::Secret) && self.options.keep.contains(name)
    }

    /// The stack that something belongs to, if it is one that this deployment has or had.
    fn orphaned_from<'labels>(
        &self,
        labels: &'labels BTreeMap<String, String>,
    ) -> Option<&'labels str> {
        let namespace = labels.get(label::NAMESPACE)?;
        let ours = match Owner::of(labels, &self.desired.identity) {
            Owner::Ours => self.desired.covers(namespace),
            Owner::Unknown => self.is_wanted(namespace),
            Owner::Other(..) => false,
        };
        ours.then_some(namespace)
    }

    /// Whether a config or a secret is an earlier content of one that is wanted.
    fn is_replaced(&self, kind: ObjectKind, name: &str) -> bool {
        let Some((stem, _)) = split_hash(name) else { return false };
        let same = |other: &str| split_hash(other).is_some_and(|(other, _)| other == stem);
        self.desired.stacks.iter().any(|stack| match kind {
            ObjectKind::Config => stack.configs.iter().any(|it| same(&it.name)),
            ObjectKind::Secret => stack.secrets.iter().any(|it| same(&it.name)),
            _ => false,
        })
    }
}

/// The two parts of a name that ends in a hash of the content.
fn split_hash(name: &str) -> Option<(&str, &str)> {
    let (stem, hash) = name.rsplit_once('_')?;
    let is_hash = hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some((stem, hash))
}
