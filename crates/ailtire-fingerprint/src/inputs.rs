//! What an image is made from, as digests and as a record that can be compared.

use std::collections::BTreeMap;

use ailtire_context::{BuildContext, Content, ContextEntry};
use ailtire_terms::suggests_secret;
use ailtire_tree::Digest;
use serde::{Deserialize, Serialize};

/// Version of the meaning of keys and fingerprints. A record of another version is dirty.
pub const FORMAT: u32 = 1;

/// What the definition and the command line say of an image, besides its context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Build arguments, also those that the Dockerfile does not declare.
    pub build_arguments: BTreeMap<String, String>,
    /// Stage to build.
    pub target: Option<String>,
    /// Platforms to build for.
    pub platforms: Vec<String>,
    /// Labels, with those that the tool sets itself.
    pub labels: BTreeMap<String, String>,
    /// Identifiers of build secrets.
    pub secrets: Vec<String>,
    /// References that the image is to carry.
    pub references: Vec<String>,
}

/// What a base image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseIdentity {
    /// The application builds it, from inputs that have this fingerprint.
    Built(Digest),
    /// It comes from elsewhere and has this id in the engine, where it is known.
    External(Option<String>),
}

/// Everything that an image is made from but other images.
#[derive(Debug, Clone, Copy)]
pub struct ImageInputs<'plan> {
    /// The build context and the Dockerfile.
    pub context: &'plan BuildContext,
    /// The rest.
    pub settings: &'plan Settings,
}

impl ImageInputs<'_> {
    /// The digest of these inputs; see the crate's documentation for what it covers.
    pub fn key(&self) -> Digest {
        let mut hasher = FieldHasher::new("ailtire image key");
        hasher.number(FORMAT.into());
        hasher.bytes(self.context.dockerfile.digest.as_bytes());
        hasher.number(self.context.entries.len() as u64);
        for entry in &self.context.entries {
            hash_entry(&mut hasher, entry);
        }
        hasher.map(&self.relevant_arguments());
        hasher.optional(self.settings.target.as_deref());
        hasher.list(&self.settings.platforms);
        hasher.map(&self.settings.labels);
        hasher.list(&self.settings.secrets);
        hasher.finish()
    }

    /// The same inputs as plain data, to be kept and compared later.
    pub fn record(&self) -> RecordedInputs {
        let arguments = self.relevant_arguments();
        let arguments = arguments.iter().map(|(name, value)| {
            let shown = if suggests_secret(name) { masked(value) } else { value.clone() };
            (name.clone(), shown)
        });
        RecordedInputs {
            format: FORMAT,
            dockerfile: self.context.dockerfile.source.clone(),
            dockerfile_digest: self.context.dockerfile.digest,
            dockerfile_lines: line_digests(&self.context.dockerfile.text),
            entries: self.context.entries.iter().map(RecordedEntry::of).collect(),
            build_arguments: arguments.collect(),
            target: self.settings.target.clone(),
            platforms: self.settings.platforms.clone(),
            labels: self.settings.labels.clone(),
            secrets: self.settings.secrets.clone(),
            references: self.settings.references.clone(),
        }
    }

    fn relevant_arguments(&self) -> BTreeMap<String, String> {
        let declared = &self.context.dockerfile.declared_arguments;
        let arguments = self.settings.build_arguments.iter();
        let relevant = arguments.filter(|(name, _)| {
            declared.contains(*name)
                || name.starts_with("BUILDKIT_")
                || name.as_str() == "SOURCE_DATE_EPOCH"
        });
        relevant.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// The fingerprint of an image with this `key` and these `references`, built on these `bases`
/// (reference and identity, in the order of the Dockerfile).
pub fn fingerprint(key: Digest, references: &[String], bases: &[(String, BaseIdentity)]) -> Digest {
    let mut hasher = FieldHasher::new("ailtire image fingerprint");
    hasher.bytes(key.as_bytes());
    hasher.list(references);
    hasher.number(bases.len() as u64);
    for (reference, identity) in bases {
        hasher.bytes(reference.as_bytes());
        match identity {
            BaseIdentity::Built(fingerprint) => hasher.bytes(fingerprint.as_bytes()),
            BaseIdentity::External(id) => hasher.optional(id.as_deref()),
        }
    }
    hasher.finish()
}

fn hash_entry(hasher: &mut FieldHasher, entry: &ContextEntry) {
    hasher.bytes(entry.path.as_bytes());
    hasher.number(entry.mode.into());
    match &entry.content {
        Content::Directory => hasher.bytes(b"directory"),
        Content::Symlink { target } => {
            hasher.bytes(b"symlink");
            hasher.bytes(target.as_bytes());
        }
        Content::File { digest, .. } | Content::Generated { digest, .. } => {
            hasher.bytes(b"file");
            hasher.bytes(digest.as_bytes());
        }
    }
}

/// Inputs of an image as they were when it was built. Kept only to explain a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedInputs {
    /// The [`FORMAT`] that was in force.
    pub format: u32,
    /// Path of the Dockerfile, relative to the application root.
    pub dockerfile: String,
    /// Digest of its text.
    pub dockerfile_digest: Digest,
    /// The first 16 hexadecimal digits of the digest of each of its lines: enough to tell which
    /// line changed, without keeping the text.
    pub dockerfile_lines: Vec<String>,
    /// The entries of the build context, in its order.
    pub entries: Vec<RecordedEntry>,
    /// The build arguments that counted; digests for names that suggest a secret.
    pub build_arguments: BTreeMap<String, String>,
    /// Stage that was built.
    pub target: Option<String>,
    /// Platforms that were built for.
    pub platforms: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Identifiers of build secrets.
    pub secrets: Vec<String>,
    /// References that the image was given.
    pub references: Vec<String>,
}

/// One entry of a build context in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEntry {
    /// Path in the context.
    pub path: String,
    /// Path in the source tree where it is another one; absent for generated files too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// Permission bits.
    pub mode: u32,
    /// Digest of the content, for files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Target, for symbolic links.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
}

impl RecordedEntry {
    fn of(entry: &ContextEntry) -> Self {
        let mut recorded = Self {
            path: entry.path.to_string(),
            source: None,
            mode: entry.mode,
            digest: None,
            target: None,
        };
        match &entry.content {
            Content::Directory => {}
            Content::Symlink { target } => recorded.target = Some(target.to_string()),
            Content::Generated { digest, .. } => recorded.digest = Some(*digest),
            Content::File { source, digest, .. } => {
                recorded.source = Some(source.to_string());
                recorded.digest = Some(*digest);
            }
        }
        recorded
    }

    /// What the entry is, in a word.
    pub fn kind(&self) -> &'static str {
        match (&self.digest, &self.target) {
            (Some(_), _) => "file",
            (None, Some(_)) => "symbolic link",
            (None, None) => "directory",
        }
    }
}

/// Enough of a digest to see that a value changed, too little to tell what it is.
fn masked(value: &str) -> String {
    format!("(hidden, {})", &blake3::hash(value.as_bytes()).to_hex()[..4])
}

fn line_digests(text: &str) -> Vec<String> {
    text.lines().map(|line| blake3::hash(line.as_bytes()).to_hex()[..16].to_owned()).collect()
}

/// Hashes fields with their lengths, so that no two different lists of fields look alike.
struct FieldHasher(blake3::Hasher);

impl FieldHasher {
    fn new(context: &'static str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.bytes(text.unwrap_or_default().as_bytes());
    }

    fn list(&mut self, list: &[String]) {
        self.number(list.len() as u64);
        for item in list {
            self.bytes(item.as_bytes());
        }
    }

    fn map(&mut self, map: &BTreeMap<String, String>) {
        self.number(map.len() as u64);
        for (name, value) in map {
            self.bytes(name.as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    fn finish(&self) -> Digest {
        self.0.finalize().into()
    }
}
