//! Build an ailtire application: plan, schedule, report.
//!
//! [`Application::open`] walks the source tree and evaluates the definitions.
//! [`Application::plan`] says what has to be built and why, with no engine;
//! [`Application::build`] brings an engine up to date, [`Application::push`] a registry. What happens on the way is told to an
//! [`EventSink`]. This library prints nothing and never exits.

mod affected;
mod application;
mod attest;
mod build;
mod cache;
mod check;
mod clean;
mod context;
mod deploy;
mod error;
mod findings;
mod git;
mod graph;
mod plan;
mod platforms;
mod prepare;
mod push;
mod registries;
mod release;
mod revision;
mod schedule;
mod selection;
mod settings;
mod stack_images;
mod stacks;
mod up;

pub use affected::Affected;
pub use ailtire_attest::{KeyError, PublicKey, SigningKey};
pub use ailtire_compose::to_yaml;
pub use ailtire_context::{BaseKind, LeftOut};
pub use ailtire_docker::{EndpointOptions, Engine, EngineError, ImageStore};
pub use ailtire_events::{Diagnostic, EventKind, EventSink};
pub use ailtire_fingerprint::{Record, Records};
pub use ailtire_manifest::{Application as Definitions, ImageDefinition, Package, find_root};
pub use ailtire_swarm::{self as swarm, HistoryError, OnFailure};
pub use ailtire_terms::{did_you_mean, nearest};
pub use application::{Access, Application, OpenOptions};
pub use attest::{AttestOptions, Attestation, Verification, VerifyOptions};
pub use build::{BuildOptions, BuiltReference, Outcome};
pub use cache::{CacheOptions, CacheTrust};
pub use check::check;
pub use clean::CleanReport;
pub use context::{ContextReport, ListedEntry};
pub use deploy::{
    DeployOptions, Deployment, DeploymentPlan, ResolveImage, RollbackOptions, SwarmProblem,
    UndeployOptions, require_swarm, roll_back, undeploy,
};
pub use error::Error;
pub use graph::{Edge, ImageGraph};
pub use plan::{Action, Plan, PlanOptions, PlannedBase, PlannedImage};
pub use release::{Bump, ReleaseOptions, ReleasePlan, ReleaseRun, Released, release};
pub use selection::Selection;
pub use stack_images::ManagerProgram;
pub use stacks::{StackInstance, StackTree};
pub use tokio_util::sync::CancellationToken;
pub use up::{
    NoToken, Rotation, UpOptions, UpOutcome, read_token, require_no_managers, rotate_token,
};
