//! YAML text to the tree.

mod build;

use saphyr_parser::{Parser, ScanError};

use crate::document::{Node, Position, Value};
use crate::findings::Findings;
use build::Builder;

/// How deep lists and mappings may nest, aliases followed: what walks the tree is recursive.
const DEPTH_LIMIT: usize = 64;

/// Size of the tree, aliases and merges expanded: a short text can stand for a huge tree.
const SIZE_LIMIT: usize = 4 << 20;

/// Why a document can't be used, and where.
pub(crate) struct Refusal {
    code: &'static str,
    position: Position,
    message: String,
    help: Option<&'static str>,
}

impl Refusal {
    fn new(code: &'static str, position: Position, message: impl Into<String>) -> Self {
        Self { code, position, message: message.into(), help: None }
    }

    fn help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }
}

/// The tree of `text`, whose root is a mapping; what is wrong goes to `findings`.
///
/// A duplicate key or an unknown tag does not end the reading, so that the decoder can find more.
pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    match document(text, findings) {
        Ok(node) => Some(node),
        Err(refusal) => {
            let finding = findings.error(refusal.position, refusal.code, refusal.message);
            if let Some(help) = refusal.help {
                finding.help(help);
            }
            None
        }
    }
}

fn document(text: &str, findings: &mut Findings) -> Result<Node, Refusal> {
    // A byte order mark is no content, and would shift the first line's columns.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > SIZE_LIMIT {
        let message = format!("this file is longer than {} MiB", SIZE_LIMIT >> 20);
        return Err(Refusal::new("too-large", Position::default(), message));
    }
    let mut builder = Builder::new(findings);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax_error(text, &error))?;
        builder.add(event, span)?;
    }
    let root = builder.finish().unwrap_or_else(|| Node::plain("", Position::default()));
    match root.value {
        Value::Map(_) => Ok(root),
        Value::Null => Err(Refusal::new("empty-design", Position::default(), "this file is empty")
            .help("a compose file has at least `services:` with one service")),
        _ => Err(Refusal::new(
            "invalid-type",
            root.position,
            format!("a compose file is a mapping, not {}", root.describe()),
        )),
    }
}

fn syntax_error(text: &str, error: &ScanError) -> Refusal {
    let marker = error.marker();
    let last = text.lines().count().max(1);
    let position = Position {
        line: clamp(marker.line().clamp(1, last)),
        column: clamp(marker.col() + 1),
        length: 0,
    };
    let line = text.lines().nth(position.line as usize - 1).unwrap_or_default();
    let refusal =
        Refusal::new("yaml-syntax", position, format!("this is not YAML: {}", error.info()));
    let indentation = &line[..line.len() - line.trim_start().len()];
    if indentation.contains('\t') {
        refusal.help("indent with spaces; YAML takes no tabs there")
    } else {
        refusal
    }
}

/// Lines and columns of files that fit the size limit always do.
fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
