//! Takes the events of a run and has them written.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ailtire_events::{Event, EventKind, EventSink};
use clap::ValueEnum;

use super::bars::Bars;
use super::human::Human;
use super::job_summary::JobSummary;
use super::{Printer, Verbosity};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Progress {
    /// `tty` where standard error is a terminal, else `plain`
    #[default]
    Auto,
    /// One bar for each running build; `plain` where standard error is no terminal
    Tty,
    /// Lines only, with the logs of steps at `--verbose`
    Plain,
    /// Only what goes wrong
    Quiet,
}

/// The form of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people, on standard error
    #[default]
    Human,
    /// One JSON object a line, on standard output
    Json,
}

/// Writes what happens, as it happens.
#[derive(Debug)]
pub(crate) struct Reporter {
    printer: Arc<Printer>,
    begin: Instant,
    format: MessageFormat,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    /// Why a message for programs could not be written, the first time.
    lost: Option<std::io::Error>,
    human: Human,
    bars: Option<Bars>,
    job: JobSummary,
}

impl Reporter {
    pub(crate) fn new(printer: &Arc<Printer>, format: MessageFormat, progress: Progress) -> Self {
        let verbosity = match progress {
            Progress::Quiet => Verbosity::Quiet,
            _ => printer.verbosity(),
        };
        let bars = match progress {
            Progress::Auto | Progress::Tty => std::io::stderr().is_terminal(),
            Progress::Plain | Progress::Quiet => false,
        };
        let bars = bars && format == MessageFormat::Human && verbosity > Verbosity::Quiet;
        let shown = Shown {
            lost: None,
            human: Human::new(verbosity, bars),
            bars: bars.then(Bars::new),
            job: JobSummary::default(),
        };
        Self {
            printer: Arc::clone(printer),
            begin: Instant::now(),
            format,
            shown: Mutex::new(shown),
        }
    }

    /// Says where the application is, so that lines of its files can be shown.
    pub(crate) fn set_root(&self, root: PathBuf) {
        self.shown().human.set_root(root);
    }

    /// Milliseconds since the run began.
    pub(crate) fn elapsed(&self) -> u64 {
        self.begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    /// Writes a text for people, unless messages are for programs.
    pub(crate) fn say(&self, text: &str) {
        let shown = self.shown();
        if self.format == MessageFormat::Human {
            self.write(&shown, text);
        }
    }

    /// Takes the bars from the terminal, unless something is being written just now: never waits.
    pub(crate) fn finish(&self) {
        if let Ok(mut shown) = self.shown.try_lock()
            && let Some(bars) = &mut shown.bars
        {
            bars.remove_all();
        }
    }

    /// Why messages for programs were lost, if any were: their reader must not take what it got
    /// for all there is.
    pub(crate) fn take_lost(&self) -> Option<std::io::Error> {
        self.shown().lost.take()
    }

    /// The run as a table in Markdown, if it was about images.
    pub(crate) fn markdown(&self) -> Option<String> {
        self.shown().job.markdown()
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shown: &Shown, text: &str) {
        match &shown.bars {
            Some(bars) => bars.without(|| self.printer.status(text)),
            None => self.printer.status(text),
        }
    }

    fn write_json(&self, shown: &mut Shown, kind: EventKind) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = now.as_millis().try_into().unwrap_or(u64::MAX);
        let event = Event { timestamp, elapsed: self.elapsed(), kind };
        // A build goes on when nobody reads its messages any more: the exit code still tells.
        if let Err(error) = self.printer.json(&event) {
            shown.lost.get_or_insert(error);
        }
    }
}

impl EventSink for Reporter {
    fn emit(&self, mut kind: EventKind) {
        // Whoever waited for the command waited for the definitions to be read, too.
        if let EventKind::RunFinished { summary } = &mut kind {
            summary.duration = self.elapsed();
        }
        let mut shown = self.shown();
        shown.job.take(&kind);
        if self.format == MessageFormat::Json {
            self.write_json(&mut shown, kind);
            return;
        }
        if let Some(bars) = &mut shown.bars {
            bars.update(&kind);
        }
        let text = shown.human.lines(&kind);
        if !text.is_empty() {
            self.write(&shown, &text);
        }
    }
}
