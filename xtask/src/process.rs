//! Running other programs.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use crate::{Outcome, files};

/// What tells programs about the user's own engine. Tests never get to see it.
const ENGINE_VARIABLES: [&str; 4] =
    ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"];

/// What the names of variables begin with that tell a program of its package.
const PACKAGE_VARIABLES: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// The Cargo that runs this chore, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(files::root());
    // Cargo sets them for the chore that it runs. Build scripts that read them would run again, and
    // all that depends on them, whenever a chore follows a plain `cargo build`.
    let is_of_package = |name: &str| PACKAGE_VARIABLES.iter().any(|it| name.starts_with(it));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_package)) {
        command.env_remove(name);
    }
    command
}

/// The same command, knowing nothing of the user's own engine.
pub(crate) fn without_engine(mut command: Command) -> Command {
    for variable in ENGINE_VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// Runs a command to its end; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", shown(command)).into()),
        Err(error) => Err(format!("`{}` can't be run: {error}", shown(command)).into()),
    }
}

/// Runs a command to its end and gives its standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let done = command.output().map_err(|error| format!("`{}`: {error}", shown(command)))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&done.stderr);
    Err(format!("`{}` ended with {}: {}", shown(command), done.status, reason.trim()).into())
}

/// The command line, without its path and environment.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).to_string_lossy();
    let words = command.get_args().map(|word| word.to_string_lossy());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}
