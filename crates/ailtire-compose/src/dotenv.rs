//! Files of variables: `.env` and `env_file`.

use crate::document::Position;

/// A line of a file of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    /// Absent for a name alone, whose value comes from the environment.
    pub(crate) value: Option<String>,
    pub(crate) position: Position,
}

/// What is wrong with a file of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) position: Position,
    pub(crate) message: String,
}

/// Reads `text` as Compose does; `lookup` has the variables that its values may name besides those
/// that the file itself sets further up.
pub(crate) fn parse(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Assignment>, Vec<Mistake>) {
    let _ = (text, lookup);
    (Vec::new(), Vec::new())
}
