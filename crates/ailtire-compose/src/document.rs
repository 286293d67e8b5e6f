//! A design as a tree, with the place where each part of it is written.
//!
//! A compose file and a `services.js` come to the same tree, in Compose's terms, so that one
//! decoder serves both.

/// A place in the text of the design. Line 0: not known, the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) struct Position {
    /// Line, counted from 1.
    pub(crate) line: u32,
    /// Column in characters, counted from 1.
    pub(crate) column: u32,
    /// Length in characters; 0: not known.
    pub(crate) length: u32,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// Without quotes: its type follows from its text, again after interpolation.
    #[default]
    Plain,
    /// In quotes, as a block, or tagged as a string: it is text whatever it says.
    Quoted,
}

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// The text of a scalar as written, without quotes and after interpolation (`3.10`, `0440`,
    /// `1_000`); empty for lists and mappings.
    pub(crate) written: String,
    pub(crate) style: Style,
    pub(crate) position: Position,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Each key once, in the order in which they are written.
    Map(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_position: Position,
    pub(crate) value: Node,
}

impl Value {
    /// What it is, in words, with an article.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Entry {
    /// An entry whose key is at `key_position`.
    pub(crate) fn new(key: impl Into<String>, key_position: Position, value: Node) -> Self {
        Self { key: key.into(), key_position, value }
    }
}

impl Node {
    /// A scalar that is text whatever it says.
    pub(crate) fn text(text: impl Into<String>, position: Position) -> Self {
        let text = text.into();
        Self { value: Value::Text(text.clone()), written: text, style: Style::Quoted, position }
    }

    /// A scalar without quotes: its type follows from its text.
    pub(crate) fn plain(text: impl Into<String>, position: Position) -> Self {
        let written = text.into();
        Self { value: resolve(&written), written, style: Style::Plain, position }
    }

    /// A list.
    pub(crate) fn list(items: Vec<Self>, position: Position) -> Self {
        Self::collection(Value::List(items), position)
    }

    /// A mapping.
    pub(crate) fn map(entries: Vec<Entry>, position: Position) -> Self {
        Self::collection(Value::Map(entries), position)
    }

    fn collection(value: Value, position: Position) -> Self {
        Self { value, written: String::new(), style: Style::Plain, position }
    }

    /// The mapping's entries, to be changed; none for anything else.
    pub(crate) fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry under `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entries of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a string, number or boolean as written; nothing for anything else.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Null | Value::List(_) | Value::Map(_) => None,
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {
                Some(&self.written)
            }
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    pub(crate) fn describe(&self) -> &'static str {
        self.value.describe()
    }
}

/// The value of a scalar without quotes, by YAML 1.2's core schema.
///
/// `0440` is the number 440 there; [`octal`] reads it as the permission bits that YAML 1.1 and
/// everybody who writes it means. Numbers that fit no type are text.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        let infinity = if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
        return Value::Float(infinity);
    }
    integer(text)
        .map(Value::Integer)
        .or_else(|| float(text, digits).map(Value::Float))
        .unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn integer(text: &str) -> Option<i64> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let unsigned = !digits.starts_with(['+', '-']);
            return i64::from_str_radix(digits, radix).ok().filter(|_| unsigned);
        }
    }
    text.parse().ok()
}

/// Rust's own parser takes more than YAML does: `inf`, `infinity`, `nan`.
fn float(text: &str, digits: &str) -> Option<f64> {
    let numeric = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.contains(|digit: char| digit.is_ascii_digit());
    if numeric { text.parse().ok() } else { None }
}

/// The number that permission bits are written as: `0440`, `0o440` and, in decimal, `288`.
pub(crate) fn octal(written: &str) -> Option<u32> {
    let digits = written.strip_prefix("0o").or_else(|| written.strip_prefix('0'));
    match digits.filter(|digits| !digits.is_empty()) {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            u32::from_str_radix(digits, 8).ok()
        }
        None if written.bytes().all(|digit| digit.is_ascii_digit()) => written.parse().ok(),
        _ => None,
    }
}

/// `node` without places and styles, for tests to compare.
#[cfg(test)]
pub(crate) fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.clone().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let entry = |entry: &Entry| (entry.key.clone(), json(&entry.value));
            entries.iter().map(entry).collect::<serde_json::Map<_, _>>().into()
        }
    }
}
