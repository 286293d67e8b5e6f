//! What runs now: stacks, services and tasks, as a tree.

use std::collections::{BTreeMap, HashMap};

use ailtire_docker::{ApiRequest, Engine, EngineError};
use serde::{Deserialize, Serialize};

use crate::converge::{Slot, Task};
use crate::observe::{ObservedNode, ObservedService, services_request};
use crate::scale::replicas;
use crate::spec::ServiceMode;
use crate::{Desired, DesiredService, Identity, calls, label};

/// What runs of one application in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whose it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// Stacks by path, parents before children.
    pub stacks: Vec<StackStatus>,
}

/// A stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackStatus {
    /// The full path, `/` between its parts.
    pub path: String,
    /// Its instance, which is the namespace that Docker shows.
    pub instance: String,
    /// Services by name.
    pub services: Vec<ServiceStatus>,
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// It was deployed, and is not there any more, or not yet.
    Missing,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Whether another number of tasks can be asked for: neither of one task a node, nor of a job.
    #[serde(default)]
    pub can_scale: bool,
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
    /// Instance of the stack that it manages, where it is a manager.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manages: Option<String>,
    /// When it was last changed, as the swarm writes times (RFC 3339).
    pub updated_at: String,
    /// The newest error of its tasks, unless all is well.
    pub last_error: Option<String>,
    /// Its newest task in each slot, or on each node.
    pub tasks: Vec<TaskStatus>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Reads what runs, in three requests.
///
/// # Errors
///
/// [`EngineError`] where the engine refuses, is no manager, or breaks off.
pub async fn status(engine: &Engine, identity: &Identity) -> Result<Status, EngineError> {
    read(engine, identity, calls::owned_by(identity, services_request(engine))).await
}

/// Reads what runs of one stack of a deployment, by its instance.
///
/// # Errors
///
/// [`EngineError`] where the engine refuses, is no manager, or breaks off.
pub async fn stack_status(
    engine: &Engine,
    identity: &Identity,
    instance: &str,
) -> Result<Status, EngineError> {
    let request = calls::owned_by(identity, services_request(engine));
    let of_stack = request.filter("label", format!("{}={instance}", label::NAMESPACE));
    read(engine, identity, of_stack).await
}

async fn read(
    engine: &Engine,
    identity: &Identity,
    services: ApiRequest<'_>,
) -> Result<Status, EngineError> {
    let services: Vec<ObservedService> = services.json().await?;
    let mut tasks = engine.get("/tasks");
    for service in &services {
        tasks = tasks.filter("service", service.id.clone());
    }
    let (tasks, nodes): (Vec<Task>, Vec<ObservedNode>) = if services.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        tokio::try_join!(tasks.json(), engine.get("/nodes").json())?
    };
    let nodes: HashMap<String, ObservedNode> =
        nodes.into_iter().map(|node| (node.id.clone(), node)).collect();
    let mut by_service: HashMap<String, Vec<Task>> = HashMap::new();
    for task in tasks {
        by_service.entry(task.service_id.clone()).or_default().push(task);
    }
    let mut stacks: BTreeMap<Vec<String>, StackStatus> = BTreeMap::new();
    for service in services {
        let path = service.stack_path().to_owned();
        // A root's manager is in no stack, and shown with the one that it manages.
        let manages = service.spec.labels.get(label::MANAGER).map(String::as_str);
        let instance = service.namespace().or(manages).unwrap_or_default().to_owned();
        let tasks = by_service.remove(&service.id).unwrap_or_default();
        let parts = path.split('/').map(str::to_owned).collect();
        let stack = stacks.entry(parts).or_insert(StackStatus { path, instance, services: vec![] });
        stack.services.push(describe(service, tasks, &nodes));
    }
    let mut stacks: Vec<_> = stacks.into_values().collect();
    for stack in &mut stacks {
        stack.sort();
    }
    Ok(Status { identity: identity.clone(), stacks })
}

impl StackStatus {
    /// Services by name, after the stack's own manager.
    fn sort(&mut self) {
        let instance = &self.instance;
        let key = |service: &ServiceStatus| {
            (service.manages.as_ref() != Some(instance), service.name.clone())
        };
        self.services.sort_by_cached_key(key);
    }
}

impl Status {
    /// Adds services of `deployed` that are not there, in stacks that are.
    pub fn add_missing(&mut self, deployed: &Desired) {
        for stack in &mut self.stacks {
            let wanted = deployed.stacks.iter().filter(|it| it.namespace == stack.instance);
            for service in wanted.flat_map(|it| &it.services) {
                if stack.services.iter().all(|found| found.full_name != service.spec.name) {
                    stack.services.push(missing(service));
                }
            }
            stack.sort();
        }
    }
}

fn missing(service: &DesiredService) -> ServiceStatus {
    let wanted = match &service.spec.mode {
        Some(ServiceMode::Replicated { replicas }) => replicas.unwrap_or(1),
        _ => 1,
    };
    ServiceStatus {
        name: service.name.clone(),
        id: String::new(),
        full_name: service.spec.name.clone(),
        condition: ServiceCondition::Missing,
        wanted,
        can_scale: replicas(&service.spec).is_some(),
        running: 0,
        completed: 0,
        image: service.image.clone(),
        runs: service.spec.task_template.container_spec.image.clone(),
        fingerprint: service.fingerprint.clone(),
        tty: false,
        manages: service.spec.labels.get(label::MANAGER).cloned(),
        updated_at: String::new(),
        last_error: None,
        tasks: Vec::new(),
    }
}

fn describe(
    service: ObservedService,
    tasks: Vec<Task>,
    nodes: &HashMap<String, ObservedNode>,
) -> ServiceStatus {
    let name = service.short_name().to_owned();
    let full_name = service.name().to_owned();
    // The swarm's own count takes in tasks of nodes that are down.
    let runs = |task: &&Task| {
        let is_wanted = matches!(&*task.desired_state, "running" | "complete");
        let is_down = nodes.get(&task.node_id).is_some_and(ObservedNode::is_down);
        task.status.state == "running" && is_wanted && !is_down
    };
    let running = tasks.iter().filter(runs).count() as u64;
    // The swarm replaces a task that failed at once, and the new one knows nothing of it.
    let failed = tasks.iter().filter(|task| !task.status.err.is_empty());
    let failed = failed.max_by(|one, other| one.age_key().cmp(&other.age_key()));
    let failure = failed.map(|task| task.status.err.clone());
    let tasks: Vec<TaskStatus> =
        newest(tasks).into_iter().map(|task| describe_task(task, &full_name, nodes)).collect();
    let counts = service.status.unwrap_or_default();
    let completed = tasks.iter().filter(|task| task.state == "complete").count() as u64;
    let completed = counts.completed_tasks.max(completed);
    let update = service.update.unwrap_or_default();
    let condition = condition((counts.desired_tasks, running), completed, &update.state);
    let last_error = match condition {
        ServiceCondition::Paused => Some(update.message),
        ServiceCondition::Degraded => failure,
        ServiceCondition::Updating => tasks.iter().rev().find_map(|task| task.error.clone()),
        _ => None,
    };
    let can_scale = replicas(&service.spec).is_some();
    let container = service.spec.task_template.container_spec;
    let labels = &service.spec.labels;
    ServiceStatus {
        name,
        full_name,
        id: service.id,
        condition,
        wanted: counts.desired_tasks,
        can_scale,
        running,
        completed,
        image: labels.get(label::IMAGE).unwrap_or(&container.image).clone(),
        fingerprint: labels.get(label::FINGERPRINT).cloned(),
        runs: container.image,
        tty: container.tty,
        manages: labels.get(label::MANAGER).cloned(),
        updated_at: service.updated_at,
        last_error,
        tasks,
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
fn newest(tasks: Vec<Task>) -> Vec<Task> {
    let mut newest: BTreeMap<Slot, Task> = BTreeMap::new();
    for task in tasks {
        let is_newer = |known: &Task| task.age_key() > known.age_key();
        let place = task.place();
        if newest.get(&place).is_none_or(is_newer) {
            newest.insert(place, task);
        }
    }
    newest.into_values().collect()
}

fn describe_task(task: Task, service: &str, nodes: &HashMap<String, ObservedNode>) -> TaskStatus {
    let node = nodes.get(&task.node_id);
    let image = task.spec["ContainerSpec"]["Image"].as_str().unwrap_or_default();
    let container = task.status.container_status.as_ref();
    TaskStatus {
        name: task.name(service),
        node: node.and_then(|node| node.host_name()).map(str::to_owned),
        node_is_down: node.is_some_and(ObservedNode::is_down),
        exit_code: task.exit_code().filter(|_| task.has_ended()),
        container: container.map(|it| it.container_id.clone()).filter(|id| !id.is_empty()),
        image: image.to_owned(),
        id: task.id,
        desired_state: task.desired_state,
        since: task.status.timestamp,
        error: Some(task.status.err).filter(|error| !error.is_empty()),
        state: task.status.state,
    }
}
