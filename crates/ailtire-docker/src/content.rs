//! What the entries of a build context hold, checked while it is read.

use std::io::{self, Read};
use std::path::Path;

use ailtire_context::{Content, ContextEntry};
use ailtire_tree::Digest;
use rustix::fs::{Mode, OFlags};

/// Bytes that are read and sent at once.
pub(crate) const CHUNK: usize = 128 * 1024;

/// Why the content of an entry could not be handed over completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContentError {
    /// It is not what the context says.
    Changed { path: String },
    /// It can't be read.
    Unreadable { path: String, why: String },
    /// Nobody takes it any more.
    Stopped,
}

impl From<ContentError> for crate::BuildError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Changed { path } => Self::SourceChanged { path },
            ContentError::Unreadable { path, why } => Self::SourceUnreadable { path, why },
            ContentError::Stopped => Self::Cancelled,
        }
    }
}

/// Hands the content of an entry to `take`, chunk by chunk, until that returns false.
///
/// An error comes before the last chunk could be taken for the end: whoever takes the chunks
/// must not use them before this returned `Ok`. Directories and links have no content.
pub(crate) fn read(
    root: &Path,
    entry: &ContextEntry,
    mut take: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), ContentError> {
    match &entry.content {
        Content::Directory | Content::Symlink { .. } => Ok(()),
        Content::Generated { bytes, .. } => {
            let all = bytes.chunks(CHUNK).all(|chunk| take(chunk.to_vec()));
            if all { Ok(()) } else { Err(ContentError::Stopped) }
        }
        Content::File { source, size, digest } => read_file(root, source, *size, digest, take),
    }
}

fn read_file(
    root: &Path,
    source: &str,
    size: u64,
    digest: &Digest,
    mut take: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), ContentError> {
    let changed = || ContentError::Changed { path: source.to_owned() };
    let mut file = open(root, source)?;
    let mut hasher = blake3::Hasher::new();
    let mut remaining = size;
    loop {
        // One byte more than there should be, to see that a file grew.
        let wanted = remaining.saturating_add(1).min(CHUNK as u64);
        let mut chunk = Vec::new();
        Read::by_ref(&mut file)
            .take(wanted)
            .read_to_end(&mut chunk)
            .map_err(|error| unreadable(source, &error))?;
        if chunk.is_empty() {
            break;
        }
        remaining = remaining.checked_sub(chunk.len() as u64).ok_or_else(changed)?;
        hasher.update(&chunk);
        if !take(chunk) {
            return Err(ContentError::Stopped);
        }
    }
    if remaining == 0 && Digest::from(hasher.finalize()) == *digest {
        Ok(())
    } else {
        Err(changed())
    }
}

fn open(root: &Path, source: &str) -> Result<std::fs::File, ContentError> {
    // Without blocking: what was a file may be a FIFO by now.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let handle = rustix::fs::open(root.join(source), flags, Mode::empty())
        .map_err(|error| unreadable(source, &error.into()))?;
    Ok(std::fs::File::from(handle))
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
        read(root, entry, |chunk| {
            all.extend(chunk);
            true
        })?;
        Ok(all)
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
