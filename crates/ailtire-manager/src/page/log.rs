//! What the tasks of a service wrote.

use ailtire_events::LogStream;
use ailtire_swarm::logs::TaskLine;
use maud::{Markup, html};

use super::PageContext;
use super::layout::Document;
use super::words::clean;
use crate::report::StackReport;

/// How many of the last lines are shown where nothing else is said.
pub const DEFAULT_TAIL: u64 = 200;

/// Numbers of lines that are offered.
const TAILS: [u64; 4] = [50, 200, 1000, 5000];

/// The page of `/_admin/log?name=S&tail=N` for browsers.
#[derive(Debug)]
pub struct LogPage<'a> {
    /// The service.
    pub service: &'a str,
    /// How many of the last lines were asked for.
    pub tail: u64,
    /// They, oldest first.
    pub lines: &'a [TaskLine],
    /// Why there are no more.
    pub error: Option<&'a str>,
}

/// The page that shows a log.
pub fn logs(report: &StackReport, page: &LogPage<'_>, context: &PageContext<'_>) -> String {
    let name = clean(page.service);
    let main = html! {
        h1 { "Log of " (name) }
        (choice(page))
        @if let Some(error) = page.error {
            p.error role="alert" { span aria-hidden="true" { "▲ " } (super::words::clean_error(error)) }
        }
        div #log.log tabindex="0" role="log" aria-live="off"
            aria-label={ "Log of " (name) } {
            @for entry in page.lines { (line(entry)) }
        }
        @if page.lines.is_empty() { p #empty.quiet { "Nothing was written yet." } }
    };
    let header = html! {
        p.brand { a href="view" { "← " (clean(&report.instance)) } }
        p #live.quiet {}
    };
    let title = format!("Log of {name} · {}", clean(&report.instance));
    Document { title: &title, base: "", header, main, script: Some("log") }.render(context)
}

fn choice(page: &LogPage<'_>) -> Markup {
    html! {
        form.choice method="get" action="log" {
            input type="hidden" name="name" value=(page.service);
            label for="tail" { "Last lines of each task" }
            select #tail name="tail" {
                @for tail in TAILS {
                    option value=(tail) selected[tail == page.tail] { (tail) }
                }
                @if !TAILS.contains(&page.tail) {
                    option value=(page.tail) selected { (page.tail) }
                }
            }
            button type="submit" { "Show" }
            // The script takes the attribute away: without it, there is nothing that follows.
            button #follow type="button" aria-pressed="true" hidden { "Follow" }
        }
    }
}

/// The script builds the same (`page.js`, `lineOf`).
fn line(line: &TaskLine) -> Markup {
    let is_error = line.stream == LogStream::Stderr;
    let time = line.time.get(11..19).unwrap_or_default();
    html! {
        p class=[is_error.then_some("stderr")] {
            time datetime=(clean(&line.time)) title=(clean(&line.time)) { (clean(time)) } " "
            span.task { (clean(&line.task)) } " "
            @if is_error { span.stream { "err" } " " }
            span.text { (clean(&line.text)) }
        }
    }
}
