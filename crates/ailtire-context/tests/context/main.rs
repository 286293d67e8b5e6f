//! Build contexts of small applications on disk: what they hold, and what is sent of them.
#![allow(clippy::unwrap_used)] // A test that can't set itself up is to fail.

mod assembling;
mod sending;
mod support;
