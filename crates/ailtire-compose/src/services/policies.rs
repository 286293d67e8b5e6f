//! `policies` of a `services.js`.

use ailtire_terms::{did_you_mean, nearest};

use crate::document::{Entry, Node, Value};
use crate::findings::Findings;

/// The policies that something is done about.
const APPLIED: [&str; 3] = ["scaling.min", "timeout.requestTimeout", "retry.maxRetries"];

/// Policies that are applied, each with its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Policies {
    replicas: Option<Node>,
    pub(super) timeout: Option<Node>,
    pub(super) retries: Option<Node>,
}

impl Policies {
    /// Reads `policies`, which stand at `path`; those that are not applied are noted.
    pub(super) fn read(policies: &Node, path: &str, findings: &mut Findings) -> Self {
        let mut read = Self::default();
        if !matches!(policies.value, Value::Map(_) | Value::Null) {
            let message = format!("`{path}` must be an object, not {}", policies.describe());
            findings.error(policies.position, "invalid-type", message);
        }
        for group in policies.entries() {
            if group.value.entries().is_empty() {
                note(group, &group.key, path, findings);
            }
            for policy in group.value.entries() {
                let name = format!("{}.{}", group.key, policy.key);
                match name.as_str() {
                    "scaling.min" => read.replicas = Some(policy.value.clone()),
                    "retry.maxRetries" => read.retries = Some(policy.value.clone()),
                    "timeout.requestTimeout" => read.timeout = milliseconds(policy, path, findings),
                    _ => note(policy, &name, path, findings),
                }
            }
        }
        read
    }

    /// These, and those of `defaults` that are not among them.
    pub(super) fn over(self, defaults: &Self) -> Self {
        Self {
            replicas: self.replicas.or_else(|| defaults.replicas.clone()),
            timeout: self.timeout.or_else(|| defaults.timeout.clone()),
            retries: self.retries.or_else(|| defaults.retries.clone()),
        }
    }

    /// Sets `deploy.replicas` of a service, where it says nothing about that itself.
    pub(super) fn set_replicas(&self, service: &mut Vec<Entry>) {
        let Some(replicas) = &self.replicas else { return };
        let position = replicas.position;
        if service.iter().all(|entry| entry.key != "deploy") {
            service.push(Entry::new("deploy", position, Node::map(Vec::new(), position)));
        }
        let deploy = service.iter_mut().find(|entry| entry.key == "deploy");
        let Some(deploy) = deploy else { return };
        if deploy.value.is_null() {
            deploy.value = Node::map(Vec::new(), position);
        }
        let mode = deploy.value.get("mode").and_then(Node::scalar);
        // A global service runs on every node, so it has no number of replicas.
        if mode.is_some_and(|mode| mode.starts_with("global")) {
            return;
        }
        if let Some(fields) = deploy.value.entries_mut()
            && fields.iter().all(|field| field.key != "replicas")
        {
            fields.push(Entry::new("replicas", position, replicas.clone()));
        }
    }
}

/// A number of milliseconds as a duration in Compose's terms.
fn milliseconds(policy: &Entry, path: &str, findings: &mut Findings) -> Option<Node> {
    let written = policy.value.scalar().unwrap_or_default();
    let is_number = !written.is_empty() && written.bytes().all(|digit| digit.is_ascii_digit());
    if is_number && written.parse::<u32>().is_ok() {
        return Some(Node::text(format!("{written}ms"), policy.value.position));
    }
    let message = format!("`{path}.timeout.requestTimeout` must be a number of milliseconds");
    findings
        .error(policy.key_position, "invalid-value", message)
        .help("write a whole number, like 5000 for five seconds");
    None
}

fn note(entry: &Entry, name: &str, path: &str, findings: &mut Findings) {
    if entry.value.entries().is_empty() && matches!(entry.value.value, Value::Map(_) | Value::Null)
    {
        return;
    }
    let finding = findings.note(
        entry.key_position,
        "policy-not-applied",
        format!("the policy `{path}.{name}` is not applied"),
    );
    let near = nearest(name, APPLIED.into_iter());
    let applied = APPLIED.map(|policy| format!("`{policy}`")).join(", ");
    finding.help(did_you_mean(&near).unwrap_or_else(|| format!("applied are {applied}")));
}
