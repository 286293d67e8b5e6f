//! Reads fields of exported data; what is wrong with one is an error at its place.

use ailtire_events::{Diagnostic, Location};

use crate::cache::Outcome;
use ailtire_terms::{Node, Position, Value};
use ailtire_terms::{did_you_mean, nearest};

/// What a module exports.
pub(crate) struct Definition<'outcome> {
    /// The module's path, relative to the root, free of links.
    pub(crate) file: &'outcome str,
    outcome: &'outcome Outcome,
}

impl<'outcome> Definition<'outcome> {
    /// The definition that `path` was evaluated to.
    pub(crate) fn new(path: &'outcome str, outcome: &'outcome Outcome) -> Self {
        Self { file: outcome.file.as_deref().unwrap_or(path), outcome }
    }

    /// A location in this module. Its excerpt is filled in later, where it is shown at all.
    pub(crate) fn location(&self, position: Option<Position>) -> Location {
        let mut location = Location::file(self.file);
        if let Some(position) = position {
            location.line = Some(position.line);
            location.column = Some(position.column);
            location.length = Some(position.length);
        }
        location
    }

    /// The fields of the exported object; an error where something else is exported.
    pub(crate) fn export(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<Fields<'_>> {
        if self.outcome.failed {
            return None;
        }
        let (described, position) = match &self.outcome.node {
            Some(node) if matches!(node.value, Value::Map(_)) => {
                return Some(Fields::new(self, node, String::new()));
            }
            Some(node) => (node.value.describe(), node.position),
            None => ("nothing that JSON can write", None),
        };
        diagnostics.push(
            Diagnostic::error(
                "export-not-object",
                format!("an object must be exported, not {described}"),
            )
            .at(self.location(position))
            .help("write `module.exports = { … }`"),
        );
        None
    }
}

/// The fields of one object.
#[derive(Clone)]
pub(crate) struct Fields<'outcome> {
    definition: &'outcome Definition<'outcome>,
    node: &'outcome Node,
    /// The keys that lead to the object, joined by dots.
    path: String,
}

impl<'outcome> Fields<'outcome> {
    pub(crate) fn new(
        definition: &'outcome Definition<'outcome>,
        node: &'outcome Node,
        path: String,
    ) -> Self {
        Self { definition, node, path }
    }

    /// Where the object is written.
    pub(crate) fn position(&self) -> Option<Position> {
        self.node.position
    }

    /// Whether the object has `key`, with whatever value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// All keys with their values.
    pub(crate) fn entries(&self) -> &'outcome [(String, Node)] {
        match &self.node.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Where `key` is written; where the object is, if that is not known.
    pub(crate) fn location(&self, key: &str) -> Location {
        let own = self.node.get(key).and_then(|node| node.position);
        self.definition.location(own.or(self.node.position))
    }

    /// The name of `key` for messages.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The object under `key`, which holds `what`.
    pub(crate) fn object(
        &self,
        key: &str,
        what: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Fields<'outcome>> {
        let node = self.node.get(key)?;
        if matches!(node.value, Value::Map(_)) {
            return Some(Fields::new(self.definition, node, self.path_of(key)));
        }
        diagnostics.push(self.wrong_type(key, node, what));
        None
    }

    /// The string under `key`.
    pub(crate) fn text(&self, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
        let node = self.node.get(key)?;
        if let Value::Text(text) = &node.value {
            return Some(text.clone());
        }
        diagnostics.push(self.wrong_type(key, node, "a string"));
        None
    }

    /// The list of strings under `key`, each with its place.
    pub(crate) fn texts(
        &self,
        key: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(String, Location)> {
        let Some(node) = self.node.get(key) else { return Vec::new() };
        let Value::List(items) = &node.value else {
            diagnostics.push(self.wrong_type(key, node, "a list of strings"));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let location = self.definition.location(item.position.or(node.position));
            if let Value::Text(text) = &item.value {
                texts.push((text.clone(), location));
            } else {
                let name = format!("{}[{index}]", self.path_of(key));
                diagnostics.push(wrong_type(&name, item, "a string").at(location));
            }
        }
        texts
    }

    /// The strings, numbers and booleans under `key`, as text, each with its key and place.
    pub(crate) fn variables(
        &self,
        key: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(String, String, Location)> {
        let Some(fields) = self.object(key, "an object of strings", diagnostics) else {
            return Vec::new();
        };
        let mut variables = Vec::new();
        for (name, node) in fields.entries() {
            match node.value.as_scalar() {
                Some(value) => variables.push((name.clone(), value, fields.location(name))),
                None => diagnostics.push(fields.wrong_type(
                    name,
                    node,
                    "a string, a number or a boolean",
                )),
            }
        }
        variables
    }

    /// Warns about every field that is not among `known`.
    pub(crate) fn warn_about_unknown(&self, known: &[&str], diagnostics: &mut Vec<Diagnostic>) {
        let keys = self.entries().iter().map(|(key, _)| key.as_str());
        self.warn_about_unknown_of(keys, known, diagnostics);
    }

    /// Warns about every one of `keys` that is not among `known`.
    pub(crate) fn warn_about_unknown_of<'key>(
        &self,
        keys: impl Iterator<Item = &'key str>,
        known: &[&str],
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        for key in keys.filter(|key| !known.contains(key)) {
            let mut diagnostic = Diagnostic::warning(
                "unknown-field",
                format!("`{}` is not a known field, and is ignored", self.path_of(key)),
            )
            .at(self.location(key));
            let near = nearest(key, known.iter().copied());
            diagnostic.help = did_you_mean(&near[..near.len().min(1)])
                .or_else(|| Some(format!("known fields are {}", quoted_list(known))));
            diagnostics.push(diagnostic);
        }
    }

    /// The error for the value under `key`, which should be `wanted`.
    pub(crate) fn wrong_type(&self, key: &str, node: &Node, wanted: &str) -> Diagnostic {
        wrong_type(&self.path_of(key), node, wanted).at(self.location(key))
    }
}

fn wrong_type(name: &str, node: &Node, wanted: &str) -> Diagnostic {
    let described = node.value.describe();
    Diagnostic::error("wrong-type", format!("`{name}` must be {wanted}, not {described}"))
}

/// "`a`, `b`, `c`".
pub(crate) fn quoted_list(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}
