//! What the entries of a build context hold, checked while it is read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ailtire_context::{Content, ContextEntry};
use ailtire_tree::Digest;
use rustix::fs::{Mode, OFlags};

/// Bytes that are read and sent at once.
pub(crate) const CHUNK: usize = 128 * 1024;

/// Why the content of an entry could not be handed over completely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContentError {
    /// It is not what the context says.
    #[error("`{path}` changed while it was sent")]
    Changed { path: String },
    /// It can't be read.
    #[error("`{path}` could not be read: {why}")]
    Unreadable { path: String, why: String },
}

impl From<ContentError> for crate::BuildError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Changed { path } => Self::SourceChanged { path },
            ContentError::Unreadable { path, why } => Self::SourceUnreadable { path, why },
        }
    }
}

/// The content of an entry; nothing for directories and links.
///
/// What was read counts only after the reader came to its end without an error: that is where
/// the digest is compared. Every error of the reader is a [`ContentError`].
pub(crate) fn open<'entry>(
    root: &Path,
    entry: &'entry ContextEntry,
) -> Result<Reader<'entry>, ContentError> {
    Ok(match &entry.content {
        Content::Directory | Content::Symlink { .. } => Reader::Generated(&[]),
        Content::Generated { bytes, .. } => Reader::Generated(bytes),
        Content::File { source, size, digest } => Reader::File(Box::new(CheckedFile {
            file: open_file(root, source)?,
            source,
            digest,
            remaining: *size,
            hasher: blake3::Hasher::new(),
        })),
    })
}

/// Reads the content of one entry.
pub(crate) enum Reader<'entry> {
    /// What was made has no other version.
    Generated(&'entry [u8]),
    /// A file, checked.
    File(Box<CheckedFile<'entry>>),
}

/// A file that is compared with what the context says of it.
pub(crate) struct CheckedFile<'entry> {
    file: File,
    source: &'entry str,
    digest: &'entry Digest,
    remaining: u64,
    hasher: blake3::Hasher,
}

impl Reader<'_> {
    /// Up to `size` bytes; empty at the end.
    pub(crate) fn chunk(&mut self, size: usize) -> Result<Vec<u8>, ContentError> {
        let wanted = match self {
            Self::Generated(rest) => rest.len(),
            // One byte more than there should be, to see that a file grew.
            Self::File(file) => usize::try_from(file.remaining).unwrap_or(size).saturating_add(1),
        };
        let mut chunk = vec![0; wanted.min(size)];
        let mut filled = 0;
        while filled < chunk.len() {
            match self.take(&mut chunk[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        chunk.truncate(filled);
        Ok(chunk)
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, ContentError> {
        match self {
            // Reading from memory never fails.
            Self::Generated(rest) => Ok(rest.read(buffer).unwrap_or(0)),
            Self::File(file) => file.take(buffer),
        }
    }
}

impl CheckedFile<'_> {
    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, ContentError> {
        let count = loop {
            match self.file.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(self.source, &error)),
            }
        };
        let changed = || ContentError::Changed { path: self.source.to_owned() };
        self.remaining = self.remaining.checked_sub(count as u64).ok_or_else(changed)?;
        self.hasher.update(&buffer[..count]);
        let ended = count == 0 && !buffer.is_empty();
        if ended && (self.remaining > 0 || Digest::from(self.hasher.finalize()) != *self.digest) {
            return Err(changed());
        }
        Ok(count)
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take(buffer).map_err(io::Error::other)
    }
}

fn open_file(root: &Path, source: &str) -> Result<File, ContentError> {
    // Without blocking: what was a file may be a FIFO by now.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let handle = rustix::fs::open(root.join(source), flags, Mode::empty())
        .map_err(|error| unreadable(source, &error.into()))?;
    Ok(File::from(handle))
}

/// A file that is gone, or something else by now, changed; any other trouble is one of reading.
fn unreadable(source: &str, error: &io::Error) -> ContentError {
    let path = source.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::WouldBlock => ContentError::Changed { path },
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            ContentError::Changed { path }
        }
        _ => ContentError::Unreadable { path, why: error.to_string() },
    }
}

/// Bytes of the content of an entry.
pub(crate) fn size(entry: &ContextEntry) -> u64 {
    match &entry.content {
        Content::Directory => 0,
        Content::Symlink { target } => target.len() as u64,
        Content::File { size, .. } => *size,
        Content::Generated { bytes, .. } => bytes.len() as u64,
    }
}

/// 1 January 2000, in seconds since the Unix epoch.
const FIRST_SECOND: u64 = 946_684_800;
/// 2^29 seconds are 17 years: all times are in the past.
const SECONDS: u64 = 1 << 29;
const NANOSECONDS: u64 = 1_000_000_000;

/// The modification time that an entry is sent with, in nanoseconds since the Unix epoch.
///
/// An engine takes a file for the one that it has where size and time are equal. So the time
/// stands for content and mode, 59 bits of their digest. It can't depend on anything else: it
/// reaches the image, and equal sources have to give equal images.
pub(crate) fn modification_time(entry: &ContextEntry) -> i64 {
    let mut hasher = blake3::Hasher::new();
    match &entry.content {
        Content::Directory => return (FIRST_SECOND * NANOSECONDS).cast_signed(),
        Content::Symlink { target } => {
            hasher.update(b"link\0").update(target.as_bytes());
        }
        Content::File { digest, .. } | Content::Generated { digest, .. } => {
            hasher.update(b"file\0").update(digest.as_bytes()).update(&entry.mode.to_le_bytes());
        }
    }
    let hash = hasher.finalize();
    let number = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[from..from + 8]);
        u64::from_le_bytes(bytes)
    };
    let seconds = FIRST_SECOND + number(0) % SECONDS;
    (seconds * NANOSECONDS + number(8) % NANOSECONDS).cast_signed()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Test data has no reader that could see half of it.
mod tests {
    use super::*;

    fn file(source: &str, content: &[u8]) -> ContextEntry {
        ContextEntry {
            path: "x".into(),
            mode: 0o644,
            content: Content::File {
                source: source.into(),
                size: content.len() as u64,
                digest: Digest::of(content),
            },
        }
    }

    fn read_all(root: &Path, entry: &ContextEntry) -> Result<Vec<u8>, ContentError> {
        let mut all = Vec::new();
        let mut reader = open(root, entry)?;
        loop {
            match reader.chunk(CHUNK)? {
                chunk if chunk.is_empty() => return Ok(all),
                chunk => all.extend(chunk),
            }
        }
    }

    #[test]
    fn files_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let content = vec![7; length];
            std::fs::write(folder.path().join("f"), &content).unwrap();
            assert_eq!(read_all(folder.path(), &file("f", &content)).unwrap(), content);
        }
    }

    #[test]
    fn every_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let entry = file("f", b"content");
        let changed = Err(ContentError::Changed { path: "f".to_owned() });
        assert_eq!(read_all(folder.path(), &entry), changed, "vanished");
        for other in [&b"other  "[..], b"content and more", b"cont", b""] {
            std::fs::write(folder.path().join("f"), other).unwrap();
            assert_eq!(read_all(folder.path(), &entry), changed, "{other:?}");
        }
        std::fs::remove_file(folder.path().join("f")).unwrap();
        std::fs::write(folder.path().join("g"), b"content").unwrap();
        std::os::unix::fs::symlink("g", folder.path().join("f")).unwrap();
        assert_eq!(read_all(folder.path(), &entry), changed, "a link");
        std::fs::remove_file(folder.path().join("f")).unwrap();
        std::fs::create_dir(folder.path().join("f")).unwrap();
        assert_eq!(read_all(folder.path(), &entry), changed, "a directory");
    }

    #[test]
    fn times_differ_with_content_and_mode_only() {
        let one = file("a", b"1");
        let mut renamed = file("b", b"1");
        renamed.path = "y".into();
        assert_eq!(modification_time(&one), modification_time(&renamed));
        assert_ne!(modification_time(&one), modification_time(&file("a", b"2")));
        let mut executable = one.clone();
        executable.mode = 0o755;
        assert_ne!(modification_time(&one), modification_time(&executable));
        assert!(modification_time(&one) > 946_684_800_000_000_000);
    }
}
