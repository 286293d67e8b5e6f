//! Words of an instruction: flags, arguments with quotes, heredocs.

use super::lines::Instruction;

/// Splits the flags (`--name=value`, quotes taken out) from the front of `text`.
pub(super) fn split_flags(text: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text;
    while rest.starts_with("--") {
        let (flag, length) = read_flag(rest);
        rest = rest[length..].trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, rest)
}

/// The flag at the front of `text`, and how many bytes of it that takes.
fn read_flag(text: &str) -> (String, usize) {
    let mut flag = String::new();
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            // Docker takes the backslash here whatever the escape directive says.
            '\\' => flag.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' | '"' if quote.is_none() => quote = Some(character),
            _ if quote == Some(character) => quote = None,
            _ if character.is_whitespace() && quote.is_none() => return (flag, position),
            _ => flag.push(character),
        }
    }
    (flag, text.len())
}

/// Splits `text` at white space outside quotes; quotes and escapes stay as they are.
pub(super) fn split_words(text: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(start.take().map(|start| &text[start..position]));
            continue;
        }
        start.get_or_insert(position);
        match quote {
            _ if character == escape && quote != Some('\'') => {
                characters.next();
            }
            Some(open) if open == character => quote = None,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            _ => {}
        }
    }
    words.extend(start.map(|start| &text[start..]));
    words
}

/// A heredoc that an instruction opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    name: String,
    strips_tabs: bool,
}

impl Heredoc {
    /// Whether `line` is the one that ends it.
    pub(super) fn ends_at(&self, line: &str) -> bool {
        let line = if self.strips_tabs { line.trim_start_matches('\t') } else { line };
        line == self.name
    }
}

/// The heredocs that `instruction` opens, in their order.
pub(super) fn heredocs(instruction: &Instruction, escape: char) -> Vec<Heredoc> {
    let arguments = instruction.arguments.as_str();
    if !arguments.contains("<<") {
        return Vec::new();
    }
    let (name, arguments) = match instruction.name.as_str() {
        "onbuild" => {
            let (name, rest) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
            (name.to_lowercase(), split_flags(rest.trim_start()).1)
        }
        name => (name.to_owned(), arguments),
    };
    let is_json = || serde_json::from_str::<Vec<String>>(arguments).is_ok();
    if !matches!(name.as_str(), "run" | "copy" | "add") || is_json() {
        return Vec::new();
    }
    split_words(arguments, escape).into_iter().filter_map(|word| heredoc(word, escape)).collect()
}

fn heredoc(word: &str, escape: char) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix("<<")?;
    let (strips_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let name = unquote(rest, escape);
    (!name.is_empty() && !rest.contains('<')).then_some(Heredoc { name, strips_tabs })
}

/// `word` without its quotes and escapes.
fn unquote(word: &str, escape: char) -> String {
    let mut result = String::new();
    let mut quote = None;
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        match quote {
            _ if character == escape && quote != Some('\'') => result.extend(characters.next()),
            Some(open) if open == character => quote = None,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            _ => result.push(character),
        }
    }
    result
}
