//! Reads values of the tree; what is wrong with one is an error at its place.

use std::collections::BTreeMap;
use std::time::Duration;

use ailtire_terms::{did_you_mean, nearest};

use super::Decoder;
use super::units;
use crate::document::{Node, Position, Value};

/// A value, with its decoder and its name for messages.
#[derive(Clone, Copy)]
pub(super) struct Field<'tree> {
    pub(super) decoder: &'tree Decoder<'tree>,
    pub(super) node: &'tree Node,
    name: Name<'tree>,
    key_position: Position,
}

/// How many keys below an object are kept for messages; none lies deeper than that.
const DEPTH: usize = 6;

/// The keys that lead to a value.
#[derive(Clone, Copy)]
struct Name<'tree> {
    /// Section and name of the object that the value belongs to: `services.web`.
    object: (&'tree str, &'tree str),
    /// The last keys that lead to it, each with the number of an item in its list.
    keys: [(&'tree str, Option<usize>); DEPTH],
}

impl Name<'_> {
    const NO_KEYS: [(&'static str, Option<usize>); DEPTH] = [("", None); DEPTH];
}

impl<'tree> Field<'tree> {
    /// A top-level value.
    pub(super) fn section(
        decoder: &'tree Decoder<'tree>,
        key: &'tree str,
        node: &'tree Node,
        key_position: Position,
    ) -> Self {
        let name = Name { object: (key, ""), keys: Name::NO_KEYS };
        Self { decoder, node, name, key_position }
    }

    /// The object `name` of this section.
    fn object(&self, name: &'tree str, node: &'tree Node, key_position: Position) -> Self {
        let name = Name { object: (self.name.object.0, name), keys: Name::NO_KEYS };
        Self { decoder: self.decoder, node, name, key_position }
    }

    fn child(&self, key: &'tree str, node: &'tree Node, key_position: Position) -> Self {
        let mut name = self.name;
        if let Some(free) = name.keys.iter_mut().find(|(known, _)| known.is_empty()) {
            *free = (key, None);
        }
        Self { decoder: self.decoder, node, name, key_position }
    }

    fn item(&self, index: usize, node: &'tree Node) -> Self {
        let mut name = self.name;
        if let Some((_, number)) = name.keys.iter_mut().rfind(|(key, _)| !key.is_empty()) {
            *number = Some(index);
        }
        Self { decoder: self.decoder, node, name, key_position: node.position }
    }

    /// The keys that lead to it, for messages: `services.web.ports[0]`.
    pub(super) fn name(&self) -> String {
        let (section, object) = self.name.object;
        let mut name = section.to_owned();
        let keys = self.name.keys.into_iter();
        for (key, index) in std::iter::once((object, None)).chain(keys) {
            if !key.is_empty() {
                name.push_str(if name.is_empty() { "" } else { "." });
                name.push_str(key);
            }
            name.extend(index.map(|index| format!("[{index}]")));
        }
        name
    }

    /// Where a finding about it is shown: a scalar itself, or the key of anything larger.
    pub(super) fn position(&self) -> Position {
        let is_scalar = self.node.scalar().is_some();
        let own = if is_scalar { self.node.position } else { self.key_position };
        if own.line == 0 { self.key_position } else { own }
    }

    /// Where its key stands.
    pub(super) fn key_position(&self) -> Position {
        if self.key_position.line == 0 { self.node.position } else { self.key_position }
    }

    /// Reports an error about it.
    pub(super) fn error(&self, code: &'static str, message: String, help: impl Into<String>) {
        self.decoder.error(self.position(), code, message, help);
    }

    /// Reports a warning about it.
    pub(super) fn warning(&self, code: &'static str, message: String, help: impl Into<String>) {
        self.decoder.findings().warning(self.position(), code, message).help(help);
    }

    /// Reports that it is of another type than `wanted`.
    pub(super) fn wrong_type(&self, wanted: &str, help: &str) {
        let message = format!("`{}` must be {wanted}, not {}", self.name(), self.node.describe());
        self.error("wrong-type", message, help);
    }

    /// Reports that its text is not what it should be.
    pub(super) fn invalid(&self, code: &'static str, wanted: &str, help: impl Into<String>) {
        let written = self.node.scalar().unwrap_or_default();
        let message = format!("`{}`: `{written}` is not {wanted}", self.name());
        self.error(code, message, help);
    }

    /// The text of a string, number or boolean, as written.
    pub(super) fn text(&self) -> Option<String> {
        let text = self.node.scalar().map(str::to_owned);
        if text.is_none() {
            self.wrong_type("a string", "write one value, in quotes where it has a `:` or a `#`");
        }
        text
    }

    /// A text that is not empty.
    pub(super) fn filled_text(&self) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() {
            let message = format!("`{}` is empty", self.name());
            self.error("empty-value", message, "give it a value, or leave the key out");
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        const HELP: &str = "write `true` or `false`";
        if let Value::Bool(flag) = self.node.value {
            return Some(flag);
        }
        let Some(text) = self.node.scalar() else {
            self.wrong_type("a boolean", HELP);
            return None;
        };
        // Variables are text, and YAML 1.1 had more words for the two.
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" => Some(true),
            "false" | "no" | "n" | "off" => Some(false),
            _ => {
                self.invalid("wrong-type", "a boolean", HELP);
                None
            }
        }
    }

    /// A whole number that is not negative.
    pub(super) fn unsigned(&self) -> Option<u64> {
        if let Value::Text(text) = &self.node.value
            && let Ok(number) = text.parse()
        {
            return Some(number);
        }
        let number = self.signed()?;
        let unsigned = u64::try_from(number).ok();
        if unsigned.is_none() {
            let message = format!("`{}` must not be negative", self.name());
            self.error("invalid-number", message, "write a whole number, as `3`");
        }
        unsigned
    }

    /// A whole number.
    pub(super) fn signed(&self) -> Option<i64> {
        const HELP: &str = "write a whole number, as `3`";
        let number = match &self.node.value {
            Value::Integer(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            match &self.node.value {
                Value::Text(_) | Value::Float(_) => {
                    self.invalid("wrong-type", "a whole number", HELP);
                }
                _ => self.wrong_type("a whole number", HELP),
            }
        }
        number
    }

    /// A number from 0 to 1.
    #[expect(clippy::cast_possible_truncation, reason = "the engine has no more precision")]
    pub(super) fn ratio(&self) -> Option<f32> {
        const HELP: &str = "write a number from 0 to 1, as `0.25`";
        let Some(text) = self.node.scalar() else {
            self.wrong_type("a number", HELP);
            return None;
        };
        let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
        if number.is_none() {
            self.invalid("invalid-number", "a number from 0 to 1", HELP);
        }
        number.map(|number| number as f32)
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        let Some(text) = self.node.scalar() else {
            self.wrong_type("a duration", "write a number with its unit, as `10s` or `1m30s`");
            return None;
        };
        let duration = units::duration(text);
        if duration.is_none() {
            let help = match units::duration(&format!("{text}s")) {
                Some(_) => format!("add the unit: `{text}s` for seconds"),
                None => "write numbers with units, as `10s`, `1m30s` or `500ms`".to_owned(),
            };
            self.invalid("invalid-duration", "a duration", help);
        }
        duration
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        const HELP: &str = "write a number with its unit, as `512M` or `1.5G`";
        let Some(text) = self.node.scalar() else {
            self.wrong_type("a number of bytes", HELP);
            return None;
        };
        let bytes = units::bytes(text);
        if bytes.is_none() {
            self.invalid("invalid-size", "a number of bytes", HELP);
        }
        bytes
    }

    /// One of the words `known`.
    pub(super) fn choice(&self, known: &[&str]) -> Option<String> {
        let help = || format!("it can be {}", alternatives(known));
        let Some(text) = self.node.scalar() else {
            self.wrong_type("a string", &help());
            return None;
        };
        if known.contains(&text) {
            return Some(text.to_owned());
        }
        let near = nearest(text, known.iter().copied());
        let help = match did_you_mean(&near[..near.len().min(1)]) {
            Some(question) => format!("{question} {}", help()),
            None => help(),
        };
        self.invalid("invalid-choice", "one of its values", help);
        None
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Self> {
        self.items_or("a list")
    }

    /// The items of a list; for anything else the error that it is not `wanted`.
    pub(super) fn items_or(&self, wanted: &str) -> Vec<Self> {
        if matches!(self.node.value, Value::List(_)) {
            let items = self.node.items().iter().enumerate();
            return items.map(|(index, node)| self.item(index, node)).collect();
        }
        self.wrong_type(wanted, "write one `- item` a line, or `[item, item]`");
        Vec::new()
    }

    /// The items of a list, or one value as a list of one.
    pub(super) fn items_or_self(&self) -> Vec<Self> {
        if self.node.scalar().is_some() {
            return vec![*self];
        }
        self.items_or("a string or a list of strings")
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> Vec<String> {
        self.items().iter().filter_map(Field::text).collect()
    }

    /// The texts of a list, or of one value.
    pub(super) fn text_or_texts(&self) -> Vec<String> {
        self.items_or_self().iter().filter_map(Field::text).collect()
    }

    /// The entries of a mapping, but for `x-…`.
    pub(super) fn entries(&self) -> Vec<(&'tree str, Self)> {
        self.children(Self::child)
    }

    /// The objects of a section, but for `x-…`.
    pub(super) fn objects(&self) -> Vec<(&'tree str, Self)> {
        self.children(Self::object)
    }

    fn children(
        &self,
        make: fn(&Self, &'tree str, &'tree Node, Position) -> Self,
    ) -> Vec<(&'tree str, Self)> {
        if !matches!(self.node.value, Value::Map(_)) {
            self.wrong_type("a mapping", "write one `key: value` a line");
        }
        let entries = self.node.entries().iter().filter(|entry| !entry.key.starts_with("x-"));
        entries
            .map(|entry| (&*entry.key, make(self, &entry.key, &entry.value, entry.key_position)))
            .collect()
    }

    /// A mapping, or a list of `key=value`; what has no value has an empty one.
    pub(super) fn pairs(&self) -> BTreeMap<String, String> {
        self.optional_pairs()
            .into_iter()
            .map(|(key, value, _)| (key, value.unwrap_or_default()))
            .collect()
    }

    /// A mapping, or a list of `key=value`, with the fields that they come from.
    pub(super) fn optional_pairs(&self) -> Vec<(String, Option<String>, Self)> {
        let mut pairs = Vec::new();
        if matches!(self.node.value, Value::List(_)) {
            for item in self.items() {
                let Some(text) = item.text() else { continue };
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                };
                pairs.push((key, value, item));
            }
        } else if matches!(self.node.value, Value::Map(_)) {
            // `x-…` is an ordinary name here.
            for entry in self.node.entries() {
                let field = self.child(&entry.key, &entry.value, entry.key_position);
                let value = if entry.value.is_null() { Some(None) } else { field.text().map(Some) };
                pairs.extend(value.map(|value| (entry.key.clone(), value, field)));
            }
        } else {
            self.wrong_type("a mapping or a list of `key=value`", "write one `key: value` a line");
        }
        pairs.retain(|(key, _, field)| {
            if key.is_empty() {
                let message = format!("`{}`: the name is missing", field.name());
                field.error("empty-name", message, "write `name=value`");
            }
            !key.is_empty()
        });
        pairs
    }

    /// The options of a driver: a mapping of texts.
    pub(super) fn options(&self) -> BTreeMap<String, String> {
        if matches!(self.node.value, Value::Map(_)) {
            return self.pairs();
        }
        self.wrong_type("a mapping", "write one `key: value` a line");
        BTreeMap::new()
    }

    /// A mapping with the keys `known`; any other key but `x-…` is an error.
    pub(super) fn fields(&self, known: &[&str]) -> Option<Fields<'tree>> {
        if !matches!(self.node.value, Value::Map(_)) {
            self.wrong_type("a mapping", "write one `key: value` a line");
            return None;
        }
        for entry in self.node.entries() {
            if !entry.key.starts_with("x-") && !known.contains(&entry.key.as_str()) {
                self.unknown_key(&entry.key, entry.key_position, known);
            }
        }
        Some(Fields { field: *self })
    }

    fn unknown_key(&self, key: &str, position: Position, known: &[&str]) {
        let near = nearest(key, known.iter().copied());
        let help = did_you_mean(&near[..near.len().min(1)]).unwrap_or_else(|| keys_help(known));
        let name = self.name();
        let message = match &*name {
            "" => format!("there is no top-level key `{key}`"),
            name => format!("`{name}` has no key `{key}`"),
        };
        self.decoder.error(position, "unknown-key", message, help);
    }

    /// Whether it asks for nothing: null, `false`, or an empty list or mapping.
    pub(super) fn is_nothing(&self) -> bool {
        match &self.node.value {
            Value::Null | Value::Bool(false) => true,
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        }
    }
}

/// A mapping whose keys are known.
#[derive(Clone, Copy)]
pub(super) struct Fields<'tree> {
    pub(super) field: Field<'tree>,
}

impl<'tree> Fields<'tree> {
    /// The value under `key`, where there is one and it is not null.
    pub(super) fn get(&self, key: &str) -> Option<Field<'tree>> {
        let entry = self.field.node.entry(key).filter(|entry| !entry.value.is_null())?;
        Some(self.field.child(&entry.key, &entry.value, entry.key_position))
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.text()
    }

    pub(super) fn filled_text(&self, key: &str) -> Option<String> {
        self.get(key)?.filled_text()
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        self.get(key)?.boolean()
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.boolean(key).unwrap_or(false)
    }

    pub(super) fn unsigned(&self, key: &str) -> Option<u64> {
        self.get(key)?.unsigned()
    }

    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        self.get(key)?.duration()
    }

    pub(super) fn choice(&self, key: &str, known: &[&str]) -> Option<String> {
        self.get(key)?.choice(known)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        self.get(key).map(|field| field.texts()).unwrap_or_default()
    }

    pub(super) fn text_or_texts(&self, key: &str) -> Vec<String> {
        self.get(key).map(|field| field.text_or_texts()).unwrap_or_default()
    }

    pub(super) fn items(&self, key: &str) -> Vec<Field<'tree>> {
        self.get(key).map(|field| field.items()).unwrap_or_default()
    }

    pub(super) fn pairs(&self, key: &str) -> BTreeMap<String, String> {
        self.get(key).map(|field| field.pairs()).unwrap_or_default()
    }

    pub(super) fn options(&self, key: &str) -> BTreeMap<String, String> {
        self.get(key).map(|field| field.options()).unwrap_or_default()
    }

    /// The mapping under `key`, which has the keys `known`.
    pub(super) fn fields(&self, key: &str, known: &[&str]) -> Option<Fields<'tree>> {
        self.get(key)?.fields(known)
    }
}

/// What to write instead of a key that is like no other.
fn keys_help(known: &[&str]) -> String {
    if known.len() > 12 {
        return "leave it out, or begin its name with `x-` to keep it as a remark".to_owned();
    }
    format!("it can have {}", alternatives(known))
}

/// "`a`, `b` or `c`".
pub(super) fn alternatives(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
