//! A design as a compose file.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::StackDesign;
use crate::document::{Entry, Node, Position, Value};
use crate::symbol::{is_in, written};

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
    serde_saphyr::to_string_with_options(&Written { node: root }, options).unwrap_or_default()
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

/// A node as it is written: with `$` doubled, since variables are replaced in what is read.
struct Written<'node> {
    node: &'node Node,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.node.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(&written(text)),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| list.serialize_element(&Written { node: item }))?;
                list.end()
            }
            // Variables are replaced in no key, but in the items of a list.
            Value::Map(entries) if entries.iter().any(|entry| is_in(&entry.key)) => {
                let mut list = serializer.serialize_seq(Some(entries.len()))?;
                for Entry { key, value, .. } in entries {
                    let value = value.scalar().map(|value| format!("={}", written(value)));
                    let item = format!("{}{}", written(key), value.unwrap_or_default());
                    list.serialize_element(&item)?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.key, &Written { node: &entry.value })?;
                }
                map.end()
            }
        }
    }
}

/// Reads a tree from JSON, keeping the order of keys.
struct JsonNode;

fn scalar(value: Value, written: String) -> Node {
    Node { value, ..Node::plain(written, Position::default()) }
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
        Ok(scalar(Value::Null, String::new()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(scalar(Value::Bool(flag), flag.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(scalar(Value::Integer(number), number.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Node, E> {
        // What does not fit is text, which every reader takes for the number that it is.
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.visit_str(&number.to_string()),
        }
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(scalar(Value::Float(number), number.to_string()))
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
mod full;
#[cfg(test)]
mod tests;
