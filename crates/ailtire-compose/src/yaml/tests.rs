use ailtire_events::Diagnostic;
use proptest::prelude::*;

use super::*;

fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let mut findings = Findings::new("compose.yaml", text);
    let node = parse(text, &mut findings);
    (node, findings.into_diagnostics())
}

fn good(text: &str) -> Node {
    let (node, diagnostics) = read(text);
    assert_eq!(diagnostics, [], "{text}");
    node.unwrap()
}

/// Code, place and message of the only finding.
fn bad(text: &str) -> String {
    let (_, diagnostics) = read(text);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    let diagnostic = &diagnostics[0];
    let location = diagnostic.location.as_ref().unwrap();
    format!("{} {location} {}", diagnostic.code, diagnostic.message)
}

fn plain(node: &Node) -> String {
    match &node.value {
        Value::List(items) => {
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let entry =
                |entry: &crate::document::Entry| format!("{}: {}", entry.key, plain(&entry.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        value => format!("{value:?}"),
    }
}

#[test]
fn scalars_have_the_types_of_the_core_schema() {
    let text = "a: [1, 0x1F, 0o17, -3, +3, 1.5, 1e3, .inf, true, ~, null, '', \"1\", yes, 0440]";
    assert_eq!(
        plain(&good(text)),
        "{a: [Integer(1), Integer(31), Integer(15), Integer(-3), Integer(3), Float(1.5), \
         Float(1000.0), Float(inf), Bool(true), Null, Null, Text(\"\"), Text(\"1\"), \
         Text(\"yes\"), Integer(440)]}"
    );
}

#[test]
fn scalars_keep_their_text() {
    for text in ["22:22", "3.10", "0440", "0.50", "1_000", "9223372036854775808"] {
        assert_eq!(good(&format!("a: {text}")).get("a").unwrap().scalar(), Some(text));
    }
    assert_eq!(good("a: |\n  x\n  y\n").get("a").unwrap().scalar(), Some("x\ny\n"));
    assert_eq!(good("a:\n").get("a").unwrap().scalar(), None);
}

#[test]
fn permission_bits() {
    use crate::document::octal;
    for (text, mode) in [
        ("0440", Some(0o440)),
        ("0o440", Some(0o440)),
        ("288", Some(288)),
        ("0", Some(0)),
        ("0980", None),
        ("rw", None),
        ("", None),
        ("-1", None),
    ] {
        assert_eq!(octal(text), mode, "{text}");
    }
}

#[test]
fn places_count_characters_from_one() {
    let node = good("a:\n  ü: [x, 'yy']\n");
    let entry = node.get("a").unwrap().entry("ü").unwrap();
    assert_eq!(entry.key_position, Position { line: 2, column: 3, length: 1 });
    let second = &entry.value.items()[1];
    assert_eq!(second.position, Position { line: 2, column: 10, length: 4 });
}

#[test]
fn anchors_and_merges() {
    let text = "\
x-base: &base {image: a, user: one}
x-more: &more {user: two, tty: true}
services:
  web:
    user: own
    <<: [*base, *more]
  other: *base
  third: {<<: *more, tty: false}
";
    let node = good(text);
    assert_eq!(
        plain(node.get("services").unwrap()),
        "{web: {user: Text(\"own\"), image: Text(\"a\"), tty: Bool(true)}, \
         other: {image: Text(\"a\"), user: Text(\"one\")}, \
         third: {tty: Bool(false), user: Text(\"two\")}}"
    );
}

#[test]
fn what_is_refused() {
    assert_eq!(bad(""), "empty-design compose.yaml this file is empty");
    assert_eq!(bad("# nothing\n"), "empty-design compose.yaml this file is empty");
    assert!(bad("- a\n").starts_with("invalid-type compose.yaml:1:1 a compose file is a mapping"));
    assert!(bad("a: 1\n---\nb: 2\n").starts_with("several-documents compose.yaml:2:1"));
    assert!(bad("a: 1\na: 2\n").starts_with("duplicate-key compose.yaml:2:1 the key `a`"));
    assert!(bad("a: &x\n  b: *x\n").starts_with("recursive-alias compose.yaml:2:6"));
    assert!(bad("a: *x\n").starts_with("yaml-syntax compose.yaml:1:4"));
    assert!(bad("a:\n\tb: 1\n").starts_with("yaml-syntax compose.yaml:2"));
    assert!(bad("a: [1, 2\n").starts_with("yaml-syntax compose.yaml:"));
    assert!(bad("a: {<<: 1}\n").starts_with("invalid-merge"));
    assert!(bad("{a: 1}: 2\n").starts_with("invalid-key"));
    assert!(bad("a: !reset null\n").starts_with("unknown-tag compose.yaml:1:"));
    assert!(bad("a: !override [x]\n").contains("`!override`"));
    assert!(bad("a: !!int x\n").contains("`!!int`"));
    assert!(bad(&format!("a: {}", "[".repeat(100))).starts_with("too-deep"));
}

#[test]
fn findings_show_the_line_and_what_to_do() {
    let (_, diagnostics) = read("a:\n\tb: 1\n");
    assert_eq!(diagnostics[0].location.as_ref().unwrap().excerpt.as_deref(), Some("\tb: 1"));
    assert!(diagnostics[0].help.as_ref().unwrap().contains("spaces"));
    let (_, diagnostics) = read("a: 1\na: 2\n");
    assert_eq!(diagnostics[0].related[0].location.line, Some(1));
}

#[test]
fn tags_of_the_core_schema_are_understood() {
    let text = "a: [!!str 1, !!int \"2\", !!float 3, !!null '', ! 4, !!seq [], !!map {}]";
    assert_eq!(
        plain(&good(text)),
        "{a: [Text(\"1\"), Integer(2), Float(3.0), Null, Text(\"4\"), [], {}]}"
    );
}

#[test]
fn a_billion_laughs_are_refused() {
    use std::fmt::Write as _;
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        let items = vec![format!("*a{below}"); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert!(bad(&text).starts_with("too-large"));
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..100 {
        writeln!(text, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
    }
    assert!(bad(&text).starts_with("too-deep"));
}

const SAMPLE: &str = "\
version: '3.9'
x-base: &base
  image: \"a${B:-c}\"
  ports: [\"80:80\", {target: 1}]
services:
  web:
    <<: *base
    command: |
      echo $$HOME
    environment:
      - A=1 # comment
      - ? B
        : !!str 2
";

proptest! {
    #[test]
    fn mutated_text_never_panics(
        edits in proptest::collection::vec((0..SAMPLE.len(), any::<proptest::sample::Index>()), 1..8)
    ) {
        let alphabet: Vec<char> = "\t\n :-?[]{}&*!|>'\"%@`#,x0<$\u{0}ü\u{2028}".chars().collect();
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, pick) in edits {
            let at = at.min(text.len() - 1);
            let char = alphabet[pick.index(alphabet.len())];
            if at % 3 == 0 { text.insert(at, char) } else if at % 3 == 1 { text[at] = char } else { text.remove(at); }
        }
        read(&text.into_iter().collect::<String>());
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[\\PC\n\t]{0,60}") {
        read(&text);
    }
}
