//! One file a command.

pub(crate) mod affected;
pub(crate) mod build;
mod cache;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod compose;
pub(crate) mod context;
pub(crate) mod deploy;
pub(crate) mod down;
mod events;
pub(crate) mod graph;
mod graph_formats;
pub(crate) mod history;
pub(crate) mod key;
pub(crate) mod logs;
pub(crate) mod manual;
mod outcome;
pub(crate) mod plan;
pub(crate) mod plan_deploy;
pub(crate) mod push;
mod reasons;
pub(crate) mod release;
pub(crate) mod rollback;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod undeploy;
pub(crate) mod up;
pub(crate) mod verify;
pub(crate) mod why;
mod why_service;

use clap::ValueEnum;

/// The form of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum DataFormat {
    /// For people
    #[default]
    Text,
    /// For programs: stable, with a version
    Json,
}

/// Version of every JSON document that a command writes as data.
const DATA_VERSION: u32 = 1;
