//! Another token for an application whose managers run.

use std::collections::BTreeSet;

use ailtire_docker::{Engine, EngineError};
use ailtire_events::{
    DeploymentSummary, EventKind, EventSink, ObjectAction, ObjectKind, ServiceFailure,
};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Token, all, create_named, is_token_file, managers, next_name};
use crate::apply::{ApplyError, Outcome, ServiceEnd, ServiceOutcome};
use crate::converge::{Awaited, Task, WaitError, WaitOptions, Waited, tell_failure, wait_for_all};
use crate::observe::{ObservedFile, ObservedService};
use crate::undo::ServiceName;
use crate::{Identity, calls, label};

/// Gives all managers of the deployment a new token, removes the one before, and waits until every
/// manager runs with the new one and none with the old one. Their tasks are replaced, those of no
/// other service.
///
/// Managers that did not become what they are to be are in the outcome, and were told to `sink`.
///
/// # Errors
///
/// [`EngineError`] where the engine refuses; running it again does the rest.
pub async fn rotate(
    engine: &Engine,
    identity: &Identity,
    token: &Token,
    options: WaitOptions,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> Result<Outcome, EngineError> {
    let begin = Instant::now();
    let old = all(engine, identity).await?;
    let name = next_name(identity, &old);
    let id = create_named(engine, identity, &name, token).await?;
    let mut managers = managers(engine, identity).await?;
    // The innermost first: a manager that starts with the new token may give it to those below.
    let depth =
        |service: &ObservedService| service.spec.labels.get(label::MANAGER).map(String::len);
    managers.sort_by_key(|service| std::cmp::Reverse(depth(service)));
    let mut before = BTreeSet::new();
    for service in &managers {
        let tasks = calls::tasks_of(engine, &service.id).await?;
        before.extend(tasks.into_iter().filter(|task| !task.has_ended()).map(|task| task.id));
        let spec = with_secret(&service.raw, &name, &id);
        calls::update_service(engine, service, &spec, None).await?;
        tell_change(service, sink);
    }
    remove_secrets(engine, old).await?;
    let waiting = Waiting { engine, options, sink, cancel };
    let mut outcome = waiting.run(&managers, &before).await?;
    outcome.summary.duration = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    sink.emit(EventKind::DeploymentFinished { summary: outcome.summary });
    Ok(outcome)
}

/// The spec of a manager's service with another secret in place of the one with its token.
fn with_secret(spec: &Value, name: &str, id: &str) -> Value {
    let mut spec = spec.clone();
    let secrets = &mut spec["TaskTemplate"]["ContainerSpec"]["Secrets"];
    for secret in secrets.as_array_mut().into_iter().flatten() {
        if secret["File"]["Name"].as_str().is_some_and(is_token_file) {
            secret["SecretID"] = id.into();
            secret["SecretName"] = name.into();
        }
    }
    spec
}

async fn remove_secrets(engine: &Engine, secrets: Vec<ObservedFile>) -> Result<(), EngineError> {
    for secret in secrets {
        match engine.delete(format!("/secrets/{}", secret.id)).done().await {
            // A manager that was made just now has it: the next rotation takes it away.
            Err(error) if !calls::is_in_use(&error) && !calls::has_status(&error, 404) => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

fn tell_change(service: &ObservedService, sink: &dyn EventSink) {
    sink.emit(EventKind::ObjectChanged {
        stack: service.stack_path().to_owned(),
        kind: ObjectKind::Service,
        name: service.short_name().to_owned(),
        action: ObjectAction::Updated,
        changes: Vec::new(),
    });
}

struct Waiting<'a> {
    engine: &'a Engine,
    options: WaitOptions,
    sink: &'a dyn EventSink,
    cancel: &'a CancellationToken,
}

impl Waiting<'_> {
    /// Waits until `managers` run with other tasks than those of `before`.
    async fn run(
        &self,
        managers: &[ObservedService],
        before: &BTreeSet<String>,
    ) -> Result<Outcome, EngineError> {
        let Self { engine, options, sink, cancel } = *self;
        let deadline = Instant::now() + options.timeout;
        let services = managers.iter().map(|service| Awaited {
            name: ServiceName::new(service.stack_path(), service.short_name(), service.name()),
            id: service.id.clone(),
            before: BTreeSet::new(),
            replaced: true,
        });
        let services: Vec<Awaited> = services.collect();
        let waited = wait_for_all(engine, &services, options, sink, cancel, |service, end| {
            let ServiceName { stack, short, .. } = &service.name;
            match end {
                Ok(converged) => converged.tell(sink, stack, short),
                Err(WaitError::Failed(failure) | WaitError::TimedOut(failure)) => {
                    tell_failure(sink, stack, short, failure);
                }
                Err(WaitError::Engine(_)) => {}
            }
        });
        let waited = waited.await;
        let left = tokio::select! {
            biased;
            () = cancel.cancelled() => Vec::new(),
            left = calls::wait_for_end(engine, before, deadline) => left?,
        };
        let mut outcome = nothing_awaited(managers.len());
        for (service, waited) in services.iter().zip(waited) {
            let end = match waited {
                Waited::Ended(Ok(converged)) => match still_there(service, &left) {
                    None => converged.end(),
                    Some(failure) => {
                        tell_failure(sink, &service.name.stack, &service.name.short, &failure);
                        ServiceEnd::Failed(Box::new(failure))
                    }
                },
                Waited::Ended(Err(WaitError::Engine(error))) => return Err(error),
                Waited::Ended(Err(WaitError::Failed(failure) | WaitError::TimedOut(failure))) => {
                    ServiceEnd::Failed(failure)
                }
                Waited::Interrupted(last) => ServiceEnd::Interrupted { last },
            };
            let ServiceName { stack, short, full } = service.name.clone();
            outcome.add(ServiceOutcome {
                stack,
                service: short,
                full_name: full,
                action: ObjectAction::Updated,
                end,
            });
        }
        if cancel.is_cancelled() {
            outcome.error = Some(ApplyError::Cancelled);
        }
        Ok(outcome)
    }
}

/// The task of a service that goes on with the token of before, though it was to end.
fn still_there(service: &Awaited, left: &[Task]) -> Option<ServiceFailure> {
    let task = left.iter().find(|task| task.service_id == service.id)?;
    Some(ServiceFailure {
        message: "a task with the token of before does not end".to_owned(),
        task: Some(task.id.clone()),
        help: Some("end its container by hand; until then the old token opens it".to_owned()),
        ..ServiceFailure::default()
    })
}

fn nothing_awaited(managers: usize) -> Outcome {
    Outcome {
        summary: DeploymentSummary { stacks: managers, ..DeploymentSummary::default() },
        services: Vec::new(),
        error: None,
        rollback: None,
        left_changes: managers > 0,
    }
}
