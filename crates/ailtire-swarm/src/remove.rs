//! Taking stacks away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ailtire_docker::{Engine, EngineError};
use ailtire_events::{
    DeploymentSummary, Diagnostic, EventKind, EventSink, ObjectAction, ObjectKind,
};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::calls;
use crate::desired::label;
use crate::observe::{Observed, ObservedService, observe_all};
use crate::order::Graph;
use crate::plan::Owner;
use crate::{Desired, Identity};

/// How long something may be in use before the user is told.
const SOON: Duration = Duration::from_secs(5);

/// What to take away, and how.
#[derive(Debug, Clone)]
pub struct RemoveOptions {
    /// Instances of stacks; empty: all of the deployment.
    pub namespaces: BTreeSet<String>,
    /// Whether named volumes go, too, with what they hold.
    pub volumes: bool,
    /// How long it may take.
    pub timeout: Duration,
    /// Names of networks that stay: who removes the others is on them.
    pub keep: BTreeSet<String>,
}

/// What became of a removal.
#[derive(Debug, Clone, Default)]
pub struct Removed {
    /// The counts; networks, configs, secrets and volumes count too.
    pub summary: DeploymentSummary,
    /// What could not be removed, in words.
    pub failures: Vec<String>,
    /// Whether the run was cancelled. What was removed stays so.
    pub cancelled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    #[serde(default)]
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    #[serde(default)]
    containers: Option<BTreeMap<String, Container>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    #[serde(default)]
    name: String,
}

/// Removes all that a deployment made: managers first, so that none brings back what is being
/// removed; then children before their parents, and what depends on a service before it. Each step
/// ends when its tasks are gone, not when the engine has heard of it.
///
/// `design` tells what depends on what; without it only the tree of stacks does. Doing it again does
/// the rest of what could not be done.
///
/// # Errors
/// [`EngineError`] where the engine can't be asked.
pub async fn remove(
    engine: &Engine,
    identity: &Identity,
    design: Option<&Desired>,
    options: &RemoveOptions,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> Result<Removed, EngineError> {
    let begin = std::time::Instant::now();
    let observed = observe_all(engine).await?;
    let mut removal = Removal {
        engine,
        identity,
        options,
        sink,
        deadline: Instant::now() + options.timeout,
        stacks: BTreeSet::new(),
        removed: Removed::default(),
    };
    let work = removal.all(&observed, design);
    tokio::select! {
        biased;
        done = work => done?,
        () = cancel.cancelled() => {}
    }
    let mut removed = removal.removed;
    removed.cancelled = cancel.is_cancelled();
    removed.summary.duration = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    sink.emit(EventKind::DeploymentFinished { summary: removed.summary });
    Ok(removed)
}

struct Removal<'a> {
    engine: &'a Engine,
    identity: &'a Identity,
    options: &'a RemoveOptions,
    sink: &'a dyn EventSink,
    deadline: Instant,
    /// Stacks that have services of the deployment.
    stacks: BTreeSet<String>,
    removed: Removed,
}

impl Removal<'_> {
    async fn all(
        &mut self,
        observed: &Observed,
        design: Option<&Desired>,
    ) -> Result<(), EngineError> {
        let again = self.managers(observed).await?;
        let observed = again.as_ref().unwrap_or(observed);
        let services: Vec<&ObservedService> = self.ours(observed).collect();
        let stacks: BTreeSet<_> = services.iter().filter_map(|it| it.namespace()).collect();
        self.removed.summary.stacks = stacks.len();
        self.stacks = stacks.iter().map(|&stack| stack.to_owned()).collect();
        for rank in ranks(&services, design) {
            self.services(&rank).await?;
        }
        self.containers(&services).await?;
        let networks = observed
            .networks
            .iter()
            .filter(|it| self.is_ours(&it.labels) && !self.options.keep.contains(&it.name));
        let files = |kind, files: &[crate::ObservedFile]| {
            let ours = files.iter().filter(|file| self.is_ours(&file.labels));
            ours.map(|file| (kind, file.id.clone(), file.name.clone(), stack_of(&file.labels)))
                .collect::<Vec<_>>()
        };
        let objects: Vec<_> = networks
            .map(|it| (ObjectKind::Network, it.id.clone(), it.name.clone(), stack_of(&it.labels)))
            .chain(files(ObjectKind::Config, &observed.configs))
            .chain(files(ObjectKind::Secret, &observed.secrets))
            .collect();
        for (kind, id, name, stack) in objects {
            self.object(kind, &id, &name, &stack).await?;
        }
        if self.options.volumes {
            self.volumes(&stacks).await?;
        }
        if self.options.namespaces.is_empty() {
            self.token().await?;
        }
        Ok(())
    }

    /// Removes managers, those of outer stacks first: as long as it runs, a manager brings back what
    /// is taken away from its stack, and so the managers of the stacks inside. What is there when all
    /// of them are gone, unless there were none.
    async fn managers(&mut self, observed: &Observed) -> Result<Option<Observed>, EngineError> {
        let mut again: Option<Observed> = None;
        loop {
            let observed = again.as_ref().unwrap_or(observed);
            let managers: Vec<_> = self.ours(observed).filter(|it| is_manager(it)).collect();
            let Some(outermost) = managers.iter().map(|it| depth(it)).min() else {
                return Ok(again);
            };
            let rank: Vec<&ObservedService> =
                managers.into_iter().filter(|it| depth(it) == outermost).collect();
            let failures = self.removed.failures.len();
            self.services(&rank).await?;
            self.containers(&rank).await?;
            again = Some(observe_all(self.engine).await?);
            if self.removed.failures.len() > failures {
                // It would be refused again.
                return Ok(again);
            }
        }
    }

    /// The services that are to go.
    fn ours<'observed>(
        &self,
        observed: &'observed Observed,
    ) -> impl Iterator<Item = &'observed ObservedService> {
        observed.services.iter().filter(|service| {
            let labels = &service.spec.labels;
            self.is_ours(labels) || (self.options.namespaces.is_empty() && self.is_root(labels))
        })
    }

    /// Whether these are the labels of the manager of a stack that lies in no other one.
    fn is_root(&self, labels: &BTreeMap<String, String>) -> bool {
        let is_in_no_stack = !labels.contains_key(label::NAMESPACE);
        is_in_no_stack && labels.contains_key(label::MANAGER) && self.identity.owns(labels)
    }

    /// The application's token: nobody asks for it any more.
    async fn token(&mut self) -> Result<(), EngineError> {
        for secret in crate::token::all(self.engine, self.identity).await? {
            self.object(ObjectKind::Secret, &secret.id, &secret.name, "").await?;
        }
        Ok(())
    }

    fn is_ours(&self, labels: &BTreeMap<String, String>) -> bool {
        let Some(namespace) = labels.get(label::NAMESPACE) else { return false };
        let chosen = &self.options.namespaces;
        match Owner::of(labels, self.identity) {
            Owner::Ours => chosen.is_empty() || chosen.contains(namespace),
            // Networks of a stack that was taken over never got our labels.
            Owner::Unknown => chosen.contains(namespace) || self.stacks.contains(namespace),
            Owner::Other(..) => false,
        }
    }

    /// Removes services, and waits until their tasks are gone.
    async fn services(&mut self, services: &[&ObservedService]) -> Result<(), EngineError> {
        let mut tasks = BTreeSet::new();
        for service in services {
            match calls::remove_service(self.engine, &service.id).await {
                Ok(ended) => {
                    tasks.extend(ended);
                    self.tell(ObjectKind::Service, service.stack_path(), service.short_name());
                }
                Err(error @ EngineError::Api { .. }) => {
                    self.removed.summary.failed += 1;
                    self.removed.failures.push(format!("service {}: {error}", service.name()));
                }
                Err(error) => return Err(error),
            }
        }
        let left = calls::wait_for_end(self.engine, &tasks, self.deadline).await?;
        for task in left {
            let service = services.iter().find(|service| service.id == task.service_id);
            let name = service.map_or(task.service_id.as_str(), |service| service.name());
            let text = format!("task {}: it did not end in time", task.name(name));
            self.removed.failures.push(text);
        }
        Ok(())
    }

    /// Waits until the engine's node has no container of these services any more.
    async fn containers(&mut self, services: &[&ObservedService]) -> Result<(), EngineError> {
        let ids: BTreeSet<String> = services.iter().map(|service| service.id.clone()).collect();
        if !ids.is_empty() {
            let left = calls::wait_for_containers(self.engine, &ids, self.deadline).await?;
            let failures = left.iter().map(|name| format!("container {name}: it is still there"));
            self.removed.failures.extend(failures);
        }
        Ok(())
    }

    async fn object(
        &mut self,
        kind: ObjectKind,
        id: &str,
        name: &str,
        stack: &str,
    ) -> Result<(), EngineError> {
        let soon = self.deadline.min(Instant::now() + SOON);
        let mut removed = calls::remove_object(self.engine, kind, id, soon).await;
        if removed.as_ref().is_err_and(calls::is_in_use) {
            let holders = self.holders(kind, id, name).await;
            if kind == ObjectKind::Network && soon < self.deadline {
                // Whoever waits can do something about it.
                let message = format!("waiting for the network `{name}`, which is still in use");
                let diagnostic = Diagnostic::warning("network-in-use", message);
                let diagnostic = holders.iter().fold(diagnostic, Diagnostic::detail);
                self.sink.emit(EventKind::Diagnostic { diagnostic });
                removed = calls::remove_object(self.engine, kind, id, self.deadline).await;
            }
        }
        match removed {
            Ok(()) => self.tell(kind, stack, name),
            Err(error @ EngineError::Api { .. }) => {
                let holders = self.holders(kind, id, name).await.join("; ");
                let failure = match holders.as_str() {
                    "" => format!("{kind} {name}: {error}"),
                    holders => format!("{kind} {name}: it is still in use: {holders}"),
                };
                self.removed.summary.failed += 1;
                self.removed.failures.push(failure);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What this node has on a network, and how it gets off it.
    async fn holders(&self, kind: ObjectKind, id: &str, name: &str) -> Vec<String> {
        if kind != ObjectKind::Network {
            return Vec::new();
        }
        let network: Result<Network, _> = self.engine.get(format!("/networks/{id}")).json().await;
        let containers = network.ok().and_then(|network| network.containers).unwrap_or_default();
        // The engine's own ends of the network are there as long as anything else is.
        let containers = containers.into_iter().filter(|(key, _)| !key.starts_with("lb-"));
        containers
            .map(|(_, Container { name: it })| {
                format!("container `{it}` (`docker network disconnect -f {name} {it}`)")
            })
            .collect()
    }

    /// Volumes of this engine's node; those of other nodes can't be reached from here.
    async fn volumes(&mut self, stacks: &BTreeSet<&str>) -> Result<(), EngineError> {
        for stack in stacks.iter().copied().chain(
            self.options
                .namespaces
                .iter()
                .map(String::as_str)
                .filter(|namespace| !stacks.contains(namespace)),
        ) {
            let request = self.engine.get("/volumes");
            let request = request.filter("label", format!("{}={stack}", label::NAMESPACE));
            let found: Volumes = request.json().await?;
            for volume in found.volumes.unwrap_or_default() {
                self.object(ObjectKind::Volume, &volume.name, &volume.name, stack).await?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, kind: ObjectKind, stack: &str, name: &str) {
        self.removed.summary.removed += 1;
        self.sink.emit(EventKind::ObjectChanged {
            stack: stack.to_owned(),
            kind,
            name: name.to_owned(),
            action: ObjectAction::Removed,
            changes: Vec::new(),
        });
    }
}

/// How many stacks a manager's service lies in.
fn depth(service: &ObservedService) -> usize {
    let labels = &service.spec.labels;
    let path = labels.get(label::STACK_PATH).filter(|_| labels.contains_key(label::NAMESPACE));
    path.map_or(0, |path| path.split('/').count())
}

fn is_manager(service: &ObservedService) -> bool {
    service.spec.labels.contains_key(label::MANAGER)
}

fn stack_of(labels: &BTreeMap<String, String>) -> String {
    labels.get(label::NAMESPACE).cloned().unwrap_or_default()
}

/// Services in groups, each of which goes before the next one: by the design where it knows a
/// service, by the depth of its stack otherwise. What the design does not know any more goes first.
fn ranks<'a>(
    services: &[&'a ObservedService],
    design: Option<&Desired>,
) -> Vec<Vec<&'a ObservedService>> {
    let depths = design.map(depths).unwrap_or_default();
    let rank = |service: &ObservedService| match depths.get(service.name()) {
        Some(depth) => *depth,
        None if !depths.is_empty() => usize::MAX,
        None => {
            let path = service.spec.labels.get(label::STACK_PATH);
            path.map_or(0, |path| path.matches('/').count())
        }
    };
    let mut groups: BTreeMap<std::cmp::Reverse<usize>, Vec<&ObservedService>> = BTreeMap::new();
    for service in services {
        groups.entry(std::cmp::Reverse(rank(service))).or_default().push(service);
    }
    groups.into_values().collect()
}

/// How many services have to be there before each one, one after the other; a stack's are there
/// before those of the stacks that it holds.
fn depths(design: &Desired) -> BTreeMap<&str, usize> {
    let graph = Graph::new(design);
    let mut depths = vec![0; graph.nodes.len()];
    let mut bases = vec![0; design.stacks.len()];
    let sorted = graph.sorted().unwrap_or_default();
    // Parents come before children, so one pass over the stacks is enough.
    for (index, stack) in design.stacks.iter().enumerate() {
        if let Some(parent) = stack.parent {
            let of_parent = graph.nodes.iter().zip(&depths);
            let of_parent = of_parent.filter(|(node, _)| node.place.0 == parent);
            bases[index] = of_parent.map(|(_, depth)| depth + 1).max().unwrap_or(bases[parent] + 1);
        }
        for &node in sorted.iter().filter(|node| graph.nodes[**node].place.0 == index) {
            let needed = graph.needs[node].iter().map(|needed| depths[*needed] + 1).max();
            depths[node] = needed.unwrap_or(0).max(bases[index]);
        }
    }
    let names = graph.nodes.iter().map(|node| node.service.spec.name.as_str());
    names.zip(depths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, path: &str) -> ObservedService {
        let spec = serde_json::json!({"Name": name, "Labels": {label::STACK_PATH: path}});
        serde_json::from_value(serde_json::json!({"ID": name, "Spec": spec})).unwrap()
    }

    #[test]
    fn the_manager_of_the_root_lies_in_no_stack() {
        let mut root = service("root", "root");
        let mut inner = service("root_child", "root");
        inner.spec.labels.insert(label::NAMESPACE.to_owned(), "root".to_owned());
        assert_eq!((depth(&root), depth(&inner)), (0, 1));
        root.spec.labels.clear();
        assert_eq!(depth(&root), 0);
    }

    #[test]
    fn children_go_before_their_parents() {
        let services = [service("root_web", "root"), service("child_web", "root/child")];
        let services: Vec<_> = services.iter().collect();
        let names: Vec<Vec<_>> = ranks(&services, None)
            .iter()
            .map(|rank| rank.iter().map(|service| service.name().to_owned()).collect())
            .collect();
        assert_eq!(names, [["child_web"], ["root_web"]]);
    }
}
