//! Tells the caller's sink what a build does.

use ailtire_events::{EventKind, EventSink, LogStream, StepState};

/// The sink of one build.
pub(crate) struct Reporter<'sink> {
    image: String,
    sink: &'sink dyn EventSink,
    reported_bytes: u64,
}

impl<'sink> Reporter<'sink> {
    pub(crate) fn new(image: &str, sink: &'sink dyn EventSink) -> Self {
        Self { image: image.to_owned(), sink, reported_bytes: 0 }
    }

    pub(crate) fn step(&self, step: &str, state: StepState) {
        self.sink.emit(EventKind::BuildStep {
            image: self.image.clone(),
            step: step.to_owned(),
            state,
        });
    }

    pub(crate) fn log(&self, step: &str, stream: LogStream, text: String) {
        self.sink.emit(EventKind::BuildLog {
            image: self.image.clone(),
            step: step.to_owned(),
            stream,
            text,
        });
    }

    /// Tells how many bytes were sent so far, unless that was told already.
    pub(crate) fn bytes(&mut self, bytes: u64) {
        if bytes != self.reported_bytes {
            self.reported_bytes = bytes;
            self.sink.emit(EventKind::BytesSent { image: self.image.clone(), bytes });
        }
    }
}
