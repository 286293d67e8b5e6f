//! Keeps the values of build secrets out of logs: a step may print what it was trusted with.

use std::sync::Arc;

use ailtire_events::{EventKind, EventSink};

use crate::BuildError;

/// What stands for a value.
const MASK: &str = "***";

/// Shorter values are not looked for: they are found in what has nothing to do with them.
const SHORTEST: usize = 6;

/// Passes events on without the values. A value that a step writes in several pieces is not found.
pub(crate) struct Redactor<'build> {
    sink: &'build dyn EventSink,
    values: Arc<[String]>,
}

impl<'build> Redactor<'build> {
    /// Hides `values`, each of their lines alone too, from `sink`.
    pub(crate) fn new(values: &[Vec<u8>], sink: &'build dyn EventSink) -> Self {
        let texts = values.iter().filter_map(|value| std::str::from_utf8(value).ok());
        let lines = texts.flat_map(str::lines).map(str::trim);
        let mut values: Vec<_> =
            lines.filter(|line| line.len() >= SHORTEST).map(str::to_owned).collect();
        // One that holds another goes first, or its rest would be left.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { sink, values: values.into() }
    }

    /// The same error without the values.
    pub(crate) fn error(&self, mut error: BuildError) -> BuildError {
        if let BuildError::Failed(failure) = &mut error {
            failure.log = self.text(std::mem::take(&mut failure.log));
            failure.message = self.text(std::mem::take(&mut failure.message));
        }
        error
    }

    fn text(&self, text: String) -> String {
        self.values.iter().fold(text, |text, value| {
            if text.contains(value) { text.replace(value, MASK) } else { text }
        })
    }
}

impl EventSink for Redactor<'_> {
    fn emit(&self, kind: EventKind) {
        self.sink.emit(match kind {
            EventKind::BuildLog { image, step, stream, text } => {
                EventKind::BuildLog { image, step, stream, text: self.text(text) }
            }
            other => other,
        });
    }
}

#[cfg(test)]
mod tests {
    use ailtire_events::{BuildFailure, NullSink};

    use super::*;

    #[test]
    fn every_line_of_a_value_is_hidden_and_what_is_short_is_not() {
        let redactor =
            Redactor::new(&[b"first-line\nsecond-line\n".to_vec(), b"abc".to_vec()], &NullSink);
        let text = redactor.text("abc: second-line, then first-line.\n".to_owned());
        assert_eq!(text, "abc: ***, then ***.\n");
    }

    #[test]
    fn a_value_within_another_leaves_nothing_of_it() {
        let redactor = Redactor::new(&[b"password".to_vec(), b"my-password-2".to_vec()], &NullSink);
        assert_eq!(redactor.text("my-password-2 password".to_owned()), "*** ***");
    }

    #[test]
    fn failures_hold_no_values() {
        let redactor = Redactor::new(&[b"topsecret".to_vec()], &NullSink);
        let failure = BuildFailure {
            message: "exit code 1".into(),
            log: "it is topsecret".into(),
            ..BuildFailure::default()
        };
        let BuildError::Failed(failure) = redactor.error(BuildError::Failed(failure.into())) else {
            panic!("another kind of error");
        };
        assert_eq!(failure.log, "it is ***");
    }
}
