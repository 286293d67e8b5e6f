//! Running git.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::Error;

/// The root of the repository that `directory` is in.
///
/// # Errors
///
/// [`Error::Repository`] where it is in none, [`Error::Io`] where git can't be run.
pub(crate) fn top(directory: &Path) -> Result<PathBuf, Error> {
    let top = require(directory, &["rev-parse", "--show-toplevel"], || {
        let help = "`git init` makes one; `--app` names the directory of an application";
        (format!("`{}` is not in a git repository", directory.display()), help)
    });
    Ok(PathBuf::from(line(&top?)))
}

/// A command of git in `directory`; it asks nobody anything.
pub(crate) fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).stdin(Stdio::null()).env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// What git writes; where it does not know what is asked for, what that means and what to do.
///
/// # Errors
///
/// [`Error::Repository`] with the problem, [`Error::Io`] where git can't be run.
pub(crate) fn require(
    directory: &Path,
    arguments: &[&str],
    problem: impl FnOnce() -> (String, &'static str),
) -> Result<Vec<u8>, Error> {
    let output = command(directory).args(arguments).output().map_err(|source| Error::Io {
        action: "run `git` in",
        path: directory.to_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let (mut message, help) = problem();
    let said = String::from_utf8_lossy(&output.stderr);
    if !said.trim().is_empty() {
        message = format!("{message}: {}", said.trim());
    }
    Err(Error::Repository { message, help: help.to_owned() })
}

/// Runs `command` to its end; what it writes.
///
/// # Errors
///
/// What keeps it from running, or what it says where it fails.
pub(crate) fn done(command: &mut Command) -> std::io::Result<Vec<u8>> {
    succeeded(command.output()?)
}

/// Runs `command` with `input` as its standard input, which may be more than a pipe holds.
///
/// # Errors
///
/// As [`done`].
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> std::io::Result<()> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
    succeeded(child.wait_with_output()?)?;
    written
}

fn succeeded(output: Output) -> std::io::Result<Vec<u8>> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(std::io::Error::other(format!("git ended with {}: {said}", output.status)))
}

/// Output of one line, without its end.
pub(crate) fn line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim_end_matches('\n').to_owned()
}
