//! The gateway's table.

use std::time::Duration;

use ailtire_gateway::{Body, Route};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use super::reply::json_reply;
use super::request::Asked;
use crate::failure::ApiError;
use crate::report::API_VERSION;
use crate::state::Manager;

/// A route as somebody writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    prefix: String,
    service: String,
    #[serde(default = "root")]
    path: String,
    port: u16,
    /// Milliseconds.
    #[serde(default)]
    timeout: Option<u64>,
    #[serde(default)]
    retries: Option<u32>,
}

fn root() -> String {
    "/".to_owned()
}

pub(super) fn list(manager: &Manager) -> Response<Body> {
    json_reply(StatusCode::OK, &json!({ "api": API_VERSION, "routes": manager.routes() }))
}

pub(super) fn show(manager: &Manager, asked: &Asked) -> Answer {
    let id = asked.number("id")?;
    let seen = manager.gateway.routes();
    let entry = manager.routes().into_iter().find(|entry| entry.id == id);
    let entry = entry.ok_or_else(|| unknown(id))?;
    let seen = seen.into_iter().find(|it| it.route == entry.route);
    Ok(json_reply(StatusCode::OK, &json!({ "api": API_VERSION, "route": entry, "seen": seen })))
}

fn unknown(id: u64) -> ApiError {
    let hint = "`GET /_admin/route/list` lists them; routes of the design can't be removed";
    ApiError::new(StatusCode::NOT_FOUND, format!("there is no such route: {id}"), hint)
}

pub(super) fn add(manager: &Manager, asked: &Asked) -> Answer {
    let wanted: Wanted = serde_json::from_slice(&asked.body).map_err(|error| {
        let error = format!("the body is no route: {error}");
        let hint = "send {\"prefix\": \"/web\", \"service\": \"web\", \"port\": 8080}";
        ApiError::new(StatusCode::BAD_REQUEST, error, hint)
    })?;
    check(manager, &wanted)?;
    let route = Route {
        prefix: wanted.prefix,
        service: wanted.service,
        path: wanted.path,
        port: wanted.port,
        timeout: wanted.timeout.map(Duration::from_millis),
        retries: wanted.retries,
    };
    match manager.add_route(route) {
        Ok(entry) => {
            Ok(json_reply(StatusCode::CREATED, &json!({ "api": API_VERSION, "route": entry })))
        }
        Err(known) => Err(ApiError::new(
            StatusCode::CONFLICT,
            format!(
                "requests under `{}` go to `{}` already",
                known.route.prefix, known.route.service
            ),
            "remove that route first, or choose another prefix",
        )),
    }
}

fn check(manager: &Manager, wanted: &Wanted) -> Result<(), ApiError> {
    let refuse = |error: String, hint: &str| {
        Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, hint))
    };
    let is_path = |text: &str| {
        text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte))
    };
    for text in [&wanted.prefix, &wanted.path] {
        if !is_path(text) {
            return refuse(format!("`{text}` is no path"), "begin it with a slash");
        }
    }
    let first = wanted.prefix.split('/').nth(1).unwrap_or_default();
    if matches!(first, "_admin" | "healthz") {
        return refuse(format!("`/{first}` is the manager's own"), "choose another prefix");
    }
    let design = manager.state().design.clone();
    let is_known = design.is_some_and(|design| design.services.contains_key(&wanted.service));
    if !is_known {
        let error = format!("the stack has no service `{}`", wanted.service);
        return refuse(error, "`GET /_admin/status` lists its services");
    }
    if wanted.port == 0 {
        return refuse("0 is no port".to_owned(), "name the port that the service listens on");
    }
    Ok(())
}

pub(super) fn remove(manager: &Manager, asked: &Asked) -> Answer {
    let id = asked.number("id")?;
    let entry = manager.remove_route(id).ok_or_else(|| unknown(id))?;
    Ok(json_reply(StatusCode::OK, &json!({ "api": API_VERSION, "route": entry })))
}
