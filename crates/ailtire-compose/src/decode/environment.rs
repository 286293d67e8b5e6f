//! Variables of a service: `env_file`, then `environment`.

use std::collections::BTreeMap;

use ailtire_tree::{Resolved, join};

use super::Decoder;
use super::fields::{Field, Fields};
use crate::document::{Position, Value};
use crate::interpolate::{KEPT_HELP, kept_message};
use crate::template::Later;

/// The variables of a service. Those of `environment` win.
///
/// A name without a value takes the one that interpolation knows; where there is none, the
/// variable is removed from the image's. A value that is empty stays empty.
pub(super) fn decode(fields: &Fields<'_>) -> BTreeMap<String, Option<String>> {
    let mut variables = BTreeMap::new();
    if let Some(field) = fields.get("env_file") {
        for item in field.items_or_self() {
            variables.extend(env_file(item));
        }
    }
    if let Some(field) = fields.get("environment") {
        let known = &field.decoder.reader.variables;
        for (name, value, item) in field.optional_pairs() {
            if value.is_none() && known.get(&name).is_some() {
                warn_if_kept(item, &name);
            }
            let value = value.or_else(|| known.value(&name));
            variables.insert(name, value);
        }
    }
    variables
}

/// The variables of one file: a path, or `path` with `required` and `format`.
fn env_file(field: Field<'_>) -> Vec<(String, Option<String>)> {
    let is_mapping = matches!(field.node.value, Value::Map(_));
    if !is_mapping && field.node.scalar().is_none() {
        field.wrong_type("a path or a mapping", "write `variables.env`");
        return Vec::new();
    }
    let (path_field, required, is_raw) = if field.node.scalar().is_some() {
        (field, true, false)
    } else {
        let Some(fields) = field.fields(&["path", "required", "format"]) else { return Vec::new() };
        let Some(path) = fields.get("path") else {
            let message = format!("`{}` has no `path`", field.name());
            field.error("missing-key", message, "write `path: variables.env`");
            return Vec::new();
        };
        let is_raw = fields.choice("format", &["raw"]).is_some();
        (path, fields.boolean("required").unwrap_or(true), is_raw)
    };
    let Some(path) = path_field.filled_text() else { return Vec::new() };
    let position = path_field.position();
    let file = match find_file(field.decoder, &path) {
        Ok(file) => file,
        Err(FileError::Missing(_)) if !required => return Vec::new(),
        Err(error) => {
            error.report(path_field);
            return Vec::new();
        }
    };
    let Some(text) = read_text(path_field, &file) else { return Vec::new() };
    let mut variables = lines(field.decoder, &file, &text, is_raw, position);
    for (name, value) in &mut variables {
        if warn_if_kept(path_field, name) {
            *value = None;
        }
    }
    variables
}

/// Warns where the value of the variable `name` is left to the stack's manager; whether it is.
fn warn_if_kept(field: Field<'_>, name: &str) -> bool {
    let kept = field.decoder.reader.variables.later(name) == Some(Later::Secret);
    if kept {
        let mut findings = field.decoder.findings();
        let message = kept_message(name);
        findings.warning(field.position(), "secret-variable", message).help(KEPT_HELP);
    }
    kept
}

/// Reads `NAME=value` a line, as Docker's client does for stacks: a value is what is written.
fn lines(
    decoder: &Decoder<'_>,
    file: &str,
    text: &str,
    is_raw: bool,
    position: Position,
) -> Vec<(String, Option<String>)> {
    let mut variables = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (line.trim_end(), None),
        };
        // The line is not shown: what it holds may be a secret.
        let place = format!("line {} of `{file}`", number + 1);
        if name.is_empty() || name.contains(char::is_whitespace) {
            let message = format!("{place} is not `NAME=value`");
            let help = "write one `NAME=value` a line, without spaces in the name";
            decoder.error(position, "invalid-env-file", message, help);
            continue;
        }
        if let Some(value) = value {
            if !is_raw && is_quoted(value) {
                let message = format!("{place}: the quotes are a part of the value of `{name}`");
                let help = "leave the quotes out, or write `format: raw` beside `path`";
                decoder.findings().warning(position, "quoted-value", message).help(help);
            }
            variables.push((name.to_owned(), Some(value.to_owned())));
        } else {
            let known = decoder.reader.variables.value_or_symbol(name);
            variables.extend(known.map(|value| (name.to_owned(), Some(value))));
        }
    }
    variables
}

fn is_quoted(value: &str) -> bool {
    let value = value.trim_end();
    ['"', '\'']
        .iter()
        .any(|quote| value.len() > 1 && value.starts_with(*quote) && value.ends_with(*quote))
}

/// Why a file that the design names can't be read.
pub(super) enum FileError {
    /// Nothing is at this path.
    Missing(String),
    /// The path leads out of the application root.
    Outside,
    /// The system says why.
    Unreadable(String),
}

impl FileError {
    /// Reports it for `field`, whose value names the file.
    pub(super) fn report(self, field: Field<'_>) {
        let name = field.name();
        match self {
            Self::Missing(path) => {
                let message = format!("`{name}`: there is no file `{path}`");
                let help = "the path is relative to the file that names it";
                field.error("missing-file", message, help);
            }
            Self::Outside => {
                let message = format!("`{name}`: this file lies outside of the application");
                let help = "move it below the application root, or name it by a relative path";
                field.error("outside", message, help);
            }
            Self::Unreadable(reason) => {
                let message = format!("`{name}`: {reason}");
                field.error("unreadable", message, "let it be a file that you may read");
            }
        }
    }
}

/// The file that the design calls `path`, relative to the application root, free of links.
pub(super) fn find_file(decoder: &Decoder<'_>, path: &str) -> Result<String, FileError> {
    let tree = decoder.reader.tree;
    let inside = match tree.root().to_str() {
        Some(root) if path.starts_with('/') => {
            path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'))
        }
        _ => None,
    };
    let joined = match inside {
        Some(inside) => join("", inside),
        None => join(decoder.reader.directory, path),
    };
    let joined = joined.map_err(|_| FileError::Outside)?;
    match tree.resolve(&joined) {
        Ok(Resolved::Inside(file)) if tree.is_file(&file) => Ok(file),
        Ok(Resolved::Inside(file)) => {
            Err(FileError::Unreadable(format!("`{file}` is not a regular file")))
        }
        Ok(Resolved::Missing) => Err(FileError::Missing(joined)),
        Ok(Resolved::Outside(_)) => Err(FileError::Outside),
        Err(error) => Err(FileError::Unreadable(error.to_string())),
    }
}

fn read_text(field: Field<'_>, file: &str) -> Option<String> {
    let reason = match field.decoder.reader.tree.read(file).map(String::from_utf8) {
        Ok(Ok(text)) => return Some(text),
        Ok(Err(_)) => format!("`{file}` is not UTF-8"),
        Err(error) => error.to_string(),
    };
    FileError::Unreadable(reason).report(field);
    None
}
