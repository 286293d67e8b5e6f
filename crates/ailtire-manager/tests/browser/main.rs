//! Tests of the page of a manager in a real browser: Debian's Chromium, without a screen.

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod access;
mod appearance;
mod browser;
mod buttons;
mod live;
mod real;
mod stand_in;
#[allow(dead_code, reason = "the other tests of managers need more of it")]
#[path = "../manager/support.rs"]
mod support;
mod web_driver;
