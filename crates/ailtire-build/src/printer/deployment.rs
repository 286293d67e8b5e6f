//! What a person reads of a deployment, event by event.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use ailtire_events::{
    DeploymentSummary, Diagnostic, EventKind, FieldChange, ObjectAction, ObjectKind,
    ServiceFailure, ServiceState, TaskCounts,
};

use super::style::{BAD, BUSY, GOOD, NOTICE, continued, status};
use super::words::{count, milliseconds, plain_log, printable};
use super::{Verbosity, diagnostics};

/// Turns events of deployments into lines, with colours.
#[derive(Debug, Default)]
pub(super) struct Deployments {
    /// What was last said of a service on its way, so that it is said once.
    said: HashMap<(String, String), String>,
    /// Services that were made or changed: of others nobody needs to hear that they go on.
    changed: HashSet<(String, String)>,
}

impl Deployments {
    /// The lines for one event; none for events that are not about deployments.
    pub(super) fn lines(
        &mut self,
        event: &EventKind,
        verbosity: Verbosity,
        bars: bool,
    ) -> Option<String> {
        if let EventKind::ServiceFailed { stack, service, failure } = event {
            return Some(failed(stack, service, failure));
        }
        if let EventKind::RollbackFinished { restored, failures } = event {
            return Some(rolled_back(*restored, failures, verbosity));
        }
        let lines = match event {
            EventKind::WaitingForDeployment { holder } => {
                let text = format!("waiting for another deployment of this application: {holder}");
                status("Blocking", BUSY, &text)
            }
            EventKind::ObjectChanged { stack, kind, name, action, changes } => {
                if matches!(action, ObjectAction::Created | ObjectAction::Updated) {
                    self.changed.insert((stack.clone(), name.clone()));
                }
                object(stack, *kind, name, *action, changes, verbosity)
            }
            EventKind::ServiceProgress { stack, service, state, tasks, message } => {
                self.progress(stack, service, *state, *tasks, message.as_deref(), verbosity, bars)
            }
            EventKind::ServiceConverged { stack, service, .. }
                if !self.changed.contains(&(stack.clone(), service.clone())) =>
            {
                String::new()
            }
            EventKind::ServiceConverged { stack, service, state, tasks, duration } => {
                let (verb, what) = converged(*state, *tasks);
                let name = full_name(stack, service);
                status(verb, GOOD, &format!("{name}{what} in {}", milliseconds(*duration)))
            }
            EventKind::ServiceSkipped { stack, service, because } => {
                let why = match because {
                    Some(because) => format!("because {because} failed"),
                    None => "because the run stopped before it".to_owned(),
                };
                status("Skipped", NOTICE, &format!("{} {why}", full_name(stack, service)))
            }
            EventKind::RollbackStarted { because } => {
                status("Rolling back", NOTICE, &format!("what was changed, because {because}"))
            }
            EventKind::DeploymentFinished { summary } => finished(summary),
            _ => return None,
        };
        Some(if verbosity == Verbosity::Quiet { String::new() } else { lines })
    }

    /// A service on its way: a line where something is odd about it, or where everything is told.
    #[expect(clippy::too_many_arguments, reason = "the parts of one event, and how to show it")]
    fn progress(
        &mut self,
        stack: &str,
        service: &str,
        state: ServiceState,
        tasks: TaskCounts,
        message: Option<&str>,
        verbosity: Verbosity,
        bars: bool,
    ) -> String {
        // What waits for others in its turn is not worth a line.
        let is_odd = message.is_some() && state != ServiceState::Waiting;
        let wanted = is_odd || verbosity == Verbosity::Verbose && !bars;
        if !wanted {
            return String::new();
        }
        let mut text = format!("{}: {}", full_name(stack, service), progress_words(state, tasks));
        if let Some(message) = message {
            text = format!("{}: {message}", full_name(stack, service));
        }
        let said = self.said.entry((stack.to_owned(), service.to_owned())).or_default();
        if *said == text {
            return String::new();
        }
        said.clone_from(&text);
        status("Waiting", if is_odd { NOTICE } else { BUSY }, &text)
    }
}

/// `stack/service`.
pub(super) fn full_name(stack: &str, service: &str) -> String {
    format!("{stack}/{service}")
}

/// How far a service is, for a bar or a line: `pulling`, `starting`, `2/3 running`.
pub(crate) fn progress_words(state: ServiceState, tasks: TaskCounts) -> String {
    let TaskCounts { wanted, running, healthy, completed } = tasks;
    match state {
        ServiceState::Waiting => "waiting for what it depends on".to_owned(),
        ServiceState::Pending => "waiting for a node".to_owned(),
        ServiceState::Preparing => "pulling".to_owned(),
        ServiceState::Starting if running > 0 && healthy < running => {
            format!("{running}/{wanted} running, {healthy} healthy")
        }
        ServiceState::Starting if running > 0 => format!("{running}/{wanted} running"),
        ServiceState::Starting => "starting".to_owned(),
        ServiceState::Running => format!("{running}/{wanted} running"),
        ServiceState::Completed => format!("{completed}/{wanted} completed"),
        ServiceState::Stopped => "stopped".to_owned(),
    }
}

fn converged(state: ServiceState, tasks: TaskCounts) -> (&'static str, String) {
    match state {
        ServiceState::Completed => ("Completed", format!(" {}/{}", tasks.completed, tasks.wanted)),
        ServiceState::Stopped => ("Stopped", String::new()),
        _ => ("Running", format!(" {}/{}", tasks.running, tasks.wanted)),
    }
}

fn object(
    stack: &str,
    kind: ObjectKind,
    name: &str,
    action: ObjectAction,
    changes: &[FieldChange],
    verbosity: Verbosity,
) -> String {
    let is_service = kind == ObjectKind::Service;
    let mut text = match kind {
        ObjectKind::Service => full_name(stack, name),
        _ => format!("{kind} {name}"),
    };
    let (verb, style) = match action {
        ObjectAction::Created => (if is_service { "Creating" } else { "Created" }, BUSY),
        ObjectAction::Updated => (if is_service { "Updating" } else { "Updated" }, BUSY),
        ObjectAction::Removed => ("Removed", GOOD),
        ObjectAction::Untouched if is_service => ("Untouched", GOOD),
        ObjectAction::Untouched if verbosity == Verbosity::Verbose => ("Untouched", GOOD),
        ObjectAction::Untouched => return String::new(),
    };
    let Some((first, more)) = changes.split_first() else { return status(verb, style, &text) };
    text = format!("{text} because {first}");
    if verbosity < Verbosity::Verbose && !more.is_empty() {
        text = format!("{text} (and {} more)", more.len());
    }
    let mut lines = status(verb, style, &text);
    if verbosity == Verbosity::Verbose {
        lines.extend(more.iter().map(|change| continued(&format!("and {change}"))));
    }
    lines
}

fn failed(stack: &str, service: &str, failure: &ServiceFailure) -> String {
    let name = full_name(stack, service);
    let mut text = status("Failed", BAD, &name);
    if !failure.log.is_empty() {
        let task = failure.task.as_deref().unwrap_or(&name);
        let _ = write!(text, "------\n > last lines of {}:\n", printable(task));
        text.push_str(&plain_log(&failure.log.join("\n")));
        text.push_str("------\n");
    }
    let message = format!("`{name}` does not run: {}", failure.message.trim());
    let mut diagnostic = Diagnostic::error("service-failed", message);
    let code = failure.exit_code.map(|code| format!("exit code {code}"));
    let place = failure.node.as_ref().map(|node| format!("on the node {node}"));
    let parts: Vec<String> =
        failure.task.iter().map(|task| format!("task {task}")).chain(place).chain(code).collect();
    if !parts.is_empty() {
        diagnostic = diagnostic.detail(parts.join(", "));
    }
    if let Some(help) = &failure.help {
        diagnostic = diagnostic.help(help);
    }
    text.push_str(&diagnostics::render(&diagnostic));
    text
}

fn rolled_back(restored: usize, failures: &[String], verbosity: Verbosity) -> String {
    if failures.is_empty() {
        if verbosity == Verbosity::Quiet {
            return String::new();
        }
        let text = format!("{} as before", count(restored, "object"));
        return status("Rolled back", NOTICE, &text);
    }
    let mut diagnostic =
        Diagnostic::error("rollback-failed", "not everything went back to what it was");
    diagnostic.details = failures.to_vec();
    diagnostics::render(
        &diagnostic.help("see `ailtire-build status`; `ailtire-build rollback` tries again"),
    )
}

/// The last line; what did not happen is not mentioned, but for failures.
fn finished(summary: &DeploymentSummary) -> String {
    let counts = [
        (summary.created, "created", false),
        (summary.updated, "updated", false),
        (summary.removed, "removed", false),
        (summary.untouched, "untouched", false),
        (summary.failed, "failed", false),
        (summary.skipped, "skipped", false),
        (summary.interrupted, "not waited for to the end", false),
    ];
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(number, _, always)| *always || *number > 0)
        .map(|(number, what, _)| format!("{number} {what}"))
        .collect();
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    if summary.rolled_back {
        parts.push("everything as before".to_owned());
    }
    let style =
        if summary.failed + summary.skipped + summary.interrupted == 0 { GOOD } else { BAD };
    let services = format!(
        "{}: {} in {}",
        count(summary.stacks, "stack"),
        parts.join(", "),
        milliseconds(summary.duration)
    );
    status("Finished", style, &services)
}
