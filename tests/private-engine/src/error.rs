//! What can go wrong with an engine of our own.

use std::io;
use std::path::PathBuf;

/// Why a private engine could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is missing and can't be installed here.
    #[error(
        "`{program}` is missing, and only root on Debian or Ubuntu can have it installed for it; \
         install the package that has it (Debian: `apt-get install {package}`) and try again"
    )]
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// An engine can be started by root only.
    #[error(
        "starting a Docker engine takes root; run this as root, or have an engine installed and \
         started (Debian: `apt-get install docker.io`) and set DOCKER_HOST to its address"
    )]
    NotRoot,
    /// The folder already has a running engine.
    #[error("an engine of another process runs in {}", folder.display())]
    InUse {
        /// The engine's folder.
        folder: PathBuf,
    },
    /// The engine ended, or did not answer in time, when it was started.
    #[error("the engine in {} did not start: {reason}\n{log}", folder.display())]
    Start {
        /// The engine's folder.
        folder: PathBuf,
        /// What was seen.
        reason: String,
        /// The last lines of the engine's log.
        log: String,
    },
    /// The engine did not stop, even when killed.
    #[error("the engine in {} did not stop", folder.display())]
    Stop {
        /// The engine's folder.
        folder: PathBuf,
    },
    /// A program that was run failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// What it wrote to standard error, or why it could not be run.
        output: String,
    },
    /// The engine refused a request.
    #[error("the engine refused `{request}` with status {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP status; 200 where the refusal came in the body.
        status: u16,
        /// The engine's message.
        message: String,
    },
    /// The engine's answer is not HTTP.
    #[error("the engine's answer to `{request}` is not HTTP")]
    Protocol {
        /// Method and path.
        request: String,
    },
    /// The engine's answer is not what was asked for.
    #[error("the engine's answer to `{request}` is not the JSON that it should be")]
    NotJson {
        /// Method and path.
        request: String,
    },
    /// Something did not come about in time.
    #[error("waited in vain for {what}")]
    Late {
        /// What was waited for.
        what: String,
    },
    /// A file, a socket or a pipe could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// Says what was tried when an input or output operation fails.
pub(crate) trait Tried<T> {
    /// The same result, with the words of `what` in its error.
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Tried<T> for Result<T, E> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source: source.into() })
    }
}
