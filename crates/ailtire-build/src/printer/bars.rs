//! One bar on the terminal for each running build, and for each service on its way.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use ailtire_events::{EventKind, ObjectAction, ObjectKind, StepState};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::deployment::{full_name, progress_words};
use super::style::{BUSY, VERB_WIDTH};
use super::words::{bytes, printable};

/// How often a bar that nothing happens to is drawn, so that its clock goes on.
const TICK: Duration = Duration::from_millis(200);

/// The bars of what is under way.
#[derive(Debug)]
pub(crate) struct Bars {
    screen: MultiProgress,
    running: HashMap<String, Bar>,
}

#[derive(Debug)]
struct Bar {
    shown: ProgressBar,
    step: String,
    bytes: u64,
}

impl Bars {
    pub(crate) fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(10);
        Self { screen: MultiProgress::with_draw_target(target), running: HashMap::new() }
    }

    /// Runs `write` while no bar is on the terminal.
    pub(crate) fn without<T>(&self, write: impl FnOnce() -> T) -> T {
        self.screen.suspend(write)
    }

    /// Takes every bar from the terminal for good.
    pub(crate) fn remove_all(&mut self) {
        for (_, bar) in self.running.drain() {
            bar.shown.finish_and_clear();
        }
    }

    /// Shows what happened.
    pub(crate) fn update(&mut self, event: &EventKind) {
        match event {
            EventKind::BuildStarted { image } => self.start(image, "Building"),
            EventKind::BuildStep { image, step, state: StepState::Started } => {
                self.change(image, |bar| bar.step = printable(step).into_owned());
            }
            EventKind::BytesSent { image, bytes } => self.change(image, |bar| bar.bytes = *bytes),
            EventKind::BuildFinished { image, .. }
            | EventKind::BuildFailed { image, .. }
            | EventKind::BuildCancelled { image } => {
                if let Some(bar) = self.running.remove(image) {
                    bar.shown.finish_and_clear();
                }
            }
            EventKind::RunFinished { .. } | EventKind::DeploymentFinished { .. } => {
                self.remove_all();
            }
            EventKind::Pushing { reference, .. } => self.start(reference, "Pushing"),
            EventKind::PushProgress { reference, bytes, .. } => {
                self.change(reference, |bar| bar.bytes = *bytes);
            }
            EventKind::ImagePushed { reference, .. } | EventKind::PushFailed { reference, .. } => {
                if let Some(bar) = self.running.remove(reference) {
                    bar.shown.finish_and_clear();
                }
            }
            _ => self.update_service(event),
        }
    }

    fn update_service(&mut self, event: &EventKind) {
        match event {
            EventKind::ObjectChanged {
                stack,
                kind: ObjectKind::Service,
                name,
                action: ObjectAction::Created | ObjectAction::Updated,
                ..
            } => self.start(&full_name(stack, name), "Deploying"),
            EventKind::ServiceProgress { stack, service, state, tasks, .. } => {
                let name = full_name(stack, service);
                self.change(&name, |bar| bar.step = progress_words(*state, *tasks));
            }
            EventKind::ServiceConverged { stack, service, .. }
            | EventKind::ServiceFailed { stack, service, .. } => {
                if let Some(bar) = self.running.remove(&full_name(stack, service)) {
                    bar.shown.finish_and_clear();
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, name: &str, verb: &str) {
        let bar = ProgressBar::new_spinner().with_style(look()).with_prefix(prefix(verb));
        let shown = self.screen.add(bar.with_message(message(name, "", 0)));
        shown.enable_steady_tick(TICK);
        let bar = Bar { shown, step: String::new(), bytes: 0 };
        self.running.insert(name.to_owned(), bar);
    }

    fn change(&mut self, image: &str, change: impl FnOnce(&mut Bar)) {
        if let Some(bar) = self.running.get_mut(image) {
            change(bar);
            bar.show(image);
        }
    }
}

impl Bar {
    fn show(&self, image: &str) {
        self.shown.set_message(message(image, &self.step, self.bytes));
    }
}

/// What a bar says: the image, what was sent for it, and the step that runs.
fn message(image: &str, step: &str, sent: u64) -> String {
    let mut text = printable(image).into_owned();
    if sent > 0 {
        let _ = write!(text, ", {} sent", bytes(sent));
    }
    if !step.is_empty() {
        text.push_str(": ");
        text.push_str(step);
    }
    text
}

/// The clock comes before the text, whose end may not fit on the terminal.
fn look() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {elapsed:>4} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn prefix(verb: &str) -> String {
    match anstream::AutoStream::choice(&std::io::stderr()) {
        anstream::ColorChoice::Never => format!("{verb:>VERB_WIDTH$}"),
        _ => format!("{BUSY}{verb:>VERB_WIDTH$}{BUSY:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_image_bytes_and_step() {
        assert_eq!(message("web:latest", "", 0), "web:latest");
        assert_eq!(
            message("web:latest", "[2/3] RUN npm ci", 4120),
            "web:latest, 4.1 kB sent: [2/3] RUN npm ci"
        );
    }

    #[test]
    fn the_look_is_one_that_indicatif_understands() {
        assert!(ProgressStyle::with_template("{prefix} {elapsed:>4} {wide_msg}").is_ok());
    }

    #[test]
    fn bars_come_and_go_with_their_builds() {
        let mut bars = Bars::new();
        let image = "web:latest".to_owned();
        bars.update(&EventKind::BytesSent { image: "unknown".into(), bytes: 1 });
        bars.update(&EventKind::BuildStarted { image: image.clone() });
        bars.update(&EventKind::BytesSent { image: image.clone(), bytes: 1 });
        assert_eq!(bars.running[&image].bytes, 1);
        bars.update(&EventKind::BuildCancelled { image });
        assert!(bars.running.is_empty());
    }
}
