//! The stat index: digests of files that need not be read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::listing::{Listing, Stat};

/// First bytes of an index: a name and the version of the format.
const HEADER: &[u8] = b"ailtire stat index 1\n";

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

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    name: Box<str>,
    stat: Stat,
    digest: Digest,
}

type Files = HashMap<Box<str>, Vec<Known>>;

/// The same for what this run found out, easier to add to.
type Learned = BTreeMap<Box<str>, BTreeMap<Box<str>, (Stat, Digest)>>;

/// Digests by path and stat, from the run before, and what this run adds to them.
///
/// Inside, a map from directory to its files sorted by name.
#[derive(Debug, Default)]
pub struct StatIndex {
    known: Files,
    learned: Mutex<Learned>,
}

impl StatIndex {
    /// The index that [`Tree::updated_index`](crate::Tree::updated_index) made in an earlier run.
    ///
    /// # Errors
    ///
    /// [`IndexError`] where `bytes` are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let body = bytes.strip_prefix(HEADER).ok_or(IndexError::Foreign)?;
        let (checksum, body) = body.split_at_checked(32).ok_or(IndexError::Damaged)?;
        if blake3::hash(body).as_bytes() != checksum {
            return Err(IndexError::Damaged);
        }
        let known = postcard::from_bytes(body).map_err(|_| IndexError::Damaged)?;
        Ok(Self { known, learned: Mutex::default() })
    }

    /// The digest of a file that has not changed since the index was written.
    pub(crate) fn get(&self, directory: &str, name: &str, stat: &Stat) -> Option<Digest> {
        let files = self.known.get(directory)?;
        let index = files.binary_search_by(|known| known.name.as_ref().cmp(name)).ok()?;
        (files[index].stat == *stat).then_some(files[index].digest)
    }

    /// Remembers a digest for the next run.
    pub(crate) fn learn(&self, directory: &str, name: &str, stat: Stat, digest: Digest) {
        let mut learned = self.learned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        learned.entry(directory.into()).or_default().insert(name.into(), (stat, digest));
    }

    /// The encoded index for the next run; `None` where nothing was learned.
    ///
    /// `look` tells of a directory: `None` that it is gone, `Some(None)` that it was not listed.
    pub(crate) fn updated<'listing>(
        &self,
        look: impl Fn(&str) -> Option<Option<&'listing Listing>>,
    ) -> Option<Vec<u8>> {
        let learned = self.learned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if learned.is_empty() {
            return None;
        }
        let mut next: BTreeMap<&str, BTreeMap<&str, (&Stat, &Digest)>> = BTreeMap::new();
        for (directory, files) in &self.known {
            let Some(listing) = look(directory) else {
                continue;
            };
            let kept = files
                .iter()
                .filter(|known| listing.is_none_or(|listing| listing.get(&known.name).is_some()))
                .map(|known| (known.name.as_ref(), (&known.stat, &known.digest)));
            next.insert(directory, kept.collect());
        }
        for (directory, files) in &*learned {
            let entry = next.entry(directory).or_default();
            entry
                .extend(files.iter().map(|(name, (stat, digest))| (name.as_ref(), (stat, digest))));
        }
        Some(encode(&next))
    }
}

fn encode(files: &BTreeMap<&str, BTreeMap<&str, (&Stat, &Digest)>>) -> Vec<u8> {
    /// [`Known`], borrowed: the two must stay alike field by field.
    #[derive(Serialize)]
    struct KnownRef<'index> {
        name: &'index str,
        stat: &'index Stat,
        digest: &'index Digest,
    }
    let files: BTreeMap<&str, Vec<KnownRef<'_>>> = files
        .iter()
        .map(|(directory, files)| {
            let files = files.iter();
            let refs = files.map(|(name, (stat, digest))| KnownRef { name, stat, digest });
            (*directory, refs.collect())
        })
        .collect();
    #[allow(clippy::expect_used)] // Only a writer that fails could make it fail.
    let body = postcard::to_stdvec(&files).expect("plain data encodes into memory");
    let mut bytes = HEADER.to_vec();
    bytes.extend_from_slice(blake3::hash(&body).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
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
