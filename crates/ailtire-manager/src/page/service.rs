//! A service and its tasks.

use ailtire_swarm::status::{ServiceCondition, ServiceStatus, TaskStatus};
use maud::{Markup, html};

use super::form::address;
use super::words::{badge, clean, clean_error, condition, task_tone, time};
use super::{PageContext, confirm, overview};
use crate::auth::safe_prefix;
use crate::report::StackReport;

/// Where a stack is in the tree.
pub(super) struct Place {
    /// Way from the page to the interface of the stack's manager; absent where no route leads there.
    pub(super) base: Option<String>,
    /// How many stacks it is in.
    pub(super) depth: usize,
}

impl Place {
    /// The place of a stack inside, to whose manager `link` leads from the gateway of this one.
    pub(super) fn inside(&self, link: Option<&str>) -> Self {
        let base = self.base.as_ref().zip(link).map(|(base, link)| {
            // What is no path could lead anywhere.
            let prefix = safe_prefix(overview::without_interface(link))?;
            Some(format!("{base}..{prefix}/_admin/"))
        });
        Self { base: base.flatten(), depth: self.depth + 1 }
    }
}

pub(super) fn service(
    report: &StackReport,
    service: &ServiceStatus,
    place: &Place,
    context: &PageContext<'_>,
) -> Markup {
    let (state, tone) = condition(service.condition);
    let name = clean(&service.name);
    let key = format!("service {} {name}", clean(&report.path));
    let is_stack = report.children.iter().any(|child| child.service == service.name);
    let is_fine =
        matches!(service.condition, ServiceCondition::Running | ServiceCondition::Completed);
    html! {
        li.service data-key=(key) data-name=(name) data-state=(state) {
            div.head {
                div.title role="heading" aria-level=((place.depth + 3).min(6)) { (name) }
                (badge(state, tone))
                span.count { (service.running) " of " (service.wanted) }
                @if is_stack { span.quiet { "a stack" } }
                (actions(service, is_stack, place, context))
            }
            @if let Some(error) = &service.last_error {
                p.error { span aria-hidden="true" { "▲ " } (clean_error(error)) }
            }
            details data-key="tasks" open[!is_fine] {
                summary { "Tasks and image" }
                p.image.quiet { (clean(&service.image))
                    @if !service.updated_at.is_empty() {
                        ", changed " (time(&service.updated_at, context.now))
                    }
                }
                ul.tasks {
                    @for it in &service.tasks { (task(it, context)) }
                    @if service.tasks.is_empty() { li.quiet { "There is no task." } }
                }
            }
        }
    }
}

fn actions(
    service: &ServiceStatus,
    is_stack: bool,
    place: &Place,
    context: &PageContext<'_>,
) -> Markup {
    let name = service.name.as_str();
    let is_there = service.condition != ServiceCondition::Missing;
    html! {
        @if let Some(base) = place.base.as_ref().filter(|_| context.session.is_some()) {
            span.actions {
                @if is_there {
                    a href={ (base) (address("log", &[("name", name)])) }
                        aria-label={ "Log of " (clean(name)) } { "Log" }
                    " "
                }
                // A stack has one manager.
                @if is_there && !is_stack && service.can_scale {
                    (confirm::link(base, "scale", Some(name), "Scale…", name)) " "
                }
                (confirm::link(base, "redeploy", Some(name), "Redeploy…", name))
            }
        }
    }
}

fn task(task: &TaskStatus, context: &PageContext<'_>) -> Markup {
    html! {
        li.task data-key=(clean(&task.name)) {
            b { (clean(&task.name)) } " " (badge(&clean(&task.state), task_tone(&task.state)))
            @if let Some(node) = &task.node { " on " (clean(node)) }
            @if task.node_is_down { " " b { "which is down" } }
            @if !task.since.is_empty() { ", " (time(&task.since, context.now)) }
            @if let Some(code) = task.exit_code { ", exit code " (code) }
            @if let Some(error) = &task.error {
                span.error { span aria-hidden="true" { "▲ " } (clean_error(error)) }
            }
        }
    }
}
