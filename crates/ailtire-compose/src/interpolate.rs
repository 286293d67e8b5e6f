//! Replaces the variables in the scalars of a tree; keys stay as they are.

use std::collections::HashSet;

use ailtire_terms::{did_you_mean, nearest};

use crate::document::{Node, Position, Style, Value};
use crate::findings::Findings;
use crate::template::{self, FaultKind};
use crate::variables::Variables;

/// Replaces variables in all of `root`, extensions (`x-…`) included, as Docker does.
///
/// A plain scalar gets the type of its new text, but never becomes null: a variable that is empty
/// is an empty string.
pub(crate) fn interpolate(root: &mut Node, variables: &Variables, findings: &mut Findings) {
    Interpolation { variables, findings, warned: HashSet::new() }.node(root);
}

struct Interpolation<'run> {
    variables: &'run Variables,
    findings: &'run mut Findings,
    /// Variables that are known to be missing: one warning for each is enough.
    warned: HashSet<String>,
}

impl Interpolation<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::List(items) => {
                for item in items {
                    self.node(item);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    self.node(&mut entry.value);
                }
            }
            Value::Text(text) if text.contains('$') => self.scalar(node),
            _ => {}
        }
    }

    fn scalar(&mut self, node: &mut Node) {
        let (replaced, faults) =
            template::replace_some(&node.written, &|name| self.variables.get(name), &|name| {
                self.variables.later(name)
            });
        let is_spoilt = faults
            .iter()
            .any(|fault| !matches!(fault.kind, FaultKind::Unset { .. } | FaultKind::Kept { .. }));
        for fault in faults {
            let position = within(node, fault.start, fault.end);
            self.report(&node.written[fault.start..fault.end], position, fault.kind);
        }
        if is_spoilt {
            self.findings.spoil(node.position);
        }
        let plain = Node::plain(replaced, node.position);
        *node = match (node.style, &plain.value) {
            (Style::Plain, value) if *value != Value::Null => plain,
            _ => Node::text(plain.written, node.position),
        };
    }

    fn report(&mut self, written: &str, position: Position, kind: FaultKind) {
        match kind {
            FaultKind::Syntax => {
                let message = if written == "$" {
                    "this `$` begins no variable".to_owned()
                } else {
                    format!("`{written}` is not the syntax of a variable")
                };
                self.findings
                    .error(position, "interpolation-syntax", message)
                    .help("write `$$` for a dollar sign, `${NAME:-default}` for a variable");
            }
            FaultKind::Required { name, message } => {
                let because = if message.is_empty() { "" } else { ": " };
                self.findings
                    .error(
                        position,
                        "required-variable",
                        format!("the variable `{name}` is required{because}{message}"),
                    )
                    .help(how_to_set(&name));
            }
            FaultKind::Kept { name } => {
                if self.warned.insert(name.clone()) {
                    self.findings
                        .warning(position, "secret-variable", kept_message(&name))
                        .help(KEPT_HELP);
                }
            }
            FaultKind::Unset { name } => {
                if !self.warned.insert(name.clone()) {
                    return;
                }
                let near = nearest(&name, self.variables.names());
                let help = did_you_mean(&near).unwrap_or_else(|| how_to_set(&name));
                self.findings
                    .warning(
                        position,
                        "unset-variable",
                        format!("the variable `{name}` is not set; it counts as empty"),
                    )
                    .help(help);
            }
        }
    }
}

/// What is said of a variable whose value does not go into a stack image.
pub(crate) fn kept_message(name: &str) -> String {
    format!("the value of `{name}` is not put into the stack image: the name suggests a secret")
}

/// What to do about [`kept_message`].
pub(crate) const KEPT_HELP: &str = "the stack's manager looks it up in its own environment; a \
     secret of the stack is seen by fewer";

/// How the variable `name` is given a value.
fn how_to_set(name: &str) -> String {
    format!("set it with `--env {name}=VALUE`, or in `env` of deploy.js, or in `.env`")
}

/// Where the bytes from `start` to `end` of a scalar are written, if it is on one line without
/// escapes; else where the scalar is.
fn within(node: &Node, start: usize, end: usize) -> Position {
    let length = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let quotes = node.position.length.saturating_sub(length(&node.written));
    let expected = if node.style == Style::Quoted { 2 } else { 0 };
    if node.position.length == 0 || quotes != expected {
        return node.position;
    }
    Position {
        column: node.position.column + expected / 2 + length(&node.written[..start]),
        length: length(&node.written[start..end]),
        ..node.position
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ailtire_events::Diagnostic;

    use super::*;
    use crate::{StackContext, yaml};

    fn read(text: &str) -> (Node, Vec<Diagnostic>) {
        let set = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let context = StackContext {
            application: "shop".into(),
            instance: "shop-dev".into(),
            variables: set(&[("N", "3"), ("AILTIRE_APPNAME", "other")]),
            command_line: set(&[("N", "4"), ("EMPTY", "")]),
            process: set(&[("HOME", "/root"), ("EMPTY", "x"), ("FLAG", "true"), ("TILDE", "~")]),
            ..StackContext::default()
        };
        let variables = Variables::new(&context, set(&[("HOME", "x"), ("DOT", "env")]));
        let mut findings = Findings::new("compose.yaml", text);
        let mut node = yaml::parse(text, &mut findings).unwrap();
        interpolate(&mut node, &variables, &mut findings);
        (node, findings.into_diagnostics())
    }

    #[test]
    fn the_first_source_wins() {
        let (node, diagnostics) =
            read("a: $N/$EMPTY/$HOME/$DOT/$AILTIRE_APPNAME/$APPNAME/$AILTIRE_STACKNAME");
        assert_eq!(
            node.get("a").unwrap().scalar(),
            Some("3//root/env/shop/shop/shop-dev".replace("//root", "///root")).as_deref()
        );
        assert_eq!(diagnostics, []);
    }

    #[test]
    fn plain_scalars_get_their_type_again() {
        let (node, _) = read(
            "a:\n  - \"${N}\"\n  - $N\n  - '${N}'\n  - ${FLAG}\n  - 1$N\n  - ${EMPTY}\n  \
             - $TILDE\n  - $$N\n  - 7\n$N: ${N}\n",
        );
        let values: Vec<_> =
            node.get("a").unwrap().items().iter().map(|item| item.value.clone()).collect();
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            values,
            [
                text("3"),
                Value::Integer(3),
                text("3"),
                Value::Bool(true),
                Value::Integer(13),
                text(""),
                text("~"),
                text("$N"),
                Value::Integer(7),
            ]
        );
        assert_eq!(node.get("$N").unwrap().value, Value::Integer(3));
    }

    #[test]
    fn findings_point_at_the_variable() {
        let text = "a: x ${M} ${M}\nb: \"y ${1}\"\nc: |\n  a $\nd: ${D:?set it}\n";
        let (_, diagnostics) = read(text);
        let lines: Vec<String> = diagnostics
            .iter()
            .map(|diagnostic| {
                let location = diagnostic.location.as_ref().unwrap();
                format!("{location}+{} {}", location.length.unwrap_or(0), diagnostic.message)
            })
            .collect();
        assert_eq!(
            lines,
            [
                "compose.yaml:1:6+4 the variable `M` is not set; it counts as empty",
                "compose.yaml:2:7+4 `${1}` is not the syntax of a variable",
                "compose.yaml:4:3+0 this `$` begins no variable",
                "compose.yaml:5:4+12 the variable `D` is required: set it",
            ]
        );
    }
}
