//! Stacks inside, and the stack outside: announcing, and asking.
//!
//! A manager is a container on two networks, and `admin` is on both of them somebody else: the
//! parent's manager, and itself. So managers are found by what the engine knows of them, and only
//! then by their name.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ailtire_docker::{Engine, EngineError};
use ailtire_gateway::Route;
use ailtire_swarm::label;
use ailtire_swarm::manager::{MANAGER_ALIAS, MANAGER_PORT};
use futures_util::future::join_all;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{self, Ask};
use crate::log;
use crate::place::{Child, Place};
use crate::report::{API_VERSION, ChildReport, ParentReport, StackReport, StackState};
use crate::settings::ParentSettings;
use crate::setup::find_network;
use crate::state::{Manager, count};

/// How often a manager announces itself where nothing changes.
const ANNOUNCE: Duration = Duration::from_secs(30);

/// The time before another try where the parent did not answer.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What a manager announces to its parent's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) api: u32,
    /// Its stack's instance.
    pub(crate) instance: String,
    /// The service of the parent that it is.
    pub(crate) service: String,
    /// The port that it listens on, at the address that the announcement comes from.
    pub(crate) port: u16,
    pub(crate) state: StackState,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    #[serde(default)]
    networks_attachments: Option<Vec<NetworkAttachment>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkAttachment {
    network: NetworkId,
    #[serde(default)]
    addresses: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct NetworkId {
    #[serde(rename = "ID")]
    id: String,
}

/// Announces this manager to its parent's, again and again, as long as it is polled.
pub(crate) async fn register(manager: Arc<Manager>, place: Arc<Place>) {
    if place.parent.is_none() {
        return;
    }
    let mut changes = manager.changes();
    let mut announced = None;
    let mut tells_trouble = true;
    loop {
        let state = manager.state().phase;
        let answer = announce(&manager, &place, state).await;
        let is_reached = answer.is_ok();
        match &answer {
            Ok(_) => tells_trouble = true,
            Err(why) if std::mem::take(&mut tells_trouble) => {
                log::warn("the parent's manager was not reached", json!({ "why": why }));
            }
            Err(_) => {}
        }
        note_parent(&manager, &place, answer.ok().flatten(), is_reached);
        announced = if is_reached { Some(state) } else { announced };
        let rest = if is_reached { ANNOUNCE } else { TRY_AGAIN };
        let next = tokio::time::Instant::now() + rest;
        loop {
            match tokio::time::timeout_at(next, changes.changed()).await {
                // Only another state is news.
                Ok(Ok(())) if Some(manager.state().phase) == announced || !is_reached => {}
                _ => break,
            }
        }
    }
}

fn note_parent(manager: &Manager, place: &Place, state: Option<StackState>, is_reached: bool) {
    let Some(parent) = &place.parent else { return };
    let report = ParentReport { instance: parent.instance.clone(), is_reached, state };
    let mut known = manager.state();
    if known.parent.as_ref() != Some(&report) {
        known.parent = Some(report);
        drop(known);
        manager.tell();
    }
}

/// Announces a state; the parent's own state.
pub(crate) async fn announce(
    manager: &Manager,
    place: &Place,
    state: StackState,
) -> Result<Option<StackState>, String> {
    let service = place.path.last().filter(|_| place.path.len() > 1);
    let announcement = Announcement {
        api: API_VERSION,
        instance: place.instance.clone(),
        service: service.cloned().or_else(|| manager.settings.service.clone()).unwrap_or_default(),
        port: manager.settings.listen.port(),
        state,
    };
    let body = json!(announcement);
    let token = manager.state().token.clone();
    let mut trouble = Vec::new();
    for address in parent_addresses(manager, place).await {
        let ask = Ask {
            address,
            method: Method::POST,
            path: "/_admin/register",
            token: token.as_ref(),
            body: Some(&body),
            within: client::TIMEOUT,
        };
        match ask.send().await {
            Ok((status, body)) if status.is_success() => {
                let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
                return Ok(serde_json::from_value(answer["state"].clone()).ok());
            }
            Ok((status, body)) => {
                let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
                let why = answer["error"].as_str().unwrap_or_default();
                trouble.push(format!("{address}: {status} {why}"));
            }
            Err(why) => trouble.push(why),
        }
    }
    if trouble.is_empty() {
        trouble.push("nobody knows where it is".to_owned());
    }
    Err(trouble.join("; "))
}

/// Where the parent's manager may be.
async fn parent_addresses(manager: &Manager, place: &Place) -> Vec<SocketAddr> {
    let Some(parent) = &manager.settings.parent else { return Vec::new() };
    let mut found = Vec::new();
    if parent.host == MANAGER_ALIAS
        && let Some(engine) = manager.engine()
    {
        let known = manager_addresses(engine, place, parent).await;
        let known = known.unwrap_or_default().into_iter();
        found.extend(known.map(|address| SocketAddr::from((address, MANAGER_PORT))));
    }
    let host = if parent.host.contains(':') {
        parent.host.clone()
    } else {
        format!("{}:{MANAGER_PORT}", parent.host)
    };
    if let Ok(resolved) = tokio::net::lookup_host(host).await {
        found.extend(resolved.filter(|address| !is_own(*address, manager)));
    }
    let mut seen = BTreeSet::new();
    found.retain(|address| seen.insert(*address));
    found
}

/// Whether an address is this manager's own: it has the parent's name on another network.
fn is_own(address: SocketAddr, manager: &Manager) -> bool {
    // Only on an own address can a socket be made.
    address.port() == manager.settings.listen.port()
        && std::net::UdpSocket::bind((address.ip(), 0)).is_ok()
}

/// The addresses that the engine knows for the manager of the stack `parent`.
async fn manager_addresses(
    engine: &Engine,
    place: &Place,
    parent: &ParentSettings,
) -> Result<Vec<IpAddr>, EngineError> {
    let Some(network) = find_network(engine, &parent.network).await? else {
        return Ok(Vec::new());
    };
    addresses_of(engine, place, &parent.instance, &network).await
}

/// The addresses on `network` of the tasks that manage the stack `instance`.
async fn addresses_of(
    engine: &Engine,
    place: &Place,
    instance: &str,
    network: &str,
) -> Result<Vec<IpAddr>, EngineError> {
    let labels = place.identity.labels().map(|(name, value)| format!("{name}={value}"));
    let request = labels
        .into_iter()
        .fold(engine.get("/services"), |request, label| request.filter("label", label));
    let request = request.filter("label", format!("{}={instance}", label::MANAGER));
    let services: Vec<Value> = request.json().await?;
    let ids: Vec<&str> = services.iter().filter_map(|service| service["ID"].as_str()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let request = engine.get("/tasks").filter("desired-state", "running");
    let request = ids.iter().fold(request, |request, id| request.filter("service", *id));
    let tasks: Vec<Task> = request.json().await?;
    let attachments = tasks.into_iter().filter_map(|task| task.networks_attachments).flatten();
    let on_network = attachments.filter(|attachment| attachment.network.id == network);
    let addresses = on_network.filter_map(|attachment| attachment.addresses).flatten();
    Ok(addresses.filter_map(|text| text.split('/').next()?.parse().ok()).collect())
}

/// Takes in what a child's manager announces. Whether its stack is being removed.
pub(crate) fn take(manager: &Manager, announcement: &Announcement, from: IpAddr) -> Option<bool> {
    let place = manager.state().place.clone()?;
    let mut state = manager.state();
    let service = state.design.as_ref()?.services.get(&announcement.service)?.clone();
    if !service.is_stack
        || place.child(&announcement.service, &service).instance != announcement.instance
    {
        return None;
    }
    count(&manager.counters.registrations);
    if announcement.state == StackState::Stopping {
        return Some(true);
    }
    let registration = crate::state::Registration {
        at: log::now(),
        address: (from, announcement.port).into(),
        state: announcement.state,
    };
    let before = state.children.insert(announcement.service.clone(), registration);
    drop(state);
    if before.is_none_or(|before| before.state != announcement.state) {
        manager.wake.notify_one();
        manager.tell();
    }
    Some(false)
}

/// What the managers of the stacks inside say of them.
pub(crate) async fn reports(
    manager: &Manager,
    engine: &Engine,
    within: Duration,
) -> Vec<ChildReport> {
    let (place, design) = {
        let state = manager.state();
        (state.place.clone(), state.design.clone())
    };
    let (Some(place), Some(design)) = (place, design) else { return Vec::new() };
    let stopped = manager.state().stopped.clone();
    let children = place.children(&design).into_iter();
    let children: Vec<Child> = children.filter(|it| !stopped.contains(&it.service)).collect();
    let asking = Asking { manager, engine, place: &place, within };
    join_all(children.iter().map(|child| asking.report(child))).await
}

/// Who asks the managers of the stacks inside.
struct Asking<'a> {
    manager: &'a Manager,
    engine: &'a Engine,
    place: &'a Place,
    /// How long each may take.
    within: Duration,
}

impl Asking<'_> {
    async fn report(&self, child: &Child) -> ChildReport {
        let registration = self.manager.state().children.get(&child.service).cloned();
        let routes = self.manager.routes();
        let is_way = |route: &Route| route.service == child.service && route.path == "/";
        let route = routes.iter().find(|it| is_way(&it.route));
        let link = route.map(|it| format!("{}/_admin/", it.route.prefix.trim_end_matches('/')));
        let (report, error) = match self.ask_child(child).await {
            Ok(report) => (Some(Box::new(report)), None),
            Err(why) => (None, Some(why)),
        };
        ChildReport {
            service: child.service.clone(),
            instance: child.instance.clone(),
            link,
            registered_at: registration.map(|registration| registration.at),
            report,
            error,
        }
    }

    /// Asks a child's manager: where it announced itself, else where the engine says that it is.
    async fn ask_child(&self, child: &Child) -> Result<StackReport, String> {
        let announced = self.manager.state().children.get(&child.service).map(|it| it.address);
        let mut trouble = match announced {
            Some(address) => match self.ask(address, &child.instance).await {
                Ok(report) => return Ok(report),
                Err(why) => why,
            },
            None => "its manager did not announce itself yet".to_owned(),
        };
        for address in self.addresses(child).await {
            if Some(address) != announced {
                match self.ask(address, &child.instance).await {
                    Ok(report) => return Ok(report),
                    Err(why) => trouble = why,
                }
            }
        }
        Err(trouble)
    }

    async fn addresses(&self, child: &Child) -> Vec<SocketAddr> {
        let Some(design) = self.manager.state().design.clone() else { return Vec::new() };
        let family = self.place.family_network(&design);
        let network = find_network(self.engine, &family).await;
        let Ok(Some(network)) = network else { return Vec::new() };
        let found = addresses_of(self.engine, self.place, &child.instance, &network).await;
        found.unwrap_or_default().into_iter().map(|it| (it, MANAGER_PORT).into()).collect()
    }

    async fn ask(&self, address: SocketAddr, instance: &str) -> Result<StackReport, String> {
        // It asks its own children, and has to answer before we stop waiting.
        let path = format!("/_admin/status?within={}", self.within.as_millis() * 3 / 4);
        let token = self.manager.state().token.clone();
        let (method, path) = (Method::GET, &*path);
        let within = self.within;
        let ask = Ask { address, method, path, token: token.as_ref(), body: None, within };
        let (status, body) = ask.send().await?;
        if !status.is_success() {
            return Err(format!("{address}: it answered with status {status}"));
        }
        let report: StackReport = serde_json::from_slice(&body)
            .map_err(|error| format!("{address}: its answer makes no sense: {error}"))?;
        // The address may have become another manager's.
        if report.instance == instance {
            Ok(report)
        } else {
            Err(format!("{address}: another manager has this address now"))
        }
    }
}
