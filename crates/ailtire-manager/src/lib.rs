//! The program inside stack images: deploys, serves, watches and removes a stack.
//!
//! A stack is run like any other container: its manager reads the design that its image holds
//! ([`ailtire_compose::Bundle`]), brings the swarm to it, keeps it there, hands requests on to the
//! stack's services, and answers under `/_admin` what [`report`] describes.

mod admin;
pub mod auth;
mod bundle;
mod children;
mod client;
mod commands;
mod deploy;
mod desired;
mod engine_service;
mod failure;
mod life;
mod log;
pub mod page;
mod place;
mod program;
pub mod report;
mod settings;
mod setup;
mod shutdown;
mod state;
mod tls;
mod update;
mod watch;
mod whoami;

pub use program::main;
