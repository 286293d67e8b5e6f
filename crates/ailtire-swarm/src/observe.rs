//! What runs: the swarm's objects as the engine has them now.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_docker::{ApiRequest, Engine, EngineError};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::Desired;
use crate::desired::label;
use crate::spec::ServiceSpec;

/// The swarm's objects.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// All services of the swarm.
    pub services: Vec<ObservedService>,
    /// All networks that the engine knows, local ones too.
    pub networks: Vec<ObservedNetwork>,
    /// Configs that belong to some stack, and those that were asked for by name.
    pub configs: Vec<ObservedFile>,
    /// Secrets that belong to some stack, and those that were asked for by name.
    pub secrets: Vec<ObservedFile>,
}

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedService {
    /// Its id.
    pub id: String,
    /// Raised by the swarm with every change; an update has to name it.
    pub version: u64,
    /// When it was made, as the engine writes it.
    pub created_at: String,
    /// When it was changed last, as the engine writes it.
    pub updated_at: String,
    /// Its spec, nothing left out.
    pub raw: Value,
    /// Its spec, as far as we know specs.
    pub spec: ServiceSpec,
    /// The spec before the last update.
    pub previous: Option<Value>,
    /// The update in progress, or the last one.
    pub update: Option<UpdateStatus>,
    /// How many of its tasks run; absent where it was not asked for.
    pub status: Option<ServiceStatus>,
    /// Which run of a job the newest one is.
    pub job_iteration: Option<u64>,
}

/// How an update of a service goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateStatus {
    /// `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or
    /// `rollback_completed`.
    pub state: String,
    /// More about it.
    pub message: String,
    /// When it began, as the engine writes it.
    pub started_at: Option<String>,
    /// When it ended, as the engine writes it.
    pub completed_at: Option<String>,
}

/// Counts of a service's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceStatus {
    /// Tasks that run.
    pub running_tasks: u64,
    /// Tasks that are to run.
    pub desired_tasks: u64,
    /// Tasks of a job that ended well.
    pub completed_tasks: u64,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ObservedNetwork {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `swarm` or `local`.
    pub scope: String,
    /// Its driver.
    pub driver: String,
    /// Options of its driver, with those that the engine added.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Whether it leads nowhere else.
    pub internal: bool,
    /// Whether containers of no service may join it.
    pub attachable: bool,
    /// Whether it is the swarm's own network for published ports.
    pub ingress: bool,
    /// Its addresses, as the engine has them.
    #[serde(rename = "IPAM", deserialize_with = "or_default")]
    pub ipam: Value,
}

/// A config or a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ObservedFile {
    /// Its id.
    pub id: String,
    /// Raised by the swarm with every change.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What a config holds, in base64; absent for secrets.
    pub data: Option<String>,
}

/// A node of the swarm.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ObservedNode {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    description: NodeDescription,
    status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NodeDescription {
    hostname: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NodeStatus {
    state: String,
}

impl ObservedNode {
    /// As its machine calls itself.
    pub(crate) fn host_name(&self) -> Option<&str> {
        Some(self.description.hostname.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether it is not there any more. A manager that was just started does not know yet, and
    /// nothing moves then.
    pub(crate) fn is_down(&self) -> bool {
        self.status.state == "down"
    }
}

impl std::fmt::Debug for ObservedFile {
    /// Without what it holds.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ObservedFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ObservedService {
    /// Full name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The stack that it belongs to.
    pub fn namespace(&self) -> Option<&str> {
        self.spec.labels.get(label::NAMESPACE).map(String::as_str)
    }

    /// The full path of its stack; the instance where it does not say.
    pub fn stack_path(&self) -> &str {
        let path = self.spec.labels.get(label::STACK_PATH).map(String::as_str);
        path.or_else(|| self.namespace()).unwrap_or_default()
    }

    /// Its name without the stack's.
    pub fn short_name(&self) -> &str {
        if let Some(name) = self.spec.labels.get(label::SERVICE) {
            return name;
        }
        let name = self.name();
        let prefix = |namespace| name.strip_prefix(namespace)?.strip_prefix('_');
        self.namespace().and_then(prefix).unwrap_or(name)
    }
}

impl<'de> Deserialize<'de> for ObservedService {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        // A service that is none of ours may be of a kind that we do not know.
        let spec = serde_json::from_value(wire.spec.clone()).unwrap_or_else(|_| ServiceSpec {
            name: wire.spec["Name"].as_str().unwrap_or_default().to_owned(),
            labels: serde_json::from_value(wire.spec["Labels"].clone()).unwrap_or_default(),
            ..ServiceSpec::default()
        });
        Ok(Self {
            id: wire.id,
            version: wire.version.index,
            created_at: wire.created_at,
            updated_at: wire.updated_at,
            raw: wire.spec,
            spec,
            previous: wire.previous_spec.filter(|spec| !spec.is_null()),
            update: wire.update_status.filter(|status| !status.state.is_empty()),
            status: wire.service_status,
            job_iteration: wire.job_status.map(|status| status.job_iteration.index),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    version: Version,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    updated_at: String,
    spec: Value,
    previous_spec: Option<Value>,
    update_status: Option<UpdateStatus>,
    service_status: Option<ServiceStatus>,
    job_status: Option<JobStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JobStatus {
    #[serde(default)]
    job_iteration: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Version {
    pub(crate) index: u64,
}

impl<'de> Deserialize<'de> for ObservedFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = FileWire::deserialize(deserializer)?;
        Ok(Self {
            id: wire.id,
            version: wire.version.index,
            name: wire.spec.name,
            labels: wire.spec.labels.unwrap_or_default(),
            data: wire.spec.data,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FileWire {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    version: Version,
    spec: FileWireSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FileWireSpec {
    name: String,
    labels: Option<BTreeMap<String, String>>,
    data: Option<String>,
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads what runs, as far as `desired` has to do with it.
///
/// All services and networks are read, since any of them may hold a port, a name or a network; of
/// configs and secrets only those of stacks, and those that the design names.
///
/// # Errors
/// [`EngineError`] where the engine is no manager of a swarm, refuses, or breaks off.
pub async fn observe(engine: &Engine, desired: &Desired) -> Result<Observed, EngineError> {
    let stacks = || desired.stacks.iter();
    let configs = stacks().flat_map(|stack| {
        let own = stack.configs.iter().map(|config| config.name.clone());
        own.chain(stack.external_configs.iter().map(|external| external.name.clone()))
    });
    let secrets = stacks().flat_map(|stack| {
        let own = stack.secrets.iter().map(|secret| secret.name.clone());
        own.chain(stack.external_secrets.iter().map(|external| external.name.clone()))
    });
    read(engine, configs.collect(), secrets.collect()).await
}

/// Reads what runs, for looking at it or for removing it.
///
/// # Errors
/// As [`observe`].
pub async fn observe_all(engine: &Engine) -> Result<Observed, EngineError> {
    read(engine, BTreeSet::new(), BTreeSet::new()).await
}

async fn read(
    engine: &Engine,
    config_names: BTreeSet<String>,
    secret_names: BTreeSet<String>,
) -> Result<Observed, EngineError> {
    // The filter by labels has no "or": the same label twice keeps the last value.
    let of_stacks = |path| engine.get(path).filter("label", label::NAMESPACE);
    let (services, networks, mut configs, mut secrets) = tokio::try_join!(
        services_request(engine).json::<Vec<ObservedService>>(),
        engine.get("/networks").json::<Vec<ObservedNetwork>>(),
        of_stacks("/configs").json::<Vec<ObservedFile>>(),
        of_stacks("/secrets").json::<Vec<ObservedFile>>(),
    )?;
    add_named(engine, "/configs", config_names, &mut configs).await?;
    add_named(engine, "/secrets", secret_names, &mut secrets).await?;
    let mut observed = Observed { services, networks, configs, secrets };
    observed.add_hidden_networks(engine).await?;
    Ok(observed)
}

/// Asks for services, with counts of their tasks from engines that count them.
pub(crate) fn services_request(engine: &Engine) -> ApiRequest<'_> {
    let request = engine.get("/services");
    if engine.api_version() >= (1, 41) { request.query("status", "true") } else { request }
}

/// Adds what has one of `names` and belongs to no stack.
async fn add_named(
    engine: &Engine,
    path: &str,
    mut names: BTreeSet<String>,
    files: &mut Vec<ObservedFile>,
) -> Result<(), EngineError> {
    names.retain(|name| files.iter().all(|file| file.name != *name));
    if names.is_empty() {
        return Ok(());
    }
    let request = names.iter().fold(engine.get(path), |request, name| request.filter("name", name));
    let found: Vec<ObservedFile> = request.json().await?;
    // The engine takes each name as the beginning of one.
    files.extend(found.into_iter().filter(|file| names.contains(&file.name)));
    Ok(())
}

impl Observed {
    /// Networks that a list leaves out and services are on: the swarm's idea of `host` and `bridge`.
    async fn add_hidden_networks(&mut self, engine: &Engine) -> Result<(), EngineError> {
        let attachments = |service: &ObservedService| {
            service
                .spec
                .task_template
                .networks
                .iter()
                .map(|it| it.target.clone())
                .collect::<Vec<_>>()
        };
        let mut unknown: BTreeSet<String> = self.services.iter().flat_map(attachments).collect();
        unknown.retain(|target| self.network_name(target).is_none());
        for target in unknown {
            match engine.get(format!("/networks/{target}")).json::<ObservedNetwork>().await {
                Ok(network) => self.networks.push(network),
                Err(EngineError::Api { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The name of the network with an id.
    pub(crate) fn network_name(&self, id: &str) -> Option<&str> {
        self.networks.iter().find(|network| network.id == id).map(|network| network.name.as_str())
    }

    /// The network that services can be on by this name: the swarm's one, if there are several.
    pub fn network(&self, name: &str) -> Option<&ObservedNetwork> {
        let named = || self.networks.iter().filter(|network| network.name == name);
        named().find(|network| network.scope == "swarm").or_else(|| named().next())
    }

    /// The service with this full name.
    pub fn service(&self, name: &str) -> Option<&ObservedService> {
        self.services.iter().find(|service| service.name() == name)
    }

    /// The config with this name.
    pub fn config(&self, name: &str) -> Option<&ObservedFile> {
        self.configs.iter().find(|config| config.name == name)
    }

    /// The secret with this name.
    pub fn secret(&self, name: &str) -> Option<&ObservedFile> {
        self.secrets.iter().find(|secret| secret.name == name)
    }

    /// Ids of the networks by their names, as [`ServiceSpec::with_ids`] takes them.
    pub fn network_ids(&self) -> BTreeMap<String, String> {
        let names = self.networks.iter().map(|network| network.name.as_str());
        names.filter_map(|name| Some((name.to_owned(), self.network(name)?.id.clone()))).collect()
    }
}
