//! The manager's own answers: `/healthz`, and everything under `/_admin`.
//!
//! Nothing under `/_admin` is answered without the application's token but the form that asks for it.
//! [`ROUTES`] is the whole of it; the document `openapi.json` says the same to programs.

mod change;
mod log;
mod metrics;
mod reply;
mod request;
mod routes;
mod session;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ailtire_gateway::{Body, Handle, Peer};
use futures_util::future::BoxFuture;
use http::header::{ALLOW, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use serde_json::json;

use crate::auth::{Caller, Denial, Visit};
use crate::failure::ApiError;
use crate::page::{self, PageContext};
use crate::report::API_VERSION;
use crate::state::Manager;
use reply::{html, json_reply, text};
use request::Asked;

/// What there is under `/_admin/`, with the method that it takes.
const ROUTES: [(&str, &str); 23] = [
    ("GET", ""),
    ("GET", "view"),
    ("GET", "status"),
    ("GET", "log"),
    ("GET", "route/list"),
    ("GET", "route/show"),
    ("POST", "route/add"),
    ("POST", "route/remove"),
    ("POST", "register"),
    ("POST", "update"),
    ("POST", "scale"),
    ("POST", "redeploy"),
    ("POST", "shutdown"),
    ("GET", "events"),
    ("GET", "metrics"),
    ("GET", "openapi.json"),
    ("GET", "confirm"),
    ("GET", "login"),
    ("POST", "login"),
    ("POST", "logout"),
    ("GET", "page.css"),
    ("GET", "page.js"),
    ("GET", "icon.svg"),
];

const OPENAPI: &str = include_str!("openapi.json");

/// What an answer is, or why there is none.
type Answer = Result<Response<Body>, ApiError>;

/// Answers what is for the manager, and hands everything else to the gateway.
pub(crate) struct Front {
    manager: Arc<Manager>,
}

impl Front {
    pub(crate) fn new(manager: Arc<Manager>) -> Self {
        Self { manager }
    }
}

impl Handle for Front {
    fn handle(&self, request: Request<Incoming>, peer: Peer) -> BoxFuture<'_, Response<Body>> {
        let path = request.uri().path();
        if path == "/healthz" {
            let is_ready = self.manager.state().is_ready;
            let asks = request.uri().query() == Some("ready");
            return Box::pin(async move { health(is_ready, asks) });
        }
        if path != "/_admin" && !path.starts_with("/_admin/") {
            return Box::pin(async move { self.manager.gateway.handle(request, peer).await });
        }
        let manager = Arc::clone(&self.manager);
        Box::pin(async move {
            let wants_page = request::wants_page(&request);
            let answer = answer(&manager, request, peer).await;
            let mut response = answer.unwrap_or_else(|error| refusal(&error, wants_page));
            reply::secure(&mut response);
            response
        })
    }
}

/// Whether this process lives; with `?ready`, whether its stack was deployed.
fn health(is_ready: bool, asks: bool) -> Response<Body> {
    let status = if asks && !is_ready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    json_reply(status, &json!({ "api": API_VERSION, "alive": true, "ready": is_ready }))
}

fn refusal(error: &ApiError, wants_page: bool) -> Response<Body> {
    if wants_page {
        let page = page::problem(error.status, &error.error, &PageContext::new(None));
        return html(error.status, page);
    }
    json_reply(error.status, &error.json())
}

async fn answer(manager: &Arc<Manager>, request: Request<Incoming>, peer: Peer) -> Answer {
    if !manager.settings.has_admin {
        let hint = "the manager runs with AILTIRE_ADMIN=off";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "there is nothing here", hint));
    }
    let name = request.uri().path().strip_prefix("/_admin").unwrap_or_default();
    let name = name.strip_prefix('/').map(str::to_owned);
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        other => other.clone(),
    };
    if let (Some(name), &Method::GET) = (&name, &method)
        && let Some(asset) = page::asset(name)
        && asset.is_open
    {
        return Ok(reply::asset(asset));
    }
    let access = manager.state().access.clone();
    let Some(access) = access else {
        let why = manager.state().message.clone();
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the manager does not have the application's token yet{why}"),
            "try again in a moment",
        ));
    };
    let wants_page = request::wants_page(&request);
    let page = shown_after_login(&method, request.uri()).to_owned();
    let page = wants_page.then_some(&*page);
    if name.as_deref() == Some("login") {
        return session::login(manager, &access, request, peer, &method).await;
    }
    let caller = match access.identify(&Visit::of(&request, peer)) {
        Ok(caller) => caller,
        Err(denial) => {
            return Ok(denied(denial, page));
        }
    };
    let Some(name) = name else {
        // Addresses of pages are relative to what ends in a slash.
        let mut response = text(StatusCode::PERMANENT_REDIRECT, "/_admin/\n".to_owned());
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("_admin/"));
        return Ok(response);
    };
    if !ROUTES.contains(&(method.as_str(), &*name)) {
        return Ok(no_route(&name));
    }
    let limit = request::limit(&name);
    let asked = Asked::read(request, peer, limit).await?;
    if crate::auth::may_change(&method) {
        let visit = asked.visit();
        if let Err(denial) = access.allow_change(&caller, &visit, asked.form.csrf()) {
            return Ok(denied(denial, page));
        }
    }
    dispatch(manager, &access, &caller, &method, &name, &asked).await
}

/// The page that a browser gets once it is let in: a form was for a page that it has no more.
fn shown_after_login<'a>(method: &Method, asked: &'a Uri) -> &'a str {
    match *method {
        Method::GET => asked.path_and_query().map_or("/_admin/", |it| it.as_str()),
        _ => "/_admin/view",
    }
}

async fn dispatch(
    manager: &Arc<Manager>,
    access: &crate::auth::Access,
    caller: &Caller,
    method: &Method,
    name: &str,
    asked: &Asked,
) -> Answer {
    match (method.as_str(), name) {
        ("GET", "" | "view") => status::view(manager, caller, asked).await,
        ("GET", "status") => status::status(manager, asked).await,
        ("GET", "confirm") => status::confirm(manager, caller, asked).await,
        ("GET", "events") => Ok(status::events(manager)),
        ("GET", "metrics") => metrics::metrics(manager).await,
        ("GET", "openapi.json") => Ok(reply::plain(
            StatusCode::OK,
            "application/json",
            OPENAPI.replace("\"0.0.0\"", &format!("\"{}\"", env!("CARGO_PKG_VERSION"))),
        )),
        ("GET", "log") => log::log(manager, caller, asked).await,
        ("GET", "route/list") => Ok(routes::list(manager)),
        ("GET", "route/show") => routes::show(manager, asked),
        ("POST", "route/add") => routes::add(manager, asked),
        ("POST", "route/remove") => routes::remove(manager, asked),
        ("POST", "register") => change::register(manager, asked).await,
        ("POST", "update") => change::update(manager, asked).await,
        ("POST", "scale") => change::scale(manager, caller, asked).await,
        ("POST", "redeploy") => change::redeploy(manager, caller, asked).await,
        ("POST", "shutdown") => change::shutdown(manager, caller, asked).await,
        ("POST", "logout") => Ok(session::logout(manager, access, caller, asked)),
        (_, asset) => match page::asset(asset) {
            Some(asset) => Ok(reply::asset(asset)),
            None => Ok(no_route(asset)),
        },
    }
}

/// Nobody is let in; browsers get the form for the token, for the page at `path`, or why not.
fn denied(denial: Denial, path: Option<&str>) -> Response<Body> {
    let status = denial.status();
    let mut response = match path {
        Some(_) if status == StatusCode::FORBIDDEN => {
            html(status, page::problem(status, &denial.to_string(), &PageContext::new(None)))
        }
        Some(path) => html(status, page::login(path, Some(denial), &PageContext::new(None))),
        None => {
            let hint = "send `Authorization: Bearer TOKEN`";
            json_reply(status, &ApiError::new(status, denial.to_string(), hint).json())
        }
    };
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ailtire\""));
    }
    if let Some(wait) = denial.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

/// What is wrong with an address or a method.
fn no_route(name: &str) -> Response<Body> {
    let methods: Vec<&str> =
        ROUTES.iter().filter(|(_, route)| *route == name).map(|(method, _)| *method).collect();
    if methods.is_empty() {
        let status = StatusCode::NOT_FOUND;
        let error = format!("there is no `/_admin/{name}`");
        let hint = "`GET /_admin/openapi.json` lists what there is";
        return json_reply(status, &ApiError::new(status, error, hint).json());
    }
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = methods.join(", ");
    let error = format!("`/_admin/{name}` does not take this method");
    let error = ApiError::new(status, error, format!("use {allowed}"));
    let mut response = json_reply(status, &error.json());
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}
