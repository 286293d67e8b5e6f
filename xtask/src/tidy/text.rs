//! Rules for the text of any file.

use std::path::Path;

use super::Finding;

/// Words that do not belong in the repository, in lower case, and why not. They are written in two
/// parts, so that this file does not hold them.
const WORDS: [(&str, &str); 7] = [
    (concat!("to", "do:"), "what is left to do is an issue, not a comment"),
    (concat!("to", "do("), "what is left to do is an issue, not code"),
    (concat!("fix", "me"), "what is left to do is an issue, not a comment"),
    (concat!("this ", "session"), "sources do not tell how they came about"),
    (concat!("previous ", "session"), "sources do not tell how they came about"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/fa", "rm/"), "a path of one machine"),
];

/// Where packages come from, for every machine.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks the text of `file`.
pub(super) fn check(file: &Path, content: &str) -> Vec<Finding> {
    let is_lock = file.file_name().is_some_and(|name| name == "Cargo.lock");
    let mut findings = Vec::new();
    for (index, line) in content.lines().enumerate() {
        let messages = if is_lock { check_locked(line) } else { check_line(line) };
        findings.extend(messages.into_iter().map(|message| Finding::new(file, index + 1, message)));
    }
    if !content.is_empty() && !content.ends_with('\n') {
        findings.push(Finding::new(file, content.lines().count(), "no line end at the end"));
    }
    findings
}

fn check_line(line: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if line.ends_with([' ', '\t', '\r']) {
        messages.push("white space at the end of the line".to_owned());
    }
    let lower = line.to_lowercase();
    for (word, why) in WORDS {
        if lower.contains(word) {
            messages.push(format!("`{}`: {why}", word.trim_end_matches([':', '('])));
        }
    }
    messages
}

fn check_locked(line: &str) -> Vec<String> {
    match line.strip_prefix("source = ") {
        Some(source) if source.trim_matches('"') != REGISTRY => {
            vec![format!("{source} is not crates.io")]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(file: &str, content: &str) -> Vec<String> {
        check(Path::new(file), content).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn white_space_at_the_end_is_found_with_its_line() {
        assert_eq!(
            messages("a.md", "fine\nnot fine \n"),
            ["a.md:2: white space at the end of the line"]
        );
    }

    #[test]
    fn an_unfinished_last_line_is_found() {
        assert_eq!(messages("a.md", "one\ntwo"), ["a.md:2: no line end at the end"]);
        assert!(messages("a.md", "").is_empty());
    }

    #[test]
    fn words_are_found_whatever_their_case() {
        for (word, _) in WORDS {
            assert_eq!(
                messages("a.rs", &format!("// {}\n", word.to_uppercase())).len(),
                1,
                "{word}"
            );
        }
        assert!(messages("a.rs", "// a methodology: session\n").is_empty());
    }

    #[test]
    fn a_locked_package_from_elsewhere_is_found() {
        let good = format!("source = \"{REGISTRY}\"\n");
        assert!(messages("Cargo.lock", &good).is_empty());
        assert_eq!(messages("Cargo.lock", "source = \"git+https://example.org/x\"\n").len(), 1);
    }
}
