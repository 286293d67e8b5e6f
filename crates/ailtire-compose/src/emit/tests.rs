use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::document::json as bare;
use crate::findings::Findings;
use crate::variables::Variables;
use crate::{StackContext, interpolate};

fn again(text: &str) -> Node {
    let mut findings = Findings::new("compose.yaml", text);
    let node = crate::yaml::parse(text, &mut findings);
    let variables = Variables::new(&StackContext::default(), BTreeMap::new());
    let mut node = node.unwrap_or_else(|| panic!("{text}: {findings:?}"));
    interpolate::interpolate(&mut node, &variables, &mut findings);
    assert_eq!(findings.into_diagnostics(), [], "{text}");
    node
}

fn text(text: &str) -> Node {
    Node::text(text, Position::default())
}

#[test]
fn ambiguous_text_is_quoted() {
    let words = [
        "",
        " ",
        "~",
        "null",
        "true",
        "yes",
        "No",
        "on",
        "y",
        "0440",
        "0o17",
        "0x1F",
        "1_000",
        "1e3",
        ".5",
        "-.inf",
        ".nan",
        "22:22",
        "1:30:00",
        "2020-01-01",
        "=",
        "<<",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "{a}",
        "[a]",
        "a,b",
        "'",
        "\"",
        "\\",
        "a\nb",
        "a\n",
        "\ta",
        "a ",
        "?",
        "-",
        ":",
        "a:",
        "$",
        "$$A",
        "${A}",
        "{{.Service.Name}}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
        "\u{0}",
        "é😀",
    ];
    for word in words {
        let root = Node::map(
            vec![
                Entry::new(
                    "a",
                    Position::default(),
                    Node::list(vec![text(word)], Position::default()),
                ),
                Entry::new(format!("k{word}"), Position::default(), text(word)),
            ],
            Position::default(),
        );
        let written = yaml(&root);
        assert_eq!(bare(&again(&written)), bare(&root), "{written}");
    }
}

fn nodes() -> impl Strategy<Value = Node> {
    let position = Position::default();
    let leaf = prop_oneof![
        any::<String>().prop_map(|word| text(&word)),
        "[-a-c0-9:#'\"\\\\ \n$?,{}\\[\\]&*!|>%@`~=_.<]{0,8}".prop_map(|word| text(&word)),
        any::<i64>().prop_map(move |number| Node::plain(number.to_string(), position)),
        any::<bool>().prop_map(move |flag| Node::plain(flag.to_string(), position)),
        Just(Node::plain("", position)),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..5)
            .prop_map(move |items| Node::list(items, position));
        let map = proptest::collection::btree_map("[-a-z0-9:. #'\"$~]{1,6}", inner, 0..5).prop_map(
            move |entries| {
                let entry = |(key, value)| Entry::new(key, position, value);
                Node::map(entries.into_iter().map(entry).collect(), position)
            },
        );
        prop_oneof![list, map]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(first in nodes(), second in nodes()) {
        let entry = |key: &str, value| Entry::new(key, Position::default(), value);
        let root = Node::map(vec![entry("services", first), entry("x-a", second)], Position::default());
        let written = yaml(&root);
        prop_assert_eq!(bare(&again(&written)), bare(&root), "{}", written);
    }
}

#[test]
fn a_design_with_everything() {
    let written = to_yaml(&full::design());
    snapbox::assert_data_eq!(written, snapbox::file!["full.yaml"].raw());
}

#[test]
fn newer_keys_need_a_newer_version() {
    let mut design = full::design();
    let web = design.services.get_mut("web").unwrap();
    web.healthcheck.as_mut().unwrap().start_interval = Some(std::time::Duration::from_secs(5));
    assert!(to_yaml(&design).starts_with("version: \"3.13\"\n"));
}

#[test]
fn what_docker_does_not_take_is_said_at_the_top() {
    let mut design = StackDesign::default();
    let content = Some("a $b\n".to_owned());
    let config = crate::FileObject { content, ..crate::FileObject::default() };
    design.configs.insert("page".into(), config);
    let environment = Some("TOKEN".to_owned());
    let data = Some(b"hidden".to_vec());
    let secret = crate::FileObject { environment, data, ..crate::FileObject::default() };
    design.secrets.insert("token".into(), secret);
    let expected = "\
# Docker's client does not take this file: configs.page.content
# Docker's client does not take this file: secrets.token.environment
version: \"3.9\"
services: {}
configs:
  page:
    content: \"a $$b\\n\"
secrets:
  token:
    environment: TOKEN
";
    assert_eq!(to_yaml(&design), expected);
}
