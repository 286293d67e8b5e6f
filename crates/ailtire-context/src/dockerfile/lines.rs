//! Taking a Dockerfile apart into instructions: directives, comments, continuations, heredocs.

use super::words::{heredocs, split_flags};

/// One instruction, its continuation lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its name in lower case.
    pub(super) name: String,
    /// The flags before its arguments (`--from=base`), without quotes.
    pub(super) flags: Vec<String>,
    /// What follows the flags, as it is written.
    pub(super) arguments: String,
    /// All of it as it is written, continuation lines joined.
    pub(super) written: String,
    /// How many heredocs it opens.
    pub(super) heredocs: usize,
    /// Line of its first character, counted from 1.
    pub(super) line: u32,
    /// Byte behind it, its heredocs and its line end.
    pub(super) end: usize,
    /// Where a continuation at the very end of the file stands that nothing follows.
    pub(super) dangling: Option<usize>,
}

/// A Dockerfile as instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) instructions: Vec<Instruction>,
    /// The character that escapes: a backslash or a backtick.
    pub(super) escape: char,
    /// The frontend that a `syntax` directive names.
    pub(super) syntax: Option<String>,
}

/// An `escape` directive whose value is neither a backslash nor a backtick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InvalidEscape {
    pub(super) line: u32,
}

/// One line, without its end.
#[derive(Clone, Copy)]
pub(super) struct Line<'text> {
    text: &'text str,
    pub(super) start: usize,
    end: usize,
    pub(super) number: u32,
}

pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    (1..).zip(text.split_inclusive('\n')).map(move |(number, whole)| {
        let end = start + whole.len();
        let text = whole.strip_suffix('\n').unwrap_or(whole);
        let line = Line { text: text.strip_suffix('\r').unwrap_or(text), start, end, number };
        start = end;
        line
    })
}

/// Takes `text` apart.
///
/// # Errors
///
/// [`InvalidEscape`]: nothing below that line can be read.
pub(super) fn parse(text: &str) -> Result<Source, InvalidEscape> {
    let (escape, syntax) = directives(text)?;
    let mut instructions = Vec::new();
    let mut rest = lines(text);
    while let Some(first) = rest.next() {
        let start = match first.number {
            1 => first.text.strip_prefix('\u{feff}').unwrap_or(first.text),
            _ => first.text,
        };
        let start = start.trim_start();
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        let mut joined = Joined { text: String::new(), end: first.end, dangling: None };
        let mut going_on = joined.push(start, first, escape);
        while going_on {
            let Some(line) = rest.next() else { break };
            joined.end = line.end;
            let trimmed = line.text.trim_start();
            if !trimmed.is_empty() && !trimmed.starts_with('#') {
                going_on = joined.push(line.text, line, escape);
            }
        }
        let mut instruction = joined.into_instruction(first.number);
        let heredocs = heredocs(&instruction, escape);
        instruction.heredocs = heredocs.len();
        for heredoc in heredocs {
            for line in rest.by_ref() {
                instruction.end = line.end;
                if heredoc.ends_at(line.text) {
                    break;
                }
            }
        }
        instructions.push(instruction);
    }
    Ok(Source { instructions, escape, syntax })
}

/// The lines of an instruction, joined so far.
struct Joined {
    text: String,
    end: usize,
    dangling: Option<usize>,
}

impl Joined {
    /// Adds `text`, the (rest of the) line; returns whether the next one continues it.
    fn push(&mut self, text: &str, line: Line<'_>, escape: char) -> bool {
        let trimmed = text.trim_end_matches([' ', '\t']);
        let body = trimmed.strip_suffix(escape).filter(|body| !body.ends_with(escape));
        self.text.push_str(body.unwrap_or(text));
        self.dangling =
            body.map(|_| line.start + line.text.trim_end_matches([' ', '\t']).len() - 1);
        body.is_some()
    }

    fn into_instruction(self, line: u32) -> Instruction {
        let text = self.text.trim();
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (flags, arguments) = split_flags(rest.trim());
        Instruction {
            name: name.to_lowercase(),
            flags,
            arguments: arguments.to_owned(),
            written: text.to_owned(),
            heredocs: 0,
            line,
            end: self.end,
            dangling: self.dangling,
        }
    }
}

/// The parser directives at the top: the escape character and the frontend.
fn directives(text: &str) -> Result<(char, Option<String>), InvalidEscape> {
    let (mut escape, mut syntax) = ('\\', None);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in lines(text) {
        let Some((name, value)) = directive(line.text) else { break };
        match (name.to_ascii_lowercase().as_str(), value) {
            ("escape", "\\") => escape = '\\',
            ("escape", "`") => escape = '`',
            ("escape", _) => return Err(InvalidEscape { line: line.number }),
            ("syntax", value) => syntax = Some(value.to_owned()),
            ("check", _) => {}
            _ => break,
        }
    }
    Ok((escape, syntax))
}

fn directive(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric());
    (is_name && !value.is_empty()).then_some((name, value))
}
