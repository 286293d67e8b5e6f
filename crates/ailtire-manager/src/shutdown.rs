//! Removing the stack with all that is in it, and then this manager itself.
//!
//! What is left at last is what this very process holds: its service or container, its family
//! network, the token. As a task it removes its service first; the swarm then lets go of network and
//! secret at once, and gives the process its grace period to remove both. As a container it leaves the
//! network before it removes it, and the engine removes the container last of all.

use std::time::Duration;

use ailtire_docker::{Engine, EngineError};
use ailtire_swarm::{ObservedFile, ObservedNetwork, RemoveOptions, label, observe_all, remove};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::children;
use crate::deploy::{Deployer, below, is_below};
use crate::log::{self, LogSink};
use crate::place::Place;
use crate::report::StackState;
use crate::state::Manager;

/// How long something may be in use that nobody should use any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two tries.
const BETWEEN: Duration = Duration::from_millis(200);

/// Removes everything of the stack, as far as that can be done; what is left is written to the log.
pub(crate) async fn remove_stack(manager: &Manager, deployer: &Deployer, volumes: bool) {
    let (engine, place) = (&deployer.engine, &*deployer.place);
    manager.set_phase(StackState::Stopping, None);
    log::info("the stack is being removed", json!({ "instance": place.instance }));
    if place.parent.is_some()
        && let Err(why) = children::announce(manager, place, StackState::Stopping).await
    {
        let fields = json!({ "why": why });
        log::warn("the parent was not told, and may bring the stack back", fields);
    }
    let family = own_family(manager, place);
    let mut left = remove_inside(engine, place, &family, (volumes, manager)).await;
    left.extend(remove_self(engine, place, &family).await);
    if left.is_empty() {
        log::info("the stack is removed", json!({}));
    } else {
        log::error("something of the stack is left", json!({ "what": left }));
    }
    if let Some(container) = &place.own.container
        && place.own.service.is_none()
        && !container.is_transient
    {
        // The engine ends this process with it.
        let gone = engine.delete(format!("/containers/{}", container.id)).query("force", &true);
        if let Err(error) = gone.done().await {
            log::error("the container can't be removed", json!({ "error": error.to_string() }));
        }
    }
}

fn own_family(manager: &Manager, place: &Place) -> String {
    let design = manager.state().design.clone().unwrap_or_default();
    place.family_network(&design)
}

/// Removes all but the network that this manager is on.
async fn remove_inside(
    engine: &Engine,
    place: &Place,
    family: &str,
    (volumes, manager): (bool, &Manager),
) -> Vec<String> {
    let observed = match observe_all(engine).await {
        Ok(observed) => observed,
        Err(error) => return vec![error.to_string()],
    };
    let own = place.path_text();
    let mut namespaces = below(&observed, place, |path| path == own || is_below(path, &own));
    namespaces.insert(place.instance.clone());
    let options = RemoveOptions {
        namespaces,
        volumes,
        timeout: manager.settings.timeout,
        keep: [family.to_owned()].into(),
    };
    let desired = manager.state().desired.clone();
    let cancel = CancellationToken::new();
    let removed =
        remove(engine, &place.identity, desired.as_deref(), &options, &LogSink, &cancel).await;
    match removed {
        Ok(removed) => removed.failures,
        Err(error) => vec![error.to_string()],
    }
}

/// Removes what this manager itself holds; what is left.
async fn remove_self(engine: &Engine, place: &Place, family: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mut note = |what: &str, done: Result<(), EngineError>| {
        if let Err(error) = done {
            left.push(format!("{what}: {error}"));
        }
    };
    let network = family_network(engine, place, family).await;
    if let Some(service) = &place.own.service {
        note(&service.name, delete(engine, format!("/services/{}", service.id)).await);
    } else if let (Some(container), Ok(Some(network))) = (&place.own.container, &network) {
        let body = json!({ "Container": container.id, "Force": true });
        let leave = engine.post(format!("/networks/{network}/disconnect")).body(&body);
        match leave.done().await {
            // It was not on it, or it is gone.
            Err(EngineError::Api { .. }) | Ok(()) => {}
            Err(error) => note(family, Err(error)),
        }
    }
    match network {
        Ok(Some(network)) => note(family, delete(engine, format!("/networks/{network}")).await),
        Ok(None) => {}
        Err(error) => note(family, Err(error)),
    }
    if place.parent.is_none() {
        for (list, what) in [("/configs", "the history"), ("/secrets", "the token")] {
            match of_no_stack(engine, place, list).await {
                Ok(files) => {
                    for file in files {
                        note(&file.name, delete(engine, format!("{list}/{}", file.id)).await);
                    }
                }
                Err(error) => note(what, Err(error)),
            }
        }
    }
    left
}

/// The stack's family network, unless somebody else made it.
async fn family_network(
    engine: &Engine,
    place: &Place,
    name: &str,
) -> Result<Option<String>, EngineError> {
    let found: Vec<ObservedNetwork> = engine.get("/networks").filter("name", name).json().await?;
    let is_own = |network: &ObservedNetwork| {
        network.name == name
            && network.labels.get(label::NAMESPACE) == Some(&place.instance)
            && place.identity.owns(&network.labels)
    };
    Ok(found.into_iter().find(is_own).map(|network| network.id))
}

/// What the application has and no stack of it: the configs with what was deployed when, and the
/// secrets with its token.
async fn of_no_stack(
    engine: &Engine,
    place: &Place,
    list: &str,
) -> Result<Vec<ObservedFile>, EngineError> {
    let labels = place.identity.labels().map(|(name, value)| format!("{name}={value}"));
    let request =
        labels.into_iter().fold(engine.get(list), |request, label| request.filter("label", label));
    let found: Vec<ObservedFile> = request.json().await?;
    Ok(found.into_iter().filter(|it| !it.labels.contains_key(label::NAMESPACE)).collect())
}

/// Removes something; tried again while it is still in use.
async fn delete(engine: &Engine, path: String) -> Result<(), EngineError> {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = tokio::time::interval(BETWEEN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match engine.delete(&path).done().await {
            Err(EngineError::Api { status: 404, .. }) => return Ok(()),
            Err(EngineError::Api { .. }) if Instant::now() < deadline => {}
            other => return other,
        }
    }
}
