//! What became of a deployment.

use ailtire_docker::EngineError;
use ailtire_events::{
    DeploymentSummary, Diagnostic, ObjectAction, ObjectKind, ServiceFailure, ServiceState,
    TaskCounts,
};

use super::Run;
use crate::plan::Changes;

/// What became of a deployment.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The counts.
    pub summary: DeploymentSummary,
    /// What became of each service.
    pub services: Vec<ServiceOutcome>,
    /// Why not everything is as it is to be.
    pub error: Option<ApplyError>,
    /// What came of going back, where that was tried.
    pub rollback: Option<RollbackReport>,
    /// Whether something was changed that did not go back.
    pub left_changes: bool,
}

/// What became of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceOutcome {
    /// The stack.
    pub stack: String,
    /// Its short name.
    pub service: String,
    /// Its name in the engine.
    pub full_name: String,
    /// What was to be done.
    pub action: ObjectAction,
    /// How it ended up.
    pub end: ServiceEnd,
}

/// How a service ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceEnd {
    /// It is what it is to be.
    Converged {
        /// How.
        state: ServiceState,
        /// Its tasks.
        tasks: TaskCounts,
    },
    /// It was changed, and not waited for.
    Detached,
    /// It does not become what it is to be.
    Failed(Box<ServiceFailure>),
    /// It was not tried.
    Skipped {
        /// Path of the service that it needs and that failed; absent where the run ended.
        because: Option<String>,
    },
    /// The run ended while it was waited for.
    Interrupted {
        /// How far it was, as far as is known.
        last: Option<(ServiceState, TaskCounts)>,
    },
}

/// What came of going back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RollbackReport {
    /// Objects that went back.
    pub restored: usize,
    /// What could not be brought back, in words.
    pub failures: Vec<String>,
}

/// Why not everything is as it is to be.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Something changed since the plan was made. Nothing was done.
    #[error("the swarm or the design changed since the plan was made")]
    OutOfDate,
    /// What is there now keeps the plan from being done. Nothing was done.
    #[error("the deployment can't be done")]
    Refused(Vec<Diagnostic>),
    /// A service failed.
    #[error("service `{service}` failed: {message}")]
    Failed {
        /// Full name of the first one.
        service: String,
        /// What happened.
        message: String,
    },
    /// The engine refused to make or to remove something.
    #[error("the {kind} `{name}` could not be made or removed: {message}")]
    Object {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// What the engine said.
        message: String,
    },
    /// The run was cancelled. What was done stays.
    #[error("cancelled: what was changed so far stays")]
    Cancelled,
    /// The engine could not be used. What was done stays.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ApplyError {
    /// What to do next, where that can be said.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::OutOfDate => Some("make a new plan, and look at it again".to_owned()),
            Self::Refused(_) | Self::Failed { .. } => None,
            Self::Object { .. } => Some("see the engine's message, then deploy again".to_owned()),
            Self::Cancelled => {
                Some("run the same command again to finish what was begun".to_owned())
            }
            Self::Engine(error) => Some(format!(
                "{}; then run the same command again: it goes on where this one ended",
                error.help()
            )),
        }
    }
}

/// How the future of a service ended.
#[derive(Debug, Clone)]
pub(super) enum NodeEnd {
    Converged { state: ServiceState, tasks: TaskCounts },
    Detached,
    Failed(Box<ServiceFailure>),
    Skipped { because: Option<usize> },
    Interrupted { last: Option<(ServiceState, TaskCounts)> },
    Engine(EngineError),
}

impl Outcome {
    /// The run was cancelled before it did anything.
    pub fn cancelled() -> Self {
        Self {
            summary: DeploymentSummary::default(),
            services: Vec::new(),
            error: Some(ApplyError::Cancelled),
            rollback: None,
            left_changes: false,
        }
    }

    /// Adds what became of a service, and counts it.
    pub(crate) fn add(&mut self, service: ServiceOutcome) {
        let summary = &mut self.summary;
        match &service.end {
            ServiceEnd::Converged { .. } | ServiceEnd::Detached => count(summary, service.action),
            ServiceEnd::Skipped { .. } => summary.skipped += 1,
            ServiceEnd::Interrupted { .. } => summary.interrupted += 1,
            ServiceEnd::Failed(failure) => {
                summary.failed += 1;
                self.error.get_or_insert_with(|| ApplyError::Failed {
                    service: service.full_name.clone(),
                    message: failure.message.clone(),
                });
            }
        }
        self.services.push(service);
    }

    /// Nothing was done to any service.
    pub(crate) fn nothing_done(changes: &Changes, error: ApplyError) -> Self {
        let services = changes.services().map(|(stack, service)| ServiceOutcome {
            stack: stack.path.clone(),
            service: service.name.clone(),
            full_name: service.full_name.clone(),
            action: service.action,
            end: ServiceEnd::Skipped { because: None },
        });
        let services: Vec<_> = services.collect();
        let summary = DeploymentSummary {
            stacks: changes.stacks.len(),
            skipped: services.len(),
            ..DeploymentSummary::default()
        };
        Self { summary, services, error: Some(error), rollback: None, left_changes: false }
    }

    /// From how the futures of services ended.
    pub(super) fn of(run: &Run<'_>, ends: Vec<NodeEnd>) -> Self {
        let mut outcome = Self::nothing_done(run.changes, ApplyError::Cancelled);
        outcome.error = None;
        outcome.summary.skipped = 0;
        let name = |node: usize| run.graph.nodes[node].path();
        let mut engine_error = None;
        for (service, end) in std::mem::take(&mut outcome.services).into_iter().zip(ends) {
            let end = match end {
                NodeEnd::Converged { state, tasks } => ServiceEnd::Converged { state, tasks },
                NodeEnd::Detached => ServiceEnd::Detached,
                NodeEnd::Failed(failure) => ServiceEnd::Failed(failure),
                NodeEnd::Skipped { because } => ServiceEnd::Skipped { because: because.map(name) },
                NodeEnd::Interrupted { last } => ServiceEnd::Interrupted { last },
                NodeEnd::Engine(error) => {
                    engine_error.get_or_insert(error);
                    ServiceEnd::Interrupted { last: None }
                }
            };
            outcome.add(ServiceOutcome { end, ..service });
        }
        if let Some(error) = engine_error {
            outcome.error = Some(ApplyError::Engine(error));
        }
        if run.cancel.is_cancelled() {
            outcome.error = Some(ApplyError::Cancelled);
        }
        outcome
    }
}

pub(crate) fn count(summary: &mut DeploymentSummary, action: ObjectAction) {
    match action {
        ObjectAction::Created => summary.created += 1,
        ObjectAction::Updated => summary.updated += 1,
        ObjectAction::Removed => summary.removed += 1,
        ObjectAction::Untouched => summary.untouched += 1,
    }
}
