//! How the entries of a build context are sent.

use ailtire_context::{Content, ContextEntry};

/// Bytes that are read and sent at once.
pub(crate) const CHUNK: usize = 128 * 1024;

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
mod tests {
    use super::*;
    use crate::test_data::file;

    #[test]
    fn times_differ_with_content_and_mode_only() {
        let one = file("a", b"1");
        let renamed = file("b", b"1");
        assert_eq!(modification_time(&one), modification_time(&renamed));
        assert_ne!(modification_time(&one), modification_time(&file("a", b"2")));
        let mut executable = one.clone();
        executable.mode = 0o755;
        assert_ne!(modification_time(&one), modification_time(&executable));
        assert!(modification_time(&one) > 946_684_800_000_000_000);
    }
}
