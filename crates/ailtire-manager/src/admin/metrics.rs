//! Numbers in Prometheus' text form.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use ailtire_swarm::status::stack_status;
use http::StatusCode;

use super::Answer;
use super::reply::plain;
use crate::report::StackState;
use crate::state::Manager;

/// The names under which states are counted.
const STATES: [(StackState, &str); 5] = [
    (StackState::Deploying, "deploying"),
    (StackState::Running, "running"),
    (StackState::Degraded, "degraded"),
    (StackState::Failed, "failed"),
    (StackState::Stopping, "stopping"),
];

pub(super) async fn metrics(manager: &Manager) -> Answer {
    let mut text = String::new();
    let counters = &manager.counters;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (phase, children) = {
        let state = manager.state();
        (state.phase, state.children.len())
    };
    head(&mut text, "ailtire_stack_state", "gauge", "1 for the state that the stack is in.");
    for (state, name) in STATES {
        let value = u8::from(state == phase);
        let _ = writeln!(text, "ailtire_stack_state{{state=\"{name}\"}} {value}");
    }
    services(manager, &mut text).await;
    let children = u64::try_from(children).unwrap_or(u64::MAX);
    let numbers = [
        (
            "ailtire_children_registered",
            "gauge",
            "Stacks inside that announced themselves.",
            children,
        ),
        (
            "ailtire_applies_total",
            "counter",
            "Deployments that were begun.",
            read(&counters.applies),
        ),
        (
            "ailtire_applies_failed_total",
            "counter",
            "Deployments that failed.",
            read(&counters.failed_applies),
        ),
        (
            "ailtire_engine_event_streams_total",
            "counter",
            "Times that the engine's event stream was begun.",
            read(&counters.stream_connects),
        ),
        (
            "ailtire_registrations_total",
            "counter",
            "Announcements of stacks inside.",
            read(&counters.registrations),
        ),
        (
            "ailtire_manager_start_time_milliseconds",
            "gauge",
            "When the manager was started, since 1970.",
            manager.started_at,
        ),
    ];
    for (name, kind, help, value) in numbers {
        head(&mut text, name, kind, help);
        let _ = writeln!(text, "{name} {value}");
    }
    text.push_str(&manager.gateway.metrics());
    Ok(plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Wanted and running tasks; nothing where the engine does not answer.
async fn services(manager: &Manager, text: &mut String) {
    let place = manager.state().place.clone();
    let (Some(place), Some(engine)) = (place, manager.engine()) else { return };
    let Ok(status) = stack_status(engine, &place.identity, &place.instance).await else { return };
    let services: Vec<_> = status.stacks.into_iter().flat_map(|stack| stack.services).collect();
    head(text, "ailtire_service_tasks_wanted", "gauge", "Tasks that are to run.");
    for service in &services {
        let (name, wanted) = (escape(&service.name), service.wanted);
        let _ = writeln!(text, "ailtire_service_tasks_wanted{{service=\"{name}\"}} {wanted}");
    }
    head(text, "ailtire_service_tasks_running", "gauge", "Tasks that run.");
    for service in &services {
        let (name, running) = (escape(&service.name), service.running);
        let _ = writeln!(text, "ailtire_service_tasks_running{{service=\"{name}\"}} {running}");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
