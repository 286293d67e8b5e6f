//! What is wrong with the definitions, and where.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For information only (`console.log` of a definition).
    Note,
    /// Probably not what was meant; the run goes on.
    Warning,
    /// The run can't use what is described.
    Error,
}

/// A place in a file of the application.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Path relative to the application root, `/` between its parts.
    pub file: String,
    /// Line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// Column in characters, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u32>,
    /// Length in characters of what the location points at, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub length: Option<u32>,
    /// The text of the line, so that showing it does not read the file again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub excerpt: Option<String>,
}

impl Location {
    /// A location that names a whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None, length: None, excerpt: None }
    }

    /// A location in `text`, the content of `file`; line and column count from 1.
    ///
    /// The excerpt is taken from `text`; a line that it does not have gives a location without one.
    pub fn in_text(file: impl Into<String>, text: &str, line: u32, column: Option<u32>) -> Self {
        let excerpt = text.lines().nth(line.saturating_sub(1) as usize).map(str::to_owned);
        Self { file: file.into(), line: Some(line), column, length: None, excerpt }
    }

    /// The same location, marking `length` characters.
    #[must_use]
    pub fn with_length(mut self, length: u32) -> Self {
        self.length = Some(length);
        self
    }
}

impl std::fmt::Display for Location {
    /// `file`, `file:line` or `file:line:column`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
            if let Some(column) = self.column {
                write!(formatter, ":{column}")?;
            }
        }
        Ok(())
    }
}

/// A second place that a [`Diagnostic`] speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Related {
    /// Where.
    pub location: Location,
    /// What is there, in a few words.
    pub message: String,
}

/// One finding: what happened, where, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name of the kind of finding, in kebab-case (`unknown-field`).
    pub code: Cow<'static, str>,
    /// What happened, in one sentence without a full stop.
    pub message: String,
    /// The place that has to be looked at first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Location>,
    /// Other places that belong to it (the second of two equal tags).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub related: Vec<Related>,
    /// Further lines: a JavaScript stack, the paths that were tried.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub details: Vec<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    /// A note.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self {
            severity,
            code: Cow::Borrowed(code),
            message,
            location: None,
            related: Vec::new(),
            details: Vec::new(),
            help: None,
        }
    }

    /// The same finding, at `location`.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// The same finding, with a second place.
    #[must_use]
    pub fn related(mut self, location: Location, message: impl Into<String>) -> Self {
        self.related.push(Related { location, message: message.into() });
        self
    }

    /// The same finding, with a further line of detail.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// The same finding, with what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether the run can't go on with what this describes.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
