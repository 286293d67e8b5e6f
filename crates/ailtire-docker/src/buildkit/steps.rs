//! What the engine tells of a build's steps.

use std::collections::HashMap;

use ailtire_events::{LogStream, StepState};
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog};

use crate::progress::Reporter;

/// All steps of a build that were told so far.
#[derive(Default)]
pub(super) struct Steps {
    by_digest: HashMap<String, Step>,
    /// The digest of the step whose failure ended the build.
    failed: Option<String>,
}

/// One step.
#[derive(Default)]
pub(super) struct Step {
    pub(super) name: String,
    started: bool,
    cached: bool,
    ended: bool,
    /// Its output, kept until it ended well. The engine clips what is longer than 2 MiB.
    pub(super) log: String,
}

impl Step {
    /// Whether it is an instruction of the Dockerfile.
    fn is_instruction(&self) -> bool {
        self.name.starts_with('[') && !self.name.starts_with("[internal]")
    }

    /// Whether it asks for the cache of an image. The engine goes on without it.
    fn is_import(&self) -> bool {
        self.name.starts_with("importing cache manifest")
    }
}

impl Steps {
    /// Takes news, and tells the caller what is new in it.
    pub(super) fn update(&mut self, news: StatusResponse, reporter: &Reporter<'_>) {
        for vertex in &news.vertexes {
            self.see(vertex, reporter);
        }
        for log in news.logs {
            self.hear(&log, reporter);
        }
        for vertex in &news.vertexes {
            self.end(vertex, reporter);
        }
    }

    /// The step whose failure ended the build.
    pub(super) fn failed(&self) -> Option<&Step> {
        self.by_digest.get(self.failed.as_ref()?)
    }

    /// How many instructions did not have to run, and how many there were.
    pub(super) fn counts(&self) -> (usize, usize) {
        let instructions = || self.by_digest.values().filter(|step| step.is_instruction());
        (instructions().filter(|step| step.cached).count(), instructions().count())
    }

    fn see(&mut self, vertex: &Vertex, reporter: &Reporter<'_>) {
        let step = self.by_digest.entry(vertex.digest.clone()).or_default();
        step.name.clone_from(&vertex.name);
        if vertex.started.is_some() && !vertex.cached && !step.started && !step.ended {
            step.started = true;
            reporter.step(&step.name, StepState::Started);
        }
    }

    fn hear(&mut self, log: &VertexLog, reporter: &Reporter<'_>) {
        let step = self.by_digest.entry(log.vertex.clone()).or_default();
        let text = String::from_utf8_lossy(&log.msg).into_owned();
        step.log.push_str(&text);
        let stream = if log.stream == 2 { LogStream::Stderr } else { LogStream::Stdout };
        reporter.log(&step.name, stream, text);
    }

    fn end(&mut self, vertex: &Vertex, reporter: &Reporter<'_>) {
        let Some(step) = self.by_digest.get_mut(&vertex.digest) else { return };
        let failed = !vertex.error.is_empty();
        if step.ended || !(vertex.cached || vertex.completed.is_some() || failed) {
            return;
        }
        step.ended = true;
        let state = if failed && step.is_import() {
            let text = format!("{}\n", vertex.error);
            reporter.log(&step.name, LogStream::Stderr, text);
            StepState::Completed
        } else if failed {
            // A step that was stopped because another one failed did not fail itself.
            if vertex.error.contains("context canceled") {
                return;
            }
            self.failed.get_or_insert_with(|| vertex.digest.clone());
            StepState::Failed
        } else {
            step.log = String::new();
            step.cached = vertex.cached;
            if vertex.cached { StepState::Cached } else { StepState::Completed }
        };
        reporter.step(&step.name, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::Recorder;
    use bollard_buildkit_proto::google::protobuf::Timestamp;

    fn vertex(name: &str, change: impl FnOnce(&mut Vertex)) -> StatusResponse {
        let mut vertex =
            Vertex { digest: name.to_owned(), name: name.to_owned(), ..Vertex::default() };
        change(&mut vertex);
        StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() }
    }

    fn log(name: &str, text: &[u8]) -> StatusResponse {
        let log = VertexLog { vertex: name.to_owned(), msg: text.to_vec(), ..VertexLog::default() };
        StatusResponse { logs: vec![log], ..StatusResponse::default() }
    }

    #[test]
    fn every_state_is_told_once_and_the_failed_log_is_kept() {
        let recorder = Recorder::default();
        let reporter = Reporter::new("image", &recorder);
        let mut steps = Steps::default();
        let start = |vertex: &mut Vertex| vertex.started = Some(Timestamp::default());
        let complete = |vertex: &mut Vertex| {
            vertex.started = Some(Timestamp::default());
            vertex.completed = Some(Timestamp::default());
        };
        let fail = |vertex: &mut Vertex| vertex.error = "exit code: 3".to_owned();
        for news in [
            vertex("[1/3] FROM", |vertex| vertex.cached = true),
            vertex("[1/3] FROM", |vertex| vertex.cached = true),
            vertex("[2/3] COPY", start),
            vertex("[2/3] COPY", start),
            vertex("[2/3] COPY", complete),
            vertex("[3/3] RUN", start),
            log("[3/3] RUN", b"one\n"),
            log("[3/3] RUN", b"tw\xff\n"),
            vertex("[x 1/1] RUN", |vertex| vertex.error = "context canceled".to_owned()),
            vertex("[3/3] RUN", fail),
        ] {
            steps.update(news, &reporter);
        }
        assert_eq!(
            *recorder.0.lock().unwrap(),
            [
                "[1/3] FROM Cached",
                "[2/3] COPY Started",
                "[2/3] COPY Completed",
                "[3/3] RUN Started",
                "[3/3] RUN: one\n",
                "[3/3] RUN: tw\u{fffd}\n",
                "[3/3] RUN Failed",
            ]
        );
        assert_eq!(steps.failed().unwrap().log, "one\ntw\u{fffd}\n");
        assert_eq!(steps.counts(), (1, 4));
    }

    #[test]
    fn a_cache_that_can_not_be_imported_is_no_failure() {
        let recorder = Recorder::default();
        let reporter = Reporter::new("image", &recorder);
        let mut steps = Steps::default();
        let name = "importing cache manifest from r.example/a";
        steps.update(vertex(name, |vertex| vertex.error = "not found".to_owned()), &reporter);
        assert!(steps.failed().is_none());
        let told = [format!("{name}: not found\n"), format!("{name} Completed")];
        assert_eq!(*recorder.0.lock().unwrap(), told);
    }
}
