//! Evaluations of earlier runs.
//!
//! A record holds everything that its evaluation looked at: the content of files by digest, paths
//! where no file was, environment variables by digest of their value (never the value itself),
//! and the parameters of an exported function. It answers only while all of that is unchanged,
//! and it answers with the very diagnostics of the evaluation, so that a warning does not vanish
//! on the second run.
//!
//! Records are kept encoded, side by side in one block, and decoded one by one when they are
//! asked for: reading the cache costs next to nothing for what is not used.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ailtire_events::Diagnostic;
use ailtire_tree::Digest;
use serde::{Deserialize, Serialize};

use crate::script::Input;
use ailtire_terms::Node;

/// First bytes of a cache: a name, the version of the format, and that of the program, since
/// another one may evaluate in another way.
const HEADER: &[u8] =
    concat!("ailtire evaluations 1 of ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// How many evaluations of one module are kept: one for each environment that is in use.
const VARIANTS: usize = 8;

/// Why a cache can't be used. It is safe to go on without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// It was written by another version, or is no cache at all.
    #[error("it was written by another version of the program")]
    Foreign,
    /// It is damaged.
    #[error("it is damaged")]
    Damaged,
}

/// One evaluation: what it depends on and what it came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) inputs: Vec<Input>,
    /// Every variable that was read; `None` where it is not set.
    pub(crate) variables: Vec<(String, Option<Digest>)>,
    /// The parameters, where the module exports a function.
    pub(crate) parameters: Option<Digest>,
    pub(crate) outcome: Outcome,
}

/// What an evaluation came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The exported data; `None` where it failed, or JSON has no word for what is exported.
    pub(crate) node: Option<Node>,
    /// Where the module really lies, where links lead to another path.
    pub(crate) file: Option<String>,
    /// Whether the evaluation failed; a diagnostic says why.
    pub(crate) failed: bool,
    /// Keys of the export that hold functions.
    pub(crate) dropped: Vec<String>,
    /// Console output and errors.
    #[serde(with = "as_json")]
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Diagnostics leave out fields when they are written, which only a format with names can read.
mod as_json {
    use ailtire_events::Diagnostic;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        diagnostics: &[Diagnostic],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = if diagnostics.is_empty() {
            String::new()
        } else {
            serde_json::to_string(diagnostics).map_err(serde::ser::Error::custom)?
        };
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Diagnostic>, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str(text).map_err(serde::de::Error::custom)
    }
}

#[derive(Debug)]
struct Known {
    records: Vec<Range<usize>>,
    used: AtomicBool,
}

/// Evaluations of earlier runs, and what this run adds to them.
#[derive(Debug, Default)]
pub struct EvaluationCache {
    block: Vec<u8>,
    known: HashMap<Box<str>, Known>,
    learned: Mutex<BTreeMap<Box<str>, Vec<Vec<u8>>>>,
    evaluations: AtomicU64,
}

impl EvaluationCache {
    /// The cache that [`updated`](Self::updated) made in an earlier run.
    ///
    /// # Errors
    ///
    /// [`CacheError`] where `bytes` are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, CacheError> {
        let body = bytes.strip_prefix(HEADER).ok_or(CacheError::Foreign)?;
        let (checksum, body) = body.split_at_checked(32).ok_or(CacheError::Damaged)?;
        if blake3::hash(body).as_bytes() != checksum {
            return Err(CacheError::Damaged);
        }
        let (index, block): (Vec<(&str, Vec<usize>)>, &[u8]) =
            postcard::take_from_bytes(body).map_err(|_| CacheError::Damaged)?;
        let mut start: usize = 0;
        let mut known = HashMap::with_capacity(index.len());
        for (path, lengths) in index {
            let mut records = Vec::with_capacity(lengths.len());
            for length in lengths {
                let end = usize::checked_add(start, length).ok_or(CacheError::Damaged)?;
                records.push(start..end);
                start = end;
            }
            known.insert(path.into(), Known { records, used: AtomicBool::new(false) });
        }
        if start != block.len() {
            return Err(CacheError::Damaged);
        }
        Ok(Self { block: block.to_vec(), known, ..Self::default() })
    }

    /// The encoded cache for the next run; `None` where nothing was evaluated that can be kept.
    ///
    /// Modules that this run did not ask for are left out.
    pub fn updated(&self) -> Option<Vec<u8>> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.is_empty() {
            return None;
        }
        let mut next: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
        for (path, records) in &*learned {
            next.entry(path).or_default().extend(records.iter().map(Vec::as_slice));
        }
        for (path, known) in &self.known {
            if known.used.load(Ordering::Relaxed) {
                let records = known.records.iter().map(|range| &self.block[range.clone()]);
                next.entry(path).or_default().extend(records);
            }
        }
        for records in next.values_mut() {
            records.truncate(VARIANTS);
        }
        encode(&next)
    }

    /// How many modules this run has evaluated, because no record answered.
    pub fn evaluations(&self) -> u64 {
        self.evaluations.load(Ordering::Relaxed)
    }

    pub(crate) fn count_evaluation(&self) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
    }

    /// The outcome of the first record of `path` that `holds`.
    pub(crate) fn find(&self, path: &str, holds: impl Fn(&Record) -> bool) -> Option<Outcome> {
        let answer = |bytes: &[u8]| {
            let record: Record = postcard::from_bytes(bytes).ok()?;
            holds(&record).then_some(record.outcome)
        };
        if let Some(known) = self.known.get(path) {
            known.used.store(true, Ordering::Relaxed);
            let mut records = known.records.iter();
            if let Some(outcome) = records.find_map(|range| answer(&self.block[range.clone()])) {
                return Some(outcome);
            }
        }
        // Another load of this very run may have evaluated it.
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let records = learned.get(path)?.clone();
        drop(learned);
        records.iter().find_map(|bytes| answer(bytes))
    }

    /// Keeps `record` for the next run.
    pub(crate) fn learn(&self, path: &str, record: &Record) {
        // What can't be encoded is evaluated again.
        let Ok(bytes) = postcard::to_stdvec(record) else { return };
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.entry(path.into()).or_default().insert(0, bytes);
    }
}

fn encode(records: &BTreeMap<&str, Vec<&[u8]>>) -> Option<Vec<u8>> {
    let index: Vec<(&str, Vec<usize>)> = records
        .iter()
        .map(|(path, records)| (*path, records.iter().map(|bytes| bytes.len()).collect()))
        .collect();
    let mut body = postcard::to_stdvec(&index).ok()?;
    for bytes in records.values().flatten() {
        body.extend_from_slice(bytes);
    }
    let mut bytes = HEADER.to_vec();
    bytes.extend_from_slice(blake3::hash(&body).as_bytes());
    bytes.extend_from_slice(&body);
    Some(bytes)
}
