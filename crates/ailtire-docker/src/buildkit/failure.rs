//! Why a build failed, from an engine's answer and what it told of the steps.

use ailtire_events::BuildFailure;
use bollard_buildkit_proto::google::rpc;
use prost::Message;
use serde::Deserialize;
use tonic::Status;

use super::steps::Steps;
use crate::dockerfile_lines::{line_in_message, line_of_step};
use crate::error::is_no_space;

/// What engines put before the message proper.
const PREFIXES: [&str; 6] = [
    "rpc error: code = Unknown desc = ",
    "failed to solve with frontend dockerfile.v0: ",
    "failed to solve: ",
    "failed to build LLB: ",
    "failed to create LLB definition: ",
    "failed to read dockerfile: ",
];

/// The failure that `status` and the steps describe.
pub(super) fn failure(status: &Status, steps: &Steps, dockerfile: &str) -> BuildFailure {
    let message = plain_message(status.message());
    let step = steps.failed();
    let log = step.map(|step| step.log.clone()).unwrap_or_default();
    let line = line_in_details(status.details())
        .or_else(|| line_of_step(dockerfile, &step?.name))
        .or_else(|| line_in_message(&message));
    let full = is_no_space(&log);
    BuildFailure {
        line,
        step: step.map(|step| step.name.clone()),
        exit_code: exit_code(&message),
        log,
        help: full.then(|| "`docker system df` shows what uses the engine's disk".to_owned()),
        message,
        ..BuildFailure::default()
    }
}

/// A message without what says nothing to a user.
pub(super) fn plain_message(message: &str) -> String {
    let mut rest = message;
    while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter;
    }
    rest.to_owned()
}

/// `3` in `… exit code: 3`.
fn exit_code(message: &str) -> Option<i32> {
    let (_, rest) = message.rsplit_once("exit code: ")?;
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Range {
    start: Position,
}

#[derive(Deserialize)]
struct Position {
    #[serde(default)]
    line: u32,
}

/// The line in the typed details that engines since 23 send.
fn line_in_details(details: &[u8]) -> Option<u32> {
    let status = rpc::Status::decode(details).ok()?;
    let source = status.details.iter().find(|any| any.type_url.contains("errdefs.Source"))?;
    let source: Source = serde_json::from_slice(&source.value).ok()?;
    source.ranges.first().map(|range| range.start.line).filter(|line| *line > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard_buildkit_proto::google::protobuf::Any;
    use tonic::Code;

    #[test]
    fn old_engines_say_it_in_the_message() {
        let status = Status::unknown(
            "failed to solve with frontend dockerfile.v0: failed to build LLB: executor failed \
             running [/bin/sh -c exit 3]: exit code: 3",
        );
        let failure = failure(&status, &Steps::default(), "FROM scratch");
        assert_eq!(failure.message, "executor failed running [/bin/sh -c exit 3]: exit code: 3");
        assert_eq!(failure.exit_code, Some(3));
        assert_eq!(failure.line, None);
    }

    #[test]
    fn a_dockerfile_that_cannot_be_read_names_its_line() {
        let status = Status::unknown(
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: \
             dockerfile parse error line 2: unknown instruction: FOO",
        );
        let failure = failure(&status, &Steps::default(), "FROM scratch\nFOO\n");
        assert_eq!(failure.line, Some(2));
        assert_eq!(failure.message, "dockerfile parse error line 2: unknown instruction: FOO");
    }

    #[test]
    fn new_engines_send_the_line() {
        let value = br#"{"info":{"filename":"Dockerfile"},"ranges":[{"start":{"line":7},"end":{"line":7}}]}"#;
        let details = rpc::Status {
            code: 2,
            message: String::new(),
            details: vec![Any {
                type_url: "github.com/moby/buildkit/errdefs.Source+json".to_owned(),
                value: value.to_vec(),
            }],
        };
        let status = Status::with_details(Code::Unknown, "x", details.encode_to_vec().into());
        assert_eq!(failure(&status, &Steps::default(), "").line, Some(7));
    }
}
