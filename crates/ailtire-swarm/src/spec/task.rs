//! What a task of a service is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContainerSpec, Driver, is_default, or_default};

/// A task of a service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskSpec {
    /// Its container. Sent always.
    pub container_spec: ContainerSpec,
    /// What it may use, and what is kept for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// When it is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Which nodes may run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Networks that it is on.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub networks: Vec<NetworkAttachment>,
    /// Where its output goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_driver: Option<Driver>,
    /// A counter; raising it replaces the tasks though nothing else changed.
    #[serde(skip_serializing_if = "is_default")]
    pub force_update: u64,
    /// `container`, or absent, which is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

/// What a task may use, and what is kept for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResourceRequirements {
    /// What it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resources>,
    /// What is kept for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Resources>,
}

/// Amounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Resources {
    /// Billionths of a processor.
    #[serde(rename = "NanoCPUs", skip_serializing_if = "is_default")]
    pub nano_cpus: i64,
    /// Bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_bytes: i64,
    /// Processes; for limits only.
    #[serde(skip_serializing_if = "is_default")]
    pub pids: i64,
    /// Countable resources of a node; for reservations only.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub generic_resources: Vec<GenericResource>,
}

/// A resource that a node offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GenericResource {
    /// One that has a name; only nodes have these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_resource_spec: Option<NamedResource>,
    /// A number of one kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discrete_resource_spec: Option<DiscreteResource>,
}

/// A resource with a name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the engine's own keys, with the engine's meaning")]
pub struct NamedResource {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A number of resources of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the engine's own keys, with the engine's meaning")]
pub struct DiscreteResource {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "is_default")]
    pub value: i64,
}

/// When a task that ended is started again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// `none`, `on-failure` or `any`; empty: `any`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Nanoseconds before it is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<i64>,
    /// How often; absent: without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    /// Nanoseconds in which attempts count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<i64>,
}

/// Which nodes may run a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Placement {
    /// Conditions on nodes, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub constraints: Vec<String>,
    /// How tasks are spread, the first one first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub preferences: Vec<PlacementPreference>,
    /// Tasks that one node may have; 0: no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_replicas: u64,
    /// What the image runs on; empty: anything.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub platforms: Vec<Platform>,
}

/// How tasks are spread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PlacementPreference {
    /// Evenly over the values of a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<SpreadOver>,
}

/// The label over whose values tasks are spread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SpreadOver {
    /// As a constraint names it: `node.labels.zone`.
    pub spread_descriptor: String,
}

/// A platform of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Platform {
    /// As the engine says it: `amd64`, `arm64`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    /// `linux`, `windows`.
    #[serde(rename = "OS", skip_serializing_if = "String::is_empty")]
    pub os: String,
}

/// A place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkAttachment {
    /// The network's name in what is to run, its id in what the engine has.
    pub target: String,
    /// Further names on that network.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub aliases: Vec<String>,
    /// Options for the network's driver.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub driver_opts: BTreeMap<String, String>,
}
