//! Whatever a compose file says, reading it ends with a design or with errors, and no panic.

use proptest::prelude::*;

use super::Application;

/// A design with all keys, to be spoiled.
const EVERY_KEY: &str = include_str!("../../../tests/data/every-key.yaml");

/// Texts that have broken readers of compose files.
const SPOILERS: &[&str] = &[
    "",
    "null",
    "~",
    "-",
    ":",
    "::",
    "[]",
    "{}",
    "[[]]",
    "- a",
    "0",
    "-1",
    "1e400",
    "999999999999999999999",
    "0o9",
    "a: b",
    "\"",
    "'",
    "é:é",
    "=",
    "/",
    "x-",
    "<<",
    "*",
    "&a",
    "!!str",
    "${",
    "$$",
    "\u{0}",
    "\t",
    "18446744073709551615h",
    "65535-65535:1",
    "1-65535",
    "0.0000000000000001",
    "1.5.5G",
    ".",
    "..",
    "~/x:/y",
    "[::1",
    "a\\",
    "CMD",
];

#[test]
fn a_long_chain_of_dependencies_is_followed() {
    let mut text = String::from("services:\n");
    for number in 0..5000 {
        let next = (number + 1) % 5000;
        let (number, next) = (number.to_string(), next.to_string());
        text.extend(["  s", &number, ": {image: a, depends_on: [s", &next, "]}\n"]);
    }
    let outcome = Application::default().read(&text);
    assert_eq!(outcome.diagnostics.len(), 1);
    assert_eq!(outcome.diagnostics[0].code, "dependency-cycle");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn spoiled_designs_are_no_reason_to_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..5_u8, any::<prop::sample::Index>(), any::<char>()), 1..6)
    ) {
        let mut lines: Vec<String> = EVERY_KEY.lines().map(str::to_owned).collect();
        for (place, kind, other, letter) in changes {
            let index = place.index(lines.len());
            let spoiler = SPOILERS[other.index(SPOILERS.len())];
            match kind {
                // A value becomes another one.
                0 => if let Some((key, _)) = lines[index].split_once(": ") {
                    lines[index] = format!("{key}: {spoiler}");
                },
                // An item becomes another one.
                1 => if let Some((dash, _)) = lines[index].split_once("- ") {
                    lines[index] = format!("{dash}- {spoiler}");
                },
                2 => { lines.remove(index); }
                3 => {
                    let line = lines[other.index(lines.len())].clone();
                    lines.insert(index, line);
                }
                _ => {
                    let at = other.index(lines[index].len() + 1);
                    if lines[index].is_char_boundary(at) {
                        lines[index].insert(at, letter);
                    }
                }
            }
        }
        let outcome = Application::default().read(&lines.join("\n"));
        let errors = outcome.diagnostics.iter().filter(|found| found.is_error()).count();
        prop_assert_eq!(outcome.design.is_none(), errors > 0);
        for diagnostic in &outcome.diagnostics {
            prop_assert!(!diagnostic.message.is_empty());
        }
    }
}
