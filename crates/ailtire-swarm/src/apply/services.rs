//! Services in their order.

use std::collections::BTreeSet;
use std::time::Duration;

use ailtire_docker::EngineError;
use ailtire_events::{
    EventKind, ObjectAction, ObjectKind, ServiceFailure, ServiceState, TaskCounts,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::watch;

use super::outcome::NodeEnd;
use super::{OnFailure, Run};
use crate::calls;
use crate::converge::{Converged, Progress, Task, Wait, WaitError, tell_failure};
use crate::observe::ObservedService;
use crate::order::Node;
use crate::plan::{ServiceChange, service_difference};
use crate::undo::{ServiceName, Step};

/// How long requests that were begun may go on after a run was cancelled.
const GRACE: Duration = Duration::from_secs(10);

/// Whether what depends on a service may begin: `None` as long as it is not known; then nothing, or
/// the service that keeps it from beginning.
type Gate = watch::Sender<Option<Result<(), Option<usize>>>>;

/// What was done for a service.
#[derive(Default)]
struct Acted {
    id: String,
    /// The tasks that it had before.
    before: BTreeSet<String>,
    /// Whether its tasks are replaced only because they got new credentials.
    renewed: bool,
}

impl Run<'_> {
    /// Changes all services and waits for them.
    pub(super) async fn services(&self) -> Vec<NodeEnd> {
        let count = self.graph.nodes.len();
        let gates: Vec<Gate> = (0..count).map(|_| watch::Sender::new(None)).collect();
        let mut ends: Vec<Option<NodeEnd>> = vec![None; count];
        let mut running = FuturesUnordered::new();
        for node in 0..count {
            let gates = &gates;
            running.push(async move { (node, self.service(node, gates).await) });
        }
        let all = async {
            while let Some((node, end)) = running.next().await {
                self.react(node, &end, &gates);
                ends[node] = Some(end);
            }
        };
        // The monitor never ends; it is dropped when all services are done.
        let grace = async {
            self.halt.cancelled().await;
            // Requests that were begun end soon, unless the engine is gone.
            let forever = std::future::pending::<()>();
            let _ = tokio::time::timeout(GRACE, forever).await;
        };
        tokio::select! {
            () = all => {}
            () = self.monitor.run() => {}
            () = grace => {}
        }
        ends.into_iter().map(|end| end.unwrap_or(NodeEnd::Interrupted { last: None })).collect()
    }

    /// Opens or closes the way for those that depend on a service, and ends the run where it has to.
    fn react(&self, node: usize, end: &NodeEnd, gates: &[Gate]) {
        let gate = match end {
            NodeEnd::Converged { .. } | NodeEnd::Detached => Ok(()),
            NodeEnd::Failed(_) => Err(Some(node)),
            NodeEnd::Skipped { because } => Err(*because),
            NodeEnd::Interrupted { .. } | NodeEnd::Engine(_) => Err(None),
        };
        match (end, self.options.on_failure) {
            (NodeEnd::Failed(_), OnFailure::Rollback) | (NodeEnd::Engine(_), _) => {
                self.halt.cancel();
            }
            (NodeEnd::Failed(_), OnFailure::Stop) => self.closed.cancel(),
            _ => {}
        }
        gates[node].send_replace(Some(gate));
    }

    async fn service(&self, node: usize, gates: &[Gate]) -> NodeEnd {
        let Node { place: (stack, index), service, .. } = self.graph.nodes[node];
        let changes = &self.changes.stacks[stack];
        let change = &changes.services[index];
        if let Err(because) = self.prerequisites(node, &changes.path, gates).await {
            self.sink.emit(EventKind::ServiceSkipped {
                stack: changes.path.clone(),
                service: change.name.clone(),
                because: because.map(|node| self.graph.nodes[node].path()),
            });
            return NodeEnd::Skipped { because };
        }
        let Acted { id, before, renewed } = match self.act(node, change).await {
            Ok(done) => done,
            Err(error) => return self.failed(node, error),
        };
        self.sink.emit(EventKind::ObjectChanged {
            stack: changes.path.clone(),
            kind: ObjectKind::Service,
            name: service.name.clone(),
            action: change.action,
            changes: change.changes.clone(),
        });
        if self.options.detach
            && change.action != ObjectAction::Untouched
            && !self.graph.is_needed(node)
        {
            return NodeEnd::Detached;
        }
        let progress = Progress::default();
        let wait = Wait {
            monitor: &self.monitor,
            sink: self.sink,
            stack: &changes.path,
            service: &service.name,
            id: &id,
            before,
            changed: change.action == ObjectAction::Created || affects_tasks(change) || renewed,
            replaced: change.action == ObjectAction::Created || change.restarts || renewed,
            must_complete: self.graph.must_complete[node],
            options: self.options.wait,
            progress: &progress,
        };
        tokio::select! {
            biased;
            waited = wait.run() => self.ended(node, waited),
            () = self.halt.cancelled() => NodeEnd::Interrupted { last: progress.last() },
        }
    }

    /// Waits for what a service needs.
    async fn prerequisites(
        &self,
        node: usize,
        stack: &str,
        gates: &[Gate],
    ) -> Result<(), Option<usize>> {
        let mut told = false;
        for &needed in &self.graph.needs[node] {
            let mut gate = gates[needed].subscribe();
            if gate.borrow().is_none() && !told {
                told = true;
                self.sink.emit(EventKind::ServiceProgress {
                    stack: stack.to_owned(),
                    service: self.graph.nodes[node].service.name.clone(),
                    state: ServiceState::Waiting,
                    tasks: TaskCounts::default(),
                    message: Some(format!("waits for {}", self.graph.nodes[needed].path())),
                });
            }
            let open = tokio::select! {
                biased;
                gate = gate.wait_for(Option::is_some) => gate.map_or(Some(Err(None)), |it| *it),
                () = self.closed.cancelled() => Some(Err(None)),
            };
            open.unwrap_or(Err(None))?;
        }
        if self.closed.is_cancelled() { Err(None) } else { Ok(()) }
    }

    fn ended(&self, node: usize, waited: Result<Converged, WaitError>) -> NodeEnd {
        match waited {
            Ok(converged) => {
                let Node { stack, service, .. } = self.graph.nodes[node];
                converged.tell(self.sink, &stack.path, &service.name);
                NodeEnd::Converged { state: converged.state, tasks: converged.counts }
            }
            Err(error) => self.failed(node, error),
        }
    }

    fn failed(&self, node: usize, error: WaitError) -> NodeEnd {
        let failure = match error {
            WaitError::Engine(error) => return NodeEnd::Engine(error),
            WaitError::Failed(failure) | WaitError::TimedOut(failure) => failure,
        };
        let Node { stack, service, .. } = self.graph.nodes[node];
        tell_failure(self.sink, &stack.path, &service.name, &failure);
        NodeEnd::Failed(failure)
    }

    /// Makes a service what it is to be.
    async fn act(&self, node: usize, change: &ServiceChange) -> Result<Acted, WaitError> {
        let Node { stack, service, .. } = self.graph.nodes[node];
        let name = ServiceName::new(&stack.path, &service.name, &change.full_name);
        let found = self.observed.service(&change.full_name).filter(|_| !change.recreate);
        let Some(found) = found else {
            let spec = self.spec_with_ids(node)?;
            let auth = self.credentials(&service.image).await;
            let id = calls::create_service(self.engine, &spec, auth).await.map_err(refused)?;
            self.record(Step::CreatedService { name, id: id.clone() });
            return Ok(Acted { id, ..Acted::default() });
        };
        if change.action == ObjectAction::Untouched {
            return self.renew_credentials(found, &service.image).await;
        }
        let mut spec = self.spec_with_ids(node)?;
        let difference = service_difference(service, found, self.observed);
        keep_tasks(&mut spec, &found.raw, difference.task, difference.endpoint);
        let auth = self.credentials(&service.image).await;
        let tasks = calls::tasks_of(self.engine, &found.id).await.map_err(refused)?;
        calls::update_service(self.engine, found, &spec, auth).await.map_err(refused)?;
        self.record(Step::UpdatedService {
            name,
            id: found.id.clone(),
            earlier: found.raw.clone(),
            restarted: change.restarts,
        });
        Ok(Acted { id: found.id.clone(), before: ids_of(tasks), renewed: false })
    }

    /// Gives a service that is as it is to be the credentials that its nodes seem to lack: they
    /// refuse its tasks. One whose tasks run is left alone, since new credentials replace them all.
    async fn renew_credentials(
        &self,
        found: &ObservedService,
        image: &str,
    ) -> Result<Acted, WaitError> {
        let unchanged = Acted { id: found.id.clone(), ..Acted::default() };
        let Some(auth) = self.credentials(image).await else { return Ok(unchanged) };
        let tasks = calls::tasks_of(self.engine, &found.id).await.map_err(refused)?;
        let is_waiting = |task: &Task| task.is_wanted() && task.status.state != "running";
        let is_refused = |task: &Task| task.status.state == "rejected";
        if !tasks.iter().any(is_waiting) || !tasks.iter().any(is_refused) {
            return Ok(unchanged);
        }
        calls::update_service(self.engine, found, &found.raw, Some(auth)).await.map_err(refused)?;
        Ok(Acted { before: ids_of(tasks), renewed: true, ..unchanged })
    }

    fn spec_with_ids(&self, node: usize) -> Result<Value, WaitError> {
        let ids = self.ids().clone();
        let spec = &self.graph.nodes[node].service.spec;
        let spec = spec.with_ids(&ids.configs, &ids.secrets, &ids.networks);
        let spec = spec.map_err(|missing| failure(missing.to_string()))?;
        serde_json::to_value(spec).map_err(|error| failure(error.to_string()))
    }
}

fn ids_of(tasks: Vec<Task>) -> BTreeSet<String> {
    tasks.into_iter().map(|task| task.id).collect()
}

/// Whether a change may make tasks come, go or be replaced: more than labels.
fn affects_tasks(change: &ServiceChange) -> bool {
    let by_field = |field: &str| field == "deploy.replicas" || field == "deploy.mode";
    change.restarts || change.changes.iter().any(|change| by_field(&change.field))
}

/// Sends back what the swarm has where it means the same: tasks are replaced for a spec that is
/// merely written in another way. What a client counted up to restart tasks stays counted.
pub(crate) fn keep_tasks(
    spec: &mut Value,
    found: &Value,
    task_differs: bool,
    endpoint_differs: bool,
) {
    if !task_differs {
        spec["TaskTemplate"] = found["TaskTemplate"].clone();
    } else if let Some(force) = found["TaskTemplate"].get("ForceUpdate") {
        spec["TaskTemplate"]["ForceUpdate"] = force.clone();
    }
    if !endpoint_differs {
        match found.get("EndpointSpec") {
            Some(endpoint) => spec["EndpointSpec"] = endpoint.clone(),
            None => {
                spec.as_object_mut().and_then(|fields| fields.remove("EndpointSpec"));
            }
        }
    }
}

fn failure(message: String) -> WaitError {
    WaitError::Failed(Box::new(ServiceFailure { message, ..ServiceFailure::default() }))
}

/// What the engine's refusal of a service means. A broken connection ends the run; a refusal is
/// about this service.
fn refused(error: EngineError) -> WaitError {
    match error {
        EngineError::Api { message, .. } => {
            let message = match message.split_once("desc = ") {
                Some((_, description)) => description.to_owned(),
                None => message,
            };
            failure(format!("the engine refuses it: {message}"))
        }
        other => WaitError::Engine(other),
    }
}
