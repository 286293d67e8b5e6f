//! What the definitions of an application come to.

use std::collections::BTreeMap;

use ailtire_events::Location;
use serde::{Deserialize, Serialize};

use ailtire_terms::DesignSource;

/// An application: its packages, and the images that they define for one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// Name of the application: its top package's key, or its directory's name.
    pub name: String,
    /// Name of this instance of it (`--name`); the application's own where none was given.
    pub instance: String,
    /// Version that the root's `package.json` gives.
    pub version: Option<String>,
    /// Version that the command line gives (`--version`): an extra tag, and the version in the
    /// root `package.json` of every build context.
    pub release_version: Option<String>,
    /// The environment that the definitions were read for.
    pub environment: String,
    /// All packages, parents before children, siblings by directory.
    pub packages: Vec<Package>,
    /// All images, by package and then in the order of `build.js`, and after them those of stacks,
    /// by package.
    pub images: Vec<ImageDefinition>,
}

/// A package: a directory with an `index.js`, or with a `deploy/` directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Its name without white space: what other definitions call it.
    pub key: String,
    /// Its name as written.
    pub name: String,
    /// Its short name.
    pub short_name: Option<String>,
    /// Its directory, relative to the application root; `""` is the root.
    pub directory: String,
    /// Its deployment strategy's directory.
    pub deploy_directory: Option<String>,
    /// Its `index.js`.
    pub index_file: Option<String>,
    /// Index, in [`Application::packages`], of the package that holds it.
    pub parent: Option<usize>,
    /// Indices of the packages that must be deployed before it.
    pub depends: Vec<usize>,
    /// Its stack, for the chosen environment; absent where it has none, or none was asked for
    /// ([`crate::LoadOptions::deployments`]).
    pub deployment: Option<Deployment>,
}

/// What a `deploy.js` says about one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Name of the stack, in lower case: the repository of its image.
    pub name: String,
    /// What runs it.
    pub orchestrator: Orchestrator,
    /// References of the stack's image, complete with repository and tag.
    pub references: Vec<String>,
    /// What the stack is made of.
    pub design: DesignSource,
    /// Variables for interpolation and for every service of the stack.
    pub variables: BTreeMap<String, String>,
    /// Where the environment's entry stands.
    pub location: Location,
}

/// What runs a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orchestrator {
    /// Docker Swarm.
    #[default]
    Swarm,
    /// Kubernetes.
    K8s,
}

/// An image that a `build.js` defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDefinition {
    /// Index of its package in [`Application::packages`].
    pub package: usize,
    /// Its name in `build.js`.
    pub name: String,
    /// The references it is to carry, complete with repository and tag, at least one; the first
    /// one names the image in events and on the command line.
    pub references: Vec<String>,
    /// Directory whose content is the root of the build context, relative to the application root.
    pub directory: String,
    /// The Dockerfile, relative to the application root; a stack's design.
    pub dockerfile: String,
    /// Default command, for a Dockerfile whose last stage sets none.
    pub command: Option<String>,
    /// Build arguments: the definition's, then the command line's.
    pub build_arguments: BTreeMap<String, String>,
    /// Packages to place in the context.
    pub packages: Vec<PlacedPackage>,
    /// Stage of the Dockerfile to build; absent: the last one.
    pub target: Option<String>,
    /// Platforms to build for; empty: the engine's own.
    pub platforms: Vec<String>,
    /// Labels of the definition.
    pub labels: BTreeMap<String, String>,
    /// Build secrets by identifier.
    pub secrets: BTreeMap<String, SecretSource>,
    /// How permission bits reach the context.
    pub modes: Modes,
    /// Whether it is the image of its package's stack, which no `build.js` defines: its context and
    /// its Dockerfile are made of the stack's design.
    pub is_stack: bool,
    /// Where the definition stands.
    pub location: Location,
}

impl ImageDefinition {
    /// The image of the stack of the package at `index`; none where it has no stack, or one that
    /// is not for Docker Swarm.
    pub(crate) fn of_stack(index: usize, package: &Package) -> Option<Self> {
        let deployment = package.deployment.as_ref()?;
        if deployment.orchestrator != Orchestrator::Swarm {
            return None;
        }
        let (DesignSource::Compose { path } | DesignSource::Services { path, .. }) =
            &deployment.design;
        Some(Self {
            package: index,
            name: deployment.name.clone(),
            references: deployment.references.clone(),
            directory: package.deploy_directory.clone().unwrap_or_default(),
            dockerfile: path.clone(),
            command: None,
            build_arguments: BTreeMap::new(),
            packages: Vec::new(),
            target: None,
            platforms: Vec::new(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            modes: Modes::Canonical,
            is_stack: true,
            location: deployment.location.clone(),
        })
    }

    /// The reference that names the image in events and on the command line.
    pub fn reference(&self) -> &str {
        self.references.first().map_or(&self.name, String::as_str)
    }
}

/// A package that is placed in a build context at `api/<written>/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedPackage {
    /// Its name as the definition writes it, without white space.
    pub written: String,
    /// Index of the package in [`Application::packages`].
    pub package: usize,
}

/// Where the value of a build secret comes from. The value itself is never read by this crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// A file, relative to the application root.
    File(String),
    /// An environment variable.
    Env(String),
}

/// How permission bits reach a build context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modes {
    /// 0755 for directories and executables, 0644 for others, as git records them.
    #[default]
    Canonical,
    /// As they are in the source tree.
    Preserve,
}
