//! Taking times.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Row;
use crate::{Outcome, process, table};

/// Of so many runs the median is taken.
const RUNS: usize = 5;

/// The median time of several runs, after one that warms the caches up; `prepare` is not timed.
pub(super) fn median(
    mut prepare: impl FnMut() -> Outcome,
    mut run: impl FnMut() -> Outcome,
) -> Outcome<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for number in 0..=RUNS {
        prepare()?;
        let begin = Instant::now();
        run()?;
        if number > 0 {
            times.push(begin.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times.get(RUNS / 2).copied().unwrap_or_default())
}

/// Nothing to prepare.
#[allow(clippy::unnecessary_wraps)] // It stands for what can fail.
pub(super) fn nothing() -> Outcome {
    Ok(())
}

/// Runs a command whose output is of no interest.
pub(super) fn quietly(command: &mut Command) -> Outcome {
    process::run(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// The most memory that a command had in use, in bytes.
pub(super) fn peak_memory(command: &Command) -> Outcome<u64> {
    private_engine::need("time", "time")?;
    let report = tempfile::NamedTempFile::new()?;
    let mut timed = Command::new("time");
    timed.args(["--format=%M", "--output"]).arg(report.path());
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    quietly(&mut timed)?;
    let text = std::fs::read_to_string(report.path())?;
    let kilobytes: u64 = text.trim().parse().map_err(|_| format!("`time` printed `{text}`"))?;
    Ok(kilobytes * 1024)
}

/// A row of the report that compares two times.
pub(super) fn times(
    what: &str,
    ours: Duration,
    against: &str,
    theirs: Duration,
    aim: &'static str,
) -> Row {
    let times = [ours, theirs];
    versus(what, times.map(|time| time.as_secs_f64()), times.map(table::time), against, aim)
}

/// A row of the report that compares two values, ours first; `shown` is how they are shown.
pub(super) fn versus(
    what: &str,
    values: [f64; 2],
    shown: [String; 2],
    against: &str,
    aim: &'static str,
) -> Row {
    let [ours, theirs] = shown;
    let ratio = format!("{:.2}", values[0] / values[1]);
    Row { what: what.to_owned(), ours, against: against.to_owned(), theirs, ratio, aim }
}

/// A row of the report that has nothing to be compared with.
pub(super) fn alone(what: &str, ours: String, aim: &'static str) -> Row {
    let nothing = String::new;
    Row {
        what: what.to_owned(),
        ours,
        against: nothing(),
        theirs: nothing(),
        ratio: nothing(),
        aim,
    }
}

/// A command that knows the engine to use.
pub(super) fn command(program: &Path, host: &str) -> Command {
    let mut command = process::without_engine(Command::new(program));
    command.env("DOCKER_HOST", host);
    command
}
