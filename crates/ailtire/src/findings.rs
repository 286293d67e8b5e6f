//! Findings of several readings, each once.

use std::collections::BTreeSet;

use ailtire_events::Diagnostic;

/// Findings in the order in which they were made, each once.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Diagnostic>,
    seen: BTreeSet<String>,
}

impl Findings {
    pub(crate) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            if self.seen.insert(format!("{diagnostic:?}")) {
                self.list.push(diagnostic);
            }
        }
    }
}
