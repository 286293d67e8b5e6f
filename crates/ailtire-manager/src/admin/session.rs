//! Logging in and out.

use std::sync::Arc;

use ailtire_gateway::{Body, Peer};
use http::header::SET_COOKIE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::reply::{html, json_reply, see_other};
use super::request::{Asked, limit};
use super::{Answer, no_route, status};
use crate::auth::{Access, Caller, Session};
use crate::page::{self, PageContext};
use crate::report::API_VERSION;
use crate::state::Manager;

/// The form, or what it sends.
pub(super) async fn login(
    manager: &Arc<Manager>,
    access: &Access,
    request: Request<Incoming>,
    peer: Peer,
    method: &Method,
) -> Answer {
    let context = PageContext::new(None);
    match *method {
        Method::GET => Ok(html(StatusCode::OK, page::login("/_admin/login", None, &context))),
        Method::POST => {
            let asked = Asked::read(request, peer, limit("login")).await?;
            let token = asked.form.get("token").unwrap_or_default();
            match access.log_in(&asked.visit(), token) {
                Ok(session) => Ok(welcome(manager, &session, &asked).await),
                Err(denial) => {
                    let next = asked.form.get("next").unwrap_or_default();
                    let path = format!("/_admin/{}", page::next_page(next));
                    Ok(html(denial.status(), page::login(&path, Some(denial), &context)))
                }
            }
        }
        _ => Ok(no_route("login")),
    }
}

async fn welcome(manager: &Arc<Manager>, session: &Session, asked: &Asked) -> Response<Body> {
    let next = page::next_page(asked.form.get("next").unwrap_or_default());
    let mut response = see_other(next);
    let visit = asked.visit();
    // Of stacks inside, too; those that can't be asked now want a login of their own.
    let report = status::report(manager, status::PATIENCE).await.ok();
    let prefixes = page::prefixes(report.as_ref(), &visit.prefix());
    let prefixes = prefixes.iter().map(String::as_str);
    for cookie in session.cookies(prefixes, visit.is_secure()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Ends the session; a program has none.
pub(super) fn logout(
    manager: &Manager,
    access: &Access,
    caller: &Caller,
    asked: &Asked,
) -> Response<Body> {
    let visit = asked.visit();
    if let Caller::Browser(session) = caller {
        access.log_out(session, &visit);
    }
    let mut response = if asked.wants_page() {
        see_other("login")
    } else {
        json_reply(StatusCode::OK, &json!({ "api": API_VERSION }))
    };
    let known = status::links(manager, &visit.prefix());
    for cookie in Session::removal(known.iter().map(String::as_str), visit.is_secure()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
