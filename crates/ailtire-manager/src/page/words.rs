//! How states, times and foreign text are written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ailtire_swarm::status::ServiceCondition;
use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use crate::report::StackState;

/// The longest text of an error that is shown.
const LONGEST: usize = 4000;

/// How good a state is. Each has a colour and, for those who don't see it, a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Busy,
    Bad,
    Idle,
}

impl Tone {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Bad => "bad",
            Self::Idle => "idle",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Good => "●",
            Self::Busy => "◐",
            Self::Bad => "▲",
            Self::Idle => "○",
        }
    }
}

/// A state as a word with a colour and a sign.
pub(super) fn badge(word: &str, tone: Tone) -> Markup {
    html! {
        span class={ "badge " (tone.name()) } { span aria-hidden="true" { (tone.sign()) " " } (word) }
    }
}

pub(super) fn stack_state(state: StackState) -> (&'static str, Tone) {
    match state {
        StackState::Deploying => ("deploying", Tone::Busy),
        StackState::Running => ("running", Tone::Good),
        StackState::Degraded => ("degraded", Tone::Bad),
        StackState::Failed => ("failed", Tone::Bad),
        StackState::Stopping => ("stopping", Tone::Idle),
    }
}

pub(super) fn condition(condition: ServiceCondition) -> (&'static str, Tone) {
    match condition {
        ServiceCondition::Running => ("running", Tone::Good),
        ServiceCondition::Completed => ("completed", Tone::Good),
        ServiceCondition::Stopped => ("stopped", Tone::Idle),
        ServiceCondition::Updating => ("updating", Tone::Busy),
        ServiceCondition::Degraded => ("degraded", Tone::Bad),
        ServiceCondition::Paused => ("update paused", Tone::Bad),
        ServiceCondition::Missing => ("missing", Tone::Bad),
    }
}

/// How a task's state, which the swarm names, is to be taken.
pub(super) fn task_tone(state: &str) -> Tone {
    match state {
        "running" | "complete" => Tone::Good,
        "failed" | "rejected" | "orphaned" => Tone::Bad,
        "shutdown" | "remove" => Tone::Idle,
        _ => Tone::Busy,
    }
}

/// A time as the engine writes it, told from now; the exact one is its title.
pub(super) fn time(rfc3339: &str, now: SystemTime) -> Markup {
    let time = DateTime::parse_from_rfc3339(rfc3339);
    time.map_or_else(|_| html! { (clean(rfc3339)) }, |time| time_markup(time.to_utc(), now))
}

/// As [`time()`], for milliseconds since 1970.
pub(super) fn time_of(milliseconds: u64, now: SystemTime) -> Markup {
    let time = milliseconds.try_into().ok().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(|| html! {}, |time| time_markup(time, now))
}

fn time_markup(time: DateTime<Utc>, now: SystemTime) -> Markup {
    let exact = time.format("%Y-%m-%d %H:%M:%S UTC");
    let machine = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! { time datetime=(machine) title=(exact) { (ago(time, now)) } }
}

/// The script says it in the same words (`page.js`, `ago`).
fn ago(time: DateTime<Utc>, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = Duration::from_secs(time.timestamp().try_into().unwrap_or_default());
    match now.saturating_sub(then).as_secs() {
        0..5 => "just now".to_owned(),
        seconds @ 5..90 => format!("{seconds} s ago"),
        seconds @ 90..5400 => format!("{} min ago", seconds / 60),
        seconds @ 5400..129_600 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86400),
    }
}

/// Text that somebody else wrote, on one line and without what changes how other text looks:
/// colours and movements of terminals, and characters that turn the direction of writing.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' if rest.next_if_eq(&'[').is_some() => {
                // The last character of such a sequence is the first one from `@` to `~`.
                let _ = rest.find(|next| ('@'..='~').contains(next));
            }
            '\t' => cleaned.push('\t'),
            '\n' => cleaned.push(' '),
            '\r' => {}
            other if other.is_control() || is_directional(other) => cleaned.push('\u{fffd}'),
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// As [`clean`], with an end.
pub(super) fn clean_error(text: &str) -> String {
    let mut text = clean(text.trim());
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn is_directional(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `count` things, in the right number.
pub(super) fn count(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(clean("plain\ttext ä 漢"), "plain\ttext ä 漢");
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m and \u{1b}[2Jgone\r\n"), "red and gone ");
        assert_eq!(clean("a\u{202e}b\u{0}c\u{1b}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert_eq!(clean("open \u{1b}[12;"), "open ");
        assert_eq!(clean_error(&"ä".repeat(5000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn times_are_told_from_now_with_the_exact_one_as_title() {
        let now = UNIX_EPOCH + Duration::from_hours(500_000);
        let shown = |seconds: u64| time_of((1_800_000_000 - seconds) * 1000, now).into_string();
        assert_eq!(
            shown(42),
            "<time datetime=\"2027-01-15T07:59:18.000Z\" title=\"2027-01-15 07:59:18 UTC\">\
             42 s ago</time>"
        );
        for (seconds, words) in
            [(0, "just now"), (90, "1 min ago"), (5400, "1 h ago"), (200_000, "2 days ago")]
        {
            assert!(shown(seconds).contains(words), "{seconds}");
        }
        assert!(time("2027-01-15T08:00:07.5Z", now).into_string().contains("just now"));
        assert_eq!(time("<soon>", now).into_string(), "&lt;soon&gt;");
        assert_eq!(time_of(u64::MAX, now).into_string(), "");
    }
}
