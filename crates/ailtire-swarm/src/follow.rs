//! Waiting for what others do: managers bring their stacks to what they are to be, and this looks on.
//!
//! A service counts from the moment on when its spec is the wanted one: what it was before runs well,
//! and says nothing. A manager that goes on unchanged leaves what somebody changed by hand; such a
//! service only has to run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ailtire_docker::{Engine, EngineError};
use ailtire_events::{
    Diagnostic, EventKind, EventSink, FieldChange, ObjectAction, ObjectKind, ServiceFailure,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::apply::{ApplyError, Outcome, ServiceEnd, ServiceOutcome, count};
use crate::converge::{
    Monitor, Progress, Task, Wait, WaitError, WaitOptions, is_passing, tail, tell_failure,
};
use crate::observe::{Observed, ObservedService, observe_all};
use crate::plan::{Changes, service_difference};
use crate::{Desired, DesiredService, RootService, calls, label};

/// Looks that may fail one after the other.
const FAILURES: u32 = 3;

/// Looks between two looks at what managers write.
const LOOKS: u32 = 8;

/// Lines of a manager that are looked at.
const LINES: usize = 4;

/// How long nothing gets further before a service that an unchanged manager leaves other than its
/// design counts as one that was changed by hand. The manager above may be about to change it.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Followed<'a> {
    /// All services of the tree as their managers are to make them.
    pub desired: &'a Desired,
    /// What that changes.
    pub planned: &'a Changes,
    /// What ran before anything was changed.
    pub before: &'a Observed,
    /// The service of the root's manager.
    pub root: &'a RootService,
    /// Its id.
    pub root_id: &'a str,
}

impl Followed<'_> {
    /// What is known where nobody waits: what became of the root's manager.
    pub fn detached(&self, sink: &dyn EventSink) -> Outcome {
        let (action, changes) = self.root.compare(self.before);
        let root = &self.root.0;
        let stack = root.spec.labels.get(label::STACK_PATH).cloned().unwrap_or_default();
        sink.emit(EventKind::ObjectChanged {
            stack: stack.clone(),
            kind: ObjectKind::Service,
            name: root.name.clone(),
            action,
            changes,
        });
        let mut outcome = Outcome::cancelled();
        outcome.error = None;
        outcome.summary.stacks = self.planned.stacks.len();
        count(&mut outcome.summary, action);
        outcome.services.push(ServiceOutcome {
            stack,
            service: root.name.clone(),
            full_name: root.spec.name.clone(),
            action,
            end: ServiceEnd::Detached,
        });
        outcome.left_changes = action != ObjectAction::Untouched;
        outcome
    }
}

/// How to wait.
#[derive(Debug, Clone, Copy, Default)]
pub struct FollowOptions {
    /// How to wait for a service. Its time-out is also how long nothing at all may get further.
    pub wait: WaitOptions,
}

/// Waits until all services of a tree are there, as they are to be, and run, the managers too.
///
/// It ends with the first one that fails: nothing is taken back, and its manager may go on trying.
pub async fn follow(
    engine: &Engine,
    followed: &Followed<'_>,
    options: FollowOptions,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> Outcome {
    let following = Following {
        engine,
        followed,
        options,
        sink,
        monitor: Monitor::new(engine.clone()),
        looks: watch::Sender::new(None),
        last_step: Mutex::new(Instant::now()),
        reported: Mutex::default(),
        halt: cancel.child_token(),
    };
    let ends = following.run().await;
    following.outcome(ends, cancel)
}

struct Following<'a> {
    engine: &'a Engine,
    followed: &'a Followed<'a>,
    options: FollowOptions,
    sink: &'a dyn EventSink,
    monitor: Monitor,
    looks: watch::Sender<Option<Arc<Observed>>>,
    /// When something got further.
    last_step: Mutex<Instant>,
    /// What managers said that keeps them from their work.
    reported: Mutex<BTreeSet<String>>,
    /// Ends all waiting.
    halt: CancellationToken,
}

/// A service on its way.
#[derive(Clone, Copy)]
struct Subject<'a> {
    stack: &'a str,
    service: &'a DesiredService,
    changes: &'a [FieldChange],
    restarts: bool,
    /// Whether its manager stays as it is.
    is_kept: bool,
}

impl Subject<'_> {
    fn is_manager(&self) -> bool {
        self.service.spec.labels.contains_key(label::MANAGER)
    }
}

/// How a service ended, and what was done to it.
type End = (ObjectAction, Result<ServiceEnd, EngineError>);

impl Following<'_> {
    /// The root's manager first, then all services in their order.
    fn subjects(&self) -> Vec<Subject<'_>> {
        let root = &self.followed.root.0;
        let stack = root.spec.labels.get(label::STACK_PATH).map_or("", String::as_str);
        let root = Subject { stack, service: root, changes: &[], restarts: true, is_kept: false };
        let kept = self.kept_managers();
        let stacks = self.followed.planned.stacks.iter().zip(&self.followed.desired.stacks);
        let services = stacks.flat_map(|(changes, desired)| {
            let is_kept = kept.contains(changes.namespace.as_str());
            changes.services.iter().zip(&desired.services).map(move |(change, service)| Subject {
                stack: &changes.path,
                service,
                changes: &change.changes,
                restarts: change.restarts,
                is_kept,
            })
        });
        std::iter::once(root).chain(services).collect()
    }

    /// Instances of the stacks whose managers go on unchanged.
    fn kept_managers(&self) -> BTreeSet<&str> {
        let Followed { root, before, .. } = self.followed;
        let root_is_kept = root.compare(before).0 == ObjectAction::Untouched;
        let stacks = self.followed.planned.stacks.iter().zip(&self.followed.desired.stacks);
        let services = stacks.flat_map(|(changes, desired)| {
            changes.services.iter().zip(&desired.services).filter_map(|(change, service)| {
                let manages = service.spec.labels.get(label::MANAGER)?;
                (change.action == ObjectAction::Untouched).then_some(manages.as_str())
            })
        });
        services.chain(root_is_kept.then(|| root.instance())).collect()
    }

    async fn run(&self) -> Vec<End> {
        let subjects = self.subjects();
        let mut ends: Vec<Option<End>> = vec![None; subjects.len()];
        let mut running: FuturesUnordered<_> = subjects
            .iter()
            .enumerate()
            .map(|(index, subject)| async move {
                let is_root = index == 0;
                let end =
                    if is_root { self.root(subject).await } else { self.service(subject).await };
                (index, end)
            })
            .collect();
        let all = async {
            while let Some((index, end)) = running.next().await {
                self.advanced();
                if !matches!(end.1, Ok(ServiceEnd::Converged { .. })) {
                    // What failed may be tried again for ever; whoever waits is told now.
                    self.halt.cancel();
                }
                ends[index] = Some(end);
            }
        };
        tokio::select! {
            () = all => {}
            () = self.monitor.run() => {}
            () = self.look() => {}
        }
        let interrupted = || (ObjectAction::Untouched, Ok(ServiceEnd::Interrupted { last: None }));
        ends.into_iter().map(|end| end.unwrap_or_else(interrupted)).collect()
    }

    async fn root(&self, subject: &Subject<'_>) -> End {
        let (action, changes) = self.followed.root.compare(self.followed.before);
        self.tell(subject, action, &changes);
        (action, self.converge(subject, self.followed.root_id, action).await)
    }

    async fn service(&self, subject: &Subject<'_>) -> End {
        let name = subject.service.spec.name.as_str();
        let appeared = tokio::select! {
            biased;
            appeared = self.appears(subject) => appeared,
            () = self.halt.cancelled() => {
                return (ObjectAction::Untouched, Ok(ServiceEnd::Skipped { because: None }));
            }
        };
        let found = match appeared {
            Ok(found) => found,
            Err(failure) => {
                self.fail(subject, &failure);
                return (ObjectAction::Untouched, Ok(ServiceEnd::Failed(Box::new(failure))));
            }
        };
        self.advanced();
        let action = match self.followed.before.service(name) {
            None => ObjectAction::Created,
            Some(before) if before.raw == found.raw => ObjectAction::Untouched,
            Some(_) => ObjectAction::Updated,
        };
        let changes = if action == ObjectAction::Updated { subject.changes } else { &[] };
        self.tell(subject, action, changes);
        (action, self.converge(subject, &found.id, action).await)
    }

    /// Waits until a service is there, and as it is to be.
    async fn appears(&self, subject: &Subject<'_>) -> Result<ObservedService, ServiceFailure> {
        let wanted = subject.service;
        let mut looks = self.looks.subscribe();
        loop {
            let look = looks.borrow_and_update().clone();
            let found = look.as_ref().and_then(|look| look.service(&wanted.spec.name));
            let now = Instant::now();
            if let (Some(look), Some(found)) = (&look, found) {
                let is_left = subject.is_kept && now >= self.last_step() + LEFT_ALONE;
                if is_left || service_difference(wanted, found, look).changes.is_empty() {
                    return Ok(found.clone());
                }
            }
            let deadline = self.deadline();
            if now >= deadline {
                return Err(missing(found.is_some(), self.options.wait.timeout));
            }
            // Then there is another look at the time.
            let _ = tokio::time::timeout_at(deadline, looks.changed()).await;
        }
    }

    /// Waits until a service runs. A manager runs when all of its stack does, so that it may take as
    /// long as anything in there gets further.
    async fn converge(
        &self,
        subject: &Subject<'_>,
        id: &str,
        action: ObjectAction,
    ) -> Result<ServiceEnd, EngineError> {
        loop {
            let progress = Progress::default();
            let wait = Wait {
                monitor: &self.monitor,
                sink: self.sink,
                stack: subject.stack,
                service: &subject.service.name,
                id,
                before: BTreeSet::new(),
                changed: action != ObjectAction::Untouched,
                replaced: action == ObjectAction::Created
                    || action == ObjectAction::Updated && subject.restarts,
                must_complete: false,
                options: self.options.wait,
                progress: &progress,
            };
            let waited = tokio::select! {
                biased;
                waited = wait.run() => waited,
                () = self.halt.cancelled() => {
                    return Ok(ServiceEnd::Interrupted { last: progress.last() });
                }
            };
            return match waited {
                Ok(converged) => {
                    converged.tell(self.sink, subject.stack, &subject.service.name);
                    Ok(converged.end())
                }
                Err(WaitError::Engine(error)) => Err(error),
                Err(WaitError::TimedOut(_))
                    if subject.is_manager() && Instant::now() < self.deadline() =>
                {
                    continue;
                }
                Err(WaitError::Failed(failure) | WaitError::TimedOut(failure)) => {
                    self.fail(subject, &failure);
                    Ok(ServiceEnd::Failed(failure))
                }
            };
        }
    }

    fn tell(&self, subject: &Subject<'_>, action: ObjectAction, changes: &[FieldChange]) {
        self.sink.emit(EventKind::ObjectChanged {
            stack: subject.stack.to_owned(),
            kind: ObjectKind::Service,
            name: subject.service.name.clone(),
            action,
            changes: changes.to_vec(),
        });
    }

    fn fail(&self, subject: &Subject<'_>, failure: &ServiceFailure) {
        tell_failure(self.sink, subject.stack, &subject.service.name, failure);
    }

    fn advanced(&self) {
        *self.last_step.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When it is too late for anything to get further.
    fn deadline(&self) -> Instant {
        self.last_step() + self.options.wait.timeout
    }

    fn last_step(&self) -> Instant {
        *self.last_step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks again and again; it ends where the engine can't be asked any more.
    async fn look(&self) {
        let mut ticks = calls::ticks();
        let mut failures = 0;
        for number in 1_u32.. {
            ticks.tick().await;
            if number.is_multiple_of(LOOKS) {
                self.listen().await;
            }
            match observe_all(self.engine).await {
                Ok(observed) => {
                    failures = 0;
                    self.looks.send_replace(Some(Arc::new(observed)));
                }
                Err(error) => {
                    failures += 1;
                    if failures >= FAILURES || !is_passing(&error) {
                        // Whoever waits for tasks meets the same error, and has it told.
                        return std::future::pending().await;
                    }
                }
            }
        }
    }

    /// Tells what managers say that can't bring their stack to what it is to be. They try again and
    /// again, so that nothing else would show it before the time is over.
    async fn listen(&self) {
        let Some(look) = self.looks.borrow().clone() else { return };
        for service in &look.services {
            let labels = &service.spec.labels;
            let Some(instance) = labels.get(label::MANAGER) else { continue };
            if !self.followed.desired.identity.owns(labels) {
                continue;
            }
            let tasks = calls::tasks_of(self.engine, &service.id).await.unwrap_or_default();
            let running = |task: &&Task| {
                task.is_wanted() && matches!(&*task.status.state, "running" | "starting")
            };
            let Some(task) = tasks.iter().find(running) else { continue };
            for why in tail(self.engine, task, LINES).await.iter().filter_map(|it| complaint(it)) {
                let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
                if reported.insert(format!("{instance}: {why}")) {
                    let message = format!("the manager of {instance} tries again: {why}");
                    let diagnostic = Diagnostic::warning("manager-failed", message);
                    self.sink.emit(EventKind::Diagnostic { diagnostic });
                }
            }
        }
    }

    fn outcome(&self, ends: Vec<End>, cancel: &CancellationToken) -> Outcome {
        let error = cancel.is_cancelled().then_some(ApplyError::Cancelled);
        let mut outcome = Outcome::nothing_done(self.followed.planned, ApplyError::Cancelled);
        (outcome.services, outcome.summary.skipped) = (Vec::new(), 0);
        outcome.error = error;
        for (subject, (action, end)) in self.subjects().into_iter().zip(ends) {
            let end = end.unwrap_or_else(|error| {
                outcome.error.get_or_insert(ApplyError::Engine(error));
                ServiceEnd::Interrupted { last: None }
            });
            outcome.add(ServiceOutcome {
                stack: subject.stack.to_owned(),
                service: subject.service.name.clone(),
                full_name: subject.service.spec.name.clone(),
                action,
                end,
            });
        }
        outcome.left_changes =
            outcome.services.iter().any(|it| it.action != ObjectAction::Untouched);
        outcome
    }
}

/// What a manager's line says that keeps it from its work, if it does.
fn complaint(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line.get("try_again_in")?;
    (line["level"] == "error").then(|| line["message"].as_str().map(str::to_owned))?
}

/// What is said of a service that its manager does not bring to what it is to be.
fn missing(is_there: bool, timeout: Duration) -> ServiceFailure {
    let after = crate::fields::duration(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX));
    let message = if is_there {
        format!("its manager did not change it, and nothing else got further in {after}")
    } else {
        format!("its manager did not make it, and nothing else got further in {after}")
    };
    let help =
        "`ailtire-build status` shows the managers, and `ailtire-build logs` what they write";
    ServiceFailure { message, help: Some(help.to_owned()), ..ServiceFailure::default() }
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn a_manager_that_tries_again_is_heard() {
        let line = |level: &str, more: &str| {
            format!("{{\"level\":\"{level}\",\"message\":\"no such network\"{more}}}")
        };
        let heard = complaint(&line("error", ",\"try_again_in\":2"));
        assert_eq!(heard.as_deref(), Some("no such network"));
        assert_eq!(complaint(&line("error", "")), None);
        assert_eq!(complaint(&line("info", ",\"try_again_in\":2")), None);
        assert_eq!(complaint("a line of text"), None);
    }
}
