//! Applications that are made for one test.
#![allow(dead_code)] // Each test program uses its own part.
#![allow(clippy::unwrap_used)] // A test may end at once.

use std::path::Path;

use ailtire_events::{Diagnostic, Severity};
use ailtire_manifest::{EvaluationCache, LoadOptions, Loaded, load};
use ailtire_tree::{StatIndex, Tree};
use tempfile::TempDir;

/// An application in a directory of its own.
pub(crate) struct App {
    directory: TempDir,
}

impl App {
    /// An application with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let app = Self { directory: TempDir::with_prefix("app").unwrap() };
        for (path, content) in files {
            app.write(path, content);
        }
        app
    }

    /// A one-package application called `shop` whose `build.js` is `build`, with a Dockerfile
    /// beside it.
    pub(crate) fn with_build(build: &str) -> Self {
        Self::new(&[
            ("api/index.js", "module.exports = { name: 'shop' };"),
            ("api/deploy/build.js", build),
            ("api/deploy/Dockerfile", "FROM scratch\n"),
        ])
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    #[allow(clippy::disallowed_methods)] // A test's own files.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub(crate) fn make_directory(&self, path: &str) {
        std::fs::create_dir_all(self.root().join(path)).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.root().join(path)).unwrap();
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::open(self.root(), StatIndex::default()).unwrap()
    }

    pub(crate) fn load(&self) -> Loaded {
        self.load_with(&LoadOptions::default())
    }

    pub(crate) fn load_with(&self, options: &LoadOptions) -> Loaded {
        self.load_cached(options, &EvaluationCache::default())
    }

    pub(crate) fn load_cached(&self, options: &LoadOptions, cache: &EvaluationCache) -> Loaded {
        load(&self.tree(), options, cache)
    }
}

/// `error[code] message @ file:line:column`, one for each diagnostic.
pub(crate) fn lines(loaded: &Loaded) -> Vec<String> {
    loaded.diagnostics.iter().map(line).collect()
}

pub(crate) fn line(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let place = diagnostic.location.as_ref().map_or(String::new(), |place| format!(" @ {place}"));
    format!("{severity}[{}] {}{place}", diagnostic.code, diagnostic.message)
}

/// The only diagnostic.
pub(crate) fn only(loaded: &Loaded) -> &Diagnostic {
    assert_eq!(loaded.diagnostics.len(), 1, "{:#?}", lines(loaded));
    &loaded.diagnostics[0]
}

/// Asserts that nothing is wrong.
pub(crate) fn assert_clean(loaded: &Loaded) {
    assert!(loaded.diagnostics.is_empty(), "{:#?}", lines(loaded));
}
