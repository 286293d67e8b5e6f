//! A command line, split as Docker's client splits the string form of `command`.
//!
//! That is not quite what a shell does: behind a backslash every letter stands for itself, in
//! double quotes too, and a `#` that begins a word begins a comment. Libraries that follow the
//! shell give other words, so this one follows the client.

/// Why a text is no command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SplitError {
    /// A quote has no second one.
    OpenQuote,
    /// Nothing stands behind the last backslash.
    OpenEscape,
}

impl SplitError {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::OpenQuote => "a quote is opened and never closed",
            Self::OpenEscape => "nothing stands behind the last backslash",
        }
    }
}

/// The words of `text`.
pub(super) fn split(text: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => {
                letters.by_ref().find(|letter| *letter == '\n');
            }
            '\\' => {
                let next = letters.next().ok_or(SplitError::OpenEscape)?;
                word.get_or_insert_default().push(next);
            }
            '\'' | '"' => quoted(letter, &mut letters, word.get_or_insert_default())?,
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Adds what stands before the second `quote` to `word`.
fn quoted(
    quote: char,
    letters: &mut std::str::Chars<'_>,
    word: &mut String,
) -> Result<(), SplitError> {
    while let Some(letter) = letters.next() {
        if letter == quote {
            return Ok(());
        }
        if letter == '\\' && quote == '"' {
            word.push(letters.next().ok_or(SplitError::OpenEscape)?);
        } else {
            word.push(letter);
        }
    }
    Err(SplitError::OpenQuote)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expectations are what `docker stack config` of Docker 28 makes of these.
    #[test]
    fn words_are_those_of_the_client() {
        let line = r#"sh -c "echo 'a b' \"q\" a\nb $x" x\ y  a"b\c"d f#g ''  "" z'\'y # comment"#;
        let words = ["sh", "-c", r#"echo 'a b' "q" anb $x"#, "x y", "abcd", "f#g", "", "", r"z\y"];
        assert_eq!(split(line).unwrap(), words);
        let line = "a #b\n c\td\re 'x\ny' \"a\\\nb\" \\é";
        assert_eq!(split(line).unwrap(), ["a", "c", "d", "e", "x\ny", "a\nb", "é"]);
        assert_eq!(split("  ").unwrap(), [""; 0]);
        assert_eq!(split("a 'b"), Err(SplitError::OpenQuote));
        assert_eq!(split("a \"b"), Err(SplitError::OpenQuote));
        assert_eq!(split("a \\"), Err(SplitError::OpenEscape));
        assert_eq!(split("a \"\\"), Err(SplitError::OpenEscape));
    }
}
