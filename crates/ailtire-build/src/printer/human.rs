//! What a person reads of a run, event by event.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::PathBuf;

use ailtire_events::{
    BuildFailure, Diagnostic, DirtyReason, EventKind, Location, ReleaseStep, Severity, StepState,
    Summary,
};

use super::deployment::Deployments;
use super::pushes;
use super::style::{BAD, BUSY, GOOD, NOTICE, continued, status};
use super::words::{bytes, count, milliseconds, plain_log, printable};
use super::{Verbosity, diagnostics};

/// More fresh images than this become one line.
const FRESH_LINES: usize = 20;

/// Turns events into lines, with colours.
#[derive(Debug)]
pub(crate) struct Human {
    verbosity: Verbosity,
    /// Whether bars show what is under way, so that lines need not.
    bars: bool,
    /// Where the application is: failed lines of Dockerfiles are read there.
    root: Option<PathBuf>,
    /// Whether one line already spoke for all fresh images.
    fresh_are_counted: bool,
    announced_dirty: HashSet<String>,
    /// Beginnings of log lines, by image and step.
    unfinished: HashMap<(String, String), String>,
    deployments: Deployments,
}

impl Human {
    pub(crate) fn new(verbosity: Verbosity, bars: bool) -> Self {
        Self {
            verbosity,
            bars,
            root: None,
            fresh_are_counted: false,
            announced_dirty: HashSet::new(),
            unfinished: HashMap::new(),
            deployments: Deployments::default(),
        }
    }

    pub(crate) fn set_root(&mut self, root: PathBuf) {
        self.root = Some(root);
    }

    /// The lines for one event; may be empty.
    pub(crate) fn lines(&mut self, event: &EventKind) -> String {
        if let Some(lines) = self.deployments.lines(event, self.verbosity, self.bars) {
            return lines;
        }
        match event {
            EventKind::BuildFailed { image, failure } => return self.failed(image, failure),
            EventKind::Diagnostic { diagnostic } => return self.diagnostic(diagnostic),
            EventKind::PushFailed { reference, failure, .. } => {
                return pushes::failed(reference, failure);
            }
            _ if self.verbosity == Verbosity::Quiet => return String::new(),
            _ => {}
        }
        match event {
            EventKind::WaitingForLock { holder } => {
                let mut text = "waiting for another run in this application".to_owned();
                if !holder.is_empty() {
                    let _ = write!(text, ": {holder}");
                }
                status("Blocking", BUSY, &text)
            }
            EventKind::PlanReady { images, dirty } => self.plan(images.saturating_sub(*dirty)),
            EventKind::ImageFresh { image, .. } => self.fresh(image),
            EventKind::ImageDirty { image, reasons } => self.dirty(image, reasons),
            EventKind::ImageTagged { image, references } => {
                status("Tagged", GOOD, &other_names(image, references))
            }
            EventKind::ImageCached { image, loaded, .. } => {
                let where_ = if *loaded { "fetched from the registry" } else { "in the registry" };
                status("Cached", GOOD, &format!("{image} {where_}"))
            }
            EventKind::Release { step } => released(step),
            EventKind::Pulling { reference } => status("Pulling", BUSY, reference),
            EventKind::BuildStarted { image } if !self.bars => status("Building", BUSY, image),
            EventKind::BuildStep { image, step, state } => self.step(image, step, *state),
            EventKind::BuildLog { image, step, text, .. } => self.log(image, step, text),
            EventKind::BuildFinished { image, duration, bytes_sent, .. } => {
                let (time, sent) = (milliseconds(*duration), bytes(*bytes_sent));
                status("Built", GOOD, &format!("{image} in {time}, {sent} sent"))
            }
            EventKind::ImageSkipped { image, because: Some(because) } => {
                status("Skipped", NOTICE, &format!("{image} because {because} failed"))
            }
            EventKind::ImageSkipped { image, because: None } => {
                status("Skipped", NOTICE, &format!("{image} because the run stopped before it"))
            }
            EventKind::BuildCancelled { image } => status("Cancelled", NOTICE, image),
            EventKind::Pushing { reference, .. } if !self.bars => {
                status("Pushing", BUSY, reference)
            }
            EventKind::ImagePushed { reference, bytes_sent, skipped, .. } => {
                pushes::pushed(reference, *bytes_sent, *skipped)
            }
            EventKind::RunFinished { summary } => finished(summary),
            _ => String::new(),
        }
    }

    fn diagnostic(&self, diagnostic: &Diagnostic) -> String {
        let least = match diagnostic.severity {
            Severity::Error => Verbosity::Quiet,
            Severity::Warning => Verbosity::Normal,
            Severity::Note => Verbosity::Verbose,
        };
        if self.verbosity < least { String::new() } else { diagnostics::render(diagnostic) }
    }

    fn plan(&mut self, fresh: usize) -> String {
        self.fresh_are_counted = fresh > FRESH_LINES && self.verbosity < Verbosity::Verbose;
        if self.fresh_are_counted {
            status("Fresh", GOOD, &count(fresh, "image"))
        } else {
            String::new()
        }
    }

    fn fresh(&mut self, image: &str) -> String {
        if self.announced_dirty.remove(image) {
            return status("Fresh", GOOD, &format!("{image} (its bases came out the same)"));
        }
        if self.fresh_are_counted { String::new() } else { status("Fresh", GOOD, image) }
    }

    fn dirty(&mut self, image: &str, reasons: &[DirtyReason]) -> String {
        self.announced_dirty.insert(image.to_owned());
        let Some((first, more)) = reasons.split_first() else {
            return status("Dirty", NOTICE, image);
        };
        let mut text = format!("{image} because {first}");
        if self.verbosity < Verbosity::Verbose {
            if !more.is_empty() {
                let _ = write!(text, " (and {} more)", more.len());
            }
            return status("Dirty", NOTICE, &text);
        }
        let mut lines = status("Dirty", NOTICE, &text);
        lines.extend(more.iter().map(|reason| continued(&format!("and {reason}"))));
        lines
    }

    fn step(&mut self, image: &str, step: &str, state: StepState) -> String {
        if self.bars || self.verbosity < Verbosity::Verbose {
            return String::new();
        }
        match state {
            StepState::Started => continued(&format!("{image} {step}")),
            StepState::Cached => continued(&format!("{image} {step} (cached)")),
            StepState::Completed | StepState::Failed => {
                let key = (image.to_owned(), step.to_owned());
                let rest = self.unfinished.remove(&key).unwrap_or_default();
                if rest.is_empty() { rest } else { log_lines(image, &rest) }
            }
        }
    }

    /// The lines that `text` completes; its last one waits for its end.
    fn log(&mut self, image: &str, step: &str, text: &str) -> String {
        if self.bars || self.verbosity < Verbosity::Verbose {
            return String::new();
        }
        let unfinished = self.unfinished.entry((image.to_owned(), step.to_owned())).or_default();
        unfinished.push_str(text);
        let Some(end) = unfinished.rfind('\n') else { return String::new() };
        let rest = unfinished.split_off(end + 1);
        let complete = std::mem::replace(unfinished, rest);
        log_lines(image, &complete)
    }

    fn failed(&self, image: &str, failure: &BuildFailure) -> String {
        let mut text = status("Failed", BAD, image);
        if !failure.log.is_empty() {
            let step = failure.step.as_deref().unwrap_or("log");
            let _ = write!(text, "------\n > {}:\n", printable(step));
            text.push_str(&plain_log(&failure.log));
            text.push_str("------\n");
        }
        text.push_str(&diagnostics::render(&self.diagnosis(image, failure)));
        text
    }

    /// A failed build as a finding, at the failed line of the Dockerfile.
    fn diagnosis(&self, image: &str, failure: &BuildFailure) -> Diagnostic {
        let message = format!("`{image}` could not be built: {}", failure.message.trim());
        let mut diagnostic = Diagnostic::error("build-failed", message);
        if let Some(dockerfile) = &failure.dockerfile {
            let mut location = Location::file(dockerfile);
            location.line = failure.line;
            location.excerpt = failure.line.and_then(|line| self.excerpt(dockerfile, line));
            diagnostic = diagnostic.at(location);
        }
        let code = failure.exit_code.map(|code| format!("exit code {code}"));
        diagnostic = match (&failure.step, code) {
            (Some(step), Some(code)) => {
                diagnostic.detail(format!("the step `{step}` failed with {code}"))
            }
            (Some(step), None) => diagnostic.detail(format!("the step `{step}` failed")),
            (None, Some(code)) => diagnostic.detail(format!("it failed with {code}")),
            (None, None) => diagnostic,
        };
        if let Some(definition) = &failure.definition {
            diagnostic = diagnostic.detail(format!("the image is defined at {definition}"));
        }
        match &failure.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    fn excerpt(&self, dockerfile: &str, line: u32) -> Option<String> {
        let text = std::fs::read_to_string(self.root.as_ref()?.join(dockerfile)).ok()?;
        Location::in_text(dockerfile, &text, line, None).excerpt
    }
}

/// A step of a release.
fn released(step: &ReleaseStep) -> String {
    match step {
        ReleaseStep::Versioned { old, new, files } => {
            let what = format!("version {new} after {old} to {}", files.join(", "));
            status("Written", GOOD, &what)
        }
        ReleaseStep::Committed { tag } => status("Tagged", GOOD, &format!("commit {tag}")),
        ReleaseStep::Pushed { remote, tag } => {
            status("Pushed", GOOD, &format!("commit and tag {tag} to {remote}"))
        }
    }
}

fn log_lines(image: &str, text: &str) -> String {
    plain_log(text).lines().map(|line| continued(&format!("{image} | {line}"))).collect()
}

/// `image`, and the other references that it carries.
fn other_names(image: &str, references: &[String]) -> String {
    let others: Vec<_> =
        references.iter().map(String::as_str).filter(|name| *name != image).collect();
    if others.is_empty() { image.to_owned() } else { format!("{image}, {}", others.join(", ")) }
}

/// The last line of a run; what did not happen is not mentioned, but for failures.
fn finished(summary: &Summary) -> String {
    if summary.dry_run {
        let time = milliseconds(summary.duration);
        let (dirty, fresh) = (summary.skipped, summary.fresh);
        let text = format!("dry run: {dirty} to bring up to date, {fresh} fresh in {time}");
        return status("Finished", GOOD, &text);
    }
    let counts = [
        (summary.built, "built", true),
        (summary.tagged, "tagged", false),
        (summary.cached, "cached", false),
        (summary.fresh, "fresh", true),
        (summary.failed, "failed", true),
        (summary.skipped, "skipped", false),
        (summary.cancelled, "cancelled", false),
        (summary.pushed, "pushed", false),
        (summary.push_failed, "not pushed", false),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(number, _, always)| *always || *number > 0)
        .map(|(number, what, _)| format!("{number} {what}"))
        .collect();
    let (time, sent) = (milliseconds(summary.duration), bytes(summary.bytes_sent));
    let missed = summary.failed + summary.skipped + summary.cancelled + summary.push_failed;
    let style = if missed == 0 { GOOD } else { BAD };
    let mut text = format!("{} in {time}, {sent} sent", counts.join(", "));
    if summary.bytes_pushed > 0 {
        let _ = write!(text, ", {} pushed", bytes(summary.bytes_pushed));
    }
    status("Finished", style, &text)
}

#[cfg(test)]
#[path = "human_tests.rs"]
mod tests;
