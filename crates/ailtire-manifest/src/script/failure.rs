//! What can go wrong in an evaluation, and the words for it.

use ailtire_events::{Diagnostic, Location};

use super::engine::{ConsoleLine, PRELUDE_FILE, WRAPPER};
use crate::options::Limits;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// It ran too long.
    Time,
    /// It used too much memory.
    Memory,
    /// It called too deeply.
    Stack,
    /// It is no JavaScript.
    Syntax,
    /// It threw.
    Throw,
    /// `null` was thrown: by it, or by the engine where memory did not even suffice for an error.
    Null,
    /// It made a promise.
    Asynchronous,
    /// The exported data holds itself.
    Cycle,
    /// The exported data is nested too deeply.
    ExportDepth,
    /// The exported data is too large.
    ExportSize,
    /// The exported data can't be JSON for another reason.
    Export,
    /// The engine itself failed.
    Engine,
}

/// What went wrong in an evaluation.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    /// What the engine or the definition says; for a cycle the keys that lead to it.
    pub(super) message: String,
    /// The JavaScript stack as the engine writes it.
    pub(super) stack: String,
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self::new(kind, String::new())
    }
}

impl Failure {
    pub(super) fn new(kind: FailureKind, message: String) -> Self {
        Self { kind, message, stack: String::new() }
    }

    /// Whether the same inputs give the same failure on every machine.
    pub(super) fn is_certain(&self) -> bool {
        use FailureKind::{Engine, ExportDepth, Memory, Null, Stack, Time};
        !matches!(self.kind, Time | Memory | Null | Stack | ExportDepth | Engine)
    }

    /// The finding for users; `text_of` gives the text of a module that took part.
    pub(super) fn diagnostic(
        &self,
        main: &str,
        limits: Limits,
        text_of: &dyn Fn(&str) -> Option<String>,
    ) -> Diagnostic {
        let (code, message, help) = self.words(limits);
        let frames = frames(&self.stack);
        let location = frames
            .iter()
            .find_map(|frame| frame.location(text_of))
            .unwrap_or_else(|| Location::file(main));
        let mut diagnostic = Diagnostic::error(code, message).at(location);
        diagnostic.help = help;
        // The stack of a syntax error is that of the `require`; a single frame says no more than
        // the location.
        if frames.len() > 1 {
            diagnostic.details = frames.iter().map(Frame::to_string).collect();
        }
        diagnostic
    }

    fn words(&self, limits: Limits) -> (&'static str, String, Option<String>) {
        let message = self.message.as_str();
        let help = |text: &str| Some(text.to_owned());
        match self.kind {
            FailureKind::Time | FailureKind::Memory | FailureKind::Null | FailureKind::Stack => {
                self.limit_words(limits)
            }
            FailureKind::Syntax => (
                "syntax-error",
                format!("this is not valid JavaScript: {message}"),
                syntax_help(message),
            ),
            FailureKind::Throw => (
                "definition-throws",
                format!("the definition threw `{}`", message.trim_end()),
                throw_help(message),
            ),
            FailureKind::Asynchronous => (
                "definition-asynchronous",
                "the definition uses a promise, and nothing waits for it".to_owned(),
                help(
                    "definitions run to their end at once: do without `async`, `await` and `import()`",
                ),
            ),
            FailureKind::Cycle
            | FailureKind::ExportDepth
            | FailureKind::ExportSize
            | FailureKind::Export => self.export_words(),
            FailureKind::Engine => {
                ("engine-failed", format!("the JavaScript engine failed: {message}"), None)
            }
        }
    }

    /// The words for a definition that used more than it may.
    fn limit_words(&self, limits: Limits) -> (&'static str, String, Option<String>) {
        let help = |text: &str| Some(text.to_owned());
        match self.kind {
            FailureKind::Time => (
                "definition-time",
                format!("the definition ran longer than {} s", limits.time.as_secs_f32()),
                help("a definition describes images; look for a loop that does not end"),
            ),
            FailureKind::Memory => (
                "definition-memory",
                format!("the definition used more than {} MiB", limits.memory / (1024 * 1024)),
                help("a definition describes images; look for data that grows without an end"),
            ),
            FailureKind::Null => (
                "definition-memory",
                format!(
                    "the definition used more than {} MiB, or threw `null`",
                    limits.memory / (1024 * 1024)
                ),
                help("look for data that grows without an end; throw an `Error` with a message"),
            ),
            _ => (
                "definition-stack",
                "the definition calls itself too deeply".to_owned(),
                help("look for a function that calls itself without an end"),
            ),
        }
    }

    /// The words for an export that can't be used.
    fn export_words(&self) -> (&'static str, String, Option<String>) {
        let message = self.message.as_str();
        let help = |text: &str| Some(text.to_owned());
        match self.kind {
            FailureKind::Cycle => (
                "export-cycle",
                format!("the exported data holds itself at `{message}`"),
                help("export plain data, as JSON could write it"),
            ),
            FailureKind::ExportDepth => (
                "export-depth",
                "the exported data is nested too deeply".to_owned(),
                help("export plain data, as JSON could write it"),
            ),
            FailureKind::ExportSize => (
                "export-size",
                "the exported data is larger than 8 MiB".to_owned(),
                help("export what describes the images, nothing else"),
            ),
            _ => (
                "export-invalid",
                format!("the exported data cannot be written as JSON: {message}"),
                help("export plain data, as JSON could write it"),
            ),
        }
    }
}

fn syntax_help(message: &str) -> Option<String> {
    let is_module = ["export", "import"].iter().any(|word| message.contains(word));
    is_module.then(|| {
        "definitions are CommonJS modules: write `module.exports = …` and `require(…)`".to_owned()
    })
}

fn throw_help(message: &str) -> Option<String> {
    let name = message.strip_prefix("ReferenceError: ")?.strip_suffix(" is not defined")?;
    Some(format!(
        "`{name}` is neither part of the language nor of what definitions have: `module`, \
         `exports`, `require`, `process.env`, `console`, `__dirname`, `__filename`"
    ))
}

/// The finding for a line that a definition wrote to the console.
pub(super) fn console_note(
    line: &ConsoleLine,
    main: &str,
    text_of: &dyn Fn(&str) -> Option<String>,
) -> Diagnostic {
    let frames = frames(&line.stack);
    let location = frames.iter().find_map(|frame| frame.location(text_of));
    Diagnostic::note("console", &*line.text).at(location.unwrap_or_else(|| Location::file(main)))
}

/// One line of a JavaScript stack.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    function: Option<String>,
    file: String,
    line: u32,
    column: Option<u32>,
}

impl std::fmt::Display for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let column = self.column.map_or(String::new(), |column| format!(":{column}"));
        match &self.function {
            Some(function) => {
                write!(formatter, "at {function} ({}:{}{column})", self.file, self.line)
            }
            None => write!(formatter, "at {}:{}{column}", self.file, self.line),
        }
    }
}

impl Frame {
    /// Reads `    at function (file:line:column)` or `    at file:line:column`; `None` for what
    /// is not in a module of the application.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix("at ")?;
        let (function, place) = match text.strip_suffix(')').and_then(|text| text.rsplit_once(" ("))
        {
            Some((function, place)) => (Some(function), place),
            None => (None, text),
        };
        let mut parts = place.rsplitn(3, ':');
        let (last, middle, first) = (parts.next()?, parts.next()?, parts.next());
        let (file, line, column) = match (first, middle.parse::<u32>()) {
            (Some(file), Ok(line)) => (file.to_owned(), line, last.parse::<u32>().ok()),
            (Some(file), Err(_)) => (format!("{file}:{middle}"), last.parse().ok()?, None),
            (None, _) => (middle.to_owned(), last.parse().ok()?, None),
        };
        if file == PRELUDE_FILE || file == "native" {
            return None;
        }
        let function = function.filter(|name| *name != "<anonymous>" && *name != "<eval>");
        let mut frame = Self { function: function.map(str::to_owned), file, line, column };
        frame.unwrap();
        Some(frame)
    }

    /// Takes out the shift of the first line by what every module is wrapped in.
    // Only these very names are read as JSON.
    #[allow(clippy::case_sensitive_file_extension_comparisons)]
    fn unwrap(&mut self) {
        let shift = u32::try_from(WRAPPER.len()).unwrap_or(0);
        if self.line == 1 && !self.file.ends_with(".json") {
            self.column = self
                .column
                .and_then(|column| column.checked_sub(shift))
                .filter(|column| *column > 0);
        }
    }

    fn location(&self, text_of: &dyn Fn(&str) -> Option<String>) -> Option<Location> {
        let text = text_of(&self.file)?;
        // What is missing at the end of a file is found behind its last line.
        let last = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).max(1);
        let column = self.column.filter(|_| self.line <= last);
        Some(Location::in_text(&*self.file, &text, self.line.clamp(1, last), column))
    }
}

fn frames(stack: &str) -> Vec<Frame> {
    stack.lines().filter_map(Frame::parse).take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_shifted() {
        let frame = Frame::parse("    at make (api/build.js:12:5)").unwrap();
        assert_eq!(frame.to_string(), "at make (api/build.js:12:5)");
        let column = WRAPPER.len() + 3;
        let frame = Frame::parse(&format!("    at <anonymous> (build.js:1:{column})")).unwrap();
        assert_eq!(frame.to_string(), "at build.js:1:3");
        assert_eq!(Frame::parse("    at require (<sandbox>:1:2)"), None);
        assert_eq!(Frame::parse("    at load (native)"), None);
        assert_eq!(Frame::parse("nonsense"), None);
        assert_eq!(Frame::parse("    at a:b:c:d"), None);
    }
}
