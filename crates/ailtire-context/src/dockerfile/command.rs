//! A definition's default command, as an instruction.

/// What a shell would not take as a plain part of a word.
const SHELL_CHARACTERS: &[char] = &[
    '|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', '*', '?', '[', ']', '#', '~',
    '{', '}', '!', '\n', '\r',
];

/// The `CMD` instruction for `command`, without a line end; `None` where there is no command.
pub(super) fn instruction(command: &str, escape: char) -> Option<String> {
    let command = command.trim();
    if command.is_empty() {
        return None;
    }
    let words: Vec<&str> = command.split_whitespace().collect();
    let assigns = words.first().is_some_and(|first| first.contains('='));
    if !assigns && !command.contains(SHELL_CHARACTERS) {
        return Some(exec_form(&words));
    }
    let breaks_the_line = command.contains(['\n', '\r'])
        || command.ends_with(escape)
        // Docker would take it for a flag of its own.
        || command.starts_with("--");
    if breaks_the_line {
        return Some(exec_form(&["/bin/sh", "-c", command]));
    }
    Some(format!("CMD {command}"))
}

fn exec_form(words: &[&str]) -> String {
    let quoted: Vec<String> =
        words.iter().map(|word| serde_json::Value::from(*word).to_string()).collect();
    format!("CMD [{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::instruction;

    fn of(command: &str) -> String {
        instruction(command, '\\').unwrap()
    }

    #[test]
    fn plain_words_make_the_exec_form() {
        assert_eq!(of("node server.js --port=80"), r#"CMD ["node", "server.js", "--port=80"]"#);
        assert_eq!(of("  npm   start "), r#"CMD ["npm", "start"]"#);
        assert_eq!(of("--flag"), r#"CMD ["--flag"]"#);
    }

    #[test]
    fn what_needs_a_shell_makes_the_shell_form() {
        assert_eq!(of("node a.js && node b.js"), "CMD node a.js && node b.js");
        assert_eq!(of("PORT=80 node a.js"), "CMD PORT=80 node a.js");
        assert_eq!(of("echo \"$HOME\""), "CMD echo \"$HOME\"");
    }

    #[test]
    fn an_exec_form_in_the_definition_is_taken_as_it_is() {
        assert_eq!(of(r#"["node", "a b.js"]"#), r#"CMD ["node", "a b.js"]"#);
    }

    #[test]
    fn what_would_not_fit_a_line_still_runs_in_a_shell() {
        assert_eq!(of("a\nb"), r#"CMD ["/bin/sh", "-c", "a\nb"]"#);
        assert_eq!(of("a \\"), r#"CMD ["/bin/sh", "-c", "a \\"]"#);
        assert_eq!(instruction("a|b `", '`').unwrap(), r#"CMD ["/bin/sh", "-c", "a|b `"]"#);
    }

    #[test]
    fn no_command_makes_no_instruction() {
        assert_eq!(instruction("  ", '\\'), None);
    }
}
