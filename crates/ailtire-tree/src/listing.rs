//! What one directory holds.

use std::ffi::OsString;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::tree::ReadError;

/// What the file system says of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stat {
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the content, in nanoseconds since the Unix epoch.
    pub modified: i64,
    /// Time of the last change of content or inode, in nanoseconds since the Unix epoch.
    pub changed: i64,
    /// Number of the inode.
    pub inode: u64,
    /// Type and permission bits, as `stat` gives them.
    pub mode: u32,
}

impl Stat {
    /// Whether the owner may execute the file.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// What kind of thing an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link; it is never followed silently.
    Symlink,
    /// A socket, FIFO or device.
    Special,
}

/// One name in a directory.
#[derive(Debug)]
pub struct Entry {
    pub(crate) name: Box<str>,
    pub(crate) kind: EntryKind,
    pub(crate) stat: Stat,
    pub(crate) directory: Option<Box<Directory>>,
    /// The stat of the very content that was digested, and its digest.
    pub(crate) measured: OnceLock<(Stat, Digest)>,
}

impl Entry {
    /// The name, without any directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// What the file system said when the directory was listed.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The directory, where this is one.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_deref()
    }
}

/// The content of a directory, sorted by the bytes of the names.
#[derive(Debug, Default)]
pub struct Listing {
    /// All names that are UTF-8.
    pub entries: Box<[Entry]>,
    /// Names that are not UTF-8: no build context can hold them.
    pub unusable: Vec<OsString>,
}

impl Listing {
    /// The entry called `name`.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name));
        found.ok().map(|index| &self.entries[index])
    }
}

/// A directory of the tree; listed by [`Tree::list`](crate::Tree::list).
#[derive(Debug)]
pub struct Directory {
    pub(crate) path: Box<str>,
    pub(crate) listing: OnceLock<Result<Listing, ReadError>>,
}

impl Directory {
    pub(crate) fn new(path: String) -> Self {
        Self { path: path.into_boxed_str(), listing: OnceLock::new() }
    }

    /// Path relative to the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Path, relative to the root, of what is called `name` in this directory.
    pub fn child_path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}
