//! Waiting until a service is what it is to be.

mod failure;
mod judge;
mod many;
mod monitor;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ailtire_docker::EngineError;
use ailtire_events::{EventKind, EventSink, ServiceFailure, ServiceState, TaskCounts};
use tokio::time::Instant;

use crate::apply::ServiceEnd;

pub(crate) use failure::tail;
use judge::{Failure, Memory, Verdict, View, judge};
pub(crate) use many::{Awaited, Waited, wait_for_all};
use monitor::Snapshot;
pub(crate) use monitor::{Monitor, is_passing};
pub(crate) use task::Slot;
pub use task::{ContainerStatus, Task, TaskStatus};

/// How long a service with one task a node may have none before it counts as one that no node may
/// run.
const NO_NODE: Duration = Duration::from_secs(5);

/// How to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitOptions {
    /// How long a service may take since it was changed.
    pub timeout: Duration,
    /// How long tasks have to run before they count, in case that they end right after their start.
    ///
    /// Tasks with a health check would not need it, but an image may have one that no spec shows.
    /// Docker's own client waits five seconds for every service; here only those that were changed
    /// are waited for.
    pub stable: Duration,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(5), stable: Duration::from_secs(2) }
    }
}

/// A service that is waited for.
pub(crate) struct Wait<'a> {
    pub(crate) monitor: &'a Monitor,
    pub(crate) sink: &'a dyn EventSink,
    pub(crate) stack: &'a str,
    /// Its short name.
    pub(crate) service: &'a str,
    pub(crate) id: &'a str,
    /// Tasks that were there before it was changed.
    pub(crate) before: BTreeSet<String>,
    /// Whether its tasks may be others than before. Those of one that was left alone ran long enough
    /// already.
    pub(crate) changed: bool,
    /// Whether all of its tasks are replaced, so that none of those before tells anything.
    pub(crate) replaced: bool,
    pub(crate) must_complete: bool,
    pub(crate) options: WaitOptions,
    pub(crate) progress: &'a Progress,
}

/// How far a service is, for who ends the waiting.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Option<(ServiceState, TaskCounts)>>);

impl Progress {
    pub(crate) fn last(&self) -> Option<(ServiceState, TaskCounts)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, view: &View) {
        let now = Some((view.state, view.counts));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// What a service came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Converged {
    pub(crate) state: ServiceState,
    pub(crate) counts: TaskCounts,
    pub(crate) duration: Duration,
}

impl Converged {
    /// Tells of it.
    pub(crate) fn tell(&self, sink: &dyn EventSink, stack: &str, service: &str) {
        sink.emit(EventKind::ServiceConverged {
            stack: stack.to_owned(),
            service: service.to_owned(),
            state: self.state,
            tasks: self.counts,
            duration: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
        });
    }

    pub(crate) fn end(&self) -> ServiceEnd {
        ServiceEnd::Converged { state: self.state, tasks: self.counts }
    }
}

/// Tells of a service that does not become what it is to be.
pub(crate) fn tell_failure(
    sink: &dyn EventSink,
    stack: &str,
    service: &str,
    failure: &ServiceFailure,
) {
    sink.emit(EventKind::ServiceFailed {
        stack: stack.to_owned(),
        service: service.to_owned(),
        failure: failure.clone(),
    });
}

/// Why a service is not what it is to be.
#[derive(Debug, Clone)]
pub(crate) enum WaitError {
    Failed(Box<ServiceFailure>),
    /// It took longer than it may.
    TimedOut(Box<ServiceFailure>),
    Engine(EngineError),
}

/// What was seen last.
struct Seen {
    view: Option<View>,
    /// The tasks that run, and since when just these do.
    steady: Option<(BTreeSet<String>, Instant)>,
    /// Since when there is no task.
    empty: Option<Instant>,
    snapshot: Arc<Snapshot>,
}

impl Wait<'_> {
    /// Waits, and tells of every step. Dropping the future ends it.
    pub(crate) async fn run(self) -> Result<Converged, WaitError> {
        let begin = Instant::now();
        let deadline = begin + self.options.timeout;
        let mut memory = Memory::default();
        memory.before.clone_from(&self.before);
        memory.must_complete = self.must_complete;
        memory.history_counts = !self.replaced;
        let mut watch = self.monitor.watch(self.id);
        let mut seen = Seen { view: None, steady: None, empty: None, snapshot: Arc::default() };
        loop {
            let next_step = seen.next_step(self.options).map_or(deadline, |at| at.min(deadline));
            match tokio::time::timeout_at(next_step, watch.next()).await {
                Ok(snapshot) => seen.snapshot = snapshot,
                Err(_) if next_step < deadline => {
                    // Looked at once more before it counts; the clock alone proves nothing.
                    self.monitor.nudge();
                    match tokio::time::timeout_at(deadline, watch.next()).await {
                        Ok(snapshot) => seen.snapshot = snapshot,
                        Err(_) => return Err(self.timed_out(&seen).await),
                    }
                }
                Err(_) => return Err(self.timed_out(&seen).await),
            }
            if seen.view.is_none() && !self.replaced {
                let tasks = seen.snapshot.tasks.get(self.id).into_iter().flatten();
                memory.before.extend(tasks.filter(|it| it.has_ended()).map(|it| it.id.clone()));
            }
            if let Some(error) = &seen.snapshot.error {
                return Err(WaitError::Engine(error.clone()));
            }
            let view = self.look(&seen.snapshot, &mut memory);
            self.progress.set(&view);
            self.tell(&seen, &view);
            match self.decide(&mut seen, view).await {
                Some(Ok((state, counts))) => {
                    return Ok(Converged { state, counts, duration: begin.elapsed() });
                }
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
    }

    fn look(&self, snapshot: &Snapshot, memory: &mut Memory) -> View {
        let tasks = snapshot.tasks.get(self.id).map_or(&[][..], Vec::as_slice);
        match snapshot.services.get(self.id) {
            Some(service) => judge(service, tasks, memory),
            None => View {
                state: ServiceState::Stopped,
                counts: TaskCounts::default(),
                message: None,
                has_failed: false,
                verdict: Verdict::Failed(Failure {
                    message: "it was removed by somebody else".to_owned(),
                    task: None,
                }),
            },
        }
    }

    async fn decide(
        &self,
        seen: &mut Seen,
        view: View,
    ) -> Option<Result<(ServiceState, TaskCounts), WaitError>> {
        let now = Instant::now();
        let (state, counts) = (view.state, view.counts);
        // One whose tasks failed before may be caught between two failures.
        let settled = !self.changed && !view.has_failed;
        let verdict = view.verdict.clone();
        seen.view = Some(view);
        if verdict != Verdict::Empty {
            seen.empty = None;
        }
        let Verdict::Steady(tasks) = verdict else {
            seen.steady = None;
            return match verdict {
                Verdict::Done => Some(Ok((state, counts))),
                Verdict::Failed(failure) => {
                    Some(Err(WaitError::Failed(Box::new(self.describe(seen, failure).await))))
                }
                Verdict::Empty => {
                    let since = *seen.empty.get_or_insert(now);
                    (now - since >= NO_NODE).then_some(Ok((ServiceState::Stopped, counts)))
                }
                Verdict::Waiting | Verdict::Steady(_) => None,
            };
        };
        let since = match &seen.steady {
            Some((same, since)) if *same == tasks => *since,
            _ => now,
        };
        seen.steady = Some((tasks, since));
        let stable = settled || now - since >= self.options.stable;
        stable.then_some(Ok((state, counts)))
    }

    fn tell(&self, seen: &Seen, view: &View) {
        let same = seen.view.as_ref().is_some_and(|before| {
            (before.state, before.counts, &before.message)
                == (view.state, view.counts, &view.message)
        });
        let settled = !self.changed && matches!(view.verdict, Verdict::Steady(_) | Verdict::Done);
        if !same && !settled {
            self.sink.emit(EventKind::ServiceProgress {
                stack: self.stack.to_owned(),
                service: self.service.to_owned(),
                state: view.state,
                tasks: view.counts,
                message: view.message.clone(),
            });
        }
    }
}

impl Seen {
    /// When something may count though nothing changes.
    fn next_step(&self, options: WaitOptions) -> Option<Instant> {
        let steady = self.steady.as_ref().map(|(_, since)| *since + options.stable);
        steady.or(self.empty.map(|since| since + NO_NODE))
    }
}
