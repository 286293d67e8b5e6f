//! What is to run: the stacks of an application as the engine's own specs.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::Condition;
use ailtire_events::Location;
use serde::{Deserialize, Serialize};

use crate::spec::{ConfigSpec, NetworkSpec, SecretSpec, ServiceSpec};

/// Which deployment this is: what its stacks, its history and its lock are found by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The application instance (`--name`; the application's own name by default).
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The instance of the root stack, `<application>-<environment>`.
    pub root: String,
}

impl Identity {
    /// The deployment of an application instance in an environment.
    pub fn new(application: &str, environment: &str) -> Self {
        Self {
            application: application.to_owned(),
            environment: environment.to_owned(),
            root: format!("{application}-{environment}"),
        }
    }

    /// The labels by which what belongs to the deployment is found.
    pub fn labels(&self) -> [(String, String); 2] {
        [
            (label::APPLICATION.to_owned(), self.application.clone()),
            (label::ENVIRONMENT.to_owned(), self.environment.clone()),
        ]
    }

    /// Whether something with these labels belongs to the deployment.
    pub fn owns(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels().iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// Everything that is to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// Whose deployment it is.
    pub identity: Identity,
    /// Version of the application, where there is one.
    pub version: Option<String>,
    /// Stacks, parents before children.
    pub stacks: Vec<DesiredStack>,
    /// What of the deployment it is about: only of that anything may count as not wanted any more.
    #[serde(default)]
    pub scope: Scope,
}

/// What of a deployment is spoken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of it, but for the stacks with these instances, which are deployed by themselves.
    Whole {
        /// The instances.
        except: BTreeSet<String>,
    },
    /// Only the stacks that are named.
    Stacks,
    /// Only these of the stacks that are named: of the others nothing counts as not wanted.
    Only {
        /// Their instances.
        stacks: BTreeSet<String>,
    },
}

impl Default for Scope {
    fn default() -> Self {
        Self::Whole { except: BTreeSet::new() }
    }
}

impl Desired {
    /// Whether what is there of a stack, and not wanted, is to be looked at.
    pub fn covers(&self, namespace: &str) -> bool {
        match &self.scope {
            Scope::Whole { except } => !except.contains(namespace),
            Scope::Stacks => self.stacks.iter().any(|stack| stack.namespace == namespace),
            Scope::Only { stacks } => stacks.contains(namespace),
        }
    }
}

/// One stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredStack {
    /// The instance, which the engine's objects carry as `com.docker.stack.namespace`.
    pub namespace: String,
    /// The full path, `/` between its parts: the root's instance, then service names.
    pub path: String,
    /// Index of the stack that holds it.
    pub parent: Option<usize>,
    /// Networks to make.
    pub networks: Vec<NetworkSpec>,
    /// Networks that must be there, made by somebody else or by another stack of this deployment.
    pub external_networks: Vec<External>,
    /// Configs to make, named by their content.
    pub configs: Vec<ConfigSpec>,
    /// Configs that must be there.
    pub external_configs: Vec<External>,
    /// Secrets to make, named by their content.
    pub secrets: Vec<SecretSpec>,
    /// Secrets that must be there.
    pub external_secrets: Vec<External>,
    /// Services.
    pub services: Vec<DesiredService>,
}

/// Something that a stack uses and does not make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct External {
    /// Its name in the engine.
    pub name: String,
    /// Where the design names it.
    pub location: Option<Location>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredService {
    /// Its short name.
    pub name: String,
    /// What the engine is to run. Networks, configs and secrets are named, not yet identified: see
    /// [`crate::spec`].
    pub spec: ServiceSpec,
    /// What has to be so before it starts.
    pub after: Vec<Prerequisite>,
    /// Reference of its image, as the design has it.
    pub image: String,
    /// Fingerprint of its image, where the application builds it.
    pub fingerprint: Option<String>,
    /// Where the design has it.
    pub location: Location,
}

/// A service that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prerequisite {
    /// Index of its stack in [`Desired::stacks`].
    pub stack: usize,
    /// Its short name.
    pub service: String,
    /// What is waited for.
    pub condition: Condition,
}

/// Labels that this program gives to what it makes.
pub mod label {
    /// The stack; what `docker stack` finds things by.
    pub const NAMESPACE: &str = "com.docker.stack.namespace";
    /// Image reference of a service, as the design has it; Docker's own.
    pub const IMAGE: &str = "com.docker.stack.image";
    /// The application instance.
    pub const APPLICATION: &str = "org.ailtire.application";
    /// The environment.
    pub const ENVIRONMENT: &str = "org.ailtire.environment";
    /// Full path of the stack.
    pub const STACK_PATH: &str = "org.ailtire.stack.path";
    /// Short name of a service, as the design has it.
    pub const SERVICE: &str = "org.ailtire.service";
    /// Canonical digest of what the object was made from ([`crate::spec::ServiceSpec::digest`]).
    pub const DIGEST: &str = "org.ailtire.spec.digest";
    /// On the service of a manager: the instance of the stack that it manages.
    pub const MANAGER: &str = "org.ailtire.manager";
    /// On a service that was scaled by hand: `<replicas>/<what the design said then>`.
    pub const SCALE: &str = "org.ailtire.scale";
    /// On a config that holds a changed design: digest of the stack image's content that it was
    /// made over.
    pub const UPDATE: &str = "org.ailtire.update";
    /// Fingerprint of a service's image when the service last changed.
    pub const FINGERPRINT: &str = "org.ailtire.image.fingerprint";
    /// Version of the application when the service last changed.
    pub const VERSION: &str = "org.ailtire.version";
}

/// An image as a service is to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedImage {
    /// What goes into the spec: `name:tag@sha256:…` where a registry has it, `sha256:…` for an image
    /// that only this engine has, or the reference itself where nothing was to be resolved.
    pub run: String,
    /// Fingerprint, where the application builds it.
    pub fingerprint: Option<String>,
}

/// Images by the reference that designs have.
pub type ResolvedImages = BTreeMap<String, ResolvedImage>;
