//! The page: what `/_admin/` shows in a browser.
//!
//! Everything is rendered here, from a [`StackReport`](crate::report::StackReport), and works without JavaScript: a button is a
//! link to a page that asks first, and that page is a form. The script adds what only a script can:
//! it keeps the page up to date, asks in a dialog, and follows a log. It takes what it shows from
//! the very same pages, so that nothing is worded or escaped twice.
//!
//! All addresses are relative, so that the page works behind gateways that replace prefixes. The
//! content security policy of [`HEADERS`] lets in nothing that is not of this origin and nothing
//! that is written into the page itself. Names, errors and log lines are whatever somebody wrote:
//! they go through `words::clean` and through the escaping of `maud`, which knows no other way.

mod assets;
mod confirm;
mod form;
mod layout;
mod log;
mod overview;
mod service;
mod words;

pub use assets::{Asset, asset};
pub use confirm::{Action, confirm, farewell};
pub use form::{Form, next_page};
pub use layout::{login, problem};
pub use log::{DEFAULT_TAIL, LogPage, logs};
pub use overview::{Notice, overview, prefixes};

use std::time::SystemTime;

use crate::auth::Session;

/// Headers of every page: no other origin gets in, and nothing is kept.
pub const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("cache-control", "no-store"),
    ("content-type", "text/html; charset=utf-8"),
    // Without any, browsers would send forms with `Origin: null`.
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// What a page must know besides what it shows.
#[derive(Debug, Clone, Copy)]
pub struct PageContext<'a> {
    /// The session that looks at it; without one there are no buttons.
    pub session: Option<&'a Session>,
    /// When it is looked at.
    pub now: SystemTime,
    /// What was done just before.
    pub notice: Option<&'a Notice>,
}

impl<'a> PageContext<'a> {
    /// The context of a page for `session`, now.
    pub fn new(session: Option<&'a Session>) -> Self {
        Self { session, now: SystemTime::now(), notice: None }
    }

    fn csrf(&self) -> Option<&'a str> {
        self.session.map(Session::csrf)
    }
}

#[cfg(test)]
mod tests;
