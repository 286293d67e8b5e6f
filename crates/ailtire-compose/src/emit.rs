//! A design as a compose file.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::StackDesign;
use crate::document::{Entry, Node, Position, Value};
use crate::template::escape;

/// The newest file format that Docker's client 20.10 knows.
const VERSION: &str = "3.9";

/// The oldest file format that has everything a [`StackDesign`] can say and Docker's client takes.
const NEWER_VERSION: &str = "3.13";

/// `design` as a compose file in long syntax, as [`crate::to_yaml`] has it.
pub(crate) fn to_yaml(design: &StackDesign) -> String {
    // Both directions are total: a design holds nothing but what JSON can say, and keys are text.
    let json = serde_json::to_string(design).unwrap_or_default();
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    let mut root = JsonNode
        .deserialize(&mut deserializer)
        .unwrap_or_else(|_| Node::map(Vec::new(), Position::default()));
    if let Some(entries) = root.entries_mut() {
        let version = if is_newer(design) { NEWER_VERSION } else { VERSION };
        let version = Node::text(version, Position::default());
        entries.insert(0, Entry::new("version", Position::default(), version));
    }
    let mut text = String::new();
    for name in not_for_docker(design) {
        text.push_str("# Docker's client does not take this file: ");
        text.push_str(&name);
        text.push('\n');
    }
    text.push_str(&yaml(&root));
    text
}

fn yaml(root: &Node) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(
        &Written { node: root, is_root: true, escaped: true },
        options,
    )
    .unwrap_or_default()
}

/// Whether `design` says something that [`VERSION`] does not have.
fn is_newer(design: &StackDesign) -> bool {
    design.services.values().any(|service| {
        let healthcheck = service.healthcheck.as_ref();
        healthcheck.is_some_and(|healthcheck| healthcheck.start_interval.is_some())
            || service.volumes.iter().any(|mount| {
                mount.kind == "cluster"
                    || mount.volume.as_ref().is_some_and(|volume| volume.subpath.is_some())
            })
    })
}

/// What `design` has that no version of `docker stack deploy` knows.
fn not_for_docker(design: &StackDesign) -> Vec<String> {
    let mut names = Vec::new();
    for (section, objects) in [("configs", &design.configs), ("secrets", &design.secrets)] {
        for (name, object) in objects {
            if object.content.is_some() {
                names.push(format!("{section}.{name}.content"));
            }
            if object.environment.is_some() {
                names.push(format!("{section}.{name}.environment"));
            }
        }
    }
    for (name, service) in &design.services {
        for (network, attachment) in &service.networks {
            if !attachment.driver_opts.is_empty() {
                names.push(format!("services.{name}.networks.{network}.driver_opts"));
            }
        }
    }
    names
}

/// A node as it is written: with `$` doubled wherever variables are replaced.
struct Written<'node> {
    node: &'node Node,
    is_root: bool,
    escaped: bool,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner = |node| Written { node, is_root: false, escaped: self.escaped };
        match &self.node.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) if self.escaped => serializer.serialize_str(&escape(text)),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(&inner(item)))?;
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    // No variables are replaced in extensions.
                    let escaped = self.escaped && !(self.is_root && entry.key.starts_with("x-"));
                    let value = Written { node: &entry.value, is_root: false, escaped };
                    map.serialize_entry(&entry.key, &value)?;
                }
                map.end()
            }
        }
    }
}

/// Reads a tree from JSON, keeping the order of keys.
struct JsonNode;

fn scalar<E>(value: Value, written: String) -> Result<Node, E> {
    Ok(Node { value, ..Node::plain(written, Position::default()) })
}

impl<'de> DeserializeSeed<'de> for JsonNode {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonNode {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        scalar(Value::Null, String::new())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        scalar(Value::Bool(flag), flag.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        scalar(Value::Integer(number), number.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Node, E> {
        // What does not fit is text, which every reader takes for the number that it is.
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.visit_str(&number.to_string()),
        }
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        scalar(Value::Float(number), number.to_string())
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::text(text, Position::default()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(JsonNode)? {
            list.push(item);
        }
        Ok(Node::list(list, Position::default()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map: Vec<Entry> = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(JsonNode)?;
            map.push(Entry::new(key, Position::default(), value));
        }
        Ok(Node::map(map, Position::default()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
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

    /// Without places and styles, which are not written.
    fn bare(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Integer(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(bare).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), bare(&entry.value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
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
            let map = proptest::collection::btree_map("[-a-z0-9:. #'\"$~]{1,6}", inner, 0..5)
                .prop_map(move |entries| {
                    let entry = |(key, value)| Entry::new(key, position, value);
                    Node::map(entries.into_iter().map(entry).collect(), position)
                });
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
}
