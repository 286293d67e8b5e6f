//! Collects what is odd or wrong about a design, with places in its text.

use ailtire_events::{Diagnostic, Location};

use crate::document::Position;

/// What was found in one file.
#[derive(Debug)]
pub(crate) struct Findings {
    file: String,
    text: String,
    diagnostics: Vec<Diagnostic>,
}

/// The finding that was made last, to be added to.
pub(crate) struct Finding<'findings> {
    findings: &'findings mut Findings,
}

impl Findings {
    /// None yet, about `file` (relative to the application root), whose content is `text`.
    pub(crate) fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into(), diagnostics: Vec::new() }
    }

    /// The file that positions are in.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// `position` with its file and the text of its line.
    pub(crate) fn location(&self, position: Position) -> Location {
        if position.line == 0 {
            return Location::file(&self.file);
        }
        let column = (position.column > 0).then_some(position.column);
        let location = Location::in_text(&self.file, &self.text, position.line, column);
        if position.length == 0 { location } else { location.with_length(position.length) }
    }

    /// An error at `position`.
    pub(crate) fn error(
        &mut self,
        position: Position,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding<'_> {
        let location = self.location(position);
        self.add(Diagnostic::error(code, message).at(location))
    }

    /// A warning at `position`.
    pub(crate) fn warning(
        &mut self,
        position: Position,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding<'_> {
        let location = self.location(position);
        self.add(Diagnostic::warning(code, message).at(location))
    }

    /// A note at `position`.
    pub(crate) fn note(
        &mut self,
        position: Position,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding<'_> {
        let location = self.location(position);
        self.add(Diagnostic::note(code, message).at(location))
    }

    /// A finding with a place of its own (in another file, or none).
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) -> Finding<'_> {
        self.diagnostics.push(diagnostic);
        Finding { findings: self }
    }

    /// Whether one of the findings keeps the design from being used.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// All findings, each once: a node that an alias repeats is found to be wrong repeatedly.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut seen = std::collections::HashSet::new();
        self.diagnostics.into_iter().filter(|diagnostic| seen.insert(diagnostic.clone())).collect()
    }
}

impl Finding<'_> {
    /// With what to do next.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.change(|diagnostic| diagnostic.help(help))
    }

    /// With a further line of detail.
    pub(crate) fn detail(self, line: impl Into<String>) -> Self {
        self.change(|diagnostic| diagnostic.detail(line))
    }

    /// With a second place in the same file.
    pub(crate) fn related(self, position: Position, message: impl Into<String>) -> Self {
        let location = self.findings.location(position);
        self.change(|diagnostic| diagnostic.related(location, message))
    }

    fn change(self, change: impl FnOnce(Diagnostic) -> Diagnostic) -> Self {
        if let Some(last) = self.findings.diagnostics.pop() {
            self.findings.diagnostics.push(change(last));
        }
        self
    }
}
