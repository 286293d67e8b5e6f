//! Which line of a Dockerfile an engine speaks of.

use ailtire_context::WrittenInstruction;
use ailtire_terms::reference::canonical;

/// The line of the instruction that a BuildKit step (`[build 2/3] RUN npm ci`) stands for.
///
/// Looking for an image (`[internal] load metadata for …`) is part of the `FROM` that names it.
pub(crate) fn line_of_step(dockerfile: &str, step: &str) -> Option<u32> {
    if let Some(reference) = step.strip_prefix("[internal] load metadata for ") {
        return line_of_base(dockerfile, reference);
    }
    let text = match step.split_once("] ") {
        Some((prefix, text)) if prefix.starts_with('[') => text,
        _ => step,
    };
    let text = normalised(text);
    let instructions = instructions(dockerfile);
    let exact: Vec<_> = instructions.iter().filter(|found| found.text == text).collect();
    let candidates = if exact.is_empty() {
        instructions.iter().filter(|found| could_expand_to(&found.text, &text)).collect()
    } else {
        exact
    };
    match candidates.as_slice() {
        [only] => Some(only.line),
        // Equal instructions in several stages: no line is better than a wrong one.
        _ => None,
    }
}

/// The line of the first `FROM` that names the image `reference`.
fn line_of_base(dockerfile: &str, reference: &str) -> Option<u32> {
    let names = |found: &&WrittenInstruction| {
        let mut words = found.text.split(' ').filter(|word| !word.starts_with("--"));
        words.next() == Some("FROM")
            && words.next().is_some_and(|written| {
                canonical(written) == canonical(reference) || could_expand_to(written, reference)
            })
    };
    Some(instructions(dockerfile).iter().find(names)?.line)
}

/// The line of the instruction with this number, counted from 1, as the classic builder counts.
pub(crate) fn line_of_number(dockerfile: &str, number: usize) -> Option<u32> {
    Some(instructions(dockerfile).get(number.checked_sub(1)?)?.line)
}

/// What of a Dockerfile the classic builder does not know (`RUN --mount`), and its line.
pub(crate) fn needs_buildkit(dockerfile: &str) -> Option<(String, u32)> {
    const FLAGS: [(&str, &[&str]); 3] = [
        ("RUN", &["--mount", "--network", "--security"]),
        ("COPY", &["--link", "--chmod", "--parents", "--exclude"]),
        ("ADD", &["--link", "--chmod", "--checksum", "--keep-git-dir", "--exclude"]),
    ];
    instructions(dockerfile).into_iter().find_map(|found| {
        let mut words = found.text.split(' ');
        let name = words.next()?;
        let known = FLAGS.iter().find(|(instruction, _)| *instruction == name)?.1;
        let flag = words
            .take_while(|word| word.starts_with("--"))
            .map(|word| word.split_once('=').map_or(word, |(flag, _)| flag))
            .find(|flag| known.contains(flag));
        match flag {
            Some(flag) => Some((format!("`{name} {flag}`"), found.line)),
            None if found.has_heredoc => {
                Some((format!("the here-document of `{name}`"), found.line))
            }
            None => None,
        }
    })
}

/// The line that a message about a Dockerfile itself names (`dockerfile parse error line 3: …`).
pub(crate) fn line_in_message(message: &str) -> Option<u32> {
    let lower = message.to_ascii_lowercase();
    let at = ["parse error on line ", "parse error line ", "dockerfile line "]
        .iter()
        .find_map(|marker| Some(lower.find(marker)? + marker.len()))
        .or_else(|| Some(lower.find("dockerfile:")? + "dockerfile:".len()))?;
    let digits: String = lower[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Whether expanding the variables of `written` can give `shown`.
fn could_expand_to(written: &str, shown: &str) -> bool {
    if !written.contains('$') {
        return false;
    }
    let mut rest = shown;
    let mut literals = literals(written).into_iter();
    let first = literals.next().unwrap_or_default();
    match rest.strip_prefix(first.as_str()) {
        Some(after) => rest = after,
        None => return false,
    }
    let mut last = String::new();
    for literal in literals {
        match rest.find(&literal) {
            Some(at) => rest = &rest[at + literal.len()..],
            None => return false,
        }
        last = literal;
    }
    last.is_empty() || shown.ends_with(&last)
}

/// The parts of a text between its variables (`$NAME`, `${NAME:-word}`).
fn literals(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '$' {
            if let Some(part) = parts.last_mut() {
                part.push(character);
            }
            continue;
        }
        if characters.peek() == Some(&'{') {
            let mut depth = 0;
            for inner in characters.by_ref() {
                depth += i32::from(inner == '{') - i32::from(inner == '}');
                if depth == 0 {
                    break;
                }
            }
        } else {
            while characters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_').is_some()
            {
            }
        }
        parts.push(String::new());
    }
    parts
}

fn normalised(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match joined.split_once(' ') {
        Some((instruction, rest)) => format!("{} {rest}", instruction.to_ascii_uppercase()),
        None => joined.to_ascii_uppercase(),
    }
}

/// The instructions with their white space as single spaces, so that they can be compared.
fn instructions(dockerfile: &str) -> Vec<WrittenInstruction> {
    let mut instructions = ailtire_context::instructions(dockerfile);
    for instruction in &mut instructions {
        instruction.text = normalised(&instruction.text);
    }
    instructions
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = "# syntax=x\nARG V=1\nFROM scratch AS build\n\nrun echo a && \\\n  # between\n  echo b\nCOPY --from=base$V /x ${TO:-/y}\nRUN <<EOF\nFROM nothing\nEOF\nRUN exit 3\n";

    #[test]
    fn instructions_begin_where_they_stand() {
        let lines: Vec<_> = instructions(DOCKERFILE).iter().map(|found| found.line).collect();
        assert_eq!(lines, [2, 3, 5, 8, 9, 12]);
        assert_eq!(line_of_number(DOCKERFILE, 6), Some(12));
        assert_eq!(line_of_number(DOCKERFILE, 7), None);
        assert_eq!(line_of_number(DOCKERFILE, 0), None);
    }

    #[test]
    fn steps_are_found_by_their_text() {
        for (step, line) in [
            ("[build 4/4] RUN exit 3", Some(12)),
            ("[2/4] RUN echo a &&   echo b", Some(5)),
            ("[3/4] COPY --from=base1 /x /target", Some(8)),
            ("[3/4] COPY --from=other /x /target", None),
            ("[internal] load build context", None),
            ("exporting to image", None),
        ] {
            assert_eq!(line_of_step(DOCKERFILE, step), line, "{step}");
        }
    }

    #[test]
    fn looking_for_an_image_is_part_of_its_from() {
        let text = "ARG R\nFROM scratch AS a\nFROM --platform=x debian:12\nFROM $R/app\n";
        let line = |reference: &str| {
            line_of_step(text, &format!("[internal] load metadata for {reference}"))
        };
        assert_eq!(line("docker.io/library/debian:12"), Some(3));
        assert_eq!(line("host:5000/app"), Some(4));
        assert_eq!(line("docker.io/library/other:12"), None);
    }

    #[test]
    fn equal_instructions_have_no_sure_line() {
        assert_eq!(line_of_step("FROM a\nRUN x\nFROM b\nRUN x\n", "[2/2] RUN x"), None);
    }

    #[test]
    fn messages_name_their_line() {
        for (message, line) in [
            ("dockerfile parse error line 3: unknown instruction: FOO", Some(3)),
            ("dockerfile parse error on line 12: unknown", Some(12)),
            ("Dockerfile:4\n", Some(4)),
            ("exit code: 3", None),
        ] {
            assert_eq!(line_in_message(message), line, "{message}");
        }
    }

    #[test]
    fn what_only_buildkit_knows_is_found() {
        let found = |text: &str| needs_buildkit(text);
        assert_eq!(found("FROM a\nRUN echo --mount\nCOPY --from=a b c\n"), None);
        assert_eq!(
            found("FROM a\nrun --mount=type=cache,target=/x y\n"),
            Some(("`RUN --mount`".to_owned(), 2))
        );
        assert_eq!(
            found("FROM a\nCOPY --chown=1 --link a b\n"),
            Some(("`COPY --link`".to_owned(), 2))
        );
        assert_eq!(
            found("FROM a\n\nRUN <<EOF\nx\nEOF\n"),
            Some(("the here-document of `RUN`".to_owned(), 3))
        );
    }

    #[test]
    fn another_escape_character_is_known() {
        let text = "# escape=`\nFROM a\nRUN x `\n y \\\nRUN z\n";
        let lines: Vec<_> = instructions(text).iter().map(|found| found.line).collect();
        assert_eq!(lines, [2, 3, 5]);
    }
}
