//! What changes the stack.

use ailtire_gateway::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Answer;
use super::reply::{html, json_reply, see_other};
use super::request::Asked;
use super::status::{PATIENCE, report};
use crate::auth::Caller;
use crate::children::{self, Announcement};
use crate::failure::ApiError;
use crate::page::{self, Action};
use crate::report::{API_VERSION, StackState};
use crate::state::{Command, Manager, Reply};
use crate::update::Update;

/// The most tasks that can be asked for: more is a mistake.
const MOST: u64 = 10_000;

/// Asks who deploys, and waits for the answer.
async fn ask(manager: &Manager, command: impl FnOnce(Reply) -> Command) -> Result<Value, ApiError> {
    let gone = || {
        let error = "the manager is stopping, or busy";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, "try again in a moment")
    };
    let (reply, answer) = oneshot::channel();
    manager.commands.try_send(command(reply)).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// A program gets the answer, a browser the page that comes next.
fn done(caller: &Caller, asked: &Asked, action: &Action, answer: &Value) -> Response<Body> {
    if matches!(caller, Caller::Browser(_)) && asked.wants_page() {
        see_other(&action.next_page())
    } else {
        json_reply(StatusCode::ACCEPTED, answer)
    }
}

pub(super) async fn scale(manager: &Manager, caller: &Caller, asked: &Asked) -> Answer {
    let service = asked.required("name")?.to_owned();
    let replicas = asked.number("replicas")?;
    if replicas > MOST {
        let error = format!("{replicas} tasks are too many");
        let hint = format!("ask for {MOST} at most");
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, hint));
    }
    let action = Action::Scale { name: service.clone() };
    let command = |reply| Command::Scale { service, replicas, reply };
    let answer = ask(manager, command).await?;
    Ok(done(caller, asked, &action, &answer))
}

pub(super) async fn redeploy(manager: &Manager, caller: &Caller, asked: &Asked) -> Answer {
    let service = asked.field("name").map(str::to_owned);
    let action = Action::Redeploy { name: service.clone() };
    let answer = ask(manager, |reply| Command::Redeploy { service, reply }).await?;
    Ok(done(caller, asked, &action, &answer))
}

pub(super) async fn update(manager: &Manager, asked: &Asked) -> Answer {
    let update = Box::new(Update::parse(&asked.body)?);
    let answer = ask(manager, |reply| Command::Update { update, reply }).await?;
    Ok(json_reply(StatusCode::ACCEPTED, &answer))
}

pub(super) async fn shutdown(manager: &Manager, caller: &Caller, asked: &Asked) -> Answer {
    let volumes = asked.is_on("volumes");
    let mut farewell = None;
    if matches!(caller, Caller::Browser(_)) {
        let report = report(manager, PATIENCE).await?;
        if !Action::Shutdown.is_confirmed(&asked.form, &report) {
            let error = "the name of the stack was not typed";
            let hint = format!("type `{}`", report.instance);
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, hint));
        }
        farewell = asked.wants_page().then(|| page::farewell(&report));
    }
    let answer = ask(manager, |reply| Command::Shutdown { volumes, reply: Some(reply) }).await?;
    Ok(match farewell {
        Some(page) => html(StatusCode::ACCEPTED, page),
        None => json_reply(StatusCode::ACCEPTED, &answer),
    })
}

/// A stack inside announces itself.
pub(super) async fn register(manager: &Manager, asked: &Asked) -> Answer {
    let announcement: Announcement = serde_json::from_slice(&asked.body).map_err(|error| {
        let error = format!("the body is no announcement: {error}");
        let hint = "only managers send this";
        ApiError::new(StatusCode::BAD_REQUEST, error, hint)
    })?;
    let is_stopping = children::take(manager, &announcement, asked.address()).ok_or_else(|| {
        let Announcement { instance, service, .. } = &announcement;
        let error = format!("`{instance}` is no stack of the service `{service}` here");
        let hint = "check AILTIRE_PARENT and AILTIRE_STACKNAME of the stack that announces itself";
        ApiError::new(StatusCode::CONFLICT, error, hint)
    })?;
    if is_stopping {
        let service = announcement.service;
        ask(manager, |reply| Command::Stopped { service, reply }).await?;
    }
    let (state, instance) = {
        let state = manager.state();
        (state.phase, state.place.as_ref().map(|place| place.instance.clone()))
    };
    let state: StackState = state;
    let answer = json!({ "api": API_VERSION, "instance": instance, "state": state });
    Ok(json_reply(StatusCode::OK, &answer))
}
