//! Who may use the interface: the application's token, sessions of the page, and what a request
//! that changes something must show besides.
//!
//! One secret, the [`Token`], opens every manager of an application. Programs send it as
//! `Authorization: Bearer`. The page asks for it once and gives the browser a [`Session`]: a text
//! with an end and a random part, signed with a key made from the token. Nothing is stored, so a
//! session holds for every manager of the application, after a restart too, and ends for all of
//! them when the token changes.
//!
//! A browser sends cookies along whatever page asks it to, so a session alone changes nothing: the
//! request must come from a page of this origin, and it must carry the session's own second text
//! ([`Session::csrf`]), which no other origin can read.
//!
//! What this can't keep out: a page that the stack's own services deliver *from the same origin*
//! through the gateway. To the browser it is as good as the manager's. Cookies are at least bound
//! to the path of the interface, so that services don't get to see them.
//!
//! Everything here is a function of the request's head and of the time, and needs no server.

mod failures;
mod session;
mod token;
mod visit;

pub use session::{SESSION_COOKIE, SESSION_LENGTH, Session};
pub use token::{Token, TokenError};
pub use visit::Visit;
pub(crate) use visit::safe_prefix;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode, header};
use ring::hmac;

use failures::{Failures, Way};

/// Header with [`Session::csrf`]; forms have a field of the name [`CSRF_FIELD`] instead.
pub const CSRF_HEADER: &str = "x-ailtire-csrf";

/// Field of a form with [`Session::csrf`].
pub const CSRF_FIELD: &str = "csrf";

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A program that knows the token.
    Program,
    /// A browser in which somebody logged in.
    Browser(Session),
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// It shows neither token nor session.
    Missing,
    /// It shows a wrong token.
    WrongToken,
    /// Its session is over, or not one of this application.
    NoSession,
    /// Too many wrong tokens came from there lately; this many seconds to wait.
    TooMany(u64),
    /// A page of another origin sent it.
    OtherOrigin,
    /// It does not show that it comes from the page.
    NoCsrf,
}

/// Decides who may use the interface.
pub struct Access {
    /// Compares tokens: what is compared is their signatures, so that the time that it takes tells
    /// nothing of the token.
    compare: hmac::Key,
    expected: hmac::Tag,
    keys: session::Keys,
    failures: Mutex<Failures>,
    /// Sessions that were logged out, by their signature, with their end.
    ended: Mutex<HashMap<String, u64>>,
}

impl Access {
    /// Access for those who know `token`.
    pub fn new(token: &Token) -> Self {
        let compare = token.key("compare");
        Self {
            expected: hmac::sign(&compare, token.expose().as_bytes()),
            compare,
            keys: session::Keys::new(token),
            failures: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// Who sends a request.
    ///
    /// An `Authorization` header decides alone, where there is one.
    ///
    /// # Errors
    ///
    /// [`Denial`] where nobody is let in.
    pub fn identify(&self, visit: &Visit<'_>) -> Result<Caller, Denial> {
        if let Some(value) = visit.headers.get(header::AUTHORIZATION) {
            let value = value.to_str().unwrap_or_default();
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            let is_bearer = scheme.eq_ignore_ascii_case("bearer");
            self.verify_token(if is_bearer { token.trim() } else { "" }, visit, Way::Header)?;
            return Ok(Caller::Program);
        }
        // Interfaces below other paths of this origin may have cookies of the same name.
        let mut sessions = session::candidates(visit.headers).peekable();
        if sessions.peek().is_none() {
            return Err(Denial::Missing);
        }
        let found = sessions.find_map(|text| self.keys.verify(text, visit.seconds()));
        let session = found.filter(|session| !self.is_ended(session)).ok_or(Denial::NoSession)?;
        Ok(Caller::Browser(session))
    }

    /// Whether `caller` may change something; `field` is what its form has in [`CSRF_FIELD`].
    ///
    /// # Errors
    ///
    /// [`Denial`] where the request may not come from the page.
    pub fn allow_change(
        &self,
        caller: &Caller,
        visit: &Visit<'_>,
        field: Option<&str>,
    ) -> Result<(), Denial> {
        let Caller::Browser(session) = caller else { return Ok(()) };
        visit.require_same_origin()?;
        let header = visit.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        let shown = header.or(field).unwrap_or_default();
        if self.keys.is_csrf_of(session, shown) { Ok(()) } else { Err(Denial::NoCsrf) }
    }

    /// A session for a browser whose login form had `token`.
    ///
    /// # Errors
    ///
    /// [`Denial`] for a wrong token, after too many of them, and for forms of other origins.
    pub fn log_in(&self, visit: &Visit<'_>, token: &str) -> Result<Session, Denial> {
        visit.require_same_origin()?;
        self.verify_token(token.trim(), visit, Way::Form)?;
        self.keys.create(visit.seconds()).ok_or(Denial::NoSession)
    }

    /// Ends a session, at this manager, before its time.
    pub fn log_out(&self, session: &Session, visit: &Visit<'_>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, end| *end > visit.seconds());
        ended.insert(session.value().to_owned(), session.end());
    }

    fn is_ended(&self, session: &Session) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.contains_key(session.value())
    }

    fn verify_token(&self, token: &str, visit: &Visit<'_>, way: Way) -> Result<(), Denial> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, now) = ((way, visit.client()), visit.seconds());
        if let Some(seconds) = failures.wait(&client, now) {
            return Err(Denial::TooMany(seconds));
        }
        if hmac::verify(&self.compare, token.as_bytes(), self.expected.as_ref()).is_ok() {
            failures.forget(&client);
            return Ok(());
        }
        failures.count(client, now);
        Err(Denial::WrongToken)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Denial {
    /// The status that answers it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::WrongToken | Self::NoSession => StatusCode::UNAUTHORIZED,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::OtherOrigin | Self::NoCsrf => StatusCode::FORBIDDEN,
        }
    }

    /// How long a client is to wait, where that is why: the value of `Retry-After`.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::TooMany(seconds) => Some(Duration::from_secs(seconds)),
            _ => None,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => {
                "this needs the application's token, as `Authorization: Bearer TOKEN`; \
                 `ailtire-build token` prints it"
            }
            Self::WrongToken => {
                "that is not this application's token; `ailtire-build token` prints it"
            }
            Self::NoSession => "the session is over: log in again",
            Self::TooMany(seconds) => {
                return write!(
                    formatter,
                    "too many wrong tokens came from your address: try again in {seconds} s"
                );
            }
            Self::OtherOrigin => {
                "a browser sends this on behalf of another site, or does not say of which; open \
                 the page itself, or use the token as `Authorization: Bearer TOKEN`"
            }
            Self::NoCsrf => "the form is of another login: load the page again and repeat it",
        })
    }
}

impl std::error::Error for Denial {}

/// Whether a request of this kind may change something, and so needs [`Access::allow_change`].
pub fn may_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests;
