//! Reasons, for people and for programs.

use std::fmt::Write as _;

use ailtire::Action;
use ailtire_events::{Change, DirtyReason};
use serde::Serialize;

use crate::printer::words::{printable, short_digest};

/// A reason as data, with the words that people read.
#[derive(Debug, Serialize)]
pub(crate) struct WordedReason<'plan> {
    #[serde(flatten)]
    reason: &'plan DirtyReason,
    text: String,
}

/// All of `reasons`, worded.
pub(crate) fn worded(reasons: &[DirtyReason]) -> Vec<WordedReason<'_>> {
    reasons.iter().map(|reason| WordedReason { reason, text: reason.to_string() }).collect()
}

/// `fresh`, `tag` or `build`.
pub(crate) fn status_of(action: &Action) -> &'static str {
    match action {
        Action::Fresh => "fresh",
        Action::Tag(_) => "tag",
        Action::Build(_) => "build",
    }
}

/// Lines with `because` and `and`, each after `indent`; no more than `most` reasons.
pub(crate) fn lines(reasons: &[DirtyReason], indent: &str, most: usize) -> String {
    // A last reason takes no more room than the words that it is left out.
    let most = if reasons.len() == most + 1 { reasons.len() } else { most };
    let mut text = String::new();
    for (position, reason) in reasons.iter().take(most).enumerate() {
        let word = if position == 0 { "because" } else { "and" };
        let _ = writeln!(text, "{indent}{word} {}", printable(&reason.to_string()));
    }
    if reasons.len() > most {
        let _ = writeln!(text, "{indent}and {} more", reasons.len() - most);
    }
    text
}

/// As [`lines`], all of them, with the old and the new digest of what has one.
pub(crate) fn lines_with_digests(reasons: &[DirtyReason], indent: &str) -> String {
    let mut text = String::new();
    for (position, reason) in reasons.iter().enumerate() {
        let word = if position == 0 { "because" } else { "and" };
        let digests = match reason {
            DirtyReason::Dockerfile { old, new, .. }
            | DirtyReason::Entry { change: Change::Content { old, new }, .. } => {
                format!(" ({} → {})", short_digest(old), short_digest(new))
            }
            _ => String::new(),
        };
        let _ = writeln!(text, "{indent}{word} {}{digests}", printable(&reason.to_string()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(path: &str) -> DirtyReason {
        DirtyReason::Entry { path: path.into(), source: None, change: Change::Removed }
    }

    #[test]
    fn only_what_saves_lines_is_left_out() {
        let reasons: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|path| removed(path)).collect();
        assert_eq!(
            lines(&reasons, "  ", 3),
            "  because a was removed\n  and b was removed\n  and c was removed\n  and 2 more\n"
        );
        assert_eq!(lines(&reasons[..4], "", 3).lines().count(), 4);
        assert!(lines(&reasons[..4], "", 3).ends_with("and d was removed\n"));
        assert_eq!(lines(&[], "", 3), "");
    }

    #[test]
    fn digests_are_shown_short() {
        let change = Change::Content { old: "0123456789abcdef".into(), new: "f".repeat(64) };
        let reason = DirtyReason::Entry { path: "a".into(), source: None, change };
        assert_eq!(
            lines_with_digests(&[reason], ""),
            "because a changed (0123456789ab → ffffffffffff)\n"
        );
    }

    #[test]
    fn data_has_kind_values_and_words() {
        let reasons = [DirtyReason::Target { old: None, new: Some("dev".into()) }];
        let value = serde_json::to_value(worded(&reasons)).unwrap();
        assert_eq!(
            value,
            serde_json::json!([{
                "kind": "target",
                "old": null,
                "new": "dev",
                "text": "the target changed from the last stage to `dev`",
            }])
        );
    }
}
