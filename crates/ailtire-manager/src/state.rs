//! What everybody in the manager knows: where it stands, what it deploys, how that is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ailtire_compose::StackDesign;
use ailtire_docker::Engine;
use ailtire_gateway::{Gateway, Route};
use ailtire_swarm::Desired;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::{Access, Token};
use crate::bundle::Content;
use crate::failure::ApiError;
use crate::log;
use crate::place::Place;
use crate::report::{ParentReport, RouteEntry, StackState};
use crate::settings::Settings;
use crate::update::Update;

/// What everybody in the manager shares.
pub(crate) struct Manager {
    pub(crate) settings: Settings,
    pub(crate) content: Content,
    pub(crate) gateway: Gateway,
    pub(crate) started_at: u64,
    pub(crate) counters: Counters,
    /// To who deploys.
    pub(crate) commands: mpsc::Sender<Command>,
    /// Something happened that may need doing.
    pub(crate) wake: Notify,
    /// Ends answers that would go on for ever.
    pub(crate) closing: CancellationToken,
    /// Counts changes that somebody who looks wants to see.
    changes: watch::Sender<u64>,
    engine: OnceLock<Engine>,
    state: Mutex<State>,
}

/// What changes while the manager runs.
pub(crate) struct State {
    pub(crate) place: Option<Arc<Place>>,
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) token: Option<Token>,
    pub(crate) design: Option<Arc<StackDesign>>,
    pub(crate) desired: Option<Arc<Desired>>,
    /// How the stack is, and why it is so.
    pub(crate) phase: StackState,
    pub(crate) message: Option<String>,
    /// Whether the stack was deployed for the first time.
    pub(crate) is_ready: bool,
    /// Stacks inside that announced themselves, by service.
    pub(crate) children: BTreeMap<String, Registration>,
    /// Services whose stacks were shut down by somebody: they are not brought back.
    pub(crate) stopped: BTreeSet<String>,
    pub(crate) parent: Option<ParentReport>,
    routes: Vec<RouteEntry>,
    next_route: u64,
}

/// A stack inside that announced itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Registration {
    pub(crate) at: u64,
    pub(crate) address: SocketAddr,
    pub(crate) state: StackState,
}

/// Numbers for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) applies: AtomicU64,
    pub(crate) failed_applies: AtomicU64,
    pub(crate) stream_connects: AtomicU64,
    pub(crate) registrations: AtomicU64,
}

pub(crate) type Reply = oneshot::Sender<Result<Value, ApiError>>;

/// What the interface asks of who deploys.
pub(crate) enum Command {
    Scale {
        service: String,
        replicas: u64,
        reply: Reply,
    },
    Redeploy {
        service: Option<String>,
        reply: Reply,
    },
    Update {
        update: Box<Update>,
        reply: Reply,
    },
    Shutdown {
        volumes: bool,
        reply: Option<Reply>,
    },
    /// A stack inside was shut down.
    Stopped {
        service: String,
        reply: Reply,
    },
}

impl Manager {
    pub(crate) fn new(
        settings: Settings,
        content: Content,
        gateway: Gateway,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        let state = State {
            place: None,
            access: None,
            token: None,
            design: None,
            desired: None,
            phase: StackState::Deploying,
            message: None,
            is_ready: false,
            children: BTreeMap::new(),
            stopped: BTreeSet::new(),
            parent: None,
            routes: Vec::new(),
            next_route: 1,
        };
        Self {
            settings,
            content,
            gateway,
            started_at: log::now(),
            counters: Counters::default(),
            commands,
            wake: Notify::new(),
            closing: CancellationToken::new(),
            changes: watch::Sender::new(0),
            engine: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine, once it answered.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.get()
    }

    pub(crate) fn set_engine(&self, engine: Engine) {
        // There is one only.
        let _ = self.engine.set(engine);
    }

    /// Tells those who look.
    pub(crate) fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Hears of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How the stack is from now on.
    pub(crate) fn set_phase(&self, phase: StackState, message: Option<String>) {
        let mut state = self.state();
        let is_new = state.phase != phase || state.message != message;
        state.phase = phase;
        state.message = message;
        drop(state);
        if is_new {
            self.tell();
        }
    }

    /// From now on the stack counts as deployed.
    pub(crate) fn set_ready(&self) {
        if !std::mem::replace(&mut self.state().is_ready, true) {
            log::info("deployed", serde_json::json!({ "after_ms": log::since_start() }));
            self.tell();
        }
    }

    /// The routes of the design take the place of those before; added ones stay.
    pub(crate) fn set_routes(&self, routes: Vec<Route>) {
        let mut state = self.state();
        let mut old = std::mem::take(&mut state.routes);
        for route in routes {
            let known = old.iter().position(|entry| !entry.added && entry.route == route);
            let entry = match known {
                Some(index) => old.swap_remove(index),
                None => RouteEntry { id: state.next_id(), route, added: false },
            };
            state.routes.push(entry);
        }
        state.routes.extend(old.into_iter().filter(|entry| entry.added));
        self.use_routes(&mut state);
    }

    /// Adds a route at run time; a prefix has one route only.
    pub(crate) fn add_route(&self, route: Route) -> Result<RouteEntry, RouteEntry> {
        let mut state = self.state();
        if let Some(known) = state.routes.iter().find(|entry| entry.route.prefix == route.prefix) {
            return Err(known.clone());
        }
        let entry = RouteEntry { id: state.next_id(), route, added: true };
        state.routes.push(entry.clone());
        self.use_routes(&mut state);
        drop(state);
        self.tell();
        Ok(entry)
    }

    /// Removes a route; what it was, if there is one.
    pub(crate) fn remove_route(&self, id: u64) -> Option<RouteEntry> {
        let mut state = self.state();
        let index = state.routes.iter().position(|entry| entry.id == id && entry.added)?;
        let entry = state.routes.remove(index);
        self.use_routes(&mut state);
        drop(state);
        self.tell();
        Some(entry)
    }

    /// All routes, longest prefix first.
    pub(crate) fn routes(&self) -> Vec<RouteEntry> {
        self.state().routes.clone()
    }

    fn use_routes(&self, state: &mut State) {
        state.routes.sort_by(|one, other| {
            let key = |entry: &RouteEntry| (std::cmp::Reverse(entry.route.prefix.len()), entry.id);
            key(one).cmp(&key(other))
        });
        self.gateway.set_routes(state.routes.iter().map(|entry| entry.route.clone()).collect());
    }
}

impl State {
    /// All routes, longest prefix first.
    pub(crate) fn all_routes(&self) -> &[RouteEntry] {
        &self.routes
    }

    fn next_id(&mut self) -> u64 {
        let id = self.next_route;
        self.next_route += 1;
        id
    }
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A route of a design, as the gateway has it.
pub(crate) fn gateway_route(route: &ailtire_compose::Route) -> Route {
    Route {
        prefix: route.prefix.clone(),
        service: route.service.clone(),
        path: route.path.clone(),
        port: route.port,
        timeout: route.timeout,
        retries: route.retries,
    }
}
