//! Collects what is odd or wrong about a design, with places in its text.

use std::collections::HashSet;

use ailtire_events::{Diagnostic, Location};

use crate::document::Position;

/// What was found in one file.
#[derive(Debug)]
pub(crate) struct Findings {
    file: String,
    lines: Vec<String>,
    diagnostics: Vec<Diagnostic>,
    /// Lines whose text is not what was meant: nothing more is said about them.
    spoilt: HashSet<u32>,
}

/// The finding that was made last, to be added to.
pub(crate) struct Finding<'findings> {
    findings: &'findings mut Findings,
    /// Whether it was taken at all.
    kept: bool,
}

impl Findings {
    /// None yet, about `file` (relative to the application root), whose content is `text`.
    pub(crate) fn new(file: impl Into<String>, text: &str) -> Self {
        Self {
            file: file.into(),
            lines: text.lines().map(str::to_owned).collect(),
            diagnostics: Vec::new(),
            spoilt: HashSet::new(),
        }
    }

    /// `position` with its file and the text of its line.
    pub(crate) fn location(&self, position: Position) -> Location {
        let mut location = Location::file(&self.file);
        if position.line == 0 {
            return location;
        }
        location.line = Some(position.line);
        location.column = (position.column > 0).then_some(position.column);
        location.length = (position.length > 0).then_some(position.length);
        location.excerpt = self.lines.get(position.line as usize - 1).cloned();
        location
    }

    /// Ignores further findings on the line of `position`, where something is wrong that makes
    /// them follow.
    pub(crate) fn spoil(&mut self, position: Position) {
        self.spoilt.insert(position.line);
    }

    /// An error at `position`.
    pub(crate) fn error(
        &mut self,
        position: Position,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding<'_> {
        self.add_at(position, Diagnostic::error(code, message))
    }

    /// A warning at `position`.
    pub(crate) fn warning(
        &mut self,
        position: Position,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding<'_> {
        self.add_at(position, Diagnostic::warning(code, message))
    }

    /// A note at `position`.
    pub(crate) fn note(
        &mut self,
        position: Position,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding<'_> {
        self.add_at(position, Diagnostic::note(code, message))
    }

    fn add_at(&mut self, position: Position, diagnostic: Diagnostic) -> Finding<'_> {
        let location = self.location(position);
        self.add(diagnostic.at(location))
    }

    /// A finding with a place of its own (in another file, or none).
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) -> Finding<'_> {
        let location = diagnostic.location.as_ref();
        let line = location.filter(|location| location.file == self.file).and_then(|it| it.line);
        let kept = line.is_none_or(|line| !self.spoilt.contains(&line));
        if kept {
            self.diagnostics.push(diagnostic);
        }
        Finding { findings: self, kept }
    }

    /// Whether one of the findings keeps the design from being used.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// All findings, each once: a node that an alias repeats is found to be wrong repeatedly.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut seen = HashSet::new();
        self.diagnostics.into_iter().filter(|diagnostic| seen.insert(diagnostic.clone())).collect()
    }
}

impl Finding<'_> {
    /// With what to do next.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.change(|diagnostic| diagnostic.help(help))
    }

    /// With a second place in the same file.
    pub(crate) fn related(self, position: Position, message: impl Into<String>) -> Self {
        let location = self.findings.location(position);
        self.change(|diagnostic| diagnostic.related(location, message))
    }

    fn change(self, change: impl FnOnce(Diagnostic) -> Diagnostic) -> Self {
        if self.kept
            && let Some(last) = self.findings.diagnostics.pop()
        {
            self.findings.diagnostics.push(change(last));
        }
        self
    }
}
