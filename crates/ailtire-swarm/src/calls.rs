//! The requests that change something, and what they may run into.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ailtire_docker::{ApiRequest, Engine, EngineError};
use ailtire_events::ObjectKind;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use crate::Identity;
use crate::converge::Task;
use crate::observe::{ObservedFile, ObservedNetwork, ObservedNode, ObservedService};
use crate::spec::NetworkSpec;

/// Tries of a request that others get in the way of.
const TRIES: usize = 6;
/// The time between two tries.
const BETWEEN: Duration = Duration::from_millis(300);

/// The answer to whatever makes something; engines write its id both ways.
#[derive(Deserialize)]
pub(crate) struct Created {
    #[serde(rename = "ID", alias = "Id")]
    pub(crate) id: String,
}

/// A clock for tries: its first tick is at once.
pub(crate) fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(BETWEEN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Whether the swarm could not do something just now, for reasons of its own.
fn is_busy(error: &EngineError) -> bool {
    let EngineError::Api { message, .. } = error else { return false };
    ["does not have a leader", "leader is changing", "DeadlineExceeded", "Unavailable"]
        .iter()
        .any(|mark| message.contains(mark))
}

fn is_out_of_sequence(error: &EngineError) -> bool {
    matches!(error, EngineError::Api { message, .. } if message.contains("out of sequence"))
}

/// Whether something is there already, or not there any more.
pub(crate) fn has_status(error: &EngineError, wanted: u16) -> bool {
    matches!(error, EngineError::Api { status, .. } if *status == wanted)
}

/// `request`, for what belongs to a deployment only.
pub(crate) fn owned_by<'a>(identity: &Identity, request: ApiRequest<'a>) -> ApiRequest<'a> {
    let labels = identity.labels().map(|(name, value)| format!("{name}={value}"));
    labels.into_iter().fold(request, |request, label| request.filter("label", label))
}

/// Reads a service as it is now; `None` where there is none.
pub(crate) async fn read_service(
    engine: &Engine,
    id_or_name: &str,
) -> Result<Option<ObservedService>, EngineError> {
    match engine.get(format!("/services/{id_or_name}")).json().await {
        Ok(service) => Ok(Some(service)),
        Err(error) if has_status(&error, 404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a service, and returns its id.
pub(crate) async fn create_service(
    engine: &Engine,
    spec: &Value,
    auth: Option<String>,
) -> Result<String, EngineError> {
    let mut ticks = ticks();
    let mut tries = 0;
    loop {
        ticks.tick().await;
        tries += 1;
        let request = engine.post("/services/create").body(spec).registry_auth(auth.clone());
        match request.json::<Created>().await {
            Ok(created) => return Ok(created.id),
            Err(error) if is_busy(&error) && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

/// Changes a service that was read as `service`, unless somebody else changed its spec since.
///
/// The swarm raises a service's version also when it goes on with an update; then the request is
/// made again with the new one.
pub(crate) async fn update_service(
    engine: &Engine,
    service: &ObservedService,
    spec: &Value,
    auth: Option<String>,
) -> Result<(), EngineError> {
    let mut version = service.version;
    let mut ticks = ticks();
    let mut tries = 0;
    loop {
        ticks.tick().await;
        tries += 1;
        let request = engine
            .post(format!("/services/{}/update", service.id))
            .query("version", &version)
            .registry_auth(auth.clone())
            .body(spec);
        let error = match request.done().await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if tries >= TRIES {
            return Err(error);
        }
        if is_out_of_sequence(&error) {
            match read_service(engine, &service.id).await? {
                Some(now) if now.raw == service.raw => version = now.version,
                _ => {
                    let message = "somebody else changed the service at the same time".to_owned();
                    return Err(EngineError::Api { status: 409, message });
                }
            }
        } else if !is_busy(&error) {
            return Err(error);
        }
    }
}

/// The tasks of a service; none where there is no such service.
pub(crate) async fn tasks_of(engine: &Engine, service: &str) -> Result<Vec<Task>, EngineError> {
    match engine.get("/tasks").filter("service", service).json().await {
        Err(error) if has_status(&error, 404) => Ok(Vec::new()),
        other => other,
    }
}

/// Removes a service, and returns the ids of the tasks that it had.
pub(crate) async fn remove_service(
    engine: &Engine,
    id: &str,
) -> Result<BTreeSet<String>, EngineError> {
    let tasks = tasks_of(engine, id).await?;
    match engine.delete(format!("/services/{id}")).done().await {
        Err(error) if !has_status(&error, 404) => Err(error),
        _ => Ok(tasks.into_iter().map(|task| task.id).collect()),
    }
}

/// Takes out the tasks that the swarm does not want any more and whose node is down. Nobody tells
/// their end before the node is back, and then it ends what it still has.
pub(crate) async fn retain_reported(
    engine: &Engine,
    tasks: &mut Vec<Task>,
) -> Result<(), EngineError> {
    let is_unreported = |task: &Task| !task.is_wanted() && !task.has_ended();
    if !tasks.iter().any(|task| is_unreported(task) && !task.node_id.is_empty()) {
        return Ok(());
    }
    let nodes: Vec<ObservedNode> = engine.get("/nodes").json().await?;
    let down = nodes.into_iter().filter(ObservedNode::is_down);
    let down: BTreeSet<String> = down.map(|node| node.id).collect();
    tasks.retain(|task| !is_unreported(task) || !down.contains(&task.node_id));
    Ok(())
}

/// Whether the swarm still has to do something about a task of a service that was removed. It keeps
/// tasks of jobs that ended, and never forgets them.
fn is_going(task: &Task) -> bool {
    !task.has_ended() || task.desired_state == "remove"
}

/// Waits until tasks are gone; those that are not at `deadline` are returned.
pub(crate) async fn wait_for_end(
    engine: &Engine,
    tasks: &BTreeSet<String>,
    deadline: Instant,
) -> Result<Vec<Task>, EngineError> {
    let mut ticks = ticks();
    loop {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        // Its service is gone, and so is the way to ask for its tasks.
        let request = tasks.iter().fold(engine.get("/tasks"), |it, id| it.filter("id", id));
        let mut left: Vec<Task> = request.json().await?;
        left.retain(is_going);
        retain_reported(engine, &mut left).await?;
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        ticks.tick().await;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Waits until this node has no container of `services`, given by their ids: tasks are forgotten
/// before their containers are. Names of those that are there at `deadline` are returned.
///
/// Nodes keep containers of jobs that ended; those are removed here.
pub(crate) async fn wait_for_containers(
    engine: &Engine,
    services: &BTreeSet<String>,
    deadline: Instant,
) -> Result<Vec<String>, EngineError> {
    const SERVICE: &str = "com.docker.swarm.service.id";
    let mut ticks = ticks();
    let mut ended = BTreeSet::new();
    loop {
        let request = engine.get("/containers/json").query("all", &true).filter("label", SERVICE);
        let containers: Vec<Container> = request.json().await?;
        let left = containers.into_iter().filter(|container| {
            container.labels.get(SERVICE).is_some_and(|service| services.contains(service))
        });
        let left: Vec<Container> = left.collect();
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left.into_iter().flat_map(|container| container.names).collect());
        }
        for container in
            left.iter().filter(|it| it.state == "exited" && !ended.insert(it.id.clone()))
        {
            // The node may be about it at the same time.
            let _ = engine.delete(format!("/containers/{}", container.id)).done().await;
        }
        ticks.tick().await;
    }
}

/// Makes a network, or takes the one of this name that somebody made just now.
pub(crate) async fn create_network(
    engine: &Engine,
    spec: &Value,
    name: &str,
) -> Result<String, EngineError> {
    let mut body = spec.clone();
    body["CheckDuplicate"] = json!(true);
    let created = engine.post("/networks/create").body(&body).json::<Created>().await;
    match created {
        Ok(created) => Ok(created.id),
        Err(error @ EngineError::Api { .. }) => {
            let found: Vec<ObservedNetwork> =
                engine.get("/networks").filter("name", name).json().await?;
            let same = |network: &&ObservedNetwork| {
                network.name == name
                    && network.scope == "swarm"
                    && json!(network.labels) == spec["Labels"]
            };
            found.iter().find(same).map(|network| network.id.clone()).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// Makes a config or a secret, or takes the one of this name that somebody made just now: what they
/// hold is in their names.
pub(crate) async fn create_file(
    engine: &Engine,
    path: &str,
    spec: &Value,
) -> Result<String, EngineError> {
    let created = engine.post(format!("{path}/create")).body(spec).json::<Created>().await;
    match created {
        Ok(created) => Ok(created.id),
        Err(error) if has_status(&error, 409) => {
            let name = spec["Name"].as_str().unwrap_or_default();
            let found: Vec<ObservedFile> = engine.get(path).filter("name", name).json().await?;
            let same = found.iter().find(|file| file.name == name);
            same.map(|file| file.id.clone()).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// Removes a network, a config or a secret; one that is not there is fine. A network is tried until
/// `deadline`, since endpoints of tasks that ended go a little later.
pub(crate) async fn remove_object(
    engine: &Engine,
    kind: ObjectKind,
    id: &str,
    deadline: Instant,
) -> Result<(), EngineError> {
    let mut ticks = ticks();
    loop {
        ticks.tick().await;
        match engine.delete(format!("{}/{id}", path_of(kind))).done().await {
            Err(error) if has_status(&error, 404) => return Ok(()),
            Err(error @ EngineError::Api { .. })
                if (kind == ObjectKind::Network && is_in_use(&error) || is_busy(&error))
                    && Instant::now() < deadline => {}
            other => return other,
        }
    }
}

/// Removes a config, in one try; one that is not there is fine.
pub(crate) async fn remove_config(engine: &Engine, id: &str) -> Result<(), EngineError> {
    remove_object(engine, ObjectKind::Config, id, Instant::now()).await
}

/// Whether something is still used.
pub(crate) fn is_in_use(error: &EngineError) -> bool {
    let EngineError::Api { message, .. } = error else { return false };
    ["in use", "active endpoints", "is being used"].iter().any(|mark| message.contains(mark))
}

pub(crate) fn path_of(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Network => "/networks",
        ObjectKind::Config => "/configs",
        ObjectKind::Secret => "/secrets",
        ObjectKind::Service => "/services",
        ObjectKind::Volume => "/volumes",
    }
}

/// A network as it was, to make it again.
pub(crate) fn network_spec(network: &ObservedNetwork) -> Value {
    let spec = NetworkSpec {
        name: network.name.clone(),
        driver: network.driver.clone(),
        options: BTreeMap::clone(&network.options),
        labels: network.labels.clone(),
        internal: network.internal,
        attachable: network.attachable,
        ipam: serde_json::from_value(network.ipam.clone()).ok(),
    };
    // A spec has only texts as keys, and so always becomes JSON.
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    if let Some(options) = value["Options"].as_object_mut() {
        // The engine gives out a number of its own.
        options.remove("com.docker.network.driver.overlay.vxlanid_list");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_tasks_of_jobs_that_ended() {
        let task = |state: &str, desired: &str| {
            let task = json!({"Status": {"State": state}, "DesiredState": desired});
            serde_json::from_value::<Task>(task).unwrap()
        };
        assert!(is_going(&task("running", "remove")));
        assert!(is_going(&task("shutdown", "remove")));
        assert!(is_going(&task("running", "shutdown")));
        assert!(!is_going(&task("complete", "complete")));
        assert!(!is_going(&task("failed", "shutdown")));
    }
}
