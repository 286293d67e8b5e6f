//! Reading the content of an entry, and making sure that it is still the one that was listed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use ailtire_tree::Digest;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::{Content, ContextEntry};

/// A file is not what it was when the context was listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{source_path}` changed while it was sent")]
pub struct ChangedWhileSent {
    /// The file, relative to the application root.
    pub source_path: String,
}

impl ChangedWhileSent {
    /// This error inside `error`, where it is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn error(source_path: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Self { source_path: source_path.to_owned() })
    }
}

/// Reads the content of one entry of a build context.
///
/// What it yields is the content that was listed: where the file's content differs, the read that
/// would have completed it fails with [`ChangedWhileSent`] instead.
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
    /// [`ChangedWhileSent`] (see [`ChangedWhileSent::of`]) where the file is gone;
    /// [`io::ErrorKind::InvalidInput`] where the entry is no file; other I/O errors name the file.
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
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO => {
                ChangedWhileSent::error(source)
            }
            error => named(source, &error.into()),
        })?;
        let hasher = blake3::Hasher::new();
        let checked = Self { file, source: source.into(), remaining: size, digest, hasher };
        if size == 0 { checked.verified() } else { Ok(checked) }
    }

    fn verified(self) -> io::Result<Self> {
        self.verify()?;
        Ok(self)
    }

    fn verify(&self) -> io::Result<()> {
        if Digest::from(self.hasher.finalize()) == self.digest {
            Ok(())
        } else {
            Err(ChangedWhileSent::error(&self.source))
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.file.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => named(&self.source, &error),
        })?;
        let Some(remaining) = self.remaining.checked_sub(count as u64) else {
            return Err(ChangedWhileSent::error(&self.source));
        };
        if count == 0 && remaining > 0 {
            return Err(ChangedWhileSent::error(&self.source));
        }
        self.hasher.update(&buffer[..count]);
        if self.remaining > 0 && remaining == 0 {
            self.verify()?;
        }
        self.remaining = remaining;
        Ok(count)
    }
}

fn named(source: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read `{source}`: {error}"))
}
