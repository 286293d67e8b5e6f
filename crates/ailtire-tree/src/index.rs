//! The stat index: digests of files that need not be read again.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::listing::{Entry, EntryKind, Listing, Stat};

/// First bytes of an index: a name and the version of the format.
const HEADER: &[u8] = b"ailtire stat index 2\n";

/// How old a change must be before its time stamp is trusted, in nanoseconds.
///
/// Kernels stamp files with the time of their last clock tick, at most 10 ms ago.
const SETTLE_NANOSECONDS: i128 = 100_000_000;

/// The same on file systems whose time stamps have whole seconds (FAT's have two).
const COARSE_SETTLE_NANOSECONDS: i128 = 2_100_000_000;

/// Why an index can't be used. It is safe to go on without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It was written by another version, or is no index at all.
    #[error("it was written by another version of the program")]
    Foreign,
    /// It is damaged.
    #[error("it is damaged")]
    Damaged,
}

/// What is known of one file; the files of a directory are sorted by name.
#[derive(Debug, Serialize, Deserialize)]
struct Known<'index> {
    #[serde(borrow)]
    name: Cow<'index, str>,
    stat: Stat,
    digest: Digest,
}

/// What this run found out, by directory and name.
type Learned = BTreeMap<Box<str>, BTreeMap<Box<str>, (Stat, Digest)>>;

/// Digests by path and stat, from the run before, and what this run adds to them.
///
/// Encoded, it is a header, the BLAKE3 digest of the rest, and the directories: path and files,
/// each with its length. The files of a directory are decoded when it is listed.
#[derive(Debug, Default)]
pub struct StatIndex {
    bytes: Vec<u8>,
    /// Where in `bytes` the files of a directory are.
    directories: HashMap<Box<str>, Range<usize>>,
    learned: Mutex<Learned>,
}

impl StatIndex {
    /// The index that [`Tree::updated_index`](crate::Tree::updated_index) made in an earlier run.
    ///
    /// # Errors
    ///
    /// [`IndexError`] where `bytes` are something else.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, IndexError> {
        let body = bytes.strip_prefix(HEADER).ok_or(IndexError::Foreign)?;
        let (checksum, mut rest) = body.split_at_checked(32).ok_or(IndexError::Damaged)?;
        if blake3::Hasher::new().update_rayon(rest).finalize().as_bytes() != checksum {
            return Err(IndexError::Damaged);
        }
        let mut directories = HashMap::new();
        while !rest.is_empty() {
            let path = take_block(&mut rest)?;
            let path = std::str::from_utf8(path).map_err(|_| IndexError::Damaged)?;
            let files = take_block(&mut rest)?;
            let end = bytes.len() - rest.len();
            directories.insert(path.into(), end - files.len()..end);
        }
        Ok(Self { bytes, directories, learned: Mutex::default() })
    }

    /// What is known of the files of `directory`.
    fn known(&self, directory: &str) -> Vec<Known<'_>> {
        let range = self.directories.get(directory);
        let files = range.and_then(|range| self.bytes.get(range.clone()));
        // The checksum held, so what is there can be decoded; else nothing is known.
        files.and_then(|files| postcard::from_bytes(files).ok()).unwrap_or_default()
    }

    /// Fills in the digests of those `entries` of `directory`, sorted by name, that have not
    /// changed since the index was written.
    pub(crate) fn recall(&self, directory: &str, entries: &mut [Entry]) {
        let mut known = self.known(directory).into_iter().peekable();
        for entry in entries {
            while known.next_if(|known| *known.name < *entry.name).is_some() {}
            let Some(known) = known.next_if(|known| *known.name == *entry.name) else { continue };
            if known.stat == entry.stat && entry.kind == EntryKind::File {
                entry.measured = OnceLock::from((known.stat, known.digest));
            }
        }
    }

    /// Remembers a digest for the next run.
    pub(crate) fn learn(&self, directory: &str, name: &str, stat: Stat, digest: Digest) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.entry(directory.into()).or_default().insert(name.into(), (stat, digest));
    }

    /// The encoded index for the next run; `None` where nothing was learned.
    ///
    /// `look` tells of a directory: `None` that it is gone, `Some(None)` that it was not listed.
    pub(crate) fn updated<'listing>(
        &self,
        look: impl Fn(&str) -> Option<Option<&'listing Listing>>,
    ) -> Option<Vec<u8>> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.is_empty() {
            return None;
        }
        let nothing = BTreeMap::new();
        let mut body = Vec::new();
        let paths: BTreeSet<_> = self.directories.keys().chain(learned.keys()).collect();
        for directory in paths {
            let learned = learned.get(directory).unwrap_or(&nothing);
            let mut files: BTreeMap<&str, (Stat, Digest)> = BTreeMap::new();
            let old = self.known(directory);
            if let Some(listing) = look(directory) {
                let kept = old.iter().filter(|known| {
                    listing.is_none_or(|listing| listing.get(&known.name).is_some())
                });
                files.extend(kept.map(|known| (&*known.name, (known.stat, known.digest))));
            }
            files.extend(learned.iter().map(|(name, known)| (&**name, *known)));
            if !files.is_empty() {
                put_block(&mut body, directory.as_bytes());
                put_block(&mut body, &encode_files(&files));
            }
        }
        let mut bytes = HEADER.to_vec();
        bytes.extend_from_slice(blake3::hash(&body).as_bytes());
        bytes.extend_from_slice(&body);
        Some(bytes)
    }
}

fn encode_files(files: &BTreeMap<&str, (Stat, Digest)>) -> Vec<u8> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, (stat, digest))| Known {
            name: Cow::Borrowed(name),
            stat: *stat,
            digest: *digest,
        })
        .collect();
    #[allow(clippy::expect_used)] // Only a writer that fails could make it fail.
    postcard::to_stdvec(&files).expect("plain data encodes into memory")
}

/// Appends the length of `block`, four bytes with the lowest first, and `block`.
fn put_block(bytes: &mut Vec<u8>, block: &[u8]) {
    // A directory whose record has more than 4 GiB is not remembered.
    let Ok(length) = u32::try_from(block.len()) else { return put_block(bytes, &[]) };
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(block);
}

fn take_block<'bytes>(rest: &mut &'bytes [u8]) -> Result<&'bytes [u8], IndexError> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(IndexError::Damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (block, after) = after.split_at_checked(length).ok_or(IndexError::Damaged)?;
    *rest = after;
    Ok(block)
}

/// Whether `stat` is so old at `now` that any later change must carry another time stamp.
pub(crate) fn is_settled(stat: &Stat, now: SystemTime) -> bool {
    let Ok(now) = now.duration_since(UNIX_EPOCH) else {
        return false;
    };
    let age = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX) - i128::from(stat.changed);
    let coarse = stat.changed % 1_000_000_000 == 0;
    age >= if coarse { COARSE_SETTLE_NANOSECONDS } else { SETTLE_NANOSECONDS }
}
