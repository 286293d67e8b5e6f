//! The tree of stacks.

use maud::{Markup, html};

use super::layout::Document;
use super::service::{Place, service};
use super::words::{badge, clean, clean_error, count, stack_state, time_of};
use super::{Form, PageContext, confirm};
use crate::report::{ChildReport, RouteEntry, StackReport};

/// What was done just before, in the address of the page that is shown after it:
/// `view?done=scale&name=web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    done: String,
    name: Option<String>,
}

impl Notice {
    /// The notice in a query.
    pub fn of(query: &Form) -> Option<Self> {
        let done = query.get("done")?.to_owned();
        Some(Self { done, name: query.get("name").map(str::to_owned) })
    }

    /// Only what we say ourselves, of services that there are: anybody can make an address up.
    fn text(&self, report: &StackReport) -> Option<String> {
        let known = |name: &&String| report.services.iter().any(|it| it.name == **name);
        let name = self.name.as_ref().filter(known).map(|name| clean(name));
        match (&*self.done, name) {
            ("redeploy", Some(name)) => Some(format!("{name} is being redeployed.")),
            ("redeploy", None) => Some("The stack is being redeployed.".to_owned()),
            ("scale", Some(name)) => Some(format!("{name} is being scaled.")),
            _ => None,
        }
    }
}

/// The page of `/_admin/` and `/_admin/view`.
pub fn overview(report: &StackReport, context: &PageContext<'_>) -> String {
    let (state, _) = stack_state(report.state);
    let main = html! {
        @if let Some(notice) = context.notice.and_then(|notice| notice.text(report)) {
            p #notice.notice role="status" { (notice) }
        }
        (stack(report, &Place { base: Some(String::new()), depth: 0 }, context))
    };
    let header = html! {
        h1 { (clean(&report.application)) span.quiet { " " (clean(&report.environment)) } }
        p #live.quiet {}
    };
    let title = format!("{state} · {}", clean(&report.instance));
    Document { title: &title, base: "", header, main, script: Some("overview") }.render(context)
}

fn stack(report: &StackReport, place: &Place, context: &PageContext<'_>) -> Markup {
    let (state, tone) = stack_state(report.state);
    let level = (place.depth + 2).min(6);
    let key = clean(&format!("stack {}", report.path));
    html! {
        section.stack data-key=(key) data-name=(clean(&report.instance)) data-state=(state)
            aria-label={ "Stack " (clean(&report.path)) } {
            div.head {
                div.title role="heading" aria-level=(level) { (clean(&report.name)) }
                (badge(state, tone))
                @if context.session.is_some() { (actions(report, place)) }
            }
            @if let Some(message) = &report.message { p.message { (clean_error(message)) } }
            p.facts.quiet { (facts(report, context)) }
            ul.services {
                @for it in &report.services { (service(report, it, place, context)) }
                @if report.services.is_empty() { li.quiet { "There is no service." } }
            }
            @if !report.routes.is_empty() { (routes(report, place)) }
            @for child in &report.children { (inner(child, place, context)) }
        }
    }
}

/// The line of small things.
fn facts(report: &StackReport, context: &PageContext<'_>) -> Markup {
    html! {
        "instance " b { (clean(&report.instance)) }
        @if let Some(version) = &report.version { " · version " (clean(version)) }
        " · " (count(report.services.len(), "service", "services"))
        " · manager " (clean(&report.manager.version)) " started "
        (time_of(report.manager.started_at, context.now))
        @if let Some(parent) = &report.parent {
            " · inside " (clean(&parent.instance))
            @if let Some(state) = parent.state { " (" (stack_state(state).0) ")" }
            @if !parent.is_reached { ", which " b { "can't be reached" } }
        }
    }
}

fn actions(report: &StackReport, place: &Place) -> Markup {
    html! {
        @if let Some(base) = &place.base {
            span.actions {
                @if place.depth > 0 { a href={ (base) "view" } { "Open" } " " }
                (confirm::link(base, "redeploy", None, "Redeploy…", &report.instance)) " "
                (confirm::link(base, "shutdown", None, "Shut down…", &report.instance))
            }
        }
    }
}

fn routes(report: &StackReport, place: &Place) -> Markup {
    html! {
        details.routes data-key="routes" {
            summary { (count(report.routes.len(), "route", "routes")) }
            ul { @for entry in &report.routes { (route(entry, place)) } }
        }
    }
}

fn route(entry: &RouteEntry, place: &Place) -> Markup {
    let route = &entry.route;
    let prefix = clean(&route.prefix);
    html! {
        li data-key={ "route " (entry.id) } {
            @match &place.base {
                Some(base) => a href={ (base) ".." (prefix) } { (prefix) },
                None => b { (prefix) },
            }
            " → "
            (clean(&route.service)) ":" (route.port) (clean(&route.path))
            @if let Some(timeout) = route.timeout { ", at most " (timeout.as_secs_f64()) " s" }
            @if let Some(retries) = route.retries { ", tried again " (retries) " times" }
            @if entry.added { " " span.badge.idle { "added" } }
        }
    }
}

/// A stack inside this one.
fn inner(child: &ChildReport, place: &Place, context: &PageContext<'_>) -> Markup {
    let place = place.inside(child.link.as_deref());
    let key = clean(&format!("child {}", child.instance));
    html! {
        div.child data-key=(key) {
            @if let Some(report) = &child.report {
                (stack(report, &place, context))
            } @else {
                section.stack data-key=(key) data-name=(clean(&child.instance)) data-state="unknown" {
                    div.head {
                        div.title role="heading" aria-level=((place.depth + 2).min(6)) {
                            (clean(&child.service))
                        }
                        (badge("unknown", super::words::Tone::Bad))
                    }
                    p.facts.quiet { "instance " b { (clean(&child.instance)) } }
                }
            }
            @if let Some(error) = &child.error {
                p.error { span aria-hidden="true" { "▲ " } "Its manager could not be asked: "
                    (clean_error(error)) }
            }
            p.facts.quiet {
                @match child.registered_at {
                    Some(at) => { "Its manager announced itself " (time_of(at, context.now)) "." },
                    None => { "Its manager did not announce itself yet." },
                }
                @if place.base.is_none() {
                    " No route leads to it, so that nothing can be done with it from here."
                }
            }
        }
    }
}

/// Where the interfaces of the stacks inside are, below `prefix`, the manager's own: a session is
/// for them, too, so that nobody has to log in to each.
pub fn prefixes(report: Option<&StackReport>, prefix: &str) -> Vec<String> {
    let mut found = vec![prefix.to_owned()];
    for child in report.into_iter().flat_map(|report| &report.children) {
        if let Some(link) = &child.link {
            let inside = format!("{prefix}{}", without_interface(link));
            found.extend(prefixes(child.report.as_deref(), &inside));
        }
    }
    found
}

/// The prefix in an address of an interface: `/shop` for `/shop/_admin/`.
pub(super) fn without_interface(link: &str) -> &str {
    let link = link.trim_end_matches('/');
    link.strip_suffix("/_admin").unwrap_or(link)
}
