//! The one place that writes: data to standard output, status to standard error.

mod bars;
mod deployment;
mod diagnostics;
mod human;
mod job_summary;
mod pushes;
mod reporter;
pub(crate) mod style;
pub(crate) mod words;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use ailtire_events::{Diagnostic, Severity};
use clap::ValueEnum;

pub(crate) use deployment::progress_words;
pub(crate) use reporter::{MessageFormat, Progress, Reporter};

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    /// Where the output is a terminal; `NO_COLOR` and `CLICOLOR_FORCE` are honoured
    #[default]
    Auto,
    /// Also where the output is no terminal
    Always,
    /// Not at all
    Never,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// What a user wants to know.
    Normal,
    /// Notes, all reasons and the logs of steps too.
    Verbose,
}

/// Writes whole texts, so that what several threads say never mixes within a line.
#[derive(Debug)]
pub(crate) struct Printer {
    verbosity: Verbosity,
    writing: Mutex<()>,
}

impl Printer {
    pub(crate) fn new(color: Color, verbosity: Verbosity) -> Self {
        let choice = match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Self { verbosity, writing: Mutex::default() }
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Whether what is written by [`Printer::data`] is shown on a terminal.
    pub(crate) fn data_is_shown() -> bool {
        io::stdout().is_terminal()
    }

    /// Writes `text`, which may have colours, to standard output.
    ///
    /// # Errors
    ///
    /// What the operating system says; a reader that went away is [`io::ErrorKind::BrokenPipe`].
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes `value` as a line of JSON to standard output.
    ///
    /// # Errors
    ///
    /// As [`Printer::data`].
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> io::Result<()> {
        let mut line = serde_json::to_string(value).map_err(io::Error::other)?;
        line.push('\n');
        self.data(&line)
    }

    /// Writes `value` as indented JSON to standard output.
    ///
    /// # Errors
    ///
    /// As [`Printer::data`].
    pub(crate) fn pretty_json(&self, value: &impl serde::Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        text.push('\n');
        self.data(&text)
    }

    /// Writes `text`, which may have colours, to standard error.
    pub(crate) fn status(&self, text: &str) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut error = anstream::stderr().lock();
        // Nobody is left to be told that standard error can't be written.
        let _ = error.write_all(text.as_bytes()).and_then(|()| error.flush());
    }

    /// Writes findings to standard error, as far as they are asked for.
    pub(crate) fn diagnostics<'a>(&self, diagnostics: impl IntoIterator<Item = &'a Diagnostic>) {
        let shown = diagnostics.into_iter().filter(|diagnostic| self.shows(diagnostic.severity));
        let text: String = shown.map(diagnostics::render).collect();
        if !text.is_empty() {
            self.status(&text);
        }
    }

    fn shows(&self, severity: Severity) -> bool {
        match severity {
            Severity::Error => true,
            Severity::Warning => self.verbosity > Verbosity::Quiet,
            Severity::Note => self.verbosity == Verbosity::Verbose,
        }
    }
}
