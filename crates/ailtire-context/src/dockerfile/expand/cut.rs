//! Cutting and replacing in a variable's value: `${X#…}`, `${X%…}`, `${X/…/…}`.

/// A shell pattern: `*`, `?` and plain characters.
pub(super) struct ShellPattern(Vec<Part>);

enum Part {
    Character(char),
    One,
    Any,
}

impl ShellPattern {
    /// Reads a pattern in which `escape` takes the meaning from the character after it.
    pub(super) fn new(pattern: &str, escape: char) -> Self {
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '*' => Part::Any,
                '?' => Part::One,
                _ if character == escape => Part::Character(characters.next().unwrap_or(escape)),
                _ => Part::Character(character),
            });
        }
        Self(parts)
    }

    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // Whether the parts so far match the text up to each position.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            if let Part::Any = part {
                let first = reached.iter().position(|it| *it).unwrap_or(reached.len());
                reached[first..].fill(true);
                continue;
            }
            for end in (0..text.len()).rev() {
                let fits = match part {
                    Part::Character(expected) => *expected == text[end],
                    Part::One | Part::Any => true,
                };
                reached[end + 1] = reached[end] && fits;
            }
            reached[0] = false;
        }
        reached[text.len()]
    }

    /// `value` without the shortest (or `longest`) text at its start that matches.
    pub(super) fn cut_start<'value>(&self, value: &'value str, longest: bool) -> &'value str {
        let fits = |at: &usize| self.matches(&value[..*at]);
        let at =
            if longest { boundaries(value).rev().find(fits) } else { boundaries(value).find(fits) };
        at.map_or(value, |at| &value[at..])
    }

    /// `value` without the shortest (or `longest`) text at its end that matches.
    pub(super) fn cut_end<'value>(&self, value: &'value str, longest: bool) -> &'value str {
        let fits = |at: &usize| self.matches(&value[*at..]);
        let at =
            if longest { boundaries(value).find(fits) } else { boundaries(value).rev().find(fits) };
        at.map_or(value, |at| &value[..at])
    }

    /// `value` with the first text that matches, or `all` of them, replaced.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let mut result = String::new();
        let mut rest = value;
        while let Some(first) = rest.chars().next() {
            let end = boundaries(rest).rev().find(|end| *end > 0 && self.matches(&rest[..*end]));
            if let Some(end) = end {
                result.push_str(replacement);
                rest = &rest[end..];
                if !all {
                    break;
                }
            } else {
                result.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        result + rest
    }
}

/// The byte positions between the characters of `text`, its ends among them.
fn boundaries(text: &str) -> impl DoubleEndedIterator<Item = usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}

#[cfg(test)]
mod tests {
    use super::ShellPattern;

    fn pattern(text: &str) -> ShellPattern {
        ShellPattern::new(text, '\\')
    }

    #[test]
    fn cuts_the_shortest_or_the_longest() {
        assert_eq!(pattern("v").cut_start("v20", false), "20");
        assert_eq!(pattern("x").cut_start("v20", false), "v20");
        assert_eq!(pattern("*/").cut_start("a/b/c", false), "b/c");
        assert_eq!(pattern("*/").cut_start("a/b/c", true), "c");
        assert_eq!(pattern(".*").cut_end("1.2.3", false), "1.2");
        assert_eq!(pattern(".*").cut_end("1.2.3", true), "1");
        assert_eq!(pattern("?").cut_end("aé", false), "a");
        assert_eq!(pattern("\\*").cut_start("*a", false), "a");
        assert_eq!(pattern("").cut_start("a", true), "a");
    }

    #[test]
    fn replaces_the_first_or_all() {
        assert_eq!(pattern("-").replace("a-b-c", ".", false), "a.b-c");
        assert_eq!(pattern("-").replace("a-b-c", ".", true), "a.b.c");
        assert_eq!(pattern("b*").replace("abc", "", false), "a");
    }
}
