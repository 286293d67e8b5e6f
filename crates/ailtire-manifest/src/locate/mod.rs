//! Finds where the keys of exported data are written.
//!
//! The JavaScript engine keeps no positions of object literals. So this looks at the tokens of
//! the module: the object literal that is exported, and inside it key by key. What is put
//! together otherwise (spread, computed, required) is not found; its place is then that of the
//! nearest key around it, or the whole file. A place is only ever shown to people: nothing else
//! depends on it.

mod tokens;

use tokens::{Kind, Token, tokenize};

use ailtire_terms::{Node, Position, Value};

/// Data of more parts than this is not annotated: looking for every part takes time.
const NODE_LIMIT: usize = 5_000;

/// Notes in every part of `node`, exported by the module `text`, where it is written.
pub(crate) fn annotate(node: &mut Node, text: &str) {
    if count(node) > NODE_LIMIT {
        return;
    }
    let source = Source::new(text);
    let export = source.export();
    node.position = export.map(|token| source.position(token));
    let literal = export.and_then(|token| source.exported_literal(token));
    if let Value::Map(entries) = &mut node.value {
        for (key, child) in entries {
            let place = literal
                .and_then(|open| source.entry(open, key))
                .or_else(|| source.assigned(key))
                .or_else(|| source.anywhere(key));
            source.note(child, place);
        }
    }
}

/// How many values `node` is made of.
fn count(node: &Node) -> usize {
    match &node.value {
        Value::Map(entries) => 1 + entries.iter().map(|(_, child)| count(child)).sum::<usize>(),
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Where a key is, and the token that its value starts with.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: usize,
    value: Option<usize>,
}

struct Source {
    tokens: Vec<Token>,
    /// For each opening bracket, its closing one.
    closing: Vec<Option<usize>>,
}

impl Source {
    fn new(text: &str) -> Self {
        let tokens = tokenize(text);
        let mut closing = vec![None; tokens.len()];
        let mut open: Vec<usize> = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Mark('{' | '[' | '(') => open.push(index),
                Kind::Mark('}' | ']' | ')') => {
                    if let Some(start) = open.pop() {
                        closing[start] = Some(index);
                    }
                }
                _ => {}
            }
        }
        Self { tokens, closing }
    }

    fn is(&self, index: usize, mark: char) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is(mark))
    }

    fn is_word(&self, index: usize, word: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is_word(word))
    }

    fn position(&self, index: usize) -> Position {
        let token = &self.tokens[index];
        Position { line: token.line, column: token.column, length: token.length }
    }

    /// The first token of the last `module.exports =` or `exports =`.
    fn export(&self) -> Option<usize> {
        (0..self.tokens.len()).rev().find_map(|index| {
            let assigned = self.is_word(index, "exports")
                && self.is(index + 1, '=')
                && !self.is(index + 2, '=')
                && !self.is(index + 2, '>');
            assigned.then(|| self.start_of_export(index))
        })
    }

    /// Goes from `exports` back to `module`, where that is written.
    fn start_of_export(&self, exports: usize) -> usize {
        let has_module =
            exports >= 2 && self.is(exports - 1, '.') && self.is_word(exports - 2, "module");
        if has_module { exports - 2 } else { exports }
    }

    /// The brace that opens the exported object literal.
    fn exported_literal(&self, export: usize) -> Option<usize> {
        let equals = (export..self.tokens.len()).find(|index| self.is(*index, '='))?;
        let value = equals + 1;
        if self.is(value, '{') {
            return Some(value);
        }
        if let Some(literal) = self.named_literal(value) {
            return Some(literal);
        }
        // A function: the literal that it returns.
        (value..self.tokens.len()).find_map(|index| {
            let returned = self.is_word(index, "return") && self.is(index + 1, '{');
            let arrow = self.is(index, '>') && self.is(index + 1, '(') && self.is(index + 2, '{');
            if returned { Some(index + 1) } else { arrow.then_some(index + 2) }
        })
    }

    /// Where the token at `index` is a name alone: the object literal that is assigned to it.
    fn named_literal(&self, index: usize) -> Option<usize> {
        let Kind::Word(name) = &self.tokens.get(index)?.kind else { return None };
        let alone = match self.tokens.get(index + 1) {
            None => true,
            Some(next) => {
                matches!(next.kind, Kind::Mark(';' | ',' | '}' | ']'))
                    || next.line > self.tokens[index].line && matches!(next.kind, Kind::Word(_))
            }
        };
        if !alone {
            return None;
        }
        (0..self.tokens.len()).find_map(|at| {
            let declared = self.is_word(at, name)
                && self.is(at + 1, '=')
                && (self.is(at + 2, '{') || self.is(at + 2, '['))
                && !(at > 0 && self.is(at - 1, '.'));
            declared.then_some(at + 2)
        })
    }

    /// The entry `key` of the object literal that opens at `open`; of equal keys the last one.
    fn entry(&self, open: usize, key: &str) -> Option<Place> {
        let end = self.closing[open].unwrap_or(self.tokens.len());
        let mut found = None;
        let mut index = open + 1;
        while index < end {
            if let Some(place) = self.entry_at(index, end, key) {
                found = Some(place);
            }
            index = self.after_entry(index, end);
        }
        found
    }

    /// The entry that starts at `index`, where its key is `key`.
    fn entry_at(&self, index: usize, end: usize, key: &str) -> Option<Place> {
        let (Kind::Word(name) | Kind::Text(name)) = &self.tokens[index].kind else { return None };
        if name != key {
            return None;
        }
        let next = index + 1;
        if next < end && self.is(next, ':') {
            return Some(Place { key: index, value: Some(next + 1) });
        }
        // Shorthand (`{ web }`); anything else is a method or a getter.
        (next >= end || self.is(next, ',')).then_some(Place { key: index, value: Some(index) })
    }

    /// The first token behind the next comma that belongs to the literal itself.
    fn after_entry(&self, mut index: usize, end: usize) -> usize {
        while index < end {
            if self.is(index, ',') {
                return index + 1;
            }
            index = self.closing[index].unwrap_or(index) + 1;
        }
        end
    }

    /// `exports.key = …` or `exports['key'] = …`.
    fn assigned(&self, key: &str) -> Option<Place> {
        (0..self.tokens.len()).rev().find_map(|index| {
            if !self.is_word(index, "exports") {
                return None;
            }
            let is_key = |at: usize| {
                self.tokens.get(at).is_some_and(
                    |token| matches!(&token.kind, Kind::Word(name) | Kind::Text(name) if name == key),
                )
            };
            let place = |at: usize, equals: usize| {
                self.is(equals, '=').then_some(Place { key: at, value: Some(equals + 1) })
            };
            if self.is(index + 1, '.') && is_key(index + 2) {
                return place(index + 2, index + 3);
            }
            let bracketed = self.is(index + 1, '[') && is_key(index + 2) && self.is(index + 3, ']');
            if bracketed { place(index + 2, index + 4) } else { None }
        })
    }

    /// The first `key:` of the whole module.
    fn anywhere(&self, key: &str) -> Option<Place> {
        (0..self.tokens.len()).find_map(|index| {
            let starts_entry = index > 0 && (self.is(index - 1, '{') || self.is(index - 1, ','));
            let followed = self.is(index + 1, ':');
            if starts_entry && followed {
                self.entry_at(index, self.tokens.len(), key)
            } else {
                None
            }
        })
    }

    /// Notes `place` in `node`, and goes on with what is inside.
    fn note(&self, node: &mut Node, place: Option<Place>) {
        node.position = place.map(|place| self.position(place.key));
        let Some(place) = place else { return };
        let literal = |source: &Self| place.value.and_then(|value| source.literal_at(value));
        match &mut node.value {
            Value::Map(entries) => {
                let open = literal(self).filter(|open| self.is(*open, '{'));
                for (key, child) in entries {
                    let inner = open.and_then(|open| self.entry(open, key));
                    self.note(child, inner);
                    child.position = child.position.or(node.position);
                }
            }
            Value::List(items) => {
                let open = literal(self).filter(|open| self.is(*open, '['));
                let starts = open.map(|open| self.items(open)).unwrap_or_default();
                for (index, child) in items.iter_mut().enumerate() {
                    let start = starts.get(index).copied();
                    self.note(child, start.map(|start| Place { key: start, value: Some(start) }));
                    child.position = child.position.or(node.position);
                }
            }
            _ => {}
        }
    }

    /// The bracket that opens the literal at `index`, or the one that the name there stands for.
    fn literal_at(&self, index: usize) -> Option<usize> {
        if self.is(index, '{') || self.is(index, '[') {
            return Some(index);
        }
        self.named_literal(index)
    }

    /// Where the items of the list that opens at `open` start; none where one is spread.
    fn items(&self, open: usize) -> Vec<usize> {
        let end = self.closing[open].unwrap_or(self.tokens.len());
        let mut starts = Vec::new();
        let mut index = open + 1;
        while index < end {
            if self.is(index, '.') {
                return Vec::new();
            }
            starts.push(index);
            index = self.after_entry(index, end);
        }
        starts
    }
}

#[cfg(test)]
mod tests;
