//! `cargo xtask tidy`: what is agreed on and no compiler checks.

mod links;
mod rust_source;
mod text;
pub(crate) mod workspace;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::tidy::workspace::Workspace;
use crate::{Outcome, files, terminal};

/// What is no part of the sources. In a linked work tree `.git` is a file.
const SKIPPED: [&str; 4] = [".ailtire", ".git", "node_modules", "target"];

/// One thing that is not as agreed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the root of the repository.
    file: PathBuf,
    /// Counted from 1; 1 for what concerns the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

/// Prints every finding; any is an error.
pub(crate) fn run() -> Outcome {
    let root = files::root();
    let mut findings = Workspace::load()?.findings(&root);
    for file in sources(&root)? {
        findings.extend(check_file(&root, &file)?);
    }
    findings.sort();
    for finding in &findings {
        terminal::line(&finding.to_string());
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err("tidy has 1 finding".into()),
        count => Err(format!("tidy has {count} findings").into()),
    }
}

/// Every file of the repository, relative to its root.
fn sources(root: &Path) -> Outcome<Vec<PathBuf>> {
    let skipped = |entry: &DirEntry| SKIPPED.iter().any(|name| entry.file_name() == *name);
    let mut found = Vec::new();
    for entry in WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(|e| !skipped(e)) {
        let entry = entry?;
        if entry.file_type().is_file() {
            found.push(entry.path().strip_prefix(root)?.to_owned());
        }
    }
    Ok(found)
}

fn check_file(root: &Path, file: &Path) -> Outcome<Vec<Finding>> {
    let content =
        fs::read(root.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
    // What is no text has no lines to look at.
    let Ok(content) = String::from_utf8(content) else { return Ok(Vec::new()) };
    let mut findings = text::check(file, &content);
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => findings.extend(rust_source::check(file, &content)),
        Some("md") => findings.extend(links::check(root, file, &content)),
        _ => {}
    }
    Ok(findings)
}
