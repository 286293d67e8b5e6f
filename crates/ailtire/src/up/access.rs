//! Who runs an application: managers or `deploy`. And the token that opens managers.

use std::time::Duration;

use ailtire_docker::{Engine, EngineError};
use ailtire_events::{Diagnostic, EventSink, LogStream};
use ailtire_swarm::status::status;
use ailtire_swarm::token::{self, Token};
use ailtire_swarm::{Identity, Outcome, WaitOptions, label};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::deploy::locked;

/// The program in a stack image, and what makes it print the token.
const PRINT_TOKEN: [&str; 2] = ["/ailtire-manager", "token"];

/// Why the token can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// There are no managers.
    #[error("no manager of {root} runs")]
    NotUp {
        /// Instance of the root stack.
        root: String,
    },
    /// They run, but on nodes that this engine can't look into.
    #[error("the managers of {root} run on other nodes: {}", nodes.join(", "))]
    Elsewhere {
        /// Instance of the root stack.
        root: String,
        /// Host names of the nodes.
        nodes: Vec<String>,
    },
    /// The manager could not say it.
    #[error("the manager of {root} does not say the token: {why}")]
    Refused {
        /// Instance of the root stack.
        root: String,
        /// What it wrote.
        why: String,
    },
}

impl NoToken {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::NotUp { .. } => "`ailtire-build up` brings the application up; `ailtire-build \
                                   status` shows what runs"
                .to_owned(),
            Self::Elsewhere { nodes, .. } => format!(
                "name the engine of {} with `--host`: only it can look into its containers",
                nodes.first().map_or("that node", String::as_str)
            ),
            Self::Refused { .. } => "`ailtire-build token --rotate` makes a new one".to_owned(),
        }
    }
}

/// Refuses what would fight with managers.
///
/// # Errors
///
/// [`Error::Managed`] where managers of this deployment run.
pub async fn require_no_managers(engine: &Engine, identity: &Identity) -> Result<(), Error> {
    if token::managers(engine, identity).await?.is_empty() {
        return Ok(());
    }
    Err(Error::Managed { root: identity.root.clone(), whole: true })
}

/// Refuses to remove a part of what managers run: the manager above would bring it back.
///
/// # Errors
///
/// [`Error::Managed`] where managers of this deployment run.
pub(crate) async fn require_whole(engine: &Engine, identity: &Identity) -> Result<(), Error> {
    match require_no_managers(engine, identity).await {
        Err(Error::Managed { root, .. }) => Err(Error::Managed { root, whole: false }),
        other => other,
    }
}

/// The warning about a token that was chosen though there is one.
pub(super) fn other_token() -> Diagnostic {
    Diagnostic::warning("other-token", "the application has a token already, which stays")
        .help("`ailtire-build token --rotate` gives it the one of `AILTIRE_TOKEN`")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
}

/// The token of a deployment, as one of its managers says it.
///
/// # Errors
///
/// [`Error::NoToken`] where none can be asked; [`Error::Engine`].
pub async fn read_token(engine: &Engine, identity: &Identity) -> Result<String, Error> {
    let root = || identity.root.clone();
    let managers = token::managers(engine, identity).await?;
    // The root's first: it has been there longest.
    let mut ids: Vec<_> = managers.iter().collect();
    ids.sort_by_key(|service| service.spec.labels.contains_key(label::NAMESPACE));
    for service in ids {
        let containers = engine.get("/containers/json");
        let of_service = format!("com.docker.swarm.service.id={}", service.id);
        let containers: Vec<Container> = containers.filter("label", of_service).json().await?;
        let Some(container) = containers.first() else { continue };
        let executed = match engine.execute(&container.id, &PRINT_TOKEN).await {
            Ok(executed) => executed,
            // It ended between the two requests.
            Err(EngineError::Api { status: 404 | 409, .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let said = |stream: LogStream| {
            let lines = executed.output.iter().filter(|line| line.stream == stream);
            let lines: Vec<&str> = lines.map(|line| line.text.as_str()).collect();
            lines.join(" ").trim().to_owned()
        };
        let token = said(LogStream::Stdout);
        if executed.code == 0 && !token.is_empty() {
            return Ok(token);
        }
        return Err(NoToken::Refused { root: root(), why: said(LogStream::Stderr) }.into());
    }
    Err(nowhere(engine, identity).await?.into())
}

/// Why no manager has a container here.
async fn nowhere(engine: &Engine, identity: &Identity) -> Result<NoToken, Error> {
    let root = identity.root.clone();
    let managers = token::managers(engine, identity).await?;
    let is_manager = |id: &str| managers.iter().any(|service| service.id == id);
    let status = status(engine, identity).await?;
    let services = status.stacks.iter().flat_map(|stack| &stack.services);
    let tasks = services.filter(|service| is_manager(&service.id)).flat_map(|it| &it.tasks);
    let running = tasks.filter(|task| task.state == "running");
    let mut nodes: Vec<String> = running.filter_map(|task| task.node.clone()).collect();
    nodes.sort();
    nodes.dedup();
    Ok(if nodes.is_empty() { NoToken::NotUp { root } } else { NoToken::Elsewhere { root, nodes } })
}

/// What became of a new token.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The token.
    pub token: Token,
    /// What became of the managers.
    pub outcome: Outcome,
}

/// Gives all managers of a deployment a new token, `chosen` or a random one, and waits until each
/// has it, for `timeout` at most. Their tasks are replaced, those of no other service. Nothing where
/// it is cancelled before anything was done.
///
/// # Errors
///
/// [`Error::NoToken`] where there are no managers; [`Error::Engine`].
pub async fn rotate_token(
    engine: &Engine,
    identity: &Identity,
    chosen: Option<Token>,
    (by, timeout): (&str, Duration),
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> Result<Option<Rotation>, Error> {
    if token::managers(engine, identity).await?.is_empty() {
        return Err(NoToken::NotUp { root: identity.root.clone() }.into());
    }
    let token = match chosen {
        Some(token) => token,
        None => Token::random().map_err(Error::Token)?,
    };
    let wait = WaitOptions { timeout, ..WaitOptions::default() };
    let work = async |cancel: &CancellationToken| {
        let outcome = token::rotate(engine, identity, &token, wait, sink, cancel).await?;
        Ok(Rotation { token: token.clone(), outcome })
    };
    locked(identity, ("token --rotate", by), engine, sink, cancel, work).await
}
