//! The gateway between real sockets.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod balancing;
mod common;
mod drain;
mod limits;
mod routing;
mod smuggling;
mod streaming;
mod tls;
mod web_sockets;
