//! Variables in text: `$NAME`, `${NAME:-default}` and their relatives.
//!
//! The syntax is that of the [Compose specification][specification]: `${NAME-default}`,
//! `${NAME:-default}`, `${NAME?message}`, `${NAME:?message}`, `${NAME+replacement}`,
//! `${NAME:+replacement}`, all of which may hold further variables, and `$$` for a dollar sign.
//! With a colon, a variable that is empty counts as one that is not set.
//!
//! [specification]: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md

use crate::symbol;

/// How deep variables may stand inside of each other's defaults.
const DEPTH_LIMIT: usize = 32;

/// What is wrong with a text, or odd about it; places are byte ranges of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: FaultKind,
}

/// What is known of a variable that stays a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    /// It will have a value that is not empty.
    Filled,
    /// It will be set, perhaps to nothing.
    PerhapsEmpty,
    /// Nothing: its value is nobody's business here.
    Secret,
}

/// Kinds of [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// A dollar sign that begins no variable.
    Syntax,
    /// `${NAME?message}` of a variable that is not set.
    Required { name: String, message: String },
    /// A variable without a default that is not set; the value goes on as empty.
    Unset { name: String },
    /// A variable that stays one since its name suggests a secret.
    Kept { name: String },
}

/// `text` with its variables replaced, and what was found on the way.
pub(crate) fn replace<'value>(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<&'value str>,
) -> (String, Vec<Fault>) {
    replace_some(text, lookup, &|_| None)
}

/// As [`replace`], but the variables that `later` knows become symbols.
pub(crate) fn replace_some<'value>(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<&'value str>,
    later: &dyn Fn(&str) -> Option<Later>,
) -> (String, Vec<Fault>) {
    let mut faults = Vec::new();
    let replaced = Replacing { lookup, later, faults: &mut faults }.text(text, 0, 0);
    (replaced, faults)
}

struct Replacing<'replacing, 'value> {
    lookup: &'replacing dyn Fn(&str) -> Option<&'value str>,
    later: &'replacing dyn Fn(&str) -> Option<Later>,
    faults: &'replacing mut Vec<Fault>,
}

impl Replacing<'_, '_> {
    /// `text`, which begins at `offset` of the whole text.
    fn text(&mut self, text: &str, offset: usize, depth: usize) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            replaced.push_str(&rest[..dollar]);
            let at = offset + (text.len() - rest.len()) + dollar;
            let after = &rest[dollar + 1..];
            rest = if let Some(after) = after.strip_prefix('$') {
                replaced.push('$');
                after
            } else if after.starts_with('{') {
                self.braced(after, at, depth, &mut replaced)
            } else {
                self.named(after, at, &mut replaced)
            };
        }
        replaced.push_str(rest);
        replaced
    }

    /// `$NAME`; what follows it.
    fn named<'text>(&mut self, after: &'text str, at: usize, replaced: &mut String) -> &'text str {
        let length = name_length(after);
        if length == 0 {
            self.fault(at, 1, FaultKind::Syntax);
            return after;
        }
        let name = &after[..length];
        if let Some(later) = (self.later)(name) {
            self.keep(name, later, at, 1 + length);
            replaced.push_str(&symbol::variable(name));
            return &after[length..];
        }
        match (self.lookup)(name) {
            Some(value) => replaced.push_str(value),
            None => self.fault(at, 1 + length, FaultKind::Unset { name: name.to_owned() }),
        }
        &after[length..]
    }

    /// `${…}`; what follows it.
    fn braced<'text>(
        &mut self,
        after: &'text str,
        at: usize,
        depth: usize,
        replaced: &mut String,
    ) -> &'text str {
        let Some(close) = closing_brace(after).filter(|_| depth < DEPTH_LIMIT) else {
            self.fault(at, 1 + after.len(), FaultKind::Syntax);
            return "";
        };
        let whole = 1 + close + 1;
        let content = &after[1..close];
        let (name, operation) = content.split_at(name_length(content));
        let rest = &after[close + 1..];
        let colon = operation.starts_with(':');
        let mut operation_rest = operation[usize::from(colon)..].chars();
        let operator = operation_rest.next();
        let operand = operation_rest.as_str();
        let operand_at = at + 2 + content.len() - operand.len();
        if let Some(later) = (self.later)(name)
            && matches!(operator, None | Some('-' | '+' | '?'))
            && (operator.is_some() || !colon)
        {
            self.keep(name, later, at, whole);
            let operand = operator.map(|operator| (operator, operand, operand_at));
            replaced.push_str(&self.kept(name, later, colon, operand, depth));
            return rest;
        }
        let value = (self.lookup)(name);
        let present = value.filter(|value| !colon || !value.is_empty());
        match operator {
            _ if name.is_empty() => self.fault(at, whole, FaultKind::Syntax),
            None if colon => self.fault(at, whole, FaultKind::Syntax),
            None => match value {
                Some(value) => replaced.push_str(value),
                None => self.fault(at, whole, FaultKind::Unset { name: name.to_owned() }),
            },
            Some('-') => match present {
                Some(value) => replaced.push_str(value),
                None => replaced.push_str(&self.text(operand, operand_at, depth + 1)),
            },
            Some('+') => {
                if present.is_some() {
                    replaced.push_str(&self.text(operand, operand_at, depth + 1));
                }
            }
            Some('?') => {
                if let Some(value) = present {
                    replaced.push_str(value);
                } else {
                    let message = self.text(operand, operand_at, depth + 1);
                    let kind = FaultKind::Required { name: name.to_owned(), message };
                    self.fault(at, whole, kind);
                }
            }
            Some(_) => self.fault(at, whole, FaultKind::Syntax),
        }
        rest
    }

    /// Says of a variable that it stays one, where somebody has to know.
    fn keep(&mut self, name: &str, later: Later, at: usize, length: usize) {
        if later == Later::Secret {
            self.fault(at, length, FaultKind::Kept { name: name.to_owned() });
        }
    }

    /// The symbol for `${…}`, with as much as is known by now: the operator, its operand, and
    /// where that begins.
    fn kept(
        &mut self,
        name: &str,
        later: Later,
        colon: bool,
        operation: Option<(char, &str, usize)>,
        depth: usize,
    ) -> String {
        let Some((operator, operand, at)) = operation else { return symbol::variable(name) };
        let is_present = match later {
            Later::Filled => true,
            Later::PerhapsEmpty => !colon,
            Later::Secret => false,
        };
        if is_present && operator != '+' {
            return symbol::variable(name);
        }
        let known = self.text(operand, at, depth + 1);
        if is_present {
            return known;
        }
        // A brace would end the expression, and there is no way to say that it does not.
        let written = symbol::written(&known);
        let operand = if closes_early(&written) { operand } else { &written };
        let colon = if colon { ":" } else { "" };
        symbol::symbol(&format!("${{{name}{colon}{operator}{operand}}}"))
    }

    fn fault(&mut self, at: usize, length: usize, kind: FaultKind) {
        self.faults.push(Fault { start: at, end: at + length, kind });
    }
}

/// Whether the braces of an expression with this operand would close before its end.
fn closes_early(operand: &str) -> bool {
    closing_brace(&format!("{{{operand}}}")) != Some(operand.len() + 1)
}

/// How much of the beginning of `text` is the name of a variable.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|part: char| !part.is_ascii_alphanumeric() && part != '_').unwrap_or(text.len())
}

/// Where the brace that `text` begins with is closed; only `${` opens another one.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 0;
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                open += 1;
                at += 1;
            }
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<&'static str> {
        match name {
            "A" => Some("a"),
            "EMPTY" => Some(""),
            "DOLLAR" => Some("$A"),
            _ => None,
        }
    }

    fn good(text: &str) -> String {
        let (replaced, faults) = replace(text, &lookup);
        assert_eq!(faults, [], "{text}");
        replaced
    }

    fn bad(text: &str) -> (String, FaultKind) {
        let (_, mut faults) = replace(text, &lookup);
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        let fault = faults.remove(0);
        (text[fault.start..fault.end].to_owned(), fault.kind)
    }

    #[test]
    fn all_operators() {
        for (text, replaced) in [
            ("x", "x"),
            ("$A", "a"),
            ("${A}", "a"),
            ("-$A.b-${A}b", "-a.b-ab"),
            ("$$A $${A}", "$A ${A}"),
            ("$$$A", "$a"),
            ("${EMPTY}", ""),
            ("${A:-x}${EMPTY:-x}${UNSET:-x}", "axx"),
            ("${A-x}${EMPTY-x}${UNSET-x}", "ax"),
            ("${A:+x}${EMPTY:+x}${UNSET:+x}", "x"),
            ("${A+x}${EMPTY+x}${UNSET+x}", "xx"),
            ("${A:?m}${A?m}${EMPTY?m}", "aa"),
            ("${UNSET:-}${UNSET-}", ""),
            ("${UNSET:-${ALSO:-c}}", "c"),
            ("${UNSET:-${EMPTY:-${A}}/x}", "a/x"),
            ("${UNSET:-a:-b?c}", "a:-b?c"),
            ("${UNSET:-$$x}", "$x"),
            ("${A:-${UNSET}}", "a"),
            ("${UNSET:-{}}", "{}"),
            ("${DOLLAR}", "$A"),
            ("{{.Service.Name}}-{{.Task.Slot}}", "{{.Service.Name}}-{{.Task.Slot}}"),
            ("ü${A}ü", "üaü"),
        ] {
            assert_eq!(good(text), replaced, "{text}");
        }
    }

    #[test]
    fn faults_have_their_place() {
        let syntax = |text: &str| assert_eq!(bad(text).1, FaultKind::Syntax, "{text}");
        for text in [
            "$", "a $1", "${", "${A", "${}", "${-x}", "${1}", "${A!x}", "${A:}", "${A:=x}", "${ A}",
        ] {
            syntax(text);
        }
        assert_eq!(bad("ü $ b").0, "$");
        assert_eq!(bad("x ${1} y").0, "${1}");
        let unset = |name: &str| FaultKind::Unset { name: name.to_owned() };
        assert_eq!(bad("a${B}c"), ("${B}".to_owned(), unset("B")));
        assert_eq!(bad("${EMPTY:-é$B}"), ("$B".to_owned(), unset("B")));
        let required = FaultKind::Required { name: "B".to_owned(), message: "say a".to_owned() };
        assert_eq!(bad("x ${B?say $A}"), ("${B?say $A}".to_owned(), required.clone()));
        assert_eq!(bad("${B:?say $A}").1, required);
        assert!(matches!(bad("${EMPTY:?}").1, FaultKind::Required { .. }));
    }

    #[test]
    fn nesting_has_a_limit() {
        let text = format!("{}x{}", "${U:-".repeat(1000), "}".repeat(1000));
        assert_eq!(replace(&text, &lookup).1.len(), 1);
    }

    /// What a text is made of, for a model of the replacement that needs no parser.
    #[derive(Debug, Clone)]
    enum Piece {
        Literal(String),
        Dollar,
        Variable { name: &'static str, braces: bool },
        Operation { name: &'static str, colon: bool, operator: char, operand: Vec<Piece> },
    }

    const NAMES: [&str; 3] = ["A", "EMPTY", "UNSET_1"];

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        let leaf = prop_oneof![
            "[a-z {:?+./-]{1,5}".prop_map(Piece::Literal),
            Just(Piece::Dollar),
            (0..3_usize).prop_map(|name| Piece::Variable { name: NAMES[name], braces: true }),
            (0..3_usize).prop_map(|name| Piece::Variable { name: NAMES[name], braces: false }),
        ];
        let piece = leaf.prop_recursive(4, 24, 4, |inner| {
            (0..3_usize, any::<bool>(), 0..3_usize, proptest::collection::vec(inner, 0..4))
                .prop_map(|(name, colon, operator, operand)| Piece::Operation {
                    name: NAMES[name],
                    colon,
                    operator: ['-', '+', '?'][operator],
                    operand,
                })
        });
        proptest::collection::vec(piece, 0..6)
    }

    /// The text of the pieces and what it comes to.
    fn model(pieces: &[Piece]) -> (String, String) {
        let mut written = String::new();
        let mut value = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => {
                    // Without it a name without braces would go on.
                    written.extend([".", text]);
                    value.extend([".", text]);
                }
                Piece::Dollar => {
                    written.push_str(".$$.");
                    value.push_str(".$.");
                }
                Piece::Variable { name, braces } => {
                    let text = if *braces { format!("${{{name}}}") } else { format!("${name}.") };
                    written.push_str(&text);
                    value.push_str(lookup(name).unwrap_or_default());
                    value.push_str(if *braces { "" } else { "." });
                }
                Piece::Operation { name, colon, operator, operand } => {
                    let (text, operand) = model(operand);
                    let colon_text = if *colon { ":" } else { "" };
                    write!(written, "${{{name}{colon_text}{operator}{text}}}").unwrap();
                    let found = lookup(name).filter(|found| !colon || !found.is_empty());
                    value.push_str(match (operator, found) {
                        ('-', None) | ('+', Some(_)) => &operand,
                        ('-' | '?', Some(found)) => found,
                        _ => "",
                    });
                }
            }
        }
        (written, value)
    }

    proptest! {
        #[test]
        fn replacing_agrees_with_the_model(pieces in pieces()) {
            let (written, value) = model(&pieces);
            prop_assert_eq!(replace(&written, &lookup).0, value);
        }

        #[test]
        fn escaped_text_stays_what_it_is(text in "\\PC*") {
            prop_assert_eq!(replace(&symbol::written(&text), &lookup), (text, vec![]));
        }

        #[test]
        fn anything_is_taken_or_refused(text in "[${}A:?+-]{0,20}") {
            replace(&text, &lookup);
        }
    }
}
