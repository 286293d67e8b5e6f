//! Ignore patterns with Docker's own semantics.
//!
//! The rules are those of moby's `patternmatcher`, as Docker's clients and `BuildKit` apply them:
//! patterns are matched against the whole path below the context's root, the last pattern that
//! matches decides, a leading `!` makes an exception, and a pattern that matches a directory
//! matches everything below it. A directory that is left out is there all the same when an
//! exception brings back something below it. (Clients of the classic builder look into such a
//! directory only where an exception starts with its very name; here every exception counts, as
//! with `BuildKit`.)
//!
//! Two accidents of that implementation are not followed, since they contradict its
//! documentation: inside `[…]`, `*` and `?` are plain characters here, and an escaped letter is
//! that letter (there, `\d` is a digit).

mod pattern;

use std::fmt;

use self::pattern::Glob;

/// A pattern that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no valid ignore pattern: {problem}")]
pub(crate) struct PatternError {
    /// Line of the ignore file, counted from 1.
    pub(crate) line: u32,
    /// The pattern as it is written.
    pub(crate) pattern: String,
    /// What is wrong with it.
    pub(crate) problem: &'static str,
}

/// One pattern of an ignore file.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    line: u32,
    written: Box<str>,
    exception: bool,
    glob: Glob,
}

impl Pattern {
    /// Line of the ignore file, counted from 1.
    pub(crate) fn line(&self) -> u32 {
        self.line
    }
}

impl fmt::Display for Pattern {
    /// The pattern as it is written.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

/// The patterns of one ignore file, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct IgnorePatterns {
    patterns: Vec<Pattern>,
    exceptions: bool,
}

/// Which patterns matched a directory, so that they hold for everything below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matched(Vec<u64>);

impl Matched {
    fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    fn insert(&mut self, index: usize) {
        if self.0.len() <= index / 64 {
            self.0.resize(index / 64 + 1, 0);
        }
        self.0[index / 64] |= 1 << (index % 64);
    }
}

impl IgnorePatterns {
    /// The patterns of an ignore file's text.
    ///
    /// # Errors
    ///
    /// Every pattern that is not valid.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<PatternError>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Only a `#` in the very first column makes a comment.
        Self::compile((1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')))
    }

    fn compile<'text>(
        written: impl Iterator<Item = (u32, &'text str)>,
    ) -> Result<Self, Vec<PatternError>> {
        let mut result = Self::default();
        let mut errors = Vec::new();
        for (line, written) in written {
            let written = written.trim();
            if written.is_empty() {
                continue;
            }
            let error = |problem| PatternError { line, pattern: written.to_owned(), problem };
            let (exception, body) = match written.strip_prefix('!') {
                Some(body) => (true, body.trim()),
                None => (false, written),
            };
            if body.is_empty() {
                errors.push(error("there is nothing after the `!`"));
                continue;
            }
            match Glob::compile(&clean(body)) {
                Ok(glob) => {
                    result.exceptions |= exception;
                    result.patterns.push(Pattern {
                        line,
                        written: written.into(),
                        exception,
                        glob,
                    });
                }
                Err(problem) => errors.push(error(problem)),
            }
        }
        if errors.is_empty() { Ok(result) } else { Err(errors) }
    }

    /// The pattern that leaves `path` out, if one does; `above` is what matched its directory.
    pub(crate) fn decide(&self, path: &str, above: &Matched) -> Option<&Pattern> {
        self.evaluate(path, above, |_| ())
    }

    /// The same for a directory, with what matched it, for [`decide`](Self::decide) below it.
    pub(crate) fn below(&self, path: &str, above: &Matched) -> (Option<&Pattern>, Matched) {
        let mut matched = Matched::default();
        let decisive = self.evaluate(path, above, |index| matched.insert(index));
        (decisive, matched)
    }

    /// The steps follow moby's `MatchesUsingParentResults`, also in what they skip: a pattern that
    /// could not change the verdict is not evaluated, and so is not handed on to what lies below.
    fn evaluate(
        &self,
        path: &str,
        above: &Matched,
        mut record: impl FnMut(usize),
    ) -> Option<&Pattern> {
        let mut decisive = None;
        for (index, pattern) in self.patterns.iter().enumerate() {
            let relevant = pattern.exception == decisive.is_some();
            if above.contains(index) || (relevant && pattern.glob.matches(path)) {
                record(index);
                decisive = match decisive {
                    _ if pattern.exception => None,
                    // The first of several patterns in a row says why.
                    Some(earlier) => Some(earlier),
                    None => Some(pattern),
                };
            }
        }
        decisive
    }

    /// Whether an exception could bring back something below `directory`, which is left out.
    pub(crate) fn may_return_below(&self, directory: &str) -> bool {
        self.exceptions
            && self
                .patterns
                .iter()
                .any(|pattern| pattern.exception && pattern.glob.may_match_below(directory))
    }
}

/// Takes out `.`, `..`, double slashes and the slashes at both ends, as text.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
