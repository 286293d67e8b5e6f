//! What the person at the terminal sees. Standard output carries results, standard error status.
#![allow(clippy::print_stdout, clippy::print_stderr)] // The one place of the chores that prints.

use std::io::{IsTerminal, stderr};

/// Prints a line of a result.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints what goes on, as Cargo does: `verb` right-aligned, then `text`.
pub(crate) fn status(verb: &str, text: &str) {
    eprintln!("{} {text}", colored(&format!("{verb:>12}"), "1;32"));
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    eprintln!("{}: {text}", colored("error", "1;31"));
}

fn colored(text: &str, code: &str) -> String {
    if stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
