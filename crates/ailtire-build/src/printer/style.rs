//! The looks of a status line: Cargo's, with a bold verb that ends in the twelfth column.

use anstyle::{AnsiColor, Style};

use super::words::printable;

/// It went well.
pub(crate) const GOOD: Style = AnsiColor::BrightGreen.on_default().bold();
/// It is under way.
pub(crate) const BUSY: Style = AnsiColor::BrightCyan.on_default().bold();
/// Worth a look.
pub(crate) const NOTICE: Style = AnsiColor::BrightYellow.on_default().bold();
/// It went wrong.
pub(crate) const BAD: Style = AnsiColor::BrightRed.on_default().bold();
/// A name.
pub(crate) const STRONG: Style = Style::new().bold();
/// Less important than the rest of the line.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Columns that a verb takes.
pub(crate) const VERB_WIDTH: usize = 12;

/// `verb` in its column, then `text` with nothing in it that a terminal would obey.
pub(crate) fn status(verb: &str, style: Style, text: &str) -> String {
    format!("{style}{verb:>VERB_WIDTH$}{style:#} {}\n", printable(text))
}

/// A line that continues a status line.
pub(crate) fn continued(text: &str) -> String {
    format!("{:>VERB_WIDTH$} {}\n", "", printable(text))
}

/// `text` in `style`.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{}{style:#}", printable(text))
}
