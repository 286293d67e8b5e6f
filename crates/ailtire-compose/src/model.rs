//! What the design of a stack comes to, in Compose's terms.
//!
//! Every short syntax is expanded and every variable replaced. Serialised, a [`StackDesign`] is a
//! compose file in long syntax, with the keys in the order in which they stand here.

use std::collections::BTreeMap;
use std::time::Duration;

use ailtire_events::Location;
use serde::{Deserialize, Serialize};

use crate::written::{optional_duration, optional_text};

/// A stack: its services and what they share.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StackDesign {
    /// Services by their short name.
    pub services: BTreeMap<String, Service>,
    /// Networks by the name that services use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Network>,
    /// Named volumes by the name that services use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Volume>,
    /// Configs by the name that services use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, FileObject>,
    /// Secrets by the name that services use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, FileObject>,
    /// Requests that the stack's gateway hands on, longest prefix first.
    #[serde(rename = "x-ailtire-routes", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Ports that the stack's entry service publishes when the stack is the root.
    #[serde(rename = "x-ailtire-ports", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
}

/// A gateway route: requests under `prefix` go to a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// Begins with a slash.
    pub prefix: String,
    /// The service's short name.
    pub service: String,
    /// What replaces the prefix.
    pub path: String,
    /// The service's port.
    pub port: u16,
    /// `http`: the gateway has no other one.
    pub protocol: String,
    /// How long a request may take.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub timeout: Option<Duration>,
    /// How often a request without side effects that got no answer is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

/// A service of a stack.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
#[allow(clippy::struct_excessive_bools, reason = "Compose has that many")]
pub struct Service {
    /// Absent in a file that builds its images, which Swarm can't run: an error of the reader.
    pub image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `None` as a value removes a variable of the image.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Labels of the containers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stdin_open: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub stop_grace_period: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// `host:address`, as Compose has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_spec: Option<CredentialSpec>,
    /// By the service it depends on. Docker's client takes a list only, which has no conditions.
    #[serde(rename = "x-ailtire-depends-on", skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<String, Dependency>,
    /// Networks by name; `None` of the compose file (no key at all) is `default`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Attachment>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<FileReference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<FileReference>,
    #[serde(skip_serializing_if = "Deploy::is_default")]
    pub deploy: Deploy,
    /// Whether it runs another package's stack image: `services.js` says so (`type: 'stack'`), or
    /// its image is one.
    #[serde(rename = "x-ailtire-stack", skip_serializing_if = "std::ops::Not::not")]
    pub is_stack: bool,
    /// The family network of the stack that it runs, where that stack defines one itself:
    /// [`crate::StackContext::family_definition`] makes a definition of it.
    #[serde(rename = "x-ailtire-family", skip_serializing_if = "Option::is_none")]
    pub family: Option<Network>,
    /// Where the service stands.
    #[serde(skip_serializing)]
    pub location: Location,
    /// Where its image stands.
    #[serde(skip_serializing)]
    pub image_location: Location,
}

/// What has to be true of a service before one that depends on it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It runs; where it has a health check, it is healthy (format, section 8).
    ServiceStarted,
    /// It runs and its health check passes.
    ServiceHealthy,
    /// Its tasks ended with exit code 0.
    ServiceCompletedSuccessfully,
}

/// An entry of `depends_on`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dependency {
    /// What is waited for.
    pub condition: Condition,
    /// Whether it is an error if the service is not there.
    pub required: bool,
    /// Where it stands.
    #[serde(skip_serializing)]
    pub location: Location,
}

/// Limits of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Ulimit {
    pub soft: i64,
    pub hard: i64,
}

/// How a container says that it is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Healthcheck {
    /// As the engine has it: `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`; empty: the image's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub interval: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub start_period: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub start_interval: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
}

/// Where a service's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Logging {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Windows credentials; one of the fields is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct CredentialSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
}

/// A service's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Attachment {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Port {
    /// `ingress` or `host`.
    pub mode: String,
    pub target: u16,
    /// Absent: chosen by the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<u16>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// What a service mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Mount {
    /// `volume`, `bind`, `tmpfs`, `npipe` or `cluster`.
    #[serde(rename = "type")]
    pub kind: String,
    /// An absolute path for a bind, the name of a volume, or nothing for a volume without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub target: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<BindOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<TmpfsOptions>,
}

/// Options of a bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct BindOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation: Option<String>,
}

/// Options of a volume mount.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct VolumeOptions {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nocopy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subpath: Option<String>,
}

/// Options of a mount in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct TmpfsOptions {
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Permission bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// A config or secret in a service's file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct FileReference {
    /// Key in the stack's `configs` or `secrets`.
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// How Swarm runs a service.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Deploy {
    /// `replicated`, `global`, `replicated-job` or `global-job`; absent: `replicated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
    /// Labels of the service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_config: Option<UpdateConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_config: Option<UpdateConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

impl Deploy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How tasks are replaced.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct UpdateConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub delay: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub monitor: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failure_ratio: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

/// What a task may use, and what is kept for it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Resource>,
}

/// Amounts.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Resource {
    /// Processors as text (`0.50`), as Compose has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_text")]
    pub memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generic_resources: Vec<GenericResource>,
}

/// A countable resource that a node offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenericResource {
    /// Its kind and amount.
    pub discrete_resource_spec: DiscreteResource,
}

/// Kind and amount of a [`GenericResource`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct DiscreteResource {
    pub kind: String,
    pub value: i64,
}

/// When a task that ended is started again.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct RestartPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub delay: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_duration")]
    pub window: Option<Duration>,
}

/// Which nodes may run tasks.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Placement {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preferences: Vec<Preference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replicas_per_node: Option<u64>,
}

/// How tasks are spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Preference {
    pub spread: String,
}

/// A network of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Network {
    /// Its name in the engine; absent: `<stack>_<key>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub attachable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
    /// Where it stands; absent for networks that no design names.
    #[serde(skip_serializing)]
    pub location: Option<Location>,
}

/// Addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Ipam {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<IpamPool>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct IpamPool {
    pub subnet: String,
}

/// A named volume of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct Volume {
    /// Its name in the engine; absent: `<stack>_<key>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a secret's content is told by, where the content itself is nobody's business.
///
/// It is part of the secret's name, and goes into stack images. A secret as random as secrets are to
/// be can't be found from it; one that can be guessed can be.
pub fn content_digest(content: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("ailtire-build secret content 1");
    hasher.update(content).finalize().to_hex().to_string()
}

/// A config or a secret of a stack.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are Compose's own keys, with Compose's meaning")]
pub struct FileObject {
    /// Its name in the engine; absent: named by stack, key and content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    /// The file that holds it, relative to the application root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The variable that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_driver: Option<String>,
    /// Inline content of a config, which is no secret, for printing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// [`crate::content_digest`] of what a secret holds, in a design that does not have it: it is
    /// there already, under the name that follows from its content.
    #[serde(rename = "x-ailtire-digest", skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What it holds, wherever that came from; never printed. Absent for external ones.
    #[serde(skip_serializing)]
    pub data: Option<Vec<u8>>,
    /// Where it stands.
    #[serde(skip_serializing)]
    pub location: Option<Location>,
}

impl std::fmt::Debug for FileObject {
    /// Without what it holds.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("FileObject");
        debug.field("name", &self.name).field("external", &self.external);
        debug.field("file", &self.file).field("bytes", &self.data.as_ref().map(Vec::len));
        debug.finish_non_exhaustive()
    }
}
