//! Going back to what was there before.
//!
//! A service goes back by its full earlier spec, as a further update. The swarm's own rollback is
//! not used: where old tasks had failed it stops half-way, and it knows one earlier spec only.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ailtire_docker::{Engine, EngineError};
use ailtire_events::{EventKind, EventSink, ObjectAction, ObjectKind};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::apply::RollbackReport;
use crate::calls;
use crate::converge::{Awaited, WaitError, WaitOptions, Waited, wait_for_all};

/// What was changed, in its order.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Step>>);

/// The names of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceName {
    pub(crate) stack: String,
    pub(crate) short: String,
    pub(crate) full: String,
}

impl ServiceName {
    pub(crate) fn new(stack: &str, short: &str, full: &str) -> Self {
        Self { stack: stack.to_owned(), short: short.to_owned(), full: full.to_owned() }
    }
}

/// One change, with what it takes to undo it.
#[derive(Clone)]
pub(crate) enum Step {
    CreatedObject { kind: ObjectKind, id: String, name: String },
    RemovedNetwork { name: String, spec: Value },
    CreatedService { name: ServiceName, id: String },
    UpdatedService { name: ServiceName, id: String, earlier: Value, restarted: bool },
    RemovedService { name: ServiceName, earlier: Value },
}

impl std::fmt::Debug for Step {
    /// Without specs, which may hold secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, name) = match self {
            Self::CreatedObject { name, .. } => ("CreatedObject", name),
            Self::RemovedNetwork { name, .. } => ("RemovedNetwork", name),
            Self::CreatedService { name, .. } => ("CreatedService", &name.full),
            Self::UpdatedService { name, .. } => ("UpdatedService", &name.full),
            Self::RemovedService { name, .. } => ("RemovedService", &name.full),
        };
        write!(formatter, "{what}({name})")
    }
}

impl Journal {
    pub(crate) fn push(&self, step: Step) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn steps(&self) -> Vec<Step> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Undoes everything, the last change first, and waits until services are what they were.
///
/// `cancel` ends all waiting, but no change that is still to be undone is left out for it.
pub(crate) async fn undo(
    engine: &Engine,
    journal: &Journal,
    options: WaitOptions,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> RollbackReport {
    let mut undoing = Undoing {
        engine,
        sink,
        cancel,
        deadline: Instant::now() + options.timeout,
        ended: BTreeSet::new(),
        services: Vec::new(),
        report: RollbackReport::default(),
    };
    for step in journal.steps().into_iter().rev() {
        let described = undoing.step(step).await;
        match described {
            Ok(()) => undoing.report.restored += 1,
            Err((what, error)) => undoing.report.failures.push(format!("{what}: {error}")),
        }
    }
    undoing.wait(options).await;
    if let Err(error) = undoing.wait_for_ended().await {
        undoing.report.failures.push(format!("waiting for removed tasks: {error}"));
    }
    if cancel.is_cancelled() {
        let left = "cancelled: nobody waited until everything is as before".to_owned();
        undoing.report.failures.push(left);
    }
    undoing.report
}

struct Undoing<'a> {
    engine: &'a Engine,
    sink: &'a dyn EventSink,
    cancel: &'a CancellationToken,
    deadline: Instant,
    /// Tasks of services that were removed, and not waited for yet.
    ended: BTreeSet<String>,
    services: Vec<Awaited>,
    report: RollbackReport,
}

impl Undoing<'_> {
    async fn step(&mut self, step: Step) -> Result<(), (String, EngineError)> {
        match step {
            Step::CreatedService { name, id } => {
                let ended = calls::remove_service(self.engine, &id).await;
                self.ended.extend(ended.map_err(|error| (name.full.clone(), error))?);
                self.tell(&name.stack, ObjectKind::Service, &name.short, ObjectAction::Removed);
            }
            Step::UpdatedService { name, id, earlier, restarted } => {
                let restored = self.restore(&name, &id, &earlier).await;
                let before = restored.map_err(|error| (name.full.clone(), error))?;
                self.tell(&name.stack, ObjectKind::Service, &name.short, ObjectAction::Updated);
                self.services.push(Awaited { name, id, before, replaced: restarted });
            }
            Step::RemovedService { name, earlier } => {
                let made = async {
                    self.wait_for_ended().await?;
                    calls::create_service(self.engine, &earlier, None).await
                };
                let id = made.await.map_err(|error| (name.full.clone(), error))?;
                self.ended.clear();
                self.tell(&name.stack, ObjectKind::Service, &name.short, ObjectAction::Created);
                let before = BTreeSet::new();
                self.services.push(Awaited { name, id, before, replaced: true });
            }
            Step::CreatedObject { kind, id, name } => {
                let removed = async {
                    if kind == ObjectKind::Network {
                        self.wait_for_ended().await?;
                    }
                    self.remove_object(kind, &id).await
                };
                removed.await.map_err(|error| (format!("{kind} {name}"), error))?;
                self.tell("", kind, &name, ObjectAction::Removed);
            }
            Step::RemovedNetwork { name, spec } => {
                let made = calls::create_network(self.engine, &spec, &name).await;
                made.map_err(|error| (format!("network {name}"), error))?;
                self.tell("", ObjectKind::Network, &name, ObjectAction::Created);
            }
        }
        Ok(())
    }

    async fn wait_for_ended(&self) -> Result<(), EngineError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Ok(()),
            ended = calls::wait_for_end(self.engine, &self.ended, self.deadline) => ended.map(drop),
        }
    }

    async fn remove_object(&self, kind: ObjectKind, id: &str) -> Result<(), EngineError> {
        tokio::select! {
            biased;
            removed = calls::remove_object(self.engine, kind, id, self.deadline) => removed,
            () = self.cancel.cancelled() => {
                calls::remove_object(self.engine, kind, id, Instant::now()).await
            }
        }
    }

    /// Gives a service its earlier spec; returns the tasks that it had until then.
    async fn restore(
        &self,
        name: &ServiceName,
        id: &str,
        earlier: &Value,
    ) -> Result<BTreeSet<String>, EngineError> {
        let Some(service) = calls::read_service(self.engine, id).await? else {
            let message = format!("service {} is not there any more", name.full);
            return Err(EngineError::Api { status: 404, message });
        };
        let tasks = calls::tasks_of(self.engine, id).await?;
        let mut spec = earlier.clone();
        let force = |spec: &Value| spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or(0);
        if force(&service.raw) > force(&spec) {
            // Going back in the count would replace tasks, too.
            spec["TaskTemplate"]["ForceUpdate"] = force(&service.raw).into();
        }
        calls::update_service(self.engine, &service, &spec, None).await?;
        // Tasks of the earlier spec that still run count; failures of before do not.
        Ok(tasks.into_iter().filter(crate::converge::Task::has_ended).map(|task| task.id).collect())
    }

    async fn wait(&mut self, options: WaitOptions) {
        let Self { engine, sink, cancel, services, .. } = self;
        let waited = wait_for_all(engine, services, options, *sink, cancel, |_, _| {}).await;
        let failures = services.iter().zip(waited).filter_map(|(service, waited)| {
            let message = match waited {
                Waited::Ended(Ok(_)) | Waited::Interrupted(_) => return None,
                Waited::Ended(Err(WaitError::Failed(failure) | WaitError::TimedOut(failure))) => {
                    failure.message
                }
                Waited::Ended(Err(WaitError::Engine(error))) => error.to_string(),
            };
            Some(format!("{}: {message}", service.name.full))
        });
        let failures: Vec<String> = failures.collect();
        self.report.restored = self.report.restored.saturating_sub(failures.len());
        self.report.failures.extend(failures);
    }

    fn tell(&self, stack: &str, kind: ObjectKind, name: &str, action: ObjectAction) {
        self.sink.emit(EventKind::ObjectChanged {
            stack: stack.to_owned(),
            kind,
            name: name.to_owned(),
            action,
            changes: Vec::new(),
        });
    }
}
