//! Managers that deploy, adopt, watch, change and remove stacks on a real engine.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test's own files")]

mod access;
mod engine;
mod family;
mod life;
mod requests;
mod support;
