//! The tasks behind a service: which one gets a request, and which ones get none for a while.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use crate::connection::Connection;

/// How long a task gets no requests after it did not accept a connection; twice as long each time
/// again, up to the most.
const FIRST_EJECTION: Duration = Duration::from_secs(1);
const LONGEST_EJECTION: Duration = Duration::from_secs(30);
/// From so many tasks on it is worth while to forget those that nobody uses any more.
const MANY: usize = 64;

/// One task of a service.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) address: SocketAddr,
    in_flight: AtomicUsize,
    /// Whether there is anything to know of its health: spares most requests the lock.
    is_doubtful: AtomicBool,
    health: Mutex<Health>,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    ejected_until: Option<Instant>,
}

/// Connections that wait for a request, the longest waiting one first.
#[derive(Debug, Default)]
struct Idle {
    connections: Vec<(Instant, Box<Connection>)>,
    is_watched: bool,
}

impl Task {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            in_flight: AtomicUsize::new(0),
            is_doubtful: AtomicBool::new(false),
            health: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// A kept connection that seems to be alive.
    pub(crate) fn take_idle(&self, keep_alive: Duration) -> Option<Box<Connection>> {
        let oldest = Instant::now().checked_sub(keep_alive);
        loop {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let (since, mut connection) = idle.connections.pop()?;
            drop(idle);
            // The last one is the youngest: with it all others are too old.
            if oldest.is_some_and(|oldest| since < oldest) {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).connections.clear();
                return None;
            }
            if connection.is_usable() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(self: &Arc<Self>, connection: Box<Connection>, most: usize, age: Duration) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.connections.len() >= most {
            return;
        }
        idle.connections.push((Instant::now(), connection));
        if !std::mem::replace(&mut idle.is_watched, true) {
            tokio::spawn(close_old(Arc::downgrade(self), age));
        }
    }

    /// It accepted a connection.
    pub(crate) fn accepted(&self) {
        if self.is_doubtful.load(Relaxed) {
            *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Health::default();
            self.is_doubtful.store(false, Relaxed);
        }
    }

    /// It did not accept a connection, and gets no requests for a while.
    pub(crate) fn refused(&self) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let factor = 1 << health.failures.min(8);
        health.failures += 1;
        let pause = (FIRST_EJECTION * factor).min(LONGEST_EJECTION);
        health.ejected_until = Some(Instant::now() + pause);
        self.is_doubtful.store(true, Relaxed);
    }

    fn standing(&self, now: Instant) -> Standing {
        if !self.is_doubtful.load(Relaxed) {
            return Standing::Healthy;
        }
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match health.ejected_until {
            None => Standing::Healthy,
            Some(until) if until > now => Standing::Ejected(until),
            Some(_) => {
                // One request finds out; until it did, the others go elsewhere.
                health.ejected_until = Some(now + FIRST_EJECTION);
                Standing::Probed
            }
        }
    }
}

enum Standing {
    Healthy,
    Ejected(Instant),
    Probed,
}

/// Closes connections that nothing went over for long, until there are none.
async fn close_old(task: Weak<Task>, age: Duration) {
    let mut ticks = tokio::time::interval(age.max(Duration::from_millis(1)));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(task) = task.upgrade() else { return };
        let oldest = Instant::now().checked_sub(age);
        let mut idle = task.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.connections.retain_mut(|(since, connection)| {
            oldest.is_none_or(|oldest| *since > oldest) && connection.is_usable()
        });
        if idle.connections.is_empty() {
            *idle = Idle::default();
            return;
        }
    }
}

/// A request that a task has just now.
#[derive(Debug)]
pub(crate) struct Lease(pub(crate) Arc<Task>);

impl Lease {
    pub(crate) fn new(task: Arc<Task>) -> Self {
        task.in_flight.fetch_add(1, Relaxed);
        Self(task)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Every task that got requests lately.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    known: RwLock<HashMap<SocketAddr, Arc<Task>>>,
    turn: AtomicUsize,
}

impl Tasks {
    /// The task with the fewest requests under way, of those that were not tried yet; who was
    /// ejected only where there is nobody else.
    pub(crate) fn choose(
        &self,
        addresses: &[IpAddr],
        port: u16,
        tried: &[SocketAddr],
    ) -> Option<Arc<Task>> {
        let now = Instant::now();
        // Of equals the next one each time.
        let turn = self.turn.fetch_add(1, Relaxed) % addresses.len().max(1);
        let (before, from) = addresses.split_at_checked(turn)?;
        let mut best: Option<(usize, Arc<Task>)> = None;
        let mut ejected: Option<(Instant, Arc<Task>)> = None;
        for address in from.iter().chain(before).map(|address| SocketAddr::new(*address, port)) {
            if tried.contains(&address) {
                continue;
            }
            let task = self.task(address);
            match task.standing(now) {
                Standing::Probed => return Some(task),
                Standing::Healthy => {
                    let load = task.in_flight.load(Relaxed);
                    if best.as_ref().is_none_or(|(least, _)| load < *least) {
                        best = Some((load, task));
                    }
                }
                Standing::Ejected(until) => {
                    if ejected.as_ref().is_none_or(|(earliest, _)| until < *earliest) {
                        ejected = Some((until, task));
                    }
                }
            }
        }
        best.map(|(_, task)| task).or(ejected.map(|(_, task)| task))
    }

    fn task(&self, address: SocketAddr) -> Arc<Task> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = known.get(&address) {
            return Arc::clone(task);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY {
            known.retain(|_, task| {
                let idle = task.idle.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::strong_count(task) > 1 || !idle.connections.is_empty()
            });
        }
        Arc::clone(known.entry(address).or_insert_with(|| Arc::new(Task::new(address))))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ADDRESSES: [IpAddr; 3] = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
    ];

    #[test]
    fn requests_spread_over_tasks_evenly() {
        let tasks = Tasks::default();
        let leases: Vec<Lease> =
            (0..9).filter_map(|_| tasks.choose(&ADDRESSES, 80, &[])).map(Lease::new).collect();
        for address in ADDRESSES {
            let task = tasks.task(SocketAddr::new(address, 80));
            assert_eq!(task.in_flight.load(Relaxed), 3);
        }
        drop(leases);
    }

    #[test]
    fn who_refuses_gets_no_requests_until_one_finds_it_well() {
        let tasks = Tasks::default();
        let bad = tasks.task(SocketAddr::new(ADDRESSES[1], 80));
        bad.refused();
        let chosen = |tasks: &Tasks| tasks.choose(&ADDRESSES, 80, &[]).unwrap().address;
        assert!((0..9).all(|_| chosen(&tasks) != bad.address));
        bad.health.lock().unwrap().ejected_until = Some(Instant::now());
        let probes = (0..9).filter(|_| chosen(&tasks) == bad.address).count();
        assert_eq!(probes, 1);
        bad.accepted();
        assert!((0..3).any(|_| chosen(&tasks) == bad.address));
    }

    #[test]
    fn who_refuses_again_waits_longer() {
        let task = Task::new(SocketAddr::new(ADDRESSES[0], 80));
        let mut waits = (0..7).map(|_| {
            task.refused();
            let until = task.health.lock().unwrap().ejected_until.unwrap();
            (until - Instant::now()).as_secs_f64().round()
        });
        assert!(waits.by_ref().eq([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]));
    }

    #[test]
    fn the_only_task_is_asked_even_when_it_refused() {
        let tasks = Tasks::default();
        tasks.task(SocketAddr::new(ADDRESSES[0], 80)).refused();
        let only = &ADDRESSES[..1];
        assert!(tasks.choose(only, 80, &[]).is_some());
        assert!(tasks.choose(only, 80, &[SocketAddr::new(ADDRESSES[0], 80)]).is_none());
        assert!(tasks.choose(&[], 80, &[]).is_none());
    }
}
