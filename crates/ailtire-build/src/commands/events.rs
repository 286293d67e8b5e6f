//! How commands that do something tell what they do.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use ailtire::{EventKind, EventSink};
use clap::Args;

use crate::error::Failure;
use crate::files;
use crate::printer::words;
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

    /// Add a table of the images, in Markdown, to this file; GitHub Actions names one itself
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY", hide_env_values = true)]
    pub(crate) summary: Option<PathBuf>,
}

impl EventArguments {
    /// Takes the events of the run.
    pub(crate) fn reporter(&self, printer: &Arc<Printer>) -> Arc<Reporter> {
        Arc::new(Reporter::new(printer, self.message_format, self.progress))
    }
}

/// Ends a run that told what it did: programs get what went wrong as events, and jobs of CI services
/// what became of the images.
///
/// # Errors
///
/// What `result` has, or that messages or the summary were lost.
pub(crate) fn reported(
    arguments: &EventArguments,
    reporter: &Reporter,
    result: Result<u8, Failure>,
) -> Result<u8, Failure> {
    reporter.finish();
    let result = summarised(arguments, reporter, result);
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

/// Adds the run to the job's summary, also where it failed.
fn summarised(
    arguments: &EventArguments,
    reporter: &Reporter,
    result: Result<u8, Failure>,
) -> Result<u8, Failure> {
    let Some(markdown) = reporter.markdown() else { return result };
    if let Some(file) = arguments.summary.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        let written = files::append(file, markdown.as_bytes());
        // What the run itself came to is worth more than that its summary is lost.
        return result.and_then(|code| written.map(|()| code));
    }
    if std::env::var_os("GITLAB_CI").is_some_and(|is_set| is_set == "true") {
        reporter.say(&section(&markdown));
    }
    result
}

/// A section of a job's log that GitLab shows folded.
fn section(markdown: &str) -> String {
    let now = words::now() / 1000;
    let name = "ailtire_build_images";
    format!(
        "\u{1b}[0Ksection_start:{now}:{name}[collapsed=true]\r\u{1b}[0KImages\n{markdown}\
         \u{1b}[0Ksection_end:{now}:{name}\r\u{1b}[0K\n"
    )
}
