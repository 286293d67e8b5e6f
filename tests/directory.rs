//! An application's directory, temporary, and the real command in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Variables of the environment that change what the command does or prints.
const VARIABLES: [&str; 12] = [
    "AILTIRE_CACHE",
    "AILTIRE_MANAGER_FILE",
    "GITHUB_STEP_SUMMARY",
    "GITLAB_CI",
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_BUILDKIT",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
];

/// A directory that goes when it is dropped.
pub(crate) struct Directory(TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Writes a file, and makes the directories above it.
    pub(crate) fn put(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The command, ready to run here with the engine at `host`, whatever the machine is set to.
    pub(crate) fn command_with(&self, host: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ailtire-build"));
        command.args(arguments).current_dir(self.root());
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.env("DOCKER_CONFIG", self.path(".docker")).env("DOCKER_HOST", host);
        command
    }
}
