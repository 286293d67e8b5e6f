//! What was deployed when, kept in the swarm itself, so that any operator's machine sees it.
//!
//! An entry is a snapshot of all that was to run, without what secrets hold, as compressed JSON in
//! one or more swarm configs. They carry no stack's label: `docker stack rm` does not take them.
//! The last [`KEPT`] entries are kept, and with them the configs and secrets that they name, since
//! what a secret held can't be found anywhere else.
//!
//! An entry is written before anything is changed, and marked as finished when everything runs. So a
//! run that was cancelled or killed leaves a trace, and the way back knows what ran before it.
//!
//! Specs are kept whole, with the values of environment variables: without them there is no way
//! back. Whoever can read configs of a swarm can read the specs of its services, too, so that nobody
//! sees more than before, but may see values for longer: until their entry is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use ailtire_compose::{FILE_NAME_LIMIT, shorten};
use ailtire_docker::{Engine, EngineError};
use ailtire_events::FieldChange;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::calls::Created;
use crate::observe::ObservedFile;
use crate::spec::ConfigSpec;
use crate::{Desired, Identity, calls};

/// How many entries are kept.
pub const KEPT: usize = 10;

/// Bytes of one config; engines before 20.10 take no more than 500 kB.
const PART: usize = 400 * 1024;

/// More than this is no entry of ours.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Number of the entry that a config belongs to.
const NUMBER: &str = "org.ailtire.history";
/// Which part of the entry it holds, from 1, and of how many: `1/2`.
const PART_OF: &str = "org.ailtire.history.part";
/// On what was not finished, or not yet.
const UNFINISHED: &str = "org.ailtire.history.unfinished";

/// One deployment that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 1; given by [`History::begin`].
    pub number: u64,
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    /// Who did it: user and host, as that machine calls them.
    pub by: String,
    /// What was done.
    pub what: Deed,
    /// Everything that was to run; secrets hold nothing.
    pub desired: Desired,
    /// Why services were changed, by full name; new ones have no reason.
    pub changes: BTreeMap<String, Vec<FieldChange>>,
    /// Whether it did not come to its end, or has not yet. It goes when a later one does.
    #[serde(skip)]
    pub unfinished: bool,
}

/// What made an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// A deployment from the sources.
    Deploy,
    /// A way back.
    Rollback {
        /// Number of the entry that was gone back to.
        to: u64,
    },
}

/// Why the history can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The engine can't be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An entry can't be read or written.
    #[error("the history entry {number} can't be used: {why}")]
    Entry {
        /// Its number.
        number: u64,
        /// Why.
        why: String,
    },
}

/// The history of one application in one environment, oldest entry first.
#[derive(Debug, Clone, Default)]
pub struct History {
    entries: Vec<Entry>,
    /// Ids of the configs of each entry, readable or not.
    configs: BTreeMap<u64, Vec<String>>,
    /// Entries that are not finished.
    unfinished: BTreeSet<u64>,
    /// Entries that can't be read, and why.
    damaged: BTreeMap<u64, String>,
}

/// An entry that was written, and is not finished yet: for [`History::finish`],
/// [`History::leave`] or [`Begun::withdraw`].
#[derive(Debug, Clone)]
#[must_use = "it stays unfinished otherwise"]
pub struct Begun {
    number: u64,
    ids: Vec<String>,
}

impl History {
    /// Reads it, in one request.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off. A damaged entry is no error.
    pub async fn read(engine: &Engine, identity: &Identity) -> Result<Self, EngineError> {
        let request = engine.get("/configs").filter("label", NUMBER);
        let configs: Vec<ObservedFile> = calls::owned_by(identity, request).json().await?;
        let mut history = Self::default();
        let mut parts: BTreeMap<u64, Vec<(usize, usize, String)>> = BTreeMap::new();
        for ObservedFile { id, labels, data, .. } in configs {
            let number = labels.get(NUMBER).and_then(|number| number.parse().ok());
            let part = labels.get(PART_OF).and_then(|part| part.split_once('/'));
            let (Some(number), Some((part, of))) = (number, part) else { continue };
            history.configs.entry(number).or_default().push(id);
            if labels.contains_key(UNFINISHED) {
                history.unfinished.insert(number);
            }
            let place =
                (part.parse().unwrap_or(0), of.parse().unwrap_or(0), data.unwrap_or_default());
            parts.entry(number).or_default().push(place);
        }
        for (number, parts) in parts {
            match decode(parts) {
                Ok(entry) => {
                    let unfinished = history.unfinished.contains(&number);
                    history.entries.push(Entry { unfinished, ..entry });
                }
                Err(why) => {
                    history.damaged.insert(number, why);
                }
            }
        }
        Ok(history)
    }

    /// The entries that can be read, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The newest entry.
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Numbers of entries that can't be read, and why.
    pub fn damaged(&self) -> &BTreeMap<u64, String> {
        &self.damaged
    }

    /// The entry with this number.
    pub fn find(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    /// The entry to go back to where none is named: what ran before the newest one. A way back that
    /// was not finished goes on to where it led.
    pub fn before_last(&self) -> Option<&Entry> {
        // Also where that one can't be read.
        let newest = *self.configs.keys().next_back()?;
        if let Some(Entry { unfinished: true, what: Deed::Rollback { to }, .. }) = self.find(newest)
        {
            return self.find(*to);
        }
        let mut earlier = self.entries.iter().rev().filter(|entry| entry.number < newest);
        earlier.find(|entry| !entry.unfinished)
    }

    /// Names of the configs and secrets that going back to one of the last `count` entries takes.
    pub fn needed_objects(&self, count: usize) -> BTreeSet<String> {
        let kept = self.entries.iter().rev().filter(|entry| !entry.unfinished).take(count);
        let stacks = kept.flat_map(|entry| &entry.desired.stacks);
        stacks
            .flat_map(|stack| {
                let configs = stack.configs.iter().map(|config| config.name.clone());
                configs.chain(stack.secrets.iter().map(|secret| secret.name.clone()))
            })
            .collect()
    }

    /// Writes `entry` after all others, as one that is not finished.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] where the engine refuses, or the entry can't be written.
    pub async fn begin(&self, engine: &Engine, mut entry: Entry) -> Result<Begun, HistoryError> {
        let number = self.configs.keys().next_back().map_or(1, |last| last + 1);
        entry.number = number;
        for secret in entry.desired.stacks.iter_mut().flat_map(|stack| &mut stack.secrets) {
            secret.data = None;
        }
        let identity = &entry.desired.identity;
        let bytes = encode(&entry).map_err(|why| HistoryError::Entry { number, why })?;
        let parts = bytes.len().div_ceil(PART).max(1);
        let mut begun = Begun { number, ids: Vec::new() };
        for (index, part) in bytes.chunks(PART).enumerate() {
            let mut labels = BTreeMap::from(identity.labels());
            labels.insert(NUMBER.to_owned(), number.to_string());
            labels.insert(PART_OF.to_owned(), format!("{}/{parts}", index + 1));
            labels.insert(UNFINISHED.to_owned(), "true".to_owned());
            let name = format!("{}.history.{number}.{}", identity.root, index + 1);
            let spec = ConfigSpec {
                name: shorten(&name, FILE_NAME_LIMIT),
                labels,
                data: STANDARD.encode(part),
                ..ConfigSpec::default()
            };
            let created: Created = engine.post("/configs/create").body(&spec).json().await?;
            begun.ids.push(created.id);
        }
        Ok(begun)
    }

    /// Marks an entry as finished, and removes those that are more than [`KEPT`] back.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn finish(&self, engine: &Engine, begun: Begun) -> Result<u64, EngineError> {
        for id in &begun.ids {
            let request = engine.get(format!("/configs/{id}"));
            let ObservedFile { version, name, mut labels, data, .. } = request.json().await?;
            labels.remove(UNFINISHED);
            let data = data.unwrap_or_default();
            let spec = ConfigSpec { name, labels, data, ..ConfigSpec::default() };
            let update = engine.post(format!("/configs/{id}/update"));
            update.query("version", &version).body(&spec).done().await?;
        }
        let finished = self.configs.keys().rev().filter(|it| !self.unfinished.contains(it));
        let kept: BTreeSet<u64> = finished.take(KEPT - 1).copied().collect();
        self.drop_entries(engine, |number| !kept.contains(&number)).await?;
        Ok(begun.number)
    }

    /// Leaves an entry as one that was not finished, in place of others that never were.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn leave(&self, engine: &Engine, begun: Begun) -> Result<u64, EngineError> {
        self.drop_entries(engine, |number| self.unfinished.contains(&number)).await?;
        Ok(begun.number)
    }

    async fn drop_entries(
        &self,
        engine: &Engine,
        is_dropped: impl Fn(u64) -> bool,
    ) -> Result<(), EngineError> {
        for (_, ids) in self.configs.iter().filter(|(number, _)| is_dropped(**number)) {
            for id in ids {
                calls::remove_config(engine, id).await?;
            }
        }
        Ok(())
    }

    /// Removes every entry.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn clear(&self, engine: &Engine) -> Result<(), EngineError> {
        for id in self.configs.values().flatten() {
            calls::remove_config(engine, id).await?;
        }
        Ok(())
    }
}

impl Begun {
    /// Takes the entry out of the history again: nothing of it is left in the swarm.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn withdraw(self, engine: &Engine) -> Result<(), EngineError> {
        for id in &self.ids {
            calls::remove_config(engine, id).await?;
        }
        Ok(())
    }
}

fn encode(entry: &Entry) -> Result<Vec<u8>, String> {
    let text = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&text).and_then(|()| encoder.finish()).map_err(|error| error.to_string())
}

fn decode(mut parts: Vec<(usize, usize, String)>) -> Result<Entry, String> {
    parts.sort_unstable();
    let mut bytes = Vec::new();
    for (index, (part, of, data)) in parts.iter().enumerate() {
        if (*part, *of) != (index + 1, parts.len()) {
            return Err("a part of it is missing".to_owned());
        }
        bytes.extend(STANDARD.decode(data).map_err(|error| error.to_string())?);
    }
    let mut text = Vec::new();
    let decoder = GzDecoder::new(&*bytes);
    decoder.take(LONGEST).read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}
