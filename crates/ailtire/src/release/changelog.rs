//! The section of a release in `CHANGELOG.md` ([Keep a Changelog](https://keepachangelog.com)).
//!
//! What people wrote below `Unreleased` is the section. Where they wrote nothing, the subjects of
//! the commits since the last release are, sorted by their type where they have one
//! ([Conventional Commits](https://www.conventionalcommits.org)).

use std::fmt::Write as _;

const HEAD: &str = "# Changelog\n";
const UNRELEASED: [&str; 2] = ["## Unreleased", "## [Unreleased]"];

/// The headings of a section and the types of commits that belong below them.
const HEADINGS: [(&str, &[&str]); 3] =
    [("Added", &["feat"]), ("Fixed", &["fix"]), ("Changed", &["perf", "revert", ""])];

/// The body of a release's section: what `old` has below `Unreleased`, else `subjects`.
pub(super) fn body(old: &str, subjects: &[String]) -> String {
    let curated = unreleased(old).map(|(from, to)| old[from..to].trim()).unwrap_or_default();
    if !curated.is_empty() {
        return format!("{curated}\n");
    }
    let mut text = String::new();
    let breaking: Vec<String> = subjects.iter().filter_map(|it| split(it).2).collect();
    section(&mut text, "Breaking", &breaking);
    for (heading, types) in HEADINGS {
        let lines = subjects.iter().filter_map(|subject| {
            let (kind, words, breaking) = split(subject);
            (breaking.is_none() && types.contains(&kind)).then(|| words.to_owned())
        });
        section(&mut text, heading, &lines.collect::<Vec<_>>());
    }
    if text.is_empty() { "Nothing that users notice.\n".to_owned() } else { text }
}

fn section(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(text, "{}### {heading}\n\n", if text.is_empty() { "" } else { "\n" });
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
}

/// Type, words, and the words again where the commit breaks something. A subject without a type has
/// an empty one.
fn split(subject: &str) -> (&str, &str, Option<String>) {
    let Some((before, words)) = subject.split_once(": ") else { return ("", subject, None) };
    let (before, is_breaking) = match before.strip_suffix('!') {
        Some(before) => (before, true),
        None => (before, false),
    };
    let kind = before.split('(').next().unwrap_or_default();
    let is_type = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
    if !is_type || (kind.len() != before.len() && !before.ends_with(')')) {
        return ("", subject, None);
    }
    (kind, words, is_breaking.then(|| words.to_owned()))
}

/// `old` with the section of a release after `Unreleased`, which is left empty.
pub(super) fn with_release(old: &str, version: &str, date: &str, body: &str) -> String {
    let section = format!("## {version} - {date}\n\n{}\n", body.trim_end());
    if let Some((from, to)) = unreleased(old) {
        let rest = &old[to..];
        let gap = if rest.is_empty() { "" } else { "\n" };
        return format!("{}\n\n{section}{gap}{rest}", old[..from].trim_end());
    }
    let at = old.find("\n## ").map_or(old.len(), |found| found + 1);
    let (before, after) = old.split_at(if old.starts_with("## ") { 0 } else { at });
    let before = if before.trim().is_empty() { HEAD } else { before };
    let gap = if after.is_empty() { "" } else { "\n" };
    format!("{}\n\n{section}{gap}{after}", before.trim_end())
}

/// Where what stands below `Unreleased` begins and ends.
fn unreleased(text: &str) -> Option<(usize, usize)> {
    let mut offset = 0;
    let mut begin = None;
    for line in text.split_inclusive('\n') {
        let is_heading = line.starts_with("## ");
        match begin {
            Some(begin) if is_heading => return Some((begin, offset)),
            None if UNRELEASED.iter().any(|name| line.trim_end().eq_ignore_ascii_case(name)) => {
                begin = Some(offset + line.len());
            }
            _ => {}
        }
        offset += line.len();
    }
    begin.map(|begin| (begin, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn commits_are_sorted_by_their_type() {
        let list = [
            "feat(cart): pay later",
            "fix: no double orders",
            "feat!: another port",
            "chore: tidy up",
            "Orders: are kept",
            "words only",
        ];
        let expected = "### Breaking\n\n- another port\n\n### Added\n\n- pay later\n\n### Fixed\n\n\
                        - no double orders\n\n### Changed\n\n- Orders: are kept\n- words only\n";
        assert_eq!(body("", &subjects(&list)), expected);
        assert_eq!(body("", &subjects(&["ci: x"])), "Nothing that users notice.\n");
    }

    #[test]
    fn what_people_wrote_is_kept() {
        let old =
            "# Log\n\nText.\n\n## [Unreleased]\n\n- Ours.\n\n## 1.0.0 - 2026-01-01\n\n- First.\n";
        let body = body(old, &subjects(&["feat: x"]));
        assert_eq!(body, "- Ours.\n");
        let new = with_release(old, "1.1.0", "2026-02-03", &body);
        let expected = "# Log\n\nText.\n\n## [Unreleased]\n\n## 1.1.0 - 2026-02-03\n\n- Ours.\n\n\
                        ## 1.0.0 - 2026-01-01\n\n- First.\n";
        assert_eq!(new, expected);
        // Again, with nothing new.
        let again = with_release(&new, "1.1.1", "2026-02-04", "- More.\n");
        assert!(again.contains("## [Unreleased]\n\n## 1.1.1 - 2026-02-04\n\n- More.\n\n## 1.1.0"));
    }

    #[test]
    fn a_file_without_unreleased_and_no_file() {
        assert_eq!(
            with_release("", "1.0.0", "2026-02-03", "- x\n"),
            "# Changelog\n\n## 1.0.0 - 2026-02-03\n\n- x\n"
        );
        assert_eq!(
            with_release("# Log\n\n## 1.0.0\n", "1.1.0", "2026-02-03", "- x\n"),
            "# Log\n\n## 1.1.0 - 2026-02-03\n\n- x\n\n## 1.0.0\n"
        );
    }
}
