//! Files of variables: `.env` and `env_file`.
//!
//! The syntax is Compose's: a line is `NAME=value` or `NAME: value`, perhaps after `export`, or a
//! name alone. Text after ` #` is a comment. A value in single quotes stands as it is; one in
//! double quotes has escapes; both may span lines. Variables are replaced in all values but those
//! in single quotes.

use std::collections::BTreeMap;

use crate::document::Position;
use crate::template::{self, FaultKind};

/// A line of a file of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    /// Absent for a name alone, whose value comes from the environment.
    pub(crate) value: Option<String>,
    pub(crate) position: Position,
}

/// What is wrong with a file of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) position: Position,
    pub(crate) message: String,
}

/// Reads `text` as Compose does; `lookup` has the variables that its values may name besides those
/// that the file itself sets further up, which it hides.
///
/// A line with a mistake is left out. A variable that is not set is empty.
pub(crate) fn parse(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Assignment>, Vec<Mistake>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut reading = Reading {
        rest: &text,
        line: 1,
        lookup,
        known: BTreeMap::new(),
        assignments: Vec::new(),
        mistakes: Vec::new(),
    };
    while !reading.rest.is_empty() {
        reading.statement();
    }
    (reading.assignments, reading.mistakes)
}

struct Reading<'text> {
    rest: &'text str,
    line: u32,
    lookup: &'text dyn Fn(&str) -> Option<String>,
    known: BTreeMap<String, String>,
    assignments: Vec<Assignment>,
    mistakes: Vec<Mistake>,
}

impl<'text> Reading<'text> {
    /// Reads the rest of the line.
    fn line(&mut self) -> &'text str {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += 1;
        line
    }

    fn statement(&mut self) {
        let start = self.line;
        let whole = self.rest.split('\n').next().unwrap_or_default();
        let trimmed = whole.trim_start();
        let statement = match trimmed.strip_prefix("export") {
            Some(after) if after.starts_with([' ', '\t']) => after.trim_start(),
            _ => trimmed,
        };
        if statement.trim().is_empty() || statement.starts_with('#') {
            self.line();
            return;
        }
        let column = whole[..whole.len() - statement.len()].chars().count() + 1;
        let position = |length: usize| Position {
            line: start,
            column: u32::try_from(column).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(0),
        };
        let end = statement.find(['=', ':', '#']);
        let end = end.filter(|end| !statement[*end..].starts_with('#'));
        let written = statement[..end.unwrap_or(statement.len())].trim_end();
        let name =
            if end.is_none() { written.split(" #").next().unwrap_or(written) } else { written };
        let name = name.trim_end();
        let position = position(name.chars().count());
        let allowed = |part: char| part.is_alphanumeric() || "_.-[]".contains(part);
        if name.is_empty() || !name.chars().all(allowed) {
            let message = format!("`{name}` is no name of a variable");
            self.mistakes.push(Mistake { position, message });
            self.line();
            return;
        }
        let name = name.to_owned();
        let Some(end) = end else {
            self.line();
            self.assignments.push(Assignment { name, value: None, position });
            return;
        };
        self.rest = &self.rest[whole.len() - statement.len() + end + 1..];
        if let Some(value) = self.value(position) {
            self.known.insert(name.clone(), value.clone());
            self.assignments.push(Assignment { name, value: Some(value), position });
        }
    }

    fn value(&mut self, position: Position) -> Option<String> {
        let value = self.rest.trim_start_matches([' ', '\t', '\r']);
        let spaced = value.len() < self.rest.len();
        self.rest = value;
        match value.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote, position),
            Some('#') if spaced => {
                self.line();
                Some(String::new())
            }
            _ => {
                let line = self.line();
                let value = line.split(" #").next().unwrap_or(line).trim_end();
                self.replaced(value, position)
            }
        }
    }

    fn quoted(&mut self, quote: char, position: Position) -> Option<String> {
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (at, part) in self.rest.char_indices().skip(1) {
            if part == quote && !escaped {
                end = Some(at);
                break;
            }
            if escaped && part != quote {
                value.push('\\');
            }
            escaped = part == '\\' && !escaped;
            if !escaped {
                value.push(part);
            }
        }
        let Some(end) = end else {
            let message = format!("the quote `{quote}` is not closed");
            self.mistakes.push(Mistake { position, message });
            self.line();
            return None;
        };
        let lines = self.rest[..end].matches('\n').count();
        self.line += u32::try_from(lines).unwrap_or(u32::MAX);
        self.rest = &self.rest[end + 1..];
        let trailing = self.line().trim();
        if !trailing.is_empty() && !trailing.starts_with('#') {
            let message = format!("`{trailing}` follows the closing quote");
            self.mistakes.push(Mistake { position, message });
            return None;
        }
        if quote == '"' { self.replaced(&unescape(&value), position) } else { Some(value) }
    }

    fn replaced(&mut self, value: &str, position: Position) -> Option<String> {
        let outside: BTreeMap<String, String> = mentioned(value)
            .filter_map(|name| Some((name.to_owned(), (self.lookup)(name)?)))
            .collect();
        let (replaced, faults) = template::replace(value, &|name| {
            outside.get(name).or_else(|| self.known.get(name)).map(String::as_str)
        });
        let message = faults.into_iter().find_map(|fault| match fault.kind {
            FaultKind::Unset { .. } | FaultKind::Kept { .. } => None,
            FaultKind::Syntax => Some("its value has a `$` that begins no variable".to_owned()),
            FaultKind::Required { name, message } => {
                Some(format!("the variable `{name}` is required: {message}"))
            }
        });
        let Some(message) = message else { return Some(replaced) };
        self.mistakes.push(Mistake { position, message });
        None
    }
}

/// Every name that `value` may mention as a variable.
fn mentioned(value: &str) -> impl Iterator<Item = &str> {
    value
        .split('$')
        .skip(1)
        .map(|part| part.trim_start_matches('{'))
        .map(|part| {
            let end = part.find(|part: char| !part.is_ascii_alphanumeric() && part != '_');
            &part[..end.unwrap_or(part.len())]
        })
        .filter(|name| !name.is_empty())
}

/// The escapes of a value in double quotes; `\$` becomes `$$`, which stands for a dollar sign.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        let replacement = match after.next() {
            Some('a') => "\u{7}",
            Some('b') => "\u{8}",
            Some('f') => "\u{c}",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\u{b}",
            Some('$') => "$$",
            Some('"') => "\"",
            Some('\\') => "\\",
            _ => {
                plain.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        plain.push_str(replacement);
        rest = after.as_str();
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outside(name: &str) -> Option<String> {
        (name == "OUT").then(|| "out".to_owned())
    }

    fn value(text: &str) -> Option<String> {
        let (assignments, mistakes) = parse(text, &outside);
        assert_eq!(mistakes, [], "{text}");
        assert_eq!(assignments.len(), 1, "{text}");
        assert_eq!(assignments[0].name, "A", "{text}");
        assignments[0].value.clone()
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("A=b", "b"),
            ("  A = b  \n", "b"),
            ("export A=b", "b"),
            ("export\tA=b\r\n", "b"),
            ("A: b", "b"),
            ("A=b # comment", "b"),
            ("A=b# no comment", "b# no comment"),
            ("A=#b", "#b"),
            ("A= # comment", ""),
            ("A=", ""),
            ("A=b=c:d", "b=c:d"),
            ("A=\"b # c\" # d", "b # c"),
            ("A='b $OUT \\n'", "b $OUT \\n"),
            ("A='it\\'s'", "it's"),
            ("A=\"b\\tc\\\"d\\\\e\\x\"", "b\tc\"d\\e\\x"),
            ("A=\"b\nc\"\n# comment", "b\nc"),
            ("A=$OUT/${NONE}/${NONE:-d}/$$x", "out//d/$x"),
            ("A=\"$OUT \\$OUT\"", "out $OUT"),
            ("\u{feff}# comment\n\nA=b", "b"),
        ] {
            assert_eq!(value(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(value("A"), None);
        assert_eq!(value("export A # comment"), None);
    }

    #[test]
    fn earlier_lines_are_known_and_hidden_by_the_outside() {
        let (assignments, mistakes) = parse("B=1\nOUT=2\nA=$B$OUT\n", &outside);
        assert_eq!(mistakes, []);
        assert_eq!(assignments[2].value.as_deref(), Some("1out"));
        assert_eq!(assignments[2].position, Position { line: 3, column: 1, length: 1 });
    }

    #[test]
    fn mistakes_have_their_line() {
        let text = "A=1\n=2\nB C=3\nD=\"4\nE=5\nF='6' 7\nG=$\nH=${H:?no H}\nI=9\n";
        let (assignments, mistakes) = parse(text, &outside);
        let lines: Vec<u32> = mistakes.iter().map(|mistake| mistake.position.line).collect();
        assert_eq!(lines, [2, 3, 4, 6, 7, 8], "{mistakes:?}");
        let names: Vec<&str> = assignments.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["A", "E", "I"]);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A$\\\\{}:=#'\" \n\tü]{0,30}") {
            parse(&text, &outside);
        }

        #[test]
        fn quoted_values_stand_as_they_are(text in "[^'\\\\\r]*") {
            prop_assert_eq!(value(&format!("A='{text}'")), Some(text));
        }
    }
}
