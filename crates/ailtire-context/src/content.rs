//! Reading the content of an entry, and making sure that it is still the one that was listed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use ailtire_tree::Digest;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::model::{Content, ContextEntry};

/// Why the content of an entry could not be handed over completely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The file is not what it was when the context was listed.
    #[error("`{path}` changed while it was sent")]
    Changed {
        /// The file, relative to the application root.
        path: String,
    },
    /// The file can't be read.
    #[error("`{path}` could not be read: {why}")]
    Unreadable {
        /// The file, relative to the application root.
        path: String,
        /// What the system said.
        why: String,
    },
}

impl ContentError {
    /// This error inside `error`, where it is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Reads the content of one entry of a build context.
///
/// What it yields is the content that was listed: where the file's content differs, the read that
/// would have completed it fails with [`ContentError::Changed`] instead.
#[derive(Debug)]
pub struct ContentReader(Kind);

#[derive(Debug)]
enum Kind {
    File(Box<Checked>),
    Generated(io::Cursor<Arc<[u8]>>),
}

impl ContentReader {
    /// Opens the content of `entry`, of a context of the application at `root`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] where the entry is no file; every other error here and in
    /// reading is a [`ContentError`] (see [`ContentError::of`]). A file that is gone, or something
    /// else by now, has changed.
    pub fn open(root: &Path, entry: &ContextEntry) -> io::Result<Self> {
        match &entry.content {
            Content::Generated { bytes, .. } => {
                Ok(Self(Kind::Generated(io::Cursor::new(Arc::clone(bytes)))))
            }
            Content::File { source, size, digest } => Checked::open(root, source, *size, *digest)
                .map(|file| Self(Kind::File(file.into()))),
            Content::Directory | Content::Symlink { .. } => {
                let message = format!("`{}` is no file", entry.path);
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
        }
    }
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::File(file) => file.read(buffer),
            Kind::Generated(bytes) => bytes.read(buffer),
        }
    }
}

/// A file of which size and digest are known.
#[derive(Debug)]
struct Checked {
    file: File,
    source: Box<str>,
    remaining: u64,
    digest: Digest,
    hasher: blake3::Hasher,
}

impl Checked {
    fn open(root: &Path, source: &str, size: u64, digest: Digest) -> io::Result<Self> {
        // Without blocking: what was a file may be a FIFO by now.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = rustix::fs::open(root.join(source), flags, Mode::empty());
        let file = opened.map(File::from).map_err(|error| match error {
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO => changed(source),
            error => unreadable(source, &error.into()),
        })?;
        let stat = rustix::fs::fstat(&file).map_err(|error| unreadable(source, &error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(changed(source));
        }
        let hasher = blake3::Hasher::new();
        let mut checked = Self { file, source: source.into(), remaining: size, digest, hasher };
        if size == 0 {
            checked.verify()?;
        }
        Ok(checked)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.remaining == 0 {
            return Ok(0);
        }
        let count = self.file.read(buffer).map_err(|error| match error.kind() {
            // The caller tries again.
            io::ErrorKind::Interrupted => error,
            _ => unreadable(&self.source, &error),
        })?;
        self.hasher.update(&buffer[..count]);
        match self.remaining.checked_sub(count as u64) {
            Some(remaining) if count > 0 => {
                if remaining == 0 {
                    self.verify()?;
                }
                self.remaining = remaining;
                Ok(count)
            }
            _ => Err(changed(&self.source)),
        }
    }

    /// That all was read, and that it was what it should be.
    fn verify(&mut self) -> io::Result<()> {
        let more = loop {
            match self.file.read(&mut [0]) {
                Ok(count) => break count > 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.source, &error)),
            }
        };
        if more || Digest::from(self.hasher.finalize()) != self.digest {
            return Err(changed(&self.source));
        }
        Ok(())
    }
}

fn changed(source: &str) -> io::Error {
    let error = ContentError::Changed { path: source.to_owned() };
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn unreadable(source: &str, error: &io::Error) -> io::Error {
    let why = error.to_string();
    io::Error::new(error.kind(), ContentError::Unreadable { path: source.to_owned(), why })
}
