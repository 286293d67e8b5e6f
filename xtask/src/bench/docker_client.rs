//! The Docker command, where there is one that can use `BuildKit`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::measure;
use crate::Outcome;

/// The tag of what it builds.
const TAG: &str = "synthetic-large-by-docker";

/// A Docker command that builds with `BuildKit` on one engine.
pub(super) struct DockerClient {
    program: PathBuf,
    host: String,
}

impl DockerClient {
    /// One that works: of some versions only those with the plug-in `buildx` do.
    pub(super) fn find(host: &str) -> Option<Self> {
        let empty = tempfile::tempdir().ok()?;
        crate::files::write(&empty.path().join("deploy/Dockerfile"), b"FROM scratch\nCOPY . /\n")
            .ok()?;
        ["docker", "/usr/bin/docker"]
            .map(|program| Self { program: program.into(), host: host.to_owned() })
            .into_iter()
            .find(|client| client.build(empty.path()).is_ok_and(|(_, sent)| sent.is_some()))
    }

    /// Whether it has the plug-in `buildx`.
    pub(super) fn has_buildx(&self) -> bool {
        measure::quietly(measure::command(&self.program, &self.host).args(["buildx", "version"]))
            .is_ok()
    }

    /// Builds `deploy/Dockerfile` of a context; gives the time and the bytes that were sent.
    pub(super) fn build(&self, context: &Path) -> Outcome<(Duration, Option<u64>)> {
        let mut command: Command = measure::command(&self.program, &self.host);
        command.env("DOCKER_BUILDKIT", "1").args(["build", "--progress=plain", "--tag", TAG]);
        command.arg("--file").arg(context.join("deploy/Dockerfile")).arg(context);
        let begin = Instant::now();
        let done = command.output()?;
        let time = begin.elapsed();
        let log = String::from_utf8_lossy(&done.stderr);
        if !done.status.success() {
            return Err(format!("`docker build` ended with {}: {}", done.status, log.trim()).into());
        }
        Ok((time, bytes_sent(&log)))
    }
}

/// The bytes in the last `transferring context: 209.72MB 3.5s done` of plain progress.
fn bytes_sent(log: &str) -> Option<u64> {
    let line = log.lines().rev().find(|line| line.contains("transferring context:"))?;
    let quantity = line.split("transferring context:").nth(1)?.split_whitespace().next()?;
    let digits = quantity.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = quantity.split_at(digits);
    let factor = match unit {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    format!("{bytes:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_transfer_counts() {
        let log = "#1 transferring context: 2B done\n\
            #7 [internal] load build context\n\
            #7 transferring context: 104.20MB 1.2s\n\
            #7 transferring context: 209.72MB 3.5s done\n";
        assert_eq!(bytes_sent(log), Some(209_720_000));
        assert_eq!(bytes_sent("#7 transferring context: 312B done"), Some(312));
        assert_eq!(bytes_sent("Sending build context to Docker daemon  2.048kB"), None);
    }
}
