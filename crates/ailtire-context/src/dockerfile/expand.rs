//! Variables in a Dockerfile: `$X`, `${X}` and the forms with a modifier.

mod cut;

use std::iter::Peekable;
use std::str::Chars;

use self::cut::ShellPattern;

/// How deep `${A:-${B:-…}}` may nest.
const DEPTH_LIMIT: u32 = 32;

/// How long a text may become, in bytes: each `ARG A=$A$A` doubles it.
const LENGTH_LIMIT: usize = 1 << 20;

/// What is known of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Its value.
    Known(String),
    /// It has one, but only the engine knows which.
    Unknown,
    /// It is not set.
    Unset,
}

/// Why a word can't be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("a `${{` has no `}}`")]
    Unclosed,
    #[error("a quote is not closed")]
    Quote,
    #[error("`${{…}}` names no variable")]
    BadSubstitution,
    #[error("`${{…}}` has the unknown modifier `{0}`")]
    Modifier(char),
    #[error("`{name}` is not set: {message}")]
    Required { name: String, message: String },
    #[error("`${{…}}` is nested too deeply")]
    Depth,
    #[error("the result is longer than 1 MiB")]
    Length,
}

/// Expands the variables in `word` and takes its quotes out.
///
/// `Ok(None)` where the result can't be known before the build.
///
/// # Errors
///
/// [`ExpandError`], where Docker would refuse the word as well.
pub(super) fn expand(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Value,
) -> Result<Option<String>, ExpandError> {
    if !word.contains(['$', '\'', '"', escape]) {
        return Ok(Some(word.to_owned()));
    }
    let mut expansion = Expansion { rest: word.chars().peekable(), escape, lookup, depth: 0 };
    let text = expansion.until(None)?;
    Ok(text.known())
}

/// Text, some part of which may be unknown.
#[derive(Default)]
struct Text {
    text: String,
    unknown: bool,
}

impl Text {
    fn append(&mut self, other: &Self) -> Result<(), ExpandError> {
        self.text.push_str(&other.text);
        self.unknown |= other.unknown;
        if self.text.len() > LENGTH_LIMIT { Err(ExpandError::Length) } else { Ok(()) }
    }

    fn known(self) -> Option<String> {
        (!self.unknown).then_some(self.text)
    }

    fn map(self, change: impl FnOnce(String) -> String) -> Self {
        if self.unknown { self } else { Self::of(change(self.text)) }
    }

    fn unknown() -> Self {
        Self { text: String::new(), unknown: true }
    }

    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), unknown: false }
    }
}

struct Expansion<'run> {
    rest: Peekable<Chars<'run>>,
    escape: char,
    lookup: &'run dyn Fn(&str) -> Value,
    depth: u32,
}

impl Expansion<'_> {
    /// Expands up to `stop`, which is consumed, or to the end.
    fn until(&mut self, stop: Option<char>) -> Result<Text, ExpandError> {
        let mut result = Text::default();
        while let Some(character) = self.rest.next() {
            match character {
                _ if Some(character) == stop => return Ok(result),
                '\'' => self.single_quoted(&mut result.text)?,
                '"' => self.double_quoted(&mut result)?,
                '$' => {
                    let value = self.variable()?;
                    result.append(&value)?;
                }
                _ if character == self.escape => result.text.extend(self.rest.next()),
                _ => result.text.push(character),
            }
        }
        if stop.is_some() { Err(ExpandError::Unclosed) } else { Ok(result) }
    }

    fn single_quoted(&mut self, result: &mut String) -> Result<(), ExpandError> {
        for character in self.rest.by_ref() {
            if character == '\'' {
                return Ok(());
            }
            result.push(character);
        }
        Err(ExpandError::Quote)
    }

    fn double_quoted(&mut self, result: &mut Text) -> Result<(), ExpandError> {
        let escape = self.escape;
        while let Some(character) = self.rest.next() {
            match character {
                '"' => return Ok(()),
                '$' => {
                    let value = self.variable()?;
                    result.append(&value)?;
                }
                _ if character == escape => {
                    let special = |next: &char| matches!(next, '"' | '$') || *next == escape;
                    result.text.push(self.rest.next_if(special).unwrap_or(character));
                }
                _ => result.text.push(character),
            }
        }
        Err(ExpandError::Quote)
    }

    /// Expands what follows a `$`.
    fn variable(&mut self) -> Result<Text, ExpandError> {
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { Text::of("$") } else { plain((self.lookup)(&name)) });
        }
        let name = self.name();
        if name.is_empty() {
            return Err(ExpandError::BadSubstitution);
        }
        let value = (self.lookup)(&name);
        let modifier = self.rest.next().ok_or(ExpandError::Unclosed)?;
        let (modifier, empty_counts_as_unset) = match modifier {
            '}' => return Ok(plain(value)),
            ':' => (self.rest.next().ok_or(ExpandError::Unclosed)?, true),
            modifier => (modifier, false),
        };
        match modifier {
            '-' | '+' | '?' => {
                let word = self.nested('}')?;
                substitute(modifier, name, value, word, empty_counts_as_unset)
            }
            '#' | '%' => {
                let longest = self.rest.next_if_eq(&modifier).is_some();
                let pattern = self.raw('}')?;
                let pattern = ShellPattern::new(&pattern, self.escape);
                Ok(plain(value).map(|value| match modifier {
                    '#' => pattern.cut_start(&value, longest).to_owned(),
                    _ => pattern.cut_end(&value, longest).to_owned(),
                }))
            }
            '/' => {
                let all = self.rest.next_if_eq(&'/').is_some();
                let pattern = ShellPattern::new(&self.raw('/')?, self.escape);
                let replacement = self.nested('}')?;
                if replacement.unknown {
                    return Ok(replacement);
                }
                let value = plain(value);
                // Each of its characters may be replaced.
                let most = value.text.len().saturating_mul(replacement.text.len());
                if most > 16 * LENGTH_LIMIT {
                    return Err(ExpandError::Length);
                }
                Ok(value.map(|value| pattern.replace(&value, &replacement.text, all)))
            }
            modifier => Err(ExpandError::Modifier(modifier)),
        }
    }

    /// Expands the word of a modifier, up to `stop`.
    fn nested(&mut self, stop: char) -> Result<Text, ExpandError> {
        if self.depth >= DEPTH_LIMIT {
            return Err(ExpandError::Depth);
        }
        self.depth += 1;
        let word = self.until(Some(stop));
        self.depth -= 1;
        word
    }

    /// Takes a pattern as it is written, up to `stop`.
    fn raw(&mut self, stop: char) -> Result<String, ExpandError> {
        let mut pattern = String::new();
        while let Some(character) = self.rest.next() {
            match character {
                _ if character == stop => return Ok(pattern),
                _ if character == self.escape => {
                    pattern.push(character);
                    pattern.extend(self.rest.next());
                }
                _ => pattern.push(character),
            }
        }
        Err(ExpandError::Unclosed)
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        if let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            name.push(digit);
            while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
                name.push(digit);
            }
            return name;
        }
        let is_part = |next: &char| next.is_alphanumeric() || *next == '_';
        while let Some(character) = self.rest.next_if(is_part) {
            name.push(character);
        }
        name
    }
}

fn plain(value: Value) -> Text {
    match value {
        Value::Known(value) => Text::of(value),
        Value::Unknown => Text::unknown(),
        Value::Unset => Text::default(),
    }
}

/// The forms that take the place of a variable that is set, or not.
fn substitute(
    modifier: char,
    name: String,
    value: Value,
    word: Text,
    empty_counts_as_unset: bool,
) -> Result<Text, ExpandError> {
    let is_set = match &value {
        Value::Known(value) => !(empty_counts_as_unset && value.is_empty()),
        // The engine sets it; one that may also be empty stays unknown.
        Value::Unknown if empty_counts_as_unset => return Ok(Text::unknown()),
        Value::Unknown => true,
        Value::Unset => false,
    };
    match modifier {
        '+' => Ok(if is_set { word } else { Text::default() }),
        _ if is_set => Ok(plain(value)),
        '-' => Ok(word),
        _ => Err(required(name, word.text)),
    }
}

fn required(name: String, message: String) -> ExpandError {
    let message = if message.is_empty() { "it has to be".to_owned() } else { message };
    ExpandError::Required { name, message }
}
