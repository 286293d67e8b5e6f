//! The snapshot itself: listing directories, reading files, following links.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

use crate::digest::Digest;
use crate::index::{StatIndex, is_settled};
use crate::listing::{Directory, Entry, EntryKind, Listing, Stat};
use crate::path::{file_name, join, parent};

/// How often a file that changes while it is read is tried again.
const READ_ATTEMPTS: usize = 5;

/// How much of a file is read at once, in bytes.
const READ_BUFFER: usize = 64 * 1024;

/// How much of a directory is read at once, in bytes.
const LISTING_BUFFER: usize = 32 * 1024;

/// How many symbolic links a path may lead through, as Linux has it.
const LINK_LIMIT: usize = 40;

/// Something in the tree that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read `{path}`: {message}")]
pub struct ReadError {
    /// Path relative to the root.
    pub path: String,
    /// What the operating system said.
    pub message: String,
}

impl ReadError {
    fn new(path: impl Into<String>, error: &dyn std::fmt::Display) -> Self {
        Self { path: path.into(), message: error.to_string() }
    }
}

/// Where a path leads once symbolic links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// To this path, free of links, relative to the root; something is there.
    Inside(String),
    /// Out of the root (and out of what is allowed outside).
    Outside(PathBuf),
    /// To nothing.
    Missing,
}

/// Work done so far, counted for tests and benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Directories listed.
    pub directories_listed: u64,
    /// Files whose content was read.
    pub files_read: u64,
    /// Bytes of content read.
    pub bytes_read: u64,
}

#[derive(Debug, Default)]
struct Counters {
    directories: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// A snapshot of the directories below an application root; see the crate's documentation.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    top: Directory,
    /// Directories outside the root that the user allowed; their paths start with `..`.
    outside: Vec<Directory>,
    index: StatIndex,
    counters: Counters,
}

impl Tree {
    /// A tree rooted at `root`, with the index of an earlier run.
    ///
    /// # Errors
    ///
    /// An I/O error where `root` is not there.
    pub fn open(root: &Path, index: StatIndex) -> io::Result<Self> {
        Self::open_with_outside(root, &[], index)
    }

    /// A tree that may also be asked for the directories `outside` the root.
    ///
    /// # Errors
    ///
    /// An I/O error where `root` or one of `outside` is not there.
    pub fn open_with_outside(
        root: &Path,
        outside: &[PathBuf],
        index: StatIndex,
    ) -> io::Result<Self> {
        let root = std::fs::canonicalize(root)?;
        let mut allowed = Vec::new();
        for directory in outside {
            let directory = std::fs::canonicalize(directory)?;
            if let Some(path) = relative_to(&root, &directory) {
                allowed.push(Directory::new(path));
            }
        }
        Ok(Self {
            root,
            top: Directory::new(String::new()),
            outside: allowed,
            index,
            counters: Counters::default(),
        })
    }

    /// The absolute path of the root, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root directory.
    pub fn top(&self) -> &Directory {
        &self.top
    }

    /// The absolute path of `path`.
    pub fn absolute(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    /// What was done so far.
    pub fn work(&self) -> Work {
        Work {
            directories_listed: self.counters.directories.load(Ordering::Relaxed),
            files_read: self.counters.files.load(Ordering::Relaxed),
            bytes_read: self.counters.bytes.load(Ordering::Relaxed),
        }
    }

    /// What `directory` holds; read from the disk the first time.
    ///
    /// # Errors
    ///
    /// The error of that first time, ever again.
    pub fn list<'tree>(
        &'tree self,
        directory: &'tree Directory,
    ) -> Result<&'tree Listing, &'tree ReadError> {
        directory.listing.get_or_init(|| self.read_directory(directory)).as_ref()
    }

    /// Lists, in parallel, every directory whose name `descend` agrees to.
    ///
    /// Directories that can't be read are left to whoever asks for them.
    pub fn prefetch(&self, descend: &(dyn Fn(&str) -> bool + Sync)) {
        rayon::scope(|scope| self.prefetch_below(scope, &self.top, descend));
    }

    fn prefetch_below<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        directory: &'scope Directory,
        descend: &'scope (dyn Fn(&str) -> bool + Sync),
    ) {
        let Ok(listing) = self.list(directory) else {
            return;
        };
        for entry in &listing.entries {
            if let Some(child) = entry.directory()
                && descend(entry.name())
            {
                scope.spawn(move |scope| self.prefetch_below(scope, child, descend));
            }
        }
    }

    /// The directory at `path` (no part of which may be a symbolic link).
    pub fn directory(&self, path: &str) -> Option<&Directory> {
        let (mut directory, rest) = self.start(path)?;
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            directory = self.list(directory).ok()?.get(part)?.directory()?;
        }
        Some(directory)
    }

    /// What is at `path`, with the directory that holds it; `None` for the root itself.
    pub fn find(&self, path: &str) -> Option<(&Directory, &Entry)> {
        let directory = self.directory(parent(path))?;
        let entry = self.list(directory).ok()?.get(file_name(path))?;
        Some((directory, entry))
    }

    /// Whether a regular file is at `path`.
    pub fn is_file(&self, path: &str) -> bool {
        self.find(path).is_some_and(|(_, entry)| entry.kind() == EntryKind::File)
    }

    /// The directory to start from for `path`, and what remains to walk.
    fn start<'tree, 'path>(
        &'tree self,
        path: &'path str,
    ) -> Option<(&'tree Directory, &'path str)> {
        if path != ".." && !path.starts_with("../") {
            return Some((&self.top, path));
        }
        self.outside.iter().find_map(|directory| {
            let rest = path.strip_prefix(directory.path())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((directory, rest))
        })
    }

    /// Follows the symbolic links in `path`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where a link can't be read, or links go round in a circle.
    pub fn resolve(&self, path: &str) -> Result<Resolved, ReadError> {
        let mut pending: Vec<String> = reversed_parts(path);
        let mut done = String::new();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            let next = match join(&done, &part) {
                Ok(next) => next,
                Err(escape) if self.start(&escape.path).is_some() => escape.path,
                // It may come back in further down, through an allowed directory or the root.
                Err(escape) => {
                    let rest: Vec<_> = pending.iter().rev().map(String::as_str).collect();
                    let all = format!("{}/{}", escape.path, rest.join("/"));
                    return Ok(self.resolve_outside(&all));
                }
            };
            if part == ".." || next.is_empty() {
                done = next;
                continue;
            }
            match self.find(&next) {
                _ if self.directory(&next).is_some() => done = next,
                Some((directory, entry)) if entry.kind() == EntryKind::Symlink => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return Err(ReadError::new(path, &"too many levels of symbolic links"));
                    }
                    let target = self.link_target(directory, entry)?;
                    if target.starts_with('/') {
                        let Some(inside) = relative_to(&self.root, Path::new(&target)) else {
                            return Ok(Resolved::Outside(target.into()));
                        };
                        done = String::new();
                        pending.extend(reversed_parts(&inside));
                    } else {
                        pending.extend(reversed_parts(&target));
                    }
                }
                Some(_) if pending.is_empty() => done = next,
                Some(_) | None => return Ok(Resolved::Missing),
            }
        }
        Ok(Resolved::Inside(done))
    }

    fn resolve_outside(&self, path: &str) -> Resolved {
        let Ok(absolute) = std::fs::canonicalize(self.root.join(path)) else {
            return Resolved::Outside(self.root.join(path));
        };
        match relative_to(&self.root, &absolute) {
            Some(inside) if self.start(&inside).is_some() => Resolved::Inside(inside),
            _ => Resolved::Outside(absolute),
        }
    }

    /// Where the symbolic link `entry` of `directory` leads, as it is written.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where it can't be read or is not UTF-8.
    pub fn link_target(&self, directory: &Directory, entry: &Entry) -> Result<String, ReadError> {
        let path = directory.child_path(&entry.name);
        let target = std::fs::read_link(self.absolute(&path))
            .map_err(|error| ReadError::new(&*path, &error))?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| ReadError::new(path, &"the target of this link is not UTF-8"))
    }

    /// The content of the file at `path`. Its digest is then known without reading it again.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where there is no such file, or it can't be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let Some((_, entry)) = self.find(path) else {
            return Err(ReadError::new(path, &"no such file"));
        };
        let mut content = Vec::with_capacity(usize::try_from(entry.stat.size).unwrap_or(0));
        let measured = self.measure(path, entry, |chunk| content.extend_from_slice(chunk), true)?;
        if content.len() as u64 != measured.0.size {
            return Err(ReadError::new(path, &"it changed while it was read"));
        }
        Ok(content)
    }

    /// The digest of the content of the file `entry` of `directory`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where it can't be read, or changes all the time.
    pub fn digest(&self, directory: &Directory, entry: &Entry) -> Result<Digest, ReadError> {
        Ok(self.measured(directory, entry)?.1)
    }

    /// Stat and digest of one and the same content of the file `entry` of `directory`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where it can't be read, or changes all the time.
    pub fn measured(
        &self,
        directory: &Directory,
        entry: &Entry,
    ) -> Result<(Stat, Digest), ReadError> {
        if let Some(measured) = entry.measured.get() {
            return Ok(*measured);
        }
        self.measure(&directory.child_path(&entry.name), entry, |_| (), false)
    }

    /// Reads a file, hashing it and handing its content to `take`.
    ///
    /// Where the file changes meanwhile it is read again; a caller that keeps the content
    /// (`once`) gets an error instead, since it was handed both versions.
    fn measure(
        &self,
        path: &str,
        entry: &Entry,
        mut take: impl FnMut(&[u8]),
        once: bool,
    ) -> Result<(Stat, Digest), ReadError> {
        let read_error = |error: &io::Error| ReadError::new(path, error);
        let mut file = open_file(&self.absolute(path)).map_err(|error| read_error(&error))?;
        for _ in 0..if once { 1 } else { READ_ATTEMPTS } {
            let before = stat_of(&file).map_err(|error| read_error(&error))?;
            let now = SystemTime::now();
            let mut hasher = blake3::Hasher::new();
            let bytes = read_all(&mut file, |chunk| {
                hasher.update(chunk);
                take(chunk);
            })
            .map_err(|error| read_error(&error))?;
            self.counters.files.fetch_add(1, Ordering::Relaxed);
            self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
            let after = stat_of(&file).map_err(|error| read_error(&error))?;
            if before == after && bytes == after.size {
                let digest = Digest::from(hasher.finalize());
                // What the index knew already is there since the directory was listed.
                let known = entry.measured.get().is_some_and(|known| *known == (after, digest));
                if !known && is_settled(&after, now) {
                    self.index.learn(parent(path), file_name(path), after, digest);
                }
                return Ok(*entry.measured.get_or_init(|| (after, digest)));
            }
            file = open_file(&self.absolute(path)).map_err(|error| read_error(&error))?;
        }
        Err(ReadError::new(path, &"it changed while it was read"))
    }

    /// The index for the next run, or `None` where it would be the one this run began with.
    ///
    /// What the tree does not hold any more is left out.
    pub fn updated_index(&self) -> Option<Vec<u8>> {
        self.index.updated(|directory| match self.peek(directory) {
            Peek::Listed(listing) => Some(Some(listing)),
            Peek::Unknown => Some(None),
            Peek::Gone => None,
        })
    }

    /// Looks at `path` without listing anything that was not listed yet.
    fn peek(&self, path: &str) -> Peek<'_> {
        let Some((mut directory, rest)) = self.start(path) else {
            return Peek::Gone;
        };
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            match directory.listing.get() {
                None => return Peek::Unknown,
                Some(Err(_)) => return Peek::Gone,
                Some(Ok(listing)) => match listing.get(part).and_then(Entry::directory) {
                    Some(child) => directory = child,
                    None => return Peek::Gone,
                },
            }
        }
        match directory.listing.get() {
            Some(Ok(listing)) => Peek::Listed(listing),
            Some(Err(_)) => Peek::Gone,
            None => Peek::Unknown,
        }
    }

    fn read_directory(&self, directory: &Directory) -> Result<Listing, ReadError> {
        self.counters.directories.fetch_add(1, Ordering::Relaxed);
        let read_error = |error: rustix::io::Errno| ReadError::new(&*directory.path, &error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let handle = rustix::fs::open(self.absolute(&directory.path), flags, Mode::empty())
            .map_err(read_error)?;
        let mut listing = Listing::default();
        let mut entries = Vec::new();
        let mut buffer = Vec::with_capacity(LISTING_BUFFER);
        let mut names = RawDir::new(&handle, buffer.spare_capacity_mut());
        while let Some(found) = names.next() {
            let found = found.map_err(read_error)?;
            let raw_name = found.file_name();
            if matches!(raw_name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(name) = raw_name.to_str() else {
                use std::os::unix::ffi::OsStringExt;
                listing.unusable.push(std::ffi::OsString::from_vec(raw_name.to_bytes().to_vec()));
                continue;
            };
            // A name that vanished between the two calls is one that is not there.
            let Ok(stat) = rustix::fs::statat(&handle, raw_name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            entries.push(entry_of(directory, name, &stat));
        }
        entries.sort_unstable_by(|left: &Entry, right| left.name.cmp(&right.name));
        self.index.recall(&directory.path, &mut entries);
        listing.entries = entries.into_boxed_slice();
        listing.unusable.sort();
        Ok(listing)
    }
}

/// What is known of a directory without reading the disk.
enum Peek<'tree> {
    Listed(&'tree Listing),
    Unknown,
    Gone,
}

fn entry_of(directory: &Directory, name: &str, stat: &rustix::fs::Stat) -> Entry {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => EntryKind::Directory,
        FileType::RegularFile => EntryKind::File,
        FileType::Symlink => EntryKind::Symlink,
        _ => EntryKind::Special,
    };
    let child = (kind == EntryKind::Directory)
        .then(|| Box::new(Directory::new(directory.child_path(name))));
    Entry {
        name: name.into(),
        kind,
        stat: convert_stat(stat),
        directory: child,
        measured: OnceLock::new(),
    }
}

// The field types of `stat` differ between platforms; on some of them a conversion is the identity.
#[allow(
    clippy::useless_conversion,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::unnecessary_cast
)]
fn convert_stat(stat: &rustix::fs::Stat) -> Stat {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000) + rest;
    Stat {
        size: stat.st_size as u64,
        modified: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec as i64),
        changed: nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec as i64),
        inode: stat.st_ino.into(),
        mode: stat.st_mode.into(),
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    // Without blocking: what was a file may be a FIFO by now.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn stat_of(file: &File) -> io::Result<Stat> {
    Ok(convert_stat(&rustix::fs::fstat(file)?))
}

fn read_all(file: &mut File, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; READ_BUFFER];
    let mut total = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                total += count as u64;
                take(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `path` relative to `root`, with `..` where it lies outside; `None` where it is not UTF-8.
fn relative_to(root: &Path, path: &Path) -> Option<String> {
    let mut base = root.components();
    let mut rest = path.components();
    loop {
        let (mut base_peek, mut rest_peek) = (base.clone(), rest.clone());
        match (base_peek.next(), rest_peek.next()) {
            (Some(left), Some(right)) if left == right => (base, rest) = (base_peek, rest_peek),
            _ => break,
        }
    }
    let mut parts: Vec<&str> = base.map(|_| "..").collect();
    for part in rest {
        parts.push(part.as_os_str().to_str()?);
    }
    Some(parts.join("/"))
}

fn reversed_parts(path: &str) -> Vec<String> {
    path.split('/')
        .rev()
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
        .collect()
}
