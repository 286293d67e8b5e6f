//! What is known of images that the engine confirmed: a journal, one line an image.
//!
//! A line is a JSON object, a tab and the first 16 digits of its BLAKE3 digest. Lines are only
//! appended, each in one write, as soon as an image is confirmed; the last line of an image holds.
//! A line that was cut off by a kill fails its digest and is as good as not there: what it would
//! have said is found out again by building.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ailtire_events::{Diagnostic, DirtyReason};
use ailtire_tree::Digest;
use serde::{Deserialize, Serialize};

use crate::inputs::RecordedInputs;
use crate::state::{Lock, append, read_if_there, replace};

/// The file that is the journal.
const JOURNAL: &str = "records.jsonl";

/// How many outdated lines the journal may hold before it is written anew.
const OUTDATED_LINES: usize = 256;

/// A base image at the time when the image on it was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedBase {
    /// The reference in the Dockerfile.
    pub reference: String,
    /// Its id in the engine, where known.
    pub image_id: Option<String>,
}

/// What is known of an image that the engine confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The [`FORMAT`](crate::FORMAT) of key and fingerprint.
    pub format: u32,
    /// All references that it was given; the first one names it.
    pub references: Vec<String>,
    /// Digest of its inputs but other images.
    pub key: Digest,
    /// Fingerprint of all its inputs.
    pub fingerprint: Digest,
    /// Its bases.
    pub bases: Vec<RecordedBase>,
    /// Its id in the engine.
    pub image_id: String,
    /// When it was built, in milliseconds since the Unix epoch.
    pub built_at: u64,
}

impl Record {
    /// The reference that names the image.
    pub fn name(&self) -> &str {
        self.references.first().map_or("", String::as_str)
    }
}

/// What explains a record: read only when someone asks why.
#[derive(Debug, Serialize, Deserialize)]
struct Explanation {
    key: Digest,
    inputs: RecordedInputs,
    reasons: Vec<DirtyReason>,
}

/// All records of one application for one engine.
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
    known: Mutex<HashMap<String, Record>>,
    damaged_lines: usize,
    untidy: bool,
}

impl Records {
    /// Reads the records below `folder`; none where it is not there.
    ///
    /// # Errors
    ///
    /// An I/O error where the journal is there and can't be read.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        let bytes = read_if_there(&folder.join(JOURNAL))?.unwrap_or_default();
        let (mut known, mut lines, mut damaged_lines) = (HashMap::new(), 0, 0);
        let complete = bytes.strip_suffix(b"\n");
        let torn_end = complete.is_none() && !bytes.is_empty();
        for line in complete.unwrap_or(&bytes).split(|byte| *byte == b'\n') {
            lines += 1;
            match decode(line) {
                Some(record) => {
                    known.insert(record.name().to_owned(), record);
                }
                None if line.is_empty() => {}
                None => damaged_lines += 1,
            }
        }
        let untidy = torn_end || damaged_lines > 0 || lines > known.len() + OUTDATED_LINES;
        // A line that was being written when the run was killed is no damage.
        damaged_lines -= usize::from(torn_end).min(damaged_lines);
        Ok(Self { folder, known: Mutex::new(known), damaged_lines, untidy })
    }

    /// Writes the journal anew where it holds damaged lines, or many outdated ones.
    ///
    /// Must come before the first [`Records::put`] of a run, which appends.
    ///
    /// # Errors
    ///
    /// An I/O error; the journal is then as it was.
    pub fn tidy(&self, _lock: &Lock) -> io::Result<()> {
        if !self.untidy {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for record in self.all() {
            bytes.extend(encode(&record)?);
        }
        replace(&self.journal(), &bytes)
    }

    /// How many lines of the journal were unreadable.
    pub fn damaged_lines(&self) -> usize {
        self.damaged_lines
    }

    /// What to tell users of unreadable lines, if there are any.
    pub fn damage(&self) -> Option<Diagnostic> {
        let lines = match self.damaged_lines {
            0 => return None,
            1 => "one line".to_owned(),
            lines => format!("{lines} lines"),
        };
        let message = format!("{lines} of the records of built images can't be read");
        Some(
            Diagnostic::warning("damaged-state", message)
                .help("nothing is lost: the images that they were about are built again"),
        )
    }

    /// How many images are recorded.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no image is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record of the image whose first reference is `name`.
    pub fn get(&self, name: &str) -> Option<Record> {
        self.lock().get(name).cloned()
    }

    /// All records, by name.
    pub fn all(&self) -> Vec<Record> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by(|left, right| left.name().cmp(right.name()));
        all
    }

    /// Remembers an image that the engine has confirmed, what it was made from and why.
    ///
    /// # Errors
    ///
    /// An I/O error; the image is then as good as never built.
    pub fn put(
        &self,
        record: Record,
        inputs: RecordedInputs,
        reasons: Vec<DirtyReason>,
    ) -> io::Result<()> {
        // The explanation goes first: a record without one can still be compared by key, and one
        // that belongs to another record says so by its key.
        let explanation = Explanation { key: record.key, inputs, reasons };
        let bytes = serde_json::to_vec(&explanation).map_err(io::Error::other)?;
        replace(&self.explanation_file(record.name()), &bytes)?;
        self.update(record)
    }

    /// Replaces a record whose image and inputs stay what they are.
    ///
    /// # Errors
    ///
    /// As [`Records::put`].
    pub fn update(&self, record: Record) -> io::Result<()> {
        append(&self.journal(), &encode(&record)?)?;
        self.lock().insert(record.name().to_owned(), record);
        Ok(())
    }

    /// The inputs of the recorded image `name`, and why it was built; `None` where they were not
    /// kept or belong to another record.
    pub fn explanation(&self, name: &str) -> Option<(RecordedInputs, Vec<DirtyReason>)> {
        let key = self.get(name)?.key;
        let bytes = read_if_there(&self.explanation_file(name)).ok()??;
        let explanation: Explanation = serde_json::from_slice(&bytes).ok()?;
        (explanation.key == key).then_some((explanation.inputs, explanation.reasons))
    }

    fn journal(&self) -> PathBuf {
        self.folder.join(JOURNAL)
    }

    fn explanation_file(&self, name: &str) -> PathBuf {
        self.folder.join("inputs").join(format!("{}.json", file_stem(name)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Record>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file name for the image called `name`: readable, and unlike that of any other image.
pub(crate) fn file_stem(name: &str) -> String {
    let readable: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .take(100)
        .collect();
    format!("{readable}-{}", &Digest::of(name.as_bytes()).to_string()[..8])
}

/// The folder, below `state`, of what is known of the engine at `endpoint`.
pub(crate) fn engine_folder(state: &Path, endpoint: &str) -> PathBuf {
    state.join("engines").join(&Digest::of(endpoint.as_bytes()).to_string()[..16])
}

fn checksum(text: &[u8]) -> String {
    blake3::hash(text).to_hex()[..16].to_owned()
}

fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record).map_err(io::Error::other)?;
    let checksum = checksum(&line);
    line.push(b'\t');
    line.extend_from_slice(checksum.as_bytes());
    line.push(b'\n');
    Ok(line)
}

fn decode(line: &[u8]) -> Option<Record> {
    let tab = line.iter().rposition(|byte| *byte == b'\t')?;
    let (text, rest) = line.split_at(tab);
    (checksum(text).as_bytes() == &rest[1..]).then(|| serde_json::from_slice(text).ok())?
}
