//! What has to be there before services: networks, configs, secrets; and what has to go first.

use ailtire_events::{EventKind, ObjectAction, ObjectKind};
use serde_json::Value;
use tokio::time::Instant;

use super::{ApplyError, Run, object_error};
use crate::calls;
use crate::plan::ObjectChange;
use crate::undo::{ServiceName, Step};

impl Run<'_> {
    /// Removes what is in the way, and makes what services use; parents' networks before their
    /// children's.
    pub(super) async fn objects(&self) -> Result<(), ApplyError> {
        self.clear_the_way().await?;
        for (stack, changes) in self.desired.stacks.iter().zip(&self.changes.stacks) {
            for change in &changes.objects {
                if self.cancel.is_cancelled() {
                    return Err(ApplyError::Cancelled);
                }
                if change.action != ObjectAction::Untouched {
                    let spec = match change.kind {
                        ObjectKind::Network => find(&stack.networks, |it| it.name == change.name),
                        ObjectKind::Config => find(&stack.configs, |it| it.name == change.name),
                        _ => find(&stack.secrets, |it| it.name == change.name),
                    };
                    self.create_object(change, &spec).await?;
                }
                self.sink.emit(EventKind::ObjectChanged {
                    stack: changes.path.clone(),
                    kind: change.kind,
                    name: change.name.clone(),
                    action: change.action,
                    changes: change.changes.clone(),
                });
            }
        }
        Ok(())
    }

    async fn create_object(&self, change: &ObjectChange, spec: &Value) -> Result<(), ApplyError> {
        let ObjectChange { kind, name, .. } = change;
        let created = match kind {
            ObjectKind::Network => calls::create_network(self.engine, spec, name).await,
            kind => calls::create_file(self.engine, calls::path_of(*kind), spec).await,
        };
        let id = created.map_err(|error| object_error(*kind, name, error))?;
        self.record(Step::CreatedObject { kind: *kind, id: id.clone(), name: name.clone() });
        let mut ids = self.ids();
        let known = match kind {
            ObjectKind::Network => &mut ids.networks,
            ObjectKind::Config => &mut ids.configs,
            _ => &mut ids.secrets,
        };
        known.insert(name.clone(), id);
        Ok(())
    }

    /// Removes services that hold what others need, services that have to be made again, and then
    /// networks that have to be.
    async fn clear_the_way(&self) -> Result<(), ApplyError> {
        let deadline = Instant::now() + self.options.wait.timeout;
        let mut tasks = std::collections::BTreeSet::new();
        for orphan in self.changes.orphans.iter().filter(|orphan| orphan.first) {
            let Some(service) = self.observed.service(&orphan.name) else { continue };
            let name = ServiceName::new(&orphan.path, service.short_name(), &orphan.name);
            tasks.extend(self.take_away(&orphan.id, name).await?);
            self.sink.emit(EventKind::ObjectChanged {
                stack: orphan.path.clone(),
                kind: ObjectKind::Service,
                name: service.short_name().to_owned(),
                action: ObjectAction::Removed,
                changes: Vec::new(),
            });
        }
        // Dependents before what they depend on.
        for node in self.graph.sorted().unwrap_or_default().into_iter().rev() {
            let (stack, service) = self.graph.nodes[node].place;
            let change = &self.changes.stacks[stack].services[service];
            if let Some(service) = self.observed.service(&change.full_name)
                && change.recreate
            {
                let path = &self.changes.stacks[stack].path;
                let name = ServiceName::new(path, &change.name, &change.full_name);
                tasks.extend(self.take_away(&service.id, name).await?);
            }
        }
        let left = calls::wait_for_end(self.engine, &tasks, deadline).await?;
        if let Some(task) = left.first() {
            return Err(ApplyError::Object {
                kind: ObjectKind::Service,
                name: task.service_id.clone(),
                message: "its tasks did not end in time".to_owned(),
            });
        }
        let objects = self.changes.stacks.iter().flat_map(|stack| &stack.objects);
        for change in objects.filter(|it| it.action == ObjectAction::Updated) {
            let Some(network) = self.observed.network(&change.name) else { continue };
            let removed = calls::remove_object(self.engine, change.kind, &network.id, deadline);
            removed.await.map_err(|error| object_error(change.kind, &change.name, error))?;
            let spec = calls::network_spec(network);
            self.record(Step::RemovedNetwork { name: change.name.clone(), spec });
        }
        Ok(())
    }

    /// Removes a service that may have to come back, and returns the ids of its tasks.
    async fn take_away(
        &self,
        id: &str,
        name: ServiceName,
    ) -> Result<std::collections::BTreeSet<String>, ApplyError> {
        let Some(service) = self.observed.services.iter().find(|service| service.id == id) else {
            return Ok(std::collections::BTreeSet::new());
        };
        let mut earlier = service.raw.clone();
        // A network that is made again has another id.
        let template = earlier["TaskTemplate"]["Networks"].as_array_mut();
        for attachment in template.into_iter().flatten() {
            let target = attachment["Target"].as_str().unwrap_or_default();
            if let Some(name) = self.observed.network_name(target) {
                attachment["Target"] = Value::from(name);
            }
        }
        let tasks = calls::remove_service(self.engine, id).await;
        let tasks = tasks.map_err(|error| object_error(ObjectKind::Service, &name.full, error))?;
        self.record(Step::RemovedService { name, earlier });
        Ok(tasks)
    }
}

fn find<T: serde::Serialize>(specs: &[T], is_it: impl Fn(&T) -> bool) -> Value {
    // A spec has only texts as keys, and so always becomes JSON.
    let spec = specs.iter().find(|spec| is_it(spec));
    spec.and_then(|spec| serde_json::to_value(spec).ok()).unwrap_or_default()
}
