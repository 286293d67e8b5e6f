//! The engine's own objects, as its API has them (`PascalCase` JSON, API 1.41 and later).
//!
//! Own types, because generated models lose fields when they read. A spec is only ever made from
//! what is to run, never by changing what the engine answered.
//!
//! What is absent is not sent, so that the engine applies its own defaults. Durations are in
//! nanoseconds, sizes in bytes.
//!
//! A spec that is to run names its networks, configs and secrets; only the engine knows their ids.
//! [`ServiceSpec::with_ids`] puts them in.

mod container;
mod files;
mod ids;
mod network;
mod task;

pub use container::*;
pub use files::*;
pub use ids::MissingObject;
pub(crate) use ids::is_built_in;
pub use network::*;
pub use task::*;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// A service (`POST /services/create`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceSpec {
    /// Full name.
    pub name: String,
    /// Labels of the service. Changing them restarts no task.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// What a task is. A change of it replaces the service's tasks.
    #[serde(default)]
    pub task_template: TaskSpec,
    /// How many tasks there are to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ServiceMode>,
    /// How tasks are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_config: Option<UpdateConfig>,
    /// How tasks are replaced when the engine goes back to the spec before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_config: Option<UpdateConfig>,
    /// How the service is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_spec: Option<EndpointSpec>,
}

/// How many tasks a service has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "PascalCase")]
pub enum ServiceMode {
    /// A number of them.
    Replicated {
        /// Absent: one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replicas: Option<u64>,
    },
    /// One on each node that may run it.
    Global {},
    /// A number of them, each of which ends.
    ReplicatedJob {
        /// How many run at once; absent: one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_concurrent: Option<u64>,
        /// How many there are; absent: as many as run at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_completions: Option<u64>,
    },
    /// One on each node that may run it, each of which ends.
    GlobalJob {},
}

/// How tasks are replaced.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateConfig {
    /// Tasks at a time; 0: all at once. Sent always, since absent it means 0.
    pub parallelism: u64,
    /// Nanoseconds between two of them.
    #[serde(skip_serializing_if = "is_default")]
    pub delay: i64,
    /// `pause`, `continue` or `rollback`; empty: `pause`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub failure_action: String,
    /// Nanoseconds in which a failure counts; 0: the engine's own.
    #[serde(skip_serializing_if = "is_default")]
    pub monitor: i64,
    /// Share of tasks that may fail.
    #[serde(skip_serializing_if = "is_default")]
    pub max_failure_ratio: f32,
    /// `stop-first` or `start-first`; empty: `stop-first`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order: String,
}

/// How a service is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointSpec {
    /// `vip` or `dnsrr`; empty: `vip`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// What it publishes.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub ports: Vec<PortConfig>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortConfig {
    /// `tcp`, `udp` or `sctp`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// In the container.
    #[serde(skip_serializing_if = "is_default")]
    pub target_port: u32,
    /// On the node; 0: the engine chooses.
    #[serde(skip_serializing_if = "is_default")]
    pub published_port: u32,
    /// `ingress` or `host`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub publish_mode: String,
}

/// A driver with its options: of logs, volumes, secrets or templates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Driver {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its options.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
}

/// What the engine leaves out of its JSON: zero, false, nothing.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads `null`, which the engine writes for an empty map or list, as what it means.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
