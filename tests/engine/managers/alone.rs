//! One stack, run by plain Docker: no command of ours, no application around it.

use std::process::Command;

use super::{Example, PATIENCE, wait_for};
use crate::support::{client, host};

/// Runs a Docker command on the private engine.
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(["-H", &host()]).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Asks for a shutdown in the manager's own container.
fn token(container: &str) -> String {
    docker(&["exec", container, "/ailtire-manager", "token"])
}
