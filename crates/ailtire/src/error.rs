//! What can keep a run from doing its work.

use std::path::PathBuf;

use ailtire_docker::EngineError;
use ailtire_events::Diagnostic;
use ailtire_fingerprint::StateError;
use ailtire_swarm::HistoryError;
use ailtire_swarm::token::TokenError;

use crate::deploy::SwarmProblem;
use crate::up::NoToken;

/// Why a run could not do its work. A failed build is no such error: it is in the outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no application here.
    #[error("there is no ailtire application in `{}` or in a directory above it", searched.display())]
    NoApplication {
        /// Where the search began.
        searched: PathBuf,
    },
    /// The definitions, or what the command line says about them, can't be used.
    #[error("{} in the definitions", count(.0))]
    Definitions(Vec<Diagnostic>),
    /// The git repository, or what is released of it, is not as it has to be.
    #[error("{message}")]
    Repository {
        /// What is wrong.
        message: String,
        /// What to do next.
        help: String,
    },
    /// A release got half-way: part of it is public already.
    #[error("{message}")]
    HalfReleased {
        /// What was done, and what could not be done.
        message: String,
        /// How to go on, and how to go back.
        help: String,
    },
    /// Base images from elsewhere could not be fetched.
    #[error("{} could not be fetched", bases(.0))]
    Bases(Vec<Diagnostic>),
    /// A registry can't be used, and was required as a memory of what was built.
    #[error(transparent)]
    Cache(ailtire_registry::RegistryError),
    /// The engine can't be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine can be used, but not to deploy stacks.
    #[error(transparent)]
    Swarm(#[from] SwarmProblem),
    /// Managers run the application, and would undo what was asked for.
    #[error("managers run {root}{}", if *whole { "" } else { ", and would bring a part of it back" })]
    Managed {
        /// Instance of the root stack.
        root: String,
        /// Whether all of the application was meant.
        whole: bool,
    },
    /// The token of the managers can't be read.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// There can be no such token.
    #[error(transparent)]
    Token(TokenError),
    /// The deployment's lock is gone: another run took it over, because this one could not reach the
    /// engine for long, or somebody removed it.
    #[error(
        "the lock of this deployment is gone: another run took it over, or somebody removed it; \
         what was changed so far stays"
    )]
    LockLost,
    /// What is deployed can't be found out, or what was deployed can't be kept.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The state directory can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A directory outside the application that definitions shall be allowed to use can't be used.
    #[error("cannot use `{}` outside the application: {source}", path.display())]
    Outside {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something else could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

fn bases(diagnostics: &[Diagnostic]) -> String {
    match diagnostics.len() {
        1 => "one base image".to_owned(),
        bases => format!("{bases} base images"),
    }
}

fn count(diagnostics: &[Diagnostic]) -> String {
    match diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count() {
        1 => "one error".to_owned(),
        errors => format!("{errors} errors"),
    }
}
