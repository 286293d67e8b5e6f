//! From what went wrong to what the user reads, and the exit code.

use std::fmt::Display;
use std::fmt::Write as _;
use std::io;

use ailtire::{EngineError, Error, HistoryError};
use ailtire_events::Diagnostic;

use crate::exit;
use crate::printer::style::{BAD, BUSY, STRONG, styled};
use crate::printer::words::count;
use crate::printer::{Printer, words};

/// Why a command ends before it did what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One sentence; absent where everything was said already.
    message: Option<String>,
    hint: Option<String>,
    /// Findings that nobody was told of yet.
    diagnostics: Vec<Diagnostic>,
    code: u8,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), hint: None, diagnostics: Vec::new(), code }
    }

    /// The command line can't be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::UNUSABLE, message)
    }

    /// The definitions can't be used, and the user knows why already.
    pub(crate) fn definitions<'a>(told: impl IntoIterator<Item = &'a Diagnostic>) -> Self {
        let errors = told.into_iter().filter(|diagnostic| diagnostic.is_error()).count();
        Self::new(exit::UNUSABLE, format!("{} in the definitions", count(errors, "error")))
    }

    /// These findings keep the command from its work; they are still to be told.
    pub(crate) fn findings(diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, ..Self::silent(exit::UNUSABLE) }
    }

    /// These findings say what could not be done; they are still to be told.
    pub(crate) fn undone(diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, ..Self::silent(exit::FAILED) }
    }

    /// Something could not be read or written.
    pub(crate) fn io(action: &str, what: impl Display, source: &io::Error) -> Self {
        Self::new(exit::IO, format!("cannot {action} {what}: {source}"))
    }

    /// The run was cancelled.
    pub(crate) fn cancelled(code: u8, message: &str) -> Self {
        Self::new(code, message)
    }

    /// A task that ended without a result.
    pub(crate) fn gave_up(error: tokio::task::JoinError) -> Self {
        Self::io("finish", "a part of the work", &io::Error::other(error))
    }

    /// Something that was asked for could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(exit::FAILED, message)
    }

    /// Everything was said already.
    pub(crate) fn silent(code: u8) -> Self {
        Self { message: None, hint: None, diagnostics: Vec::new(), code }
    }

    /// The same failure, with what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Findings that are still to be told.
    pub(crate) fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.diagnostics)
    }

    /// Tells the user.
    pub(crate) fn print(&self, printer: &Printer) {
        printer.diagnostics(&self.diagnostics);
        let mut text = String::new();
        if let Some(message) = &self.message {
            let message = styled(STRONG, message);
            text = format!("{BAD}error{BAD:#}{STRONG}:{STRONG:#} {message}\n");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{BUSY}hint{BUSY:#}: {}", words::printable(hint));
        }
        if !text.is_empty() {
            printer.status(&text);
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::NoApplication { .. } => Self::new(exit::UNUSABLE, message)
                .hint("go to an application's directory, or name one with `--app DIR`"),
            Error::Definitions(diagnostics) => {
                let told = Self::definitions(&diagnostics);
                Self { diagnostics, ..told }
            }
            Error::Repository { help, .. } => Self::new(exit::UNUSABLE, message).hint(help),
            Error::HalfReleased { help, .. } => Self::new(exit::FAILED, message).hint(help),
            Error::Bases(diagnostics) => Self { diagnostics, ..Self::new(exit::FAILED, message) },
            Error::Engine(error) | Error::History(HistoryError::Engine(error)) => error.into(),
            Error::Cache(error) => Self::new(exit::FAILED, message).hint(error.help()),
            Error::Swarm(problem) => Self::new(exit::ENGINE, message).hint(problem.help()),
            Error::LockLost => Self::new(exit::ENGINE, message)
                .hint("see `ailtire-build status`; running the same command again is safe"),
            Error::Managed { whole: true, .. } => Self::new(exit::UNUSABLE, message).hint(
                "`ailtire-build up` brings it to what the definitions say; `ailtire-build down` \
                 removes it",
            ),
            Error::Managed { whole: false, .. } => Self::new(exit::UNUSABLE, message).hint(
                "take the stack out of the definitions and run `ailtire-build up`, or shut it down \
                 at its manager's interface",
            ),
            Error::NoToken(error) => Self::new(exit::FAILED, message).hint(error.help()),
            Error::History(_) => Self::new(exit::ENGINE, message)
                .hint("what runs is not touched; `ailtire-build history` shows what can be read"),
            Error::State(_) => Self::new(exit::IO, message)
                .hint("the state may be deleted at any time; it must be writable to build"),
            Error::Outside { .. } => Self::new(exit::UNUSABLE, message)
                .hint("`--allow-outside` names a directory that is there"),
            Error::Io { action: "open", .. } => Self::new(exit::UNUSABLE, message)
                .hint("`--app` names the directory of an application"),
            Error::Token(_) | Error::Io { .. } => Self::new(exit::IO, message),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::new(exit::ENGINE, error.to_string()).hint(error.help())
    }
}

/// Data that could not be written to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // The reader has what it wanted: `head` is a way to use this program, not a mistake.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::silent(exit::DONE);
        }
        Self::io("write to", "standard output", &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_code() {
        let none = Error::NoApplication { searched: "/x".into() };
        assert_eq!(Failure::from(none).code(), exit::UNUSABLE);
        let definitions = Error::Definitions(vec![Diagnostic::error("a", "b")]);
        let mut failure = Failure::from(definitions);
        assert_eq!(failure.code(), exit::UNUSABLE);
        assert_eq!(failure.message.as_deref(), Some("1 error in the definitions"));
        assert_eq!(failure.take_diagnostics().len(), 1);
        let source = io::Error::other("no");
        let unreadable = Error::Io { action: "read", path: "/x".into(), source };
        assert_eq!(Failure::from(unreadable).code(), exit::IO);
        assert_eq!(Failure::from(io::Error::other("full")).code(), exit::IO);
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.code(), failure.message), (exit::DONE, None));
    }
}
