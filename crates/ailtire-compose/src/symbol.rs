//! Text that stands for a variable whose value is not known yet.
//!
//! What goes into a stack image is read once and runs in many places, so the variables that name
//! such a place have to stay variables. A symbol carries the expression through everything that is
//! done with text, as letters and digits that every name may have; [`written`] turns it back.

use std::fmt::Write as _;

/// What a symbol begins with; nobody writes that by chance.
const BEGIN: &str = "ailtireSYMBOL";

/// What a symbol ends with: no hexadecimal digit.
const END: char = 'Z';

/// The text that stands for `expression`, which is `${…}`.
pub(crate) fn symbol(expression: &str) -> String {
    let mut symbol = BEGIN.to_owned();
    for byte in expression.bytes() {
        // Writing to a text can't fail.
        let _ = write!(symbol, "{byte:02x}");
    }
    symbol.push(END);
    symbol
}

/// The symbol of the variable `name`.
pub(crate) fn variable(name: &str) -> String {
    symbol(&format!("${{{name}}}"))
}

/// Whether there is a symbol in `text`.
pub(crate) fn is_in(text: &str) -> bool {
    next(text).is_some()
}

/// `text` as it is written into a design: replacing its variables gives `text`, with the values of
/// its symbols.
pub(crate) fn written(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((begin, expression, after)) = next(rest) {
        result.push_str(&rest[..begin].replace('$', "$$"));
        result.push_str(&expression);
        rest = &rest[after..];
    }
    result.push_str(&rest.replace('$', "$$"));
    result
}

/// The first symbol in `text`: where it begins, its expression, and where it ends.
fn next(text: &str) -> Option<(usize, String, usize)> {
    let mut from = 0;
    while let Some(found) = text[from..].find(BEGIN) {
        let begin = from + found;
        let digits_at = begin + BEGIN.len();
        let length = text[digits_at..].find(|digit: char| !digit.is_ascii_hexdigit());
        if let Some(length) = length
            && text[digits_at + length..].starts_with(END)
            && let Some(expression) = from_hex(&text[digits_at..digits_at + length])
        {
            return Some((begin, expression, digits_at + length + END.len_utf8()));
        }
        from = digits_at;
    }
    None
}

fn from_hex(digits: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok().filter(|expression| !expression.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_comes_out_as_it_went_in() {
        let name = variable("AILTIRE_APPNAME");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
        assert_eq!(
            written(&format!("${name}$-{name}")),
            "$$${AILTIRE_APPNAME}$$-${AILTIRE_APPNAME}"
        );
        let inner = symbol(&format!("${{DB_KEY:-{}}}", written(&format!("$1 {name}"))));
        assert_eq!(written(&inner), "${DB_KEY:-$$1 ${AILTIRE_APPNAME}}");
    }

    #[test]
    fn what_only_looks_like_a_symbol_is_text() {
        for text in [
            "",
            "a",
            "$",
            BEGIN,
            "ailtireSYMBOLZ",
            "ailtireSYMBOL4Z",
            "ailtireSYMBOLff",
            "ailtireSYMBOLffZ",
        ] {
            assert!(!is_in(text), "{text}");
            assert_eq!(written(text), text.replace('$', "$$"));
        }
    }
}
