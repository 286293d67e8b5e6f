//! Sessions of the page: cookies that prove themselves.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use ring::hmac;

use super::token::{Token, random_text};

/// The cookie's name.
pub const SESSION_COOKIE: &str = "ailtire-session";

/// Seconds after which one has to log in again.
pub const SESSION_LENGTH: u64 = 12 * 60 * 60;

/// Where the interface is, below whatever prefix a gateway in front of it replaces.
const INTERFACE: &str = "/_admin";

/// Somebody who logged in.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    value: String,
    end: u64,
    csrf: String,
}

impl Session {
    /// What forms and scripts of the page must send along with whatever changes something.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// When it is over, in seconds since 1970.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// What the browser keeps.
    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// `Set-Cookie` for the interfaces below these prefixes: the manager's own (`""`, or what
    /// [`Visit::prefix`](super::Visit::prefix) says) and those of stacks inside that are reached
    /// through its gateway.
    ///
    /// Each cookie is bound to the path of an interface: no service behind the gateway gets it.
    pub fn cookies<'a>(
        &'a self,
        prefixes: impl IntoIterator<Item = &'a str> + 'a,
        is_secure: bool,
    ) -> impl Iterator<Item = HeaderValue> + 'a {
        prefixes
            .into_iter()
            .filter_map(move |prefix| cookie(&self.value, prefix, SESSION_LENGTH, is_secure))
    }

    /// `Set-Cookie` that make the browser forget the session.
    pub fn removal<'a>(
        prefixes: impl IntoIterator<Item = &'a str> + 'a,
        is_secure: bool,
    ) -> impl Iterator<Item = HeaderValue> + 'a {
        prefixes.into_iter().filter_map(move |prefix| cookie("", prefix, 0, is_secure))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("end", &self.end).finish_non_exhaustive()
    }
}

fn cookie(value: &str, prefix: &str, seconds: u64, is_secure: bool) -> Option<HeaderValue> {
    let prefix = super::visit::safe_prefix(prefix)?;
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!(
        "{SESSION_COOKIE}={value}; Path={prefix}{INTERFACE}; Max-Age={seconds}; HttpOnly; \
         SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).ok()
}

/// What may be a session in the cookies of a request.
pub(super) fn candidates(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| value)
}

/// Signs sessions.
pub(super) struct Keys {
    session: hmac::Key,
    csrf: hmac::Key,
}

impl Keys {
    pub(super) fn new(token: &Token) -> Self {
        Self { session: token.key("session"), csrf: token.key("csrf") }
    }

    /// A new session; absent where the system has no random numbers.
    pub(super) fn create(&self, now: u64) -> Option<Session> {
        let end = now + SESSION_LENGTH;
        let claim = format!("{end}.{}", random_text::<16>()?);
        let signature = encode(hmac::sign(&self.session, claim.as_bytes()));
        Some(self.with_csrf(format!("{claim}.{signature}"), end))
    }

    /// The session that `text` is, unless it is over or was not made with this token.
    pub(super) fn verify(&self, text: &str, now: u64) -> Option<Session> {
        let (claim, signature) = text.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.session, claim.as_bytes(), &signature).ok()?;
        let end: u64 = claim.split('.').next()?.parse().ok()?;
        (now < end).then(|| self.with_csrf(text.to_owned(), end))
    }

    /// Whether `shown` is the second text of `session`.
    pub(super) fn is_csrf_of(&self, session: &Session, shown: &str) -> bool {
        let Ok(shown) = URL_SAFE_NO_PAD.decode(shown) else { return false };
        hmac::verify(&self.csrf, session.value.as_bytes(), &shown).is_ok()
    }

    fn with_csrf(&self, value: String, end: u64) -> Session {
        let csrf = encode(hmac::sign(&self.csrf, value.as_bytes()));
        Session { value, end, csrf }
    }
}

fn encode(tag: hmac::Tag) -> String {
    URL_SAFE_NO_PAD.encode(tag)
}
