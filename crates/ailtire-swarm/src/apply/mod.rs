//! Doing what a plan says: objects first, then services in their order, each waited for.
//!
//! The services of all stacks are one graph. Each is a future that waits for those it needs, makes
//! its change, and waits until it is what it is to be. Whatever is changed is written into a
//! journal; where something fails, the journal is undone from its end (see [`crate::undo`]).
//!
//! Nothing is ever dropped between a request that changes something and its entry in the journal:
//! a run that ends early stops waiting, not asking.

mod cleanup;
mod objects;
mod outcome;
mod services;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ailtire_docker::{Engine, EngineError};
use ailtire_events::{Diagnostic, EventKind, EventSink, ObjectKind};
use tokio_util::sync::CancellationToken;

pub(crate) use outcome::count;
pub use outcome::{ApplyError, Outcome, RollbackReport, ServiceEnd, ServiceOutcome};
pub(crate) use services::keep_tasks;

use crate::Desired;
use crate::converge::{Monitor, WaitOptions};
use crate::observe::{Observed, ObservedService, observe};
use crate::order::Graph;
use crate::plan::{Changes, PlanOptions, plan};
use crate::undo::{Journal, Step};

/// How to apply a plan.
#[derive(Debug, Clone, Default)]
pub struct ApplyOptions {
    /// The options that the plan was made with.
    pub plan: PlanOptions,
    /// How to wait for services.
    pub wait: WaitOptions,
    /// What to do where a service fails.
    pub on_failure: OnFailure,
    /// Whether the credentials of registries are given to the nodes.
    pub with_registry_auth: bool,
    /// Whether services that no other one depends on are not waited for.
    pub detach: bool,
}

/// What to do where a service fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Everything that was changed goes back to what it was.
    #[default]
    Rollback,
    /// Nothing more is begun, and what was done stays.
    Stop,
    /// Services go on that do not depend on the failed one.
    Continue,
}

/// Does what `changes` says, unless what they were made from has changed since.
///
/// What is as it is to be gets no request that could change it. Dropping the future leaves things as
/// they are at that moment; `cancel` does the same, and tells how far each service is.
pub async fn apply(
    engine: &Engine,
    desired: &Desired,
    changes: &Changes,
    options: &ApplyOptions,
    sink: &dyn EventSink,
    cancel: CancellationToken,
) -> Outcome {
    let begin = Instant::now();
    let mut outcome = match prepare(engine, desired, changes, options).await {
        Ok((observed, changes)) => {
            let run = Run::new(engine, desired, &changes, &observed, options, sink, cancel);
            run.run().await
        }
        Err(error) => Outcome::nothing_done(changes, error),
    };
    outcome.summary.duration = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    sink.emit(EventKind::DeploymentFinished { summary: outcome.summary });
    outcome
}

/// Compares again: what is there now has to be what the plan was made from.
async fn prepare(
    engine: &Engine,
    desired: &Desired,
    changes: &Changes,
    options: &ApplyOptions,
) -> Result<(Observed, Changes), ApplyError> {
    let observed = observe(engine, desired).await?;
    let now = plan(desired, &observed, &options.plan).map_err(ApplyError::Refused)?;
    if now.digest() == changes.digest() { Ok((observed, now)) } else { Err(ApplyError::OutOfDate) }
}

/// One application of a plan.
pub(crate) struct Run<'a> {
    engine: &'a Engine,
    desired: &'a Desired,
    changes: &'a Changes,
    observed: &'a Observed,
    options: &'a ApplyOptions,
    sink: &'a dyn EventSink,
    cancel: CancellationToken,
    /// Ends all waiting.
    halt: CancellationToken,
    /// Keeps services from being begun.
    closed: CancellationToken,
    monitor: Monitor,
    graph: Graph<'a>,
    journal: Journal,
    ids: Mutex<Ids>,
    /// Credentials by image.
    credentials: tokio::sync::Mutex<BTreeMap<String, Option<String>>>,
}

/// Ids of what services use, by name.
#[derive(Debug, Clone, Default)]
struct Ids {
    networks: BTreeMap<String, String>,
    configs: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
}

impl<'a> Run<'a> {
    fn new(
        engine: &'a Engine,
        desired: &'a Desired,
        changes: &'a Changes,
        observed: &'a Observed,
        options: &'a ApplyOptions,
        sink: &'a dyn EventSink,
        cancel: CancellationToken,
    ) -> Self {
        let of_files = |files: &[crate::ObservedFile]| {
            files.iter().map(|file| (file.name.clone(), file.id.clone())).collect()
        };
        let ids = Ids {
            networks: observed.network_ids(),
            configs: of_files(&observed.configs),
            secrets: of_files(&observed.secrets),
        };
        let halt = cancel.child_token();
        Self {
            engine,
            desired,
            changes,
            observed,
            options,
            sink,
            closed: halt.child_token(),
            halt,
            cancel,
            monitor: Monitor::new(engine.clone()),
            graph: Graph::new(desired),
            journal: Journal::default(),
            ids: Mutex::new(ids),
            credentials: tokio::sync::Mutex::default(),
        }
    }

    async fn run(mut self) -> Outcome {
        self.add_port_order();
        let mut outcome = match self.objects().await {
            Ok(()) => {
                let ends = self.services().await;
                Outcome::of(&self, ends)
            }
            Err(error) => Outcome::nothing_done(self.changes, error),
        };
        if outcome.error.is_none() {
            self.cleanup(&mut outcome).await;
        } else {
            outcome.rollback = self.undo_after(&outcome).await;
        }
        if let Some(report) = &outcome.rollback {
            outcome.summary.rolled_back = report.failures.is_empty();
            if self.cancel.is_cancelled() {
                outcome.error = Some(ApplyError::Cancelled);
            }
        }
        outcome.left_changes = !self.journal.is_empty() && !outcome.summary.rolled_back;
        outcome
    }

    /// Undoes what was done, where that is wanted and possible.
    async fn undo_after(&self, outcome: &Outcome) -> Option<RollbackReport> {
        let because = match &outcome.error {
            // What happened to it was told when it did.
            Some(ApplyError::Failed { service, .. }) => {
                let failed = outcome.services.iter().find(|it| it.full_name == *service);
                let path = failed.map(|it| format!("{}/{}", it.stack, it.service));
                format!("{} failed", path.as_ref().unwrap_or(service))
            }
            Some(error @ ApplyError::Object { .. }) => error.to_string(),
            _ => return None,
        };
        if self.options.on_failure != OnFailure::Rollback || self.journal.is_empty() {
            return None;
        }
        self.sink.emit(EventKind::RollbackStarted { because });
        let wait = self.options.wait;
        let undo = crate::undo::undo(self.engine, &self.journal, wait, self.sink, &self.cancel);
        let report = undo.await;
        self.sink.emit(EventKind::RollbackFinished {
            restored: report.restored,
            failures: report.failures.clone(),
        });
        Some(report)
    }

    /// A service that gets a port that another one gives away comes after it.
    fn add_port_order(&mut self) {
        let nodes = self.graph.nodes.clone();
        let observed = self.observed.services.iter().map(|service| (service.name(), service));
        let observed: BTreeMap<&str, _> = observed.collect();
        let holders = nodes.iter().enumerate().filter_map(|(node, other)| {
            Some((node, *observed.get(other.service.spec.name.as_str())?))
        });
        let holders: Vec<(usize, &ObservedService)> = holders.collect();
        for (later, node) in nodes.iter().enumerate() {
            let ports: Vec<_> =
                node.service.spec.endpoint_spec.iter().flat_map(|spec| &spec.ports).collect();
            if ports.is_empty() {
                continue;
            }
            for &(earlier, holder) in holders.iter().filter(|(it, _)| *it != later) {
                let held = holder.spec.endpoint_spec.iter().flat_map(|spec| &spec.ports);
                let mut held =
                    held.filter(|held| ports.iter().any(|port| crate::plan::collides(held, port)));
                if held.next().is_some() {
                    self.graph.add(later, earlier);
                    if self.graph.sorted().is_err() {
                        self.graph.needs[later].retain(|it| *it != earlier);
                    }
                }
            }
        }
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, step: Step) {
        self.journal.push(step);
    }

    fn warn(&self, code: &'static str, message: String) {
        self.sink.emit(EventKind::Diagnostic { diagnostic: Diagnostic::warning(code, message) });
    }

    /// The credentials to send with a service, where the nodes are to get them.
    async fn credentials(&self, image: &str) -> Option<String> {
        if !self.options.with_registry_auth {
            return None;
        }
        let mut known = self.credentials.lock().await;
        if let Some(found) = known.get(image) {
            return found.clone();
        }
        let found = self.engine.registry_auth(image).await;
        known.insert(image.to_owned(), found.clone());
        found
    }
}

/// What a refusal of the engine means for an object.
fn object_error(kind: ObjectKind, name: &str, error: EngineError) -> ApplyError {
    match error {
        EngineError::Api { message, .. } => {
            ApplyError::Object { kind, name: name.to_owned(), message }
        }
        other => ApplyError::Engine(other),
    }
}
