//! What a deployment does, and why a service changes: the one place where that is worded.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What becomes of a network, config, secret or service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectAction {
    /// It was not there.
    Created,
    /// It was there, and other than it is to be.
    Updated,
    /// It is not wanted any more.
    Removed,
    /// It is as it is to be.
    Untouched,
}

/// What kind of thing of the engine is spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A network.
    Network,
    /// A config.
    Config,
    /// A secret.
    Secret,
    /// A service.
    Service,
    /// A volume.
    Volume,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Network => "network",
            Self::Config => "config",
            Self::Secret => "secret",
            Self::Service => "service",
            Self::Volume => "volume",
        })
    }
}

/// One field of an object that is other than it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field, in Compose's terms where it has them (`environment.LOG_LEVEL`,
    /// `deploy.replicas`), else the path in the engine's spec.
    pub field: String,
    /// What runs now; a digest where the field's name suggests a secret.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<String>,
    /// What is to run; a digest where the field's name suggests a secret.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<String>,
    /// Whether the service's tasks are replaced for it.
    pub restarts: bool,
}

impl fmt::Display for FieldChange {
    /// The words after "because": lower case, no full stop.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, old, new, .. } = self;
        match (old.as_deref().map(short), new.as_deref().map(short)) {
            (Some(old), Some(new)) => write!(formatter, "{field} changed from `{old}` to `{new}`"),
            (None, Some(new)) => write!(formatter, "{field} was added (`{new}`)"),
            (Some(old), None) => write!(formatter, "{field} was removed (it was `{old}`)"),
            (None, None) => write!(formatter, "{field} changed"),
        }
    }
}

/// The value with the twelve digits that Docker shows of an image id or digest.
fn short(value: &str) -> Cow<'_, str> {
    let Some((before, digits)) = value.split_once("sha256:") else { return value.into() };
    let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { format!("{before}{}", &digits[..12]).into() } else { value.into() }
}

/// How far a service is on its way to what it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// It waits for what it depends on.
    Waiting,
    /// Its tasks have no node yet.
    Pending,
    /// Nodes fetch its image or make its containers.
    Preparing,
    /// Containers start, or run and are not healthy yet.
    Starting,
    /// As many tasks run as are wanted, and those with a health check are healthy.
    Running,
    /// Its tasks ended with exit code 0, as those of a one-shot service do.
    Completed,
    /// No task is wanted, and none runs.
    Stopped,
}

/// Counts of a service's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Tasks that are to run.
    pub wanted: u64,
    /// Tasks of the newest spec that run.
    pub running: u64,
    /// Those that are healthy, or have no health check.
    pub healthy: u64,
    /// Those that ended with exit code 0.
    pub completed: u64,
}

/// Why a service did not become what it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceFailure {
    /// What happened, in one sentence without a full stop.
    pub message: String,
    /// The task that failed (`myapp-dev_web.1`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<String>,
    /// Host name of the node that ran it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<String>,
    /// Exit code of its container.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i64>,
    /// The last lines that it wrote.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub log: Vec<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

/// The counts at the end of a deployment or a removal. Networks, configs and secrets count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeploymentSummary {
    /// Stacks that were looked at.
    pub stacks: usize,
    /// Services that were made.
    pub created: usize,
    /// Services that were changed.
    pub updated: usize,
    /// Services that were removed.
    pub removed: usize,
    /// Services that were as they are to be.
    pub untouched: usize,
    /// Services that did not become what they are to be.
    pub failed: usize,
    /// Services that were not tried, because of what they depend on or because the run ended.
    pub skipped: usize,
    /// Services that were still waited for when the run ended.
    #[serde(default)]
    pub interrupted: usize,
    /// Whether everything that was changed went back to what it was.
    pub rolled_back: bool,
    /// Milliseconds that it took.
    pub duration: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_show_both_values_and_short_digests() {
        let change = |old: Option<&str>, new: Option<&str>| FieldChange {
            field: "image".into(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            restarts: true,
        };
        let id = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let pinned = format!("redis:7@{}", id("b"));
        assert_eq!(
            change(Some(&id("a")), Some(&pinned)).to_string(),
            "image changed from `aaaaaaaaaaaa` to `redis:7@bbbbbbbbbbbb`"
        );
        assert_eq!(change(None, Some("sha256:x")).to_string(), "image was added (`sha256:x`)");
        assert_eq!(change(Some("1"), None).to_string(), "image was removed (it was `1`)");
    }
}
