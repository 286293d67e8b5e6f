//! What runs now: stacks, services and tasks, as a tree.

use std::collections::{BTreeMap, HashMap};

use ailtire_docker::{Engine, EngineError};
use serde::{Deserialize, Serialize};

use crate::history::owner;
use crate::spec::ServiceSpec;
use crate::{Identity, label};

/// What runs of one application in one environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Whose it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// Stacks by path, parents before children.
    pub stacks: Vec<StackStatus>,
}

/// A stack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StackStatus {
    /// The full path, `/` between its parts.
    pub path: String,
    /// Its instance, which is the namespace that Docker shows.
    pub instance: String,
    /// Services by name.
    pub services: Vec<ServiceStatus>,
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceCondition {
    /// As many tasks run as are wanted; those with a health check are healthy.
    Running,
    /// Its tasks ended with exit code 0, as they were to.
    Completed,
    /// No task is wanted, and none runs.
    Stopped,
    /// Tasks are being replaced.
    Updating,
    /// Fewer tasks run than are wanted.
    Degraded,
    /// An update stopped half-way.
    Paused,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// Its short name.
    pub name: String,
    /// Its id in the swarm.
    pub id: String,
    /// Its full name in the swarm.
    pub full_name: String,
    /// How it is.
    pub condition: ServiceCondition,
    /// Tasks that are to run.
    pub wanted: u64,
    /// Tasks that run; one with a health check only runs when it is healthy.
    pub running: u64,
    /// Tasks that ended with exit code 0.
    pub completed: u64,
    /// Reference of its image, as the design has it.
    pub image: String,
    /// What really runs: a digest or an id.
    pub runs: String,
    /// Fingerprint of its image, where the application built it.
    pub fingerprint: Option<String>,
    /// Whether its containers have a terminal.
    pub tty: bool,
    /// When it was last changed, as the swarm writes times (RFC 3339).
    pub updated_at: String,
    /// The newest error of its tasks, unless all is well.
    pub last_error: Option<String>,
    /// Its newest task in each slot, or on each node.
    pub tasks: Vec<TaskStatus>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskStatus {
    /// `service.slot`, or `service.node` for one on every node.
    pub name: String,
    /// Its id in the swarm.
    pub id: String,
    /// Host name of its node.
    pub node: Option<String>,
    /// Whether its node is not there any more.
    pub node_is_down: bool,
    /// Its state, as the swarm calls it.
    pub state: String,
    /// The state that it is to have.
    pub desired_state: String,
    /// Since when, as the swarm writes times (RFC 3339).
    pub since: String,
    /// Why it failed.
    pub error: Option<String>,
    /// Exit code of its container, where it ended.
    pub exit_code: Option<i64>,
    /// The container.
    pub container: Option<String>,
    /// The image of its spec.
    pub image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReadService {
    #[serde(rename = "ID")]
    id: String,
    updated_at: String,
    spec: ServiceSpec,
    #[serde(default)]
    update_status: UpdateStatus,
    #[serde(default)]
    service_status: Option<Counts>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct UpdateStatus {
    state: String,
    message: String,
}

#[derive(Default, Deserialize)]
struct Counts {
    #[serde(rename = "DesiredTasks")]
    desired: u64,
    #[serde(rename = "CompletedTasks", default)]
    completed: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReadTask {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    #[serde(default)]
    slot: u64,
    #[serde(rename = "NodeID", default)]
    node_id: String,
    created_at: String,
    desired_state: String,
    status: ReadTaskStatus,
    spec: TaskSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReadTaskStatus {
    state: String,
    timestamp: String,
    #[serde(default)]
    err: String,
    container_status: Option<ContainerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerStatus {
    #[serde(rename = "ContainerID", default)]
    container_id: String,
    #[serde(default)]
    exit_code: i64,
}

#[derive(Deserialize)]
struct TaskSpec {
    #[serde(rename = "ContainerSpec")]
    container: Option<ContainerImage>,
}

#[derive(Deserialize)]
struct ContainerImage {
    #[serde(rename = "Image", default)]
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReadNode {
    #[serde(rename = "ID")]
    id: String,
    description: Description,
    status: NodeState,
}

#[derive(Deserialize)]
struct Description {
    #[serde(rename = "Hostname", default)]
    host_name: String,
}

#[derive(Deserialize)]
struct NodeState {
    #[serde(rename = "State", default)]
    state: String,
}

struct Node {
    host_name: String,
    is_down: bool,
}

/// Reads what runs, in three requests.
///
/// # Errors
///
/// [`EngineError`] where the engine refuses, is no manager, or breaks off.
pub async fn status(engine: &Engine, identity: &Identity) -> Result<Status, EngineError> {
    let mut services = engine.get("/services").query("status", &true);
    let mut tasks = engine.get("/tasks");
    for (name, value) in owner(identity) {
        services = services.filter("label", format!("{name}={value}"));
    }
    let services: Vec<ReadService> = services.json().await?;
    for service in &services {
        tasks = tasks.filter("service", service.id.clone());
    }
    let (tasks, nodes): (Vec<ReadTask>, Vec<ReadNode>) = if services.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        tokio::try_join!(tasks.json(), engine.get("/nodes").json())?
    };
    let nodes = nodes.into_iter().map(|node| {
        // A manager that was just started does not know yet, and nothing moves then.
        let is_down = node.status.state == "down";
        (node.id, Node { host_name: node.description.host_name, is_down })
    });
    let nodes: HashMap<String, Node> = nodes.collect();
    let mut by_service: HashMap<String, Vec<ReadTask>> = HashMap::new();
    for task in tasks {
        by_service.entry(task.service_id.clone()).or_default().push(task);
    }
    let mut stacks: BTreeMap<Vec<String>, StackStatus> = BTreeMap::new();
    for service in services {
        let labels = &service.spec.labels;
        let instance = labels.get(label::NAMESPACE).cloned().unwrap_or_default();
        let path = labels.get(label::STACK_PATH).cloned().unwrap_or_else(|| instance.clone());
        let tasks = by_service.remove(&service.id).unwrap_or_default();
        let parts = path.split('/').map(str::to_owned).collect();
        let stack = stacks.entry(parts).or_insert(StackStatus { path, instance, services: vec![] });
        let instance = stack.instance.clone();
        stack.services.push(describe(service, &instance, tasks, &nodes));
    }
    let mut stacks: Vec<_> = stacks.into_values().collect();
    for stack in &mut stacks {
        stack.services.sort_by(|one, other| one.name.cmp(&other.name));
    }
    Ok(Status { identity: identity.clone(), stacks })
}

fn describe(
    service: ReadService,
    instance: &str,
    tasks: Vec<ReadTask>,
    nodes: &HashMap<String, Node>,
) -> ServiceStatus {
    let ReadService { id, updated_at, spec, update_status, service_status } = service;
    let short = spec.labels.get(label::SERVICE).cloned();
    let name = short.unwrap_or_else(|| {
        spec.name.strip_prefix(&format!("{instance}_")).unwrap_or(&spec.name).to_owned()
    });
    // The swarm's own count takes in tasks of nodes that are down.
    let runs = |task: &&ReadTask| {
        let is_wanted = matches!(&*task.desired_state, "running" | "complete");
        let is_down = nodes.get(&task.node_id).is_some_and(|node| node.is_down);
        task.status.state == "running" && is_wanted && !is_down
    };
    let running = tasks.iter().filter(runs).count() as u64;
    let tasks: Vec<TaskStatus> =
        newest(tasks).into_iter().map(|task| describe_task(task, &spec.name, nodes)).collect();
    let counts = service_status.unwrap_or_default();
    let completed = tasks.iter().filter(|task| task.state == "complete").count() as u64;
    let completed = counts.completed.max(completed);
    let condition = condition((counts.desired, running), completed, &update_status.state);
    let last_error = match condition {
        ServiceCondition::Paused => Some(update_status.message),
        ServiceCondition::Degraded | ServiceCondition::Updating => {
            tasks.iter().rev().find_map(|task| task.error.clone())
        }
        _ => None,
    };
    let runs = spec.task_template.container_spec.image.clone();
    ServiceStatus {
        name,
        id,
        condition,
        wanted: counts.desired,
        running,
        completed,
        image: spec.labels.get(label::IMAGE).cloned().unwrap_or_else(|| runs.clone()),
        runs,
        fingerprint: spec.labels.get(label::FINGERPRINT).cloned(),
        tty: spec.task_template.container_spec.tty,
        updated_at,
        last_error,
        tasks,
        full_name: spec.name,
    }
}

/// `counts`: how many tasks are wanted, and how many run.
fn condition(counts: (u64, u64), completed: u64, update: &str) -> ServiceCondition {
    match update {
        "paused" | "rollback_paused" => return ServiceCondition::Paused,
        "updating" | "rollback_started" => return ServiceCondition::Updating,
        _ => {}
    }
    match counts {
        (0, 0) if completed > 0 => ServiceCondition::Completed,
        (0, 0) => ServiceCondition::Stopped,
        (wanted, running) if running >= wanted => ServiceCondition::Running,
        (wanted, running) if running + completed >= wanted => ServiceCondition::Completed,
        _ => ServiceCondition::Degraded,
    }
}

/// The newest task of each slot or node, by slot and node; of those that are not to run any more
/// only where nothing newer is there.
fn newest(tasks: Vec<ReadTask>) -> Vec<ReadTask> {
    let mut newest: BTreeMap<(u64, String), ReadTask> = BTreeMap::new();
    for task in tasks {
        // Tasks with a slot move between nodes; others stay on theirs.
        let place = if task.slot == 0 { task.node_id.clone() } else { String::new() };
        let is_newer = |known: &ReadTask| task.created_at > known.created_at;
        let key = (task.slot, place);
        if newest.get(&key).is_none_or(is_newer) {
            newest.insert(key, task);
        }
    }
    newest.into_values().collect()
}

fn describe_task(task: ReadTask, service: &str, nodes: &HashMap<String, Node>) -> TaskStatus {
    let node = nodes.get(&task.node_id);
    let place = if task.slot == 0 { task.node_id.clone() } else { task.slot.to_string() };
    let container = task.status.container_status;
    let ended = matches!(&*task.status.state, "complete" | "failed" | "rejected" | "shutdown");
    TaskStatus {
        name: format!("{service}.{place}"),
        id: task.id,
        node: node.map(|node| node.host_name.clone()),
        node_is_down: node.is_some_and(|node| node.is_down),
        state: task.status.state,
        desired_state: task.desired_state,
        since: task.status.timestamp,
        error: Some(task.status.err).filter(|error| !error.is_empty()),
        exit_code: container.as_ref().filter(|_| ended).map(|container| container.exit_code),
        container: container.map(|it| it.container_id).filter(|id| !id.is_empty()),
        image: task.spec.container.map(|container| container.image).unwrap_or_default(),
    }
}
