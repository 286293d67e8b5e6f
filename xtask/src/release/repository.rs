//! The repository that a release is made in.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::plan::FILES;
use crate::{Outcome, process};

/// A repository of git.
pub(super) struct Repository {
    folder: PathBuf,
}

impl Repository {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.folder).args(arguments);
        command
    }

    /// The commit that is checked out.
    pub(super) fn head(&self) -> Outcome<String> {
        Ok(process::output(&mut self.git(&["rev-parse", "HEAD"]))?.trim().to_owned())
    }

    pub(super) fn require_clean(&self) -> Outcome {
        let changed = process::output(&mut self.git(&["status", "--porcelain"]))?;
        if changed.is_empty() {
            Ok(())
        } else {
            Err(format!("the tree is not clean; commit or stash this first:\n{changed}").into())
        }
    }

    pub(super) fn require_free(&self, tag: &str) -> Outcome {
        let tags = process::output(&mut self.git(&["tag", "--list", tag]))?;
        if tags.is_empty() { Ok(()) } else { Err(format!("the tag `{tag}` exists").into()) }
    }

    /// Commits the files of a release, and nothing else, and tags that.
    pub(super) fn commit(&self, version: &str, tag: &str) -> Outcome {
        let message = format!("Release {version}");
        process::run(self.git(&["commit", "--quiet", "--message", &message, "--"]).args(FILES))?;
        process::run(&mut self.git(&["tag", "--annotate", "--message", &message, tag]))
    }

    /// Takes back what a release wrote since `head` was checked out; what others changed stays.
    pub(super) fn restore(&self, head: &str) -> Outcome {
        process::run(&mut self.git(&["reset", "--quiet", "--soft", head]))?;
        process::run(self.git(&["checkout", "--quiet", head, "--"]).args(FILES))
    }
}
