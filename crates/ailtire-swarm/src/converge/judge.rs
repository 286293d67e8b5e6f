//! Whether a service is what it is to be, from its spec and its tasks. Pure: nothing is asked here.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_events::{ServiceState, TaskCounts};
use serde_json::Value;

use super::task::{Slot, Task};
use crate::observe::ObservedService;
use crate::spec::ServiceMode;

/// Failed tasks in one place after which a service counts as one that keeps failing.
const FAILURES: usize = 3;
/// The same for tasks that a node refuses: another try seldom helps.
const REJECTIONS: usize = 2;

/// What is kept about a service from one look to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// Tasks that were there before; their failures are history.
    pub(crate) before: BTreeSet<String>,
    /// Tasks that failed since. The engine forgets all but a few.
    pub(super) failed: BTreeMap<Slot, BTreeSet<String>>,
    /// Places whose task ended well, though it may have a successor by now.
    pub(super) ended_well: BTreeSet<Slot>,
    /// Whether somebody waits for its tasks to end well.
    pub(crate) must_complete: bool,
    /// Whether a task that failed before still tells how its place is, where none came after it.
    pub(crate) history_counts: bool,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    pub(crate) state: ServiceState,
    pub(crate) counts: TaskCounts,
    pub(crate) message: Option<String>,
    /// Whether the engine still remembers tasks of this spec that failed.
    pub(crate) has_failed: bool,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Not yet.
    Waiting,
    /// It has one task a node, and none so far.
    Empty,
    /// It is, if these tasks go on for a moment.
    Steady(BTreeSet<String>),
    /// It is.
    Done,
    /// It will not be.
    Failed(Failure),
}

/// Why a service will not be what it is to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) task: Option<Box<Task>>,
}

/// When tasks come back.
#[derive(Debug, Clone, Copy)]
struct Restart {
    /// Whether a task that ended well does.
    after_success: bool,
    /// Failures in one place after which no more comes of it.
    failures: usize,
}

/// Looks at a service.
pub(crate) fn judge(service: &ObservedService, tasks: &[Task], memory: &mut Memory) -> View {
    let mode = service.spec.mode.clone().unwrap_or(ServiceMode::Replicated { replicas: None });
    let is_job = matches!(mode, ServiceMode::ReplicatedJob { .. } | ServiceMode::GlobalJob {});
    let restart = restart(service, is_job);
    let template = &service.raw["TaskTemplate"];
    let is_current = |task: &&Task| {
        task.is_of(template)
            && (!is_job || task.job_iteration.map(|it| it.index) == service.job_iteration)
    };
    let current: Vec<&Task> = tasks.iter().filter(is_current).collect();
    let newest = newest(&current, service.job_iteration.is_some());
    let failure = failure(&current, &newest, restart, memory);
    let counts = counts(service, &mode, &newest, memory);
    let state = state(&newest, counts);
    let ended = |task: &&Task| match task.status.state.as_str() {
        "failed" | "rejected" => true,
        other => other == "complete" && restart.after_success,
    };
    let has_failed = current.iter().any(ended);
    let message = message(&newest);
    let waiting = View { state, counts, message, has_failed, verdict: Verdict::Waiting };
    let failed = |failure| View { verdict: Verdict::Failed(failure), ..waiting.clone() };
    if let Some(failure) = update_failure(service, tasks, &current, memory) {
        return failed(failure);
    }
    // What ended well for those who wait for it to end does not have to end well again.
    let ended_well = memory.must_complete && counts.completed >= counts.wanted.max(1);
    if let Some(failure) = failure.filter(|_| !ended_well) {
        return failed(failure);
    }
    let updating = service.update.as_ref().is_some_and(|update| update.state == "updating");
    let is_stale = |task: &Task| !task.is_of(template) && task.is_wanted() && !task.has_ended();
    if updating || (!is_job && tasks.iter().any(is_stale)) {
        return waiting;
    }
    decide(&mode, restart, tasks, &newest, memory, waiting)
}

fn decide(
    mode: &ServiceMode,
    restart: Restart,
    tasks: &[Task],
    newest: &BTreeMap<Slot, &Task>,
    memory: &Memory,
    waiting: View,
) -> View {
    let counts = waiting.counts;
    let done = |state| View { state, verdict: Verdict::Done, message: None, ..waiting.clone() };
    let is_one_shot = memory.must_complete
        || matches!(mode, ServiceMode::ReplicatedJob { .. } | ServiceMode::GlobalJob {});
    match mode {
        ServiceMode::Replicated { replicas: Some(0) }
        | ServiceMode::ReplicatedJob { total_completions: Some(0), .. } => {
            if tasks.iter().all(Task::has_ended) { done(ServiceState::Stopped) } else { waiting }
        }
        ServiceMode::Global {} | ServiceMode::GlobalJob {} if newest.is_empty() => {
            View { verdict: Verdict::Empty, ..waiting }
        }
        _ if counts.completed >= counts.wanted && (is_one_shot || !restart.after_success) => {
            done(ServiceState::Completed)
        }
        _ if is_one_shot => waiting,
        _ => {
            let completed = if restart.after_success { 0 } else { counts.completed };
            if counts.running + completed < counts.wanted {
                return waiting;
            }
            let running = newest.values().filter(|task| runs(task));
            let running = running.map(|task| task.id.clone()).collect();
            View { verdict: Verdict::Steady(running), ..waiting }
        }
    }
}

/// The newest task in each place. A job's places are never reused within one run.
fn newest<'tasks>(current: &[&'tasks Task], is_job: bool) -> BTreeMap<Slot, &'tasks Task> {
    let mut newest: BTreeMap<Slot, &Task> = BTreeMap::new();
    for &task in current {
        // A task that the swarm took away, because fewer are wanted or its node is not there any
        // more, says nothing about those that are wanted.
        let taken_away = !task.is_wanted() && !task.has_ended();
        let ended_by_swarm = ["shutdown", "remove", "orphaned"].contains(&&*task.status.state);
        if taken_away || (ended_by_swarm && !is_job) {
            continue;
        }
        let place = newest.entry(task.place()).or_insert(task);
        if place.age_key() < task.age_key() {
            *place = task;
        }
    }
    newest
}

/// A task runs when its container does. With a health check, the node leaves it in `starting` until
/// the container is healthy, and fails it when it turns unhealthy later.
fn runs(task: &Task) -> bool {
    task.status.state == "running" && task.is_wanted()
}

fn counts(
    service: &ObservedService,
    mode: &ServiceMode,
    newest: &BTreeMap<Slot, &Task>,
    memory: &Memory,
) -> TaskCounts {
    let count =
        |found: &dyn Fn(&Task) -> bool| newest.values().filter(|task| found(task)).count() as u64;
    let wanted = match mode {
        ServiceMode::Replicated { replicas } => replicas.unwrap_or(1),
        ServiceMode::ReplicatedJob { max_concurrent, total_completions } => {
            total_completions.or(*max_concurrent).unwrap_or(1)
        }
        ServiceMode::Global {} | ServiceMode::GlobalJob {} => newest.len() as u64,
    };
    let running = count(&runs);
    let mut completed = count(&|task| task.status.state == "complete");
    if let ServiceMode::ReplicatedJob { .. } = mode {
        // The engine forgets old tasks, but not how many there were.
        let known = service.status.map_or(0, |status| status.completed_tasks);
        completed = completed.max(known);
    }
    if memory.must_complete {
        completed = completed.max(memory.ended_well.len() as u64);
    }
    TaskCounts { wanted, running, healthy: running, completed }
}

fn state(newest: &BTreeMap<Slot, &Task>, counts: TaskCounts) -> ServiceState {
    if counts.wanted == 0 {
        return ServiceState::Stopped;
    }
    if counts.completed >= counts.wanted {
        return ServiceState::Completed;
    }
    if counts.running + counts.completed >= counts.wanted {
        return ServiceState::Running;
    }
    let rank = |task: &&Task| match task.status.state.as_str() {
        "assigned" | "accepted" | "preparing" => Some(1),
        "ready" | "starting" => Some(2),
        "running" | "complete" => None,
        _ => Some(0),
    };
    match newest.values().filter_map(rank).min() {
        Some(1) => ServiceState::Preparing,
        Some(2) => ServiceState::Starting,
        _ => ServiceState::Pending,
    }
}

/// The most telling of what tasks say that do not run.
fn message(newest: &BTreeMap<Slot, &Task>) -> Option<String> {
    let telling = |task: &&&Task| !task.status.err.is_empty() && !runs(task);
    newest.values().find(telling).map(|task| task.status.err.clone())
}

fn restart(service: &ObservedService, is_job: bool) -> Restart {
    let policy = service.spec.task_template.restart_policy.as_ref();
    let condition = policy.map_or("", |policy| policy.condition.as_str());
    let attempts = policy.and_then(|policy| policy.max_attempts).filter(|attempts| *attempts > 0);
    let attempts = attempts.and_then(|attempts| usize::try_from(attempts).ok());
    Restart {
        after_success: !is_job && !["none", "on-failure"].contains(&condition),
        failures: match (condition, attempts) {
            ("none", _) => 1,
            (_, Some(attempts)) => FAILURES.min(attempts + 1),
            _ => FAILURES,
        },
    }
}

/// Whether tasks keep failing: as often as the restart policy allows, or as often as is enough.
fn failure(
    current: &[&Task],
    newest: &BTreeMap<Slot, &Task>,
    restart: Restart,
    memory: &mut Memory,
) -> Option<Failure> {
    let mut last: Option<&Task> = None;
    for &task in current {
        let state = task.status.state.as_str();
        let failed = matches!(state, "failed" | "rejected");
        let ended = state == "complete" && restart.after_success;
        if state == "complete" {
            memory.ended_well.insert(task.place());
        }
        let is_history = memory.before.contains(&task.id);
        // The swarm makes the successor of a task together with its end, unless there is none.
        let is_final = newest.get(&task.place()).is_some_and(|it| it.id == task.id);
        let counts = !is_history || (memory.history_counts && is_final && failed);
        if (!failed && !ended) || !counts {
            continue;
        }
        let ids = memory.failed.entry(task.place()).or_default();
        ids.insert(task.id.clone());
        let limit = if is_history {
            1
        } else if state == "rejected" {
            restart.failures.min(REJECTIONS)
        } else {
            restart.failures
        };
        if ids.len() >= limit && last.is_none_or(|last| last.age_key() < task.age_key()) {
            last = Some(task);
        }
    }
    let task = last?;
    let how_often = match restart.failures {
        1 => "its task failed",
        _ => "its tasks keep failing",
    };
    let message = match task.status.state.as_str() {
        "complete" => "its tasks keep ending with exit code 0 and being started again".to_owned(),
        "rejected" => format!("a node refuses its tasks: {}", task.status.err),
        _ => format!("{how_often}: {}", reason(task)),
    };
    Some(Failure { message, task: Some(Box::new(task.clone())) })
}

/// What a failed task says of it.
pub(crate) fn reason(task: &Task) -> String {
    match (&task.status.err, task.exit_code()) {
        (err, Some(code)) if err.is_empty() => format!("exit code {code}"),
        (err, _) if err.is_empty() => task.status.message.clone(),
        (err, _) => err.trim_start_matches("task: ").to_owned(),
    }
}

/// Whether the swarm itself gave up an update, or went back.
fn update_failure(
    service: &ObservedService,
    tasks: &[Task],
    current: &[&Task],
    memory: &Memory,
) -> Option<Failure> {
    let update = service.update.as_ref()?;
    let what = match update.state.as_str() {
        "paused" => "the swarm paused its update",
        "rollback_started" | "rollback_completed" => "the swarm went back to its earlier spec",
        "rollback_paused" => "the swarm could not go back to its earlier spec",
        _ => return None,
    };
    let is_failed = |task: &&&Task| {
        matches!(task.status.state.as_str(), "failed" | "rejected")
            && !memory.before.contains(&task.id)
    };
    // Where the swarm went back, the task that failed is not one of the spec of now.
    let named = tasks.iter().find(|task| update.message.contains(&task.id));
    let failed = || current.iter().filter(is_failed).max_by_key(|task| task.age_key());
    let task = named.or_else(|| failed().copied());
    let message = match task {
        Some(task) => format!("{}, and {what}", reason(task)),
        None => format!("{what}: {}", update.message),
    };
    Some(Failure { message, task: task.map(|task| Box::new(task.clone())) })
}

/// Whether the output of a task's container has no frames.
pub(crate) fn has_terminal(task: &Task) -> bool {
    task.spec["ContainerSpec"]["TTY"] == Value::Bool(true)
}
