//! One look at the engine for everybody who waits for a service.
//!
//! The swarm has no stream of changes of tasks. The engine's events tell of services, and of
//! containers of its own node; what happens on other nodes shows only by asking. So tasks are asked
//! for when an event comes, and otherwise at an interval that grows while nothing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ailtire_docker::{ApiStream, Engine, EngineError};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::task::Task;
use crate::calls::retain_reported;
use crate::observe::{ObservedService, services_request};

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
/// The time between two looks where something just changed.
const BUSY: Duration = Duration::from_millis(300);
/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(2);
/// Looks that may fail one after the other before those who wait are told.
const FAILURES: u32 = 3;

/// What a look came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Counts looks; it began after everything that was done before its number was given out.
    pub(crate) number: u64,
    /// Services by their id; absent where they are not there any more.
    pub(crate) services: BTreeMap<String, ObservedService>,
    /// Tasks by the id of their service.
    pub(crate) tasks: BTreeMap<String, Vec<Task>>,
    /// Why there is nothing to see.
    pub(crate) error: Option<EngineError>,
}

/// Looks at services for all who wait for one.
pub(crate) struct Monitor {
    engine: Engine,
    watched: Mutex<BTreeMap<String, usize>>,
    /// The number of the newest look that began.
    begun: AtomicU64,
    look: Notify,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

/// Keeps a service among those that are looked at.
pub(crate) struct Watch<'a> {
    monitor: &'a Monitor,
    id: String,
    receiver: watch::Receiver<Arc<Snapshot>>,
    after: u64,
}

impl Monitor {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            watched: Mutex::default(),
            begun: AtomicU64::new(0),
            look: Notify::new(),
            snapshots: watch::Sender::new(Arc::default()),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Looks again soon.
    pub(crate) fn nudge(&self) {
        self.look.notify_one();
    }

    /// Begins to look at a service. Only looks that begin from now on count.
    pub(crate) fn watch(&self, id: &str) -> Watch<'_> {
        *self.watched().entry(id.to_owned()).or_default() += 1;
        let after = self.begun.load(Ordering::SeqCst);
        self.nudge();
        Watch { monitor: self, id: id.to_owned(), receiver: self.snapshots.subscribe(), after }
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks, as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut ticks = tokio::time::interval(SHORTEST);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut events: Option<ApiStream<Value>> = None;
        let mut pause = BUSY;
        let mut failures = 0;
        loop {
            if self.watched().is_empty() {
                self.look.notified().await;
                continue;
            }
            if events.is_none() && failures == 0 {
                events = self.events().await.ok();
            }
            ticks.tick().await;
            // In this order: who begins to watch from now on waits for the next look.
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let ids: BTreeSet<String> = self.watched().keys().cloned().collect();
            match self.look(number, &ids).await {
                Ok(snapshot) => {
                    failures = 0;
                    let changed = !snapshot.shows_the_same_as(&self.snapshots.borrow());
                    pause = if changed { BUSY } else { (pause * 3 / 2).min(LONGEST) };
                    self.snapshots.send_replace(Arc::new(snapshot));
                }
                Err(error) => {
                    failures += 1;
                    events = None;
                    if failures >= FAILURES || !is_passing(&error) {
                        let error = Some(error);
                        let snapshot = Snapshot { number, error, ..Snapshot::default() };
                        self.snapshots.send_replace(Arc::new(snapshot));
                    }
                }
            }
            let happened = async {
                tokio::select! {
                    () = self.look.notified() => true,
                    alive = next_event(&mut events) => alive,
                }
            };
            // No event in time is as good as one.
            if !tokio::time::timeout(pause, happened).await.unwrap_or(true) {
                events = None;
            }
        }
    }

    async fn events(&self) -> Result<ApiStream<Value>, EngineError> {
        let request = self.engine.get("/events");
        let types = ["service", "node", "container"];
        let request = types.iter().fold(request, |request, name| request.filter("type", *name));
        let names = ["create", "update", "remove", "start", "die", "health_status"];
        let request = names.iter().fold(request, |request, name| request.filter("event", *name));
        request.json_stream().await
    }

    async fn look(&self, number: u64, ids: &BTreeSet<String>) -> Result<Snapshot, EngineError> {
        let services = services_request(&self.engine);
        let services = ids.iter().fold(services, |request, id| request.filter("id", id));
        let services: Vec<ObservedService> = services.json().await?;
        let tasks = self.engine.get("/tasks");
        let tasks = ids.iter().fold(tasks, |request, id| request.filter("service", id));
        let mut tasks: Vec<Task> = tasks.json().await?;
        retain_reported(&self.engine, &mut tasks).await?;
        let mut snapshot = Snapshot { number, ..Snapshot::default() };
        snapshot.services.extend(services.into_iter().map(|it| (it.id.clone(), it)));
        for task in tasks {
            snapshot.tasks.entry(task.service_id.clone()).or_default().push(task);
        }
        Ok(snapshot)
    }
}

impl Snapshot {
    fn shows_the_same_as(&self, other: &Self) -> bool {
        other.error.is_none() && self.services == other.services && self.tasks == other.tasks
    }
}

impl Watch<'_> {
    /// The next look that began after the watch, or after the one before.
    pub(crate) async fn next(&mut self) -> Arc<Snapshot> {
        loop {
            let snapshot = self.receiver.borrow_and_update().clone();
            if snapshot.number > self.after {
                self.after = snapshot.number;
                return snapshot;
            }
            if self.receiver.changed().await.is_err() {
                // The monitor outlives all that watch it.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut watched = self.monitor.watched();
        if let Some(count) = watched.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                watched.remove(&self.id);
            }
        }
    }
}

/// Whether another look may go well: a connection broke, or the swarm has no leader at the moment.
pub(crate) fn is_passing(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Lost { .. }
            | EngineError::Unreachable { .. }
            | EngineError::Api { status: 500..=599, .. }
    )
}

/// The next event; false where there will be none any more.
async fn next_event(events: &mut Option<ApiStream<Value>>) -> bool {
    match events {
        Some(stream) => matches!(stream.next().await, Some(Ok(_))),
        None => std::future::pending().await,
    }
}
