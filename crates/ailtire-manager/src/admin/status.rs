//! How the stack is: as JSON, as a page, as a stream of changes.

use std::sync::Arc;
use std::time::Duration;

use ailtire_gateway::Body;
use ailtire_swarm::status::stack_status;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, StatusCode};
use serde_json::json;

use super::Answer;
use super::reply::{html, json_reply, stream as stream_reply};
use super::request::Asked;
use crate::auth::Caller;
use crate::children;
use crate::deploy::add_missing;
use crate::failure::ApiError;
use crate::page::{self, Action, Notice, PageContext};
use crate::report::{API_VERSION, ManagerReport, StackReport};
use crate::state::Manager;

/// How long the managers of stacks inside may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// How often a stream says that it is still there.
const ALIVE: Duration = Duration::from_secs(15);

/// All that is known of the stack.
pub(super) async fn report(manager: &Manager, within: Duration) -> Result<StackReport, ApiError> {
    let place = manager.state().place.clone();
    let (Some(place), Some(engine)) = (place, manager.engine()) else {
        let hint = "try again in a moment";
        let error = "the engine did not answer yet";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, hint));
    };
    let asked = stack_status(engine, &place.identity, &place.instance);
    let (status, children) = tokio::join!(asked, children::reports(manager, engine, within));
    let mut status = status?;
    let state = manager.state();
    if let Some(desired) = &state.desired {
        add_missing(&mut status, desired);
    }
    let services = status.stacks.into_iter().find(|stack| stack.instance == place.instance);
    let bundle = &manager.content.bundle;
    let container = place.own.container.as_ref();
    Ok(StackReport {
        api: API_VERSION,
        application: place.identity.application.clone(),
        environment: place.identity.environment.clone(),
        name: bundle.name.clone(),
        instance: place.instance.clone(),
        path: place.path_text(),
        version: bundle.version.clone(),
        state: state.phase,
        message: state.message.clone(),
        services: services.map(|stack| stack.services).unwrap_or_default(),
        routes: state.all_routes().to_vec(),
        children,
        parent: state.parent.clone(),
        manager: ManagerReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: manager.started_at,
            container: container.map(|container| container.id.clone()).unwrap_or_default(),
            service: place.own.service.as_ref().map(|service| service.name.clone()),
        },
    })
}

pub(super) async fn status(manager: &Manager, asked: &Asked) -> Answer {
    let within = asked.query.get("within").and_then(|text| text.parse().ok());
    let within = within.map_or(PATIENCE, Duration::from_millis).min(PATIENCE);
    let report = report(manager, within).await?;
    Ok(json_reply(StatusCode::OK, &json!(report)))
}

/// The context of a page for `caller`.
pub(super) fn context<'a>(caller: &'a Caller, notice: Option<&'a Notice>) -> PageContext<'a> {
    let session = match caller {
        Caller::Browser(session) => Some(session),
        Caller::Program => None,
    };
    PageContext { notice, ..PageContext::new(session) }
}

pub(super) async fn view(manager: &Manager, caller: &Caller, asked: &Asked) -> Answer {
    let report = report(manager, PATIENCE).await?;
    let notice = Notice::of(&asked.query);
    Ok(html(StatusCode::OK, page::overview(&report, &context(caller, notice.as_ref()))))
}

/// The page that asks before something is done.
pub(super) async fn confirm(manager: &Manager, caller: &Caller, asked: &Asked) -> Answer {
    let missing = || {
        let error = "there is nothing like this to ask for";
        ApiError::new(StatusCode::NOT_FOUND, error, "go back to the stack")
    };
    let action = Action::of(&asked.query).ok_or_else(missing)?;
    let report = report(manager, PATIENCE).await?;
    let page = page::confirm(&report, &action, &context(caller, None)).ok_or_else(missing)?;
    Ok(html(StatusCode::OK, page))
}

/// Says that something changed, whenever something does.
pub(super) fn events(manager: &Arc<Manager>) -> Response<Body> {
    let changes = manager.changes();
    let pieces = stream::unfold((changes, true), |(mut changes, first)| async move {
        let text = if first {
            format!("retry: 2000\nevent: change\ndata: {}\n\n", *changes.borrow_and_update())
        } else {
            match tokio::time::timeout(ALIVE, changes.changed()).await {
                Ok(Ok(())) => {
                    let number = *changes.borrow_and_update();
                    format!("event: change\nid: {number}\ndata: {number}\n\n")
                }
                Ok(Err(_)) => return None,
                Err(_) => ": still here\n\n".to_owned(),
            }
        };
        Some((Ok(Bytes::from(text)), (changes, false)))
    });
    let closing = manager.closing.clone();
    let pieces = pieces.take_until(closing.cancelled_owned());
    stream_reply("text/event-stream", pieces)
}

/// Prefixes below which interfaces of this stack and of those inside are, as far as the routes tell.
pub(super) fn links(manager: &Manager, prefix: &str) -> Vec<String> {
    let design = manager.state().design.clone();
    let is_stack = |name: &str| {
        design.as_ref().and_then(|it| it.services.get(name)).is_some_and(|it| it.is_stack)
    };
    let routes = manager.routes().into_iter().map(|entry| entry.route);
    let inside = routes.filter(|route| is_stack(&route.service));
    let inside = inside.map(|route| format!("{prefix}{}", route.prefix.trim_end_matches('/')));
    [prefix.to_owned()].into_iter().chain(inside).collect()
}
