//! Stacks on a swarm: what they are to be, what that changes, and changing it.

mod desired;
mod order;
mod record;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ailtire_compose::Purpose;
use ailtire_docker::{Engine, EngineError, SwarmState};
use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::Orchestrator;
use ailtire_swarm::{Identity, Scope};
use ailtire_terms::reference::canonical;

use crate::stacks::StackTree;
use crate::{Application, Error};

pub use ailtire_swarm::ResolveImage;
pub(crate) use record::record;
pub(crate) use run::locked;
pub use run::{
    DeployOptions, DeploymentPlan, RollbackOptions, UndeployOptions, roll_back, undeploy,
};

/// The stacks of an application that are to be deployed.
#[derive(Debug, Clone)]
pub struct Deployment {
    tree: StackTree,
    /// Indices in the tree, parents before children.
    selected: Vec<usize>,
    /// Instances of stacks that are deployed by their name only, where the whole application was
    /// asked for.
    others: Option<BTreeSet<String>>,
    /// Whether managers are to make it.
    is_managed: bool,
}

impl Deployment {
    fn whole(tree: StackTree, is_managed: bool) -> Self {
        let selected = (0..tree.stacks.len()).collect();
        Self { tree, selected, others: None, is_managed }
    }

    /// The stacks, also those that are not selected.
    pub fn tree(&self) -> &StackTree {
        &self.tree
    }

    /// Indices in the tree of the stacks that are to be deployed, parents before children.
    pub fn selected(&self) -> &[usize] {
        &self.selected
    }

    /// What of the application this is about.
    pub fn scope(&self) -> Scope {
        match &self.others {
            Some(others) => Scope::Whole { except: others.clone() },
            None => Scope::Stacks,
        }
    }

    /// Notes and warnings about the designs.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.tree.diagnostics
    }

    /// Instances of the selected stacks.
    pub fn instances(&self) -> BTreeSet<String> {
        self.selected.iter().map(|&stack| self.tree.stacks[stack].instance.clone()).collect()
    }

    /// Indices of the images that the application builds and these stacks run.
    pub fn images(&self, application: &Application) -> Vec<usize> {
        let wanted: BTreeSet<String> =
            self.wanted_images(application).keys().map(|reference| canonical(reference)).collect();
        let images = application.definitions.images.iter().enumerate();
        images
            .filter(|(_, image)| {
                image.references.iter().any(|reference| wanted.contains(&canonical(reference)))
            })
            .map(|(index, _)| index)
            .collect()
    }

    /// Every image that it runs, and where that is said.
    pub(crate) fn wanted_images(&self, application: &Application) -> BTreeMap<String, Location> {
        let mut images = desired::images(self);
        if self.is_managed {
            images.extend(application.root_images(self));
        }
        images
    }
}

impl Application {
    /// Whose deployments are spoken of: this instance of the application, in its environment.
    pub fn identity(&self) -> Identity {
        Identity::new(&self.definitions.instance, &self.definitions.environment)
    }

    /// The stacks of `packages`, or of the whole application where none is named. `recursive` takes
    /// in the stacks that run in those of the packages.
    ///
    /// # Errors
    ///
    /// A finding for each name that names no package with a stack, or what is wrong with the stacks.
    pub fn deployment(
        &self,
        packages: &[String],
        recursive: bool,
        working_directory: &Path,
    ) -> Result<Deployment, Vec<Diagnostic>> {
        let tree = self.stacks(None)?;
        let mut deployment = if packages.is_empty() {
            let others = Some(self.other_instances(&tree));
            Deployment { others, ..Deployment::whole(tree, false) }
        } else {
            self.select_stacks(tree, packages, recursive, working_directory)?
        };
        let refused = self.other_orchestrators(&deployment);
        if !refused.is_empty() {
            return Err(refused);
        }
        deployment.selected.sort_unstable();
        Ok(deployment)
    }

    /// The stacks of the whole application, as their managers are to deploy them.
    ///
    /// # Errors
    ///
    /// What is wrong with the stacks.
    pub fn management(&self) -> Result<Deployment, Vec<Diagnostic>> {
        let tree = self.stacks_for(None, Purpose::Management)?;
        let others = Some(self.other_instances(&tree));
        let deployment = Deployment { others, ..Deployment::whole(tree, true) };
        let refused = self.other_orchestrators(&deployment);
        if refused.is_empty() { Ok(deployment) } else { Err(refused) }
    }

    fn select_stacks(
        &self,
        mut tree: StackTree,
        packages: &[String],
        recursive: bool,
        working_directory: &Path,
    ) -> Result<Deployment, Vec<Diagnostic>> {
        let mut selected = BTreeSet::new();
        let mut errors = Vec::new();
        for name in packages {
            let package = match self.select_package(name, working_directory) {
                Ok(package) => package,
                Err(error) => {
                    errors.push(*error);
                    continue;
                }
            };
            if tree.of_package(package).is_none() {
                match self.stacks(Some(package)) {
                    Ok(own) => append(&mut tree, own),
                    Err(diagnostics) => {
                        errors.extend(diagnostics);
                        continue;
                    }
                }
            }
            for index in 0..tree.stacks.len() {
                let way = std::iter::successors(Some(index), |&it| tree.stacks[it].parent);
                let mut way = way.take(if recursive { usize::MAX } else { 1 });
                if way.any(|above| tree.stacks[above].package == package) {
                    selected.insert(index);
                }
            }
        }
        if errors.is_empty() {
            let selected = selected.into_iter().collect();
            Ok(Deployment { tree, selected, others: None, is_managed: false })
        } else {
            Err(errors)
        }
    }

    /// Instances of all stacks that are not part of the application's tree, and are deployed by name.
    fn other_instances(&self, tree: &StackTree) -> BTreeSet<String> {
        let packages = self.definitions.packages.iter().enumerate();
        let left = packages.filter(|(index, package)| {
            package.deployment.is_some() && tree.of_package(*index).is_none()
        });
        // One whose design can't be read has no stacks to leave alone that could be known.
        let trees = left.filter_map(|(index, _)| self.stacks(Some(index)).ok());
        trees.flat_map(|tree| tree.stacks).map(|stack| stack.instance).collect()
    }

    fn other_orchestrators(&self, deployment: &Deployment) -> Vec<Diagnostic> {
        let packages: BTreeSet<usize> = deployment
            .selected
            .iter()
            .map(|&stack| deployment.tree.stacks[stack].package)
            .collect();
        let stacks = packages
            .into_iter()
            .filter_map(|package| self.definitions.packages[package].deployment.as_ref());
        let others = stacks.filter(|stack| stack.orchestrator != Orchestrator::Swarm);
        others
            .map(|stack| {
                let message = format!("the stack `{}` is not for Docker Swarm", stack.name);
                Diagnostic::error("other-orchestrator", message)
                    .at(stack.location.clone())
                    .help("only stacks of `type: 'swarm'` can be deployed")
            })
            .collect()
    }
}

/// Adds the stacks of another tree, whose indices move.
fn append(tree: &mut StackTree, other: StackTree) {
    let offset = tree.stacks.len();
    let moved = |map: BTreeMap<String, usize>| {
        map.into_iter().map(|(name, index)| (name, index + offset)).collect()
    };
    for mut stack in other.stacks {
        stack.parent = stack.parent.map(|parent| parent + offset);
        stack.stack_services = moved(stack.stack_services);
        stack.depends.iter_mut().for_each(|depends| *depends += offset);
        tree.stacks.push(stack);
    }
    tree.diagnostics.extend(other.diagnostics);
}

/// Makes sure that stacks can be deployed with the engine: it manages a swarm, or is made to.
///
/// # Errors
///
/// [`Error::Swarm`] where it is in no swarm and is not to make one, or does not manage its swarm;
/// [`Error::Engine`] where it can't be asked.
pub async fn require_swarm(engine: &Engine, init: bool) -> Result<(), Error> {
    let info = engine.swarm_info().await?;
    let problem = match info.state {
        SwarmState::Active if info.is_manager => return Ok(()),
        SwarmState::Active => SwarmProblem::NoManager { address: info.node_address },
        SwarmState::Inactive if init => return Ok(init_swarm(engine).await?),
        SwarmState::Inactive => SwarmProblem::NotInitialised,
        SwarmState::Locked => SwarmProblem::Locked,
        SwarmState::Pending | SwarmState::Error => SwarmProblem::Broken { why: info.error },
    };
    Err(Error::Swarm(problem))
}

async fn init_swarm(engine: &Engine) -> Result<(), EngineError> {
    // Nobody has to reach a swarm of one node; `docker swarm join` of others is for real addresses.
    let body = serde_json::json!({ "ListenAddr": "127.0.0.1", "AdvertiseAddr": "127.0.0.1" });
    match engine.post("/swarm/init").body(&body).done().await {
        // Somebody else was faster.
        Err(EngineError::Api { status: 503, message }) if message.contains("already part") => {
            Ok(())
        }
        done => done,
    }
}

/// Why stacks can't be deployed with an engine that can be used otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwarmProblem {
    /// It is in no swarm.
    #[error("the Docker engine is not part of a swarm")]
    NotInitialised,
    /// It works in a swarm and does not manage it.
    #[error("the Docker engine is a worker of its swarm, not a manager")]
    NoManager {
        /// Its address in the swarm.
        address: String,
    },
    /// The swarm waits for its key.
    #[error("the swarm is locked")]
    Locked,
    /// It can't take part in its swarm.
    #[error("the Docker engine can't take part in its swarm: {why}")]
    Broken {
        /// What the engine says.
        why: String,
    },
}

impl SwarmProblem {
    /// What to do next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotInitialised => {
                "`docker swarm init` makes it a manager of a new swarm, and so does `--init-swarm`"
            }
            Self::NoManager { .. } => {
                "name a manager with `--host` (`docker info` there lists them), or `docker node \
                 promote` this one"
            }
            Self::Locked => "`docker swarm unlock` with the swarm's key",
            Self::Broken { .. } => "see `docker info` and the engine's own log",
        }
    }
}
