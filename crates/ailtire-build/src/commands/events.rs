//! How commands that do something tell what they do.

use std::io::ErrorKind;
use std::sync::Arc;

use ailtire::{EventKind, EventSink};
use clap::Args;

use crate::error::Failure;
use crate::printer::{MessageFormat, Printer, Progress, Reporter};

/// How to tell.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EventArguments {
    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: Progress,

    /// Form of messages
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

impl EventArguments {
    /// Takes the events of the run.
    pub(crate) fn reporter(&self, printer: &Arc<Printer>) -> Arc<Reporter> {
        Arc::new(Reporter::new(printer, self.message_format, self.progress))
    }
}

/// Ends a run that told what it did: programs get what went wrong as events, too.
///
/// # Errors
///
/// What `result` has, or that messages were lost.
pub(crate) fn reported(reporter: &Reporter, result: Result<u8, Failure>) -> Result<u8, Failure> {
    reporter.finish();
    let result = result.map_err(|mut failure| {
        // Programs get findings as events, like all others.
        for diagnostic in failure.take_diagnostics() {
            reporter.emit(EventKind::Diagnostic { diagnostic });
        }
        failure
    });
    match reporter.take_lost() {
        // A reader that went away has what it wanted; one that is cut off must be told.
        Some(error) if error.kind() != ErrorKind::BrokenPipe => result.and(Err(error.into())),
        _ => result,
    }
}
