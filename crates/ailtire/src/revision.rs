//! The source tree as it was at a revision of git, in a directory of its own.
//!
//! Nothing of the repository is touched, its index and its working tree least of all: git reads the
//! revision into an index that is a temporary file, and writes the files from there, as it would on
//! a checkout (line ends, filters and all).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Error, git};

/// A source tree at a revision; the files are gone when it is dropped.
#[derive(Debug)]
pub(crate) struct RevisionTree {
    /// What was asked for.
    pub(crate) commit: String,
    folder: TempDir,
    top: PathBuf,
    /// What stands for `top` in `folder`: of the same name, since names of applications may come
    /// from directories.
    copy: PathBuf,
}

impl RevisionTree {
    /// Writes what the application at `root`, and the directories `others`, were at `revision`.
    ///
    /// # Errors
    ///
    /// [`Error::Repository`] where `root` is in no repository, or the repository does not have the
    /// revision; [`Error::Io`] where git can't be run or the files can't be written.
    pub(crate) fn extract(root: &Path, others: &[PathBuf], revision: &str) -> Result<Self, Error> {
        let top = git::top(root)?;
        let commit = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let commit = git::line(&git::require(&top, &arguments, || {
            let help = "fetch it: clones of CI services often hold the newest commit only \
                        (`fetch-depth: 0`, `GIT_DEPTH: 0`)";
            (format!("the repository has no revision `{revision}`"), help)
        })?);
        let folder = TempDir::with_prefix("ailtire-").map_err(|source| Error::Io {
            action: "make a directory in",
            path: std::env::temp_dir(),
            source,
        })?;
        let name = top.file_name().map_or_else(|| OsString::from("root"), OsString::from);
        let copy = folder.path().join("tree").join(name);
        let tree = Self { commit, folder, top, copy };
        let others = others.iter().filter_map(|path| std::fs::canonicalize(path).ok());
        let paths: Vec<PathBuf> = others.chain([root.to_owned()]).collect();
        tree.write(paths.iter().filter_map(|path| path.strip_prefix(&tree.top).ok()))?;
        Ok(tree)
    }

    /// Where what is at `path` in the working tree is in this one; `path` itself where it is not of
    /// the repository.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match real.strip_prefix(&self.top) {
            Ok(rest) => self.copy.join(rest),
            Err(_) => path.to_owned(),
        }
    }

    /// A folder beside the files.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn write<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<(), Error> {
        let failed = |source| Error::Io {
            action: "write the files of the revision to",
            path: self.copy.clone(),
            source,
        };
        std::fs::create_dir_all(&self.copy).map_err(failed)?;
        let index = self.folder.path().join("index");
        let with_index = || {
            let mut command = git::command(&self.top);
            command.env("GIT_INDEX_FILE", &index);
            command
        };
        git::done(with_index().args(["read-tree", &self.commit])).map_err(failed)?;
        let mut list = with_index();
        list.args(["ls-files", "-z", "--"]);
        for path in paths {
            // An empty path is no path for git.
            list.arg(Path::new(".").join(path));
        }
        let files = git::done(&mut list).map_err(failed)?;
        let mut prefix = OsString::from("--prefix=");
        prefix.push(&self.copy);
        prefix.push("/");
        let mut checkout = with_index();
        checkout.args(["checkout-index", "-z", "--stdin", "--quiet"]).arg(prefix);
        git::feed(&mut checkout, &files).map_err(failed)
    }
}
