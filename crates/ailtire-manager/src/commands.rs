//! What the interface asks of who deploys.

use std::sync::Arc;

use ailtire_docker::Engine;
use ailtire_events::ObjectAction;
use ailtire_swarm::{Desired, DesiredService, label, plan};
use http::StatusCode;
use serde_json::{Value, json};

use crate::deploy::Deployer;
use crate::desired::{replicas, scale as scale_spec};
use crate::engine_service::EngineService;
use crate::failure::ApiError;
use crate::log;
use crate::report::API_VERSION;
use crate::update::Update;

async fn write(engine: &Engine, name: &str, service: &EngineService) -> Result<(), ApiError> {
    let done = service.update(engine, name, &service.spec).await;
    done.map_err(|error| match error {
        ailtire_docker::EngineError::Api { message, .. } => ApiError::new(
            StatusCode::CONFLICT,
            format!("the engine refuses it: {message}"),
            "try again; somebody else may have changed the service at the same time",
        ),
        other => other.into(),
    })
}

/// What is to run; nothing is known of it before the stack's design was read.
fn desired(deployer: &Deployer) -> Result<Arc<Desired>, ApiError> {
    deployer.manager.state().desired.clone().ok_or_else(|| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the stack is not deployed yet",
            "see `GET /_admin/status` for what it waits for, and try again",
        )
    })
}

fn find<'a>(desired: &'a Desired, name: &str) -> Result<&'a DesiredService, ApiError> {
    let found = desired.stacks[0].services.iter().find(|service| service.name == name);
    found.ok_or_else(|| {
        let names = desired.stacks[0].services.iter().map(|service| service.name.as_str());
        let near = ailtire_terms::nearest(name, names);
        ApiError::new(
            StatusCode::NOT_FOUND,
            format!("the stack has no service `{name}`"),
            ailtire_terms::did_you_mean(&near)
                .unwrap_or_else(|| "`GET /_admin/status` lists its services".to_owned()),
        )
    })
}

/// Another number of tasks for a service; it is kept until the stack is redeployed.
pub(crate) async fn scale(
    deployer: &mut Deployer,
    name: &str,
    number: u64,
) -> Result<Value, ApiError> {
    let desired = desired(deployer)?;
    let service = find(&desired, name)?;
    let refuse = |why: &str, hint: &str| ApiError::new(StatusCode::CONFLICT, why, hint);
    if service.spec.labels.contains_key(label::MANAGER) {
        let why = format!("`{name}` runs a stack, of which there is one instance");
        return Err(refuse(&why, "scale the services of that stack, or shut it down"));
    }
    let Some(before) = replicas(&service.spec) else {
        let why = format!("`{name}` has one task a node, or ends by itself: it can't be scaled");
        return Err(refuse(&why, "only services with `deploy.mode: replicated` can be"));
    };
    let mut wanted = service.spec.clone();
    scale_spec(&mut wanted, number);
    let full_name = wanted.name.clone();
    let Some(mut found) = EngineService::find(&deployer.engine, &full_name).await? else {
        let why = format!("`{name}` is not there just now");
        return Err(refuse(&why, "it is being brought back; try again"));
    };
    found.spec["Mode"] = json!({ "Replicated": { "Replicas": number } });
    for name in [label::SCALE, label::DIGEST] {
        let labels = found.spec["Labels"].as_object_mut();
        match (wanted.labels.get(name), labels) {
            (Some(value), Some(labels)) => drop(labels.insert(name.to_owned(), json!(value))),
            (None, Some(labels)) => drop(labels.remove(name)),
            (_, None) => {}
        }
    }
    write(&deployer.engine, &full_name, &found).await?;
    let mut changed = Desired::clone(&desired);
    let services = changed.stacks[0].services.iter_mut();
    for service in services.filter(|service| service.name == name) {
        service.spec = wanted.clone();
    }
    deployer.manager.state().desired = Some(Arc::new(changed));
    log::info("a service was scaled", json!({ "service": name, "from": before, "to": number }));
    Ok(json!({ "api": API_VERSION, "service": name, "replicas": number }))
}

/// New tasks for one service; or, without a name, everything is brought to the design, numbers of
/// tasks that were chosen by hand included.
pub(crate) async fn redeploy(
    deployer: &mut Deployer,
    name: Option<&str>,
) -> Result<Value, ApiError> {
    let wanted = desired(deployer)?;
    match name {
        Some(name) => {
            let service = find(&wanted, name)?;
            force(deployer, service).await?;
        }
        None => {
            for service in &wanted.stacks[0].services {
                forget_scale(deployer, service).await?;
            }
        }
    }
    log::info("a redeployment was asked for", json!({ "service": name }));
    Ok(json!({ "api": API_VERSION, "service": name }))
}

/// Replaces all tasks of a service. One that is not there is brought back anyway.
async fn force(deployer: &Deployer, service: &DesiredService) -> Result<(), ApiError> {
    let name = &service.spec.name;
    let Some(mut found) = EngineService::find(&deployer.engine, name).await? else { return Ok(()) };
    let counter = &mut found.spec["TaskTemplate"]["ForceUpdate"];
    *counter = json!(counter.as_u64().unwrap_or_default() + 1);
    write(&deployer.engine, name, &found).await
}

async fn forget_scale(deployer: &Deployer, service: &DesiredService) -> Result<(), ApiError> {
    if !service.spec.labels.contains_key(label::SCALE) {
        return Ok(());
    }
    let name = &service.spec.name;
    let Some(mut found) = EngineService::find(&deployer.engine, name).await? else { return Ok(()) };
    if let Some(labels) = found.spec["Labels"].as_object_mut() {
        labels.remove(label::SCALE);
    }
    write(&deployer.engine, name, &found).await
}

/// Another design. Everything about it is looked at before anything is changed.
pub(crate) async fn update(deployer: &mut Deployer, update: Update) -> Result<Value, ApiError> {
    let (_, desired, observed) = deployer.want(Some(&update)).await?;
    let changes = plan(&desired, &observed, &deployer.plan_options())
        .map_err(crate::failure::Failure::Findings)?;
    let base = &deployer.manager.content.digest;
    let name = update.keep(&deployer.engine, &deployer.place, base).await?;
    deployer.set_update(update, name);
    let services = changes.services().map(|(_, service)| service);
    let touched: Vec<Value> = services
        .filter(|service| service.action != ObjectAction::Untouched)
        .map(|service| json!({ "name": service.name, "action": service.action }))
        .collect();
    let orphans = changes.orphans.iter().filter(|orphan| orphan.removed);
    let removed: Vec<&str> = orphans.map(|orphan| orphan.name.as_str()).collect();
    log::info("another design was sent", json!({ "services": touched, "removed": removed }));
    let warnings = &changes.warnings;
    Ok(json!({
        "api": API_VERSION, "services": touched, "removed": removed, "warnings": warnings,
    }))
}
