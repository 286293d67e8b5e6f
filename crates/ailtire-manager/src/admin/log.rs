//! What the tasks of a service write.

use std::sync::Arc;

use ailtire_gateway::BodyError;
use ailtire_swarm::logs::{LogOptions, TaskLine, logs};
use ailtire_swarm::status::{ServiceStatus, stack_status};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::StatusCode;
use serde_json::json;

use super::Answer;
use super::reply::{html, stream};
use super::request::Asked;
use super::status::{PATIENCE, context, report};
use crate::auth::Caller;
use crate::failure::ApiError;
use crate::page::{self, DEFAULT_TAIL, LogPage};
use crate::state::Manager;

/// The most lines of each task that a page shows.
const MOST: u64 = 5000;

/// How lines are written.
#[derive(Clone, Copy)]
enum Form {
    /// `task | text`
    Text,
    /// One object a line.
    Json,
    /// Server-sent events, each with an object.
    Events,
}

pub(super) async fn log(manager: &Arc<Manager>, caller: &Caller, asked: &Asked) -> Answer {
    let name = asked.required("name")?;
    let service = find(manager, name).await?;
    let tail = match asked.field("tail") {
        None => Some(DEFAULT_TAIL),
        Some("all") => None,
        Some(_) => Some(asked.number("tail")?),
    };
    if asked.wants_page() {
        return page(manager, caller, &service, tail.unwrap_or(MOST).min(MOST)).await;
    }
    let form = if asked.accepts("application/x-ndjson") {
        Form::Json
    } else if asked.accepts("text/event-stream") {
        Form::Events
    } else {
        Form::Text
    };
    let options = LogOptions { follow: asked.is_on("follow"), tail, since: None };
    let lines = read(manager, &service, &options).await?;
    let pieces = lines.map_ok(move |line| Bytes::from(write(&line, form)));
    let pieces = pieces.map_err(BodyError::from);
    let pieces = pieces.take_until(manager.closing.clone().cancelled_owned());
    let content_type = match form {
        Form::Text => "text/plain; charset=utf-8",
        Form::Json => "application/x-ndjson",
        Form::Events => "text/event-stream",
    };
    Ok(stream(content_type, pieces))
}

async fn find(manager: &Manager, name: &str) -> Result<ServiceStatus, ApiError> {
    let place = manager.state().place.clone();
    let (Some(place), Some(engine)) = (place, manager.engine()) else {
        let error = "the engine did not answer yet";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, "try again"));
    };
    let status = stack_status(engine, &place.identity, &place.instance).await?;
    let mut services = status.stacks.into_iter().flat_map(|stack| stack.services);
    services.find(|service| service.name == name).ok_or_else(|| {
        let hint = "`GET /_admin/status` lists the services";
        ApiError::new(StatusCode::NOT_FOUND, format!("there is no service `{name}`"), hint)
    })
}

async fn read(
    manager: &Manager,
    service: &ServiceStatus,
    options: &LogOptions,
) -> Result<ailtire_docker::ApiStream<TaskLine>, ApiError> {
    let Some(engine) = manager.engine() else {
        let error = "the engine did not answer yet";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, "try again"));
    };
    Ok(logs(engine, &service.id, &service.full_name, service.tty, options).await?)
}

async fn page(manager: &Manager, caller: &Caller, service: &ServiceStatus, tail: u64) -> Answer {
    let options = LogOptions { follow: false, tail: Some(tail), since: None };
    let mut found = Vec::new();
    let mut error = None;
    match read(manager, service, &options).await {
        Ok(mut lines) => {
            while let Some(line) = lines.next().await {
                match line {
                    Ok(line) => found.push(line),
                    Err(broken) => error = Some(broken.to_string()),
                }
            }
        }
        Err(refused) => error = Some(refused.error),
    }
    found.sort_by(|one, other| one.time.cmp(&other.time));
    let report = report(manager, PATIENCE).await?;
    let page = LogPage { service: &service.name, tail, lines: &found, error: error.as_deref() };
    Ok(html(StatusCode::OK, page::logs(&report, &page, &context(caller, None))))
}

fn write(line: &TaskLine, form: Form) -> String {
    let TaskLine { task, stream, time, text } = line;
    let object = json!({ "task": task, "stream": stream, "time": time, "text": text });
    match form {
        Form::Text => format!("{task} | {text}\n"),
        Form::Json => format!("{object}\n"),
        Form::Events => format!("data: {object}\n\n"),
    }
}
