//! Tests of the page of a manager in a real browser: Debian's Chromium, without a screen.

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod access;
mod appearance;
mod browser;
mod buttons;
#[path = "../directory.rs"]
mod directory;
mod live;
mod real;
mod stand_in;
mod web_driver;
