//! What is kept in a registry about an image: that it was made from inputs with a fingerprint.
//!
//! A statement is a manifest of its own, in the repository of the image, under a tag that follows
//! from fingerprint and platform. All that it says is in its annotations, so that one small request
//! reads it. It says nothing that is not checked: the image must be there, under the digest and
//! with the id that it names.

use std::collections::BTreeMap;

use ailtire_registry::{Manifest, sha256};
use ailtire_tree::Digest;
use serde::{Deserialize, Serialize};

use crate::build::BuiltReference;

/// Version of statements. Another one is as good as none: its tag is another one.
const FORMAT: &str = "1";
/// What a statement is.
const ARTIFACT: &str = "application/vnd.ailtire.build-statement.v1";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The one blob of a statement, which says nothing.
pub(super) const BLOB: &[u8] = b"{}";

const PREFIX: &str = "ailtire.statement.";

/// That an image was made from inputs with a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Fingerprint of the inputs.
    pub(crate) fingerprint: Digest,
    /// What it was built for (`linux/amd64`): inputs alone do not say.
    pub(crate) platform: String,
    /// Digest of the image's manifest.
    pub(crate) digest: String,
    /// Id of the image: the digest of its configuration.
    pub(crate) image_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl From<&Statement> for BuiltReference {
    fn from(statement: &Statement) -> Self {
        Self {
            image_id: statement.image_id.clone(),
            fingerprint: statement.fingerprint.to_string(),
            digest: Some(statement.digest.clone()),
        }
    }
}

/// The tag under which the statement about these inputs is kept.
pub(crate) fn tag(fingerprint: Digest, platform: &str) -> String {
    let text = format!("ailtire statement {FORMAT}\n{fingerprint}\n{platform}\n");
    format!("ailtire-{}", Digest::of(text.as_bytes()))
}

impl Statement {
    /// The statement as a manifest.
    pub(crate) fn manifest(&self) -> Manifest {
        let empty = || Descriptor {
            media_type: EMPTY.to_owned(),
            digest: sha256(BLOB),
            size: BLOB.len() as u64,
        };
        let fields = [
            ("format", FORMAT.to_owned()),
            ("fingerprint", self.fingerprint.to_string()),
            ("platform", self.platform.clone()),
            ("digest", self.digest.clone()),
            ("image-id", self.image_id.clone()),
        ];
        let written = Written {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: ARTIFACT.to_owned(),
            config: empty(),
            layers: vec![empty()],
            annotations: fields.map(|(name, value)| (format!("{PREFIX}{name}"), value)).into(),
        };
        // Strings and numbers always have a form in JSON.
        let bytes = serde_json::to_vec(&written).unwrap_or_default();
        Manifest { digest: sha256(&bytes), media_type: MANIFEST.to_owned(), bytes: bytes.into() }
    }

    /// Reads a statement about inputs with this fingerprint, built for this platform.
    ///
    /// # Errors
    ///
    /// Why it is none, in words.
    pub(crate) fn read(
        manifest: &Manifest,
        fingerprint: Digest,
        platform: &str,
    ) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(&manifest.bytes)
            .map_err(|_| "it is no statement about a build".to_owned())?;
        if written.artifact_type != ARTIFACT {
            return Err("it is no statement about a build".to_owned());
        }
        let field = |name: &str| {
            let value = written.annotations.get(&format!("{PREFIX}{name}"));
            value.cloned().ok_or_else(|| format!("it has no `{name}`"))
        };
        if field("format")? != FORMAT {
            return Err("it is of another version".to_owned());
        }
        if field("fingerprint")? != fingerprint.to_string() {
            return Err("it speaks of other inputs".to_owned());
        }
        if field("platform")? != platform {
            return Err("it speaks of another platform".to_owned());
        }
        let (digest, image_id) = (field("digest")?, field("image-id")?);
        if ![&digest, &image_id].into_iter().all(|text| is_digest(text)) {
            return Err("what it names is no digest".to_owned());
        }
        Ok(Self { fingerprint, platform: platform.to_owned(), digest, image_id })
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The id of the image that a manifest is of: the digest of its configuration. `None` for what is
/// no manifest of one image.
pub(crate) fn image_id(manifest: &Manifest) -> Option<String> {
    #[derive(Deserialize)]
    struct Image {
        config: Descriptor,
    }
    let image: Image = serde_json::from_slice(&manifest.bytes).ok()?;
    let kinds = [
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    ];
    kinds.contains(&&*image.config.media_type).then_some(image.config.digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            fingerprint: Digest::of(b"inputs"),
            platform: "linux/amd64".to_owned(),
            digest: sha256(b"manifest"),
            image_id: sha256(b"configuration"),
        }
    }

    #[test]
    fn a_statement_is_read_as_it_was_written() {
        let statement = statement();
        let read = Statement::read(&statement.manifest(), statement.fingerprint, "linux/amd64");
        assert_eq!(read, Ok(statement));
    }

    #[test]
    fn what_speaks_of_something_else_is_refused() {
        let manifest = statement().manifest();
        let read = |manifest: &Manifest, inputs: &[u8], platform: &str| {
            Statement::read(manifest, Digest::of(inputs), platform).unwrap_err()
        };
        assert_eq!(read(&manifest, b"other", "linux/amd64"), "it speaks of other inputs");
        assert_eq!(read(&manifest, b"inputs", "linux/arm64"), "it speaks of another platform");
        let changed = |from: &str, to: &str| {
            let text = String::from_utf8(manifest.bytes.to_vec()).unwrap();
            assert!(text.contains(from), "{text}");
            Manifest { bytes: text.replace(from, to).into(), ..manifest.clone() }
        };
        let cases = [
            (changed("format\":\"1\"", "format\":\"2\""), "it is of another version"),
            (changed(ARTIFACT, "x/y"), "it is no statement about a build"),
            (changed("statement.image-id", "other"), "it has no `image-id`"),
            (changed("digest\":\"sha256:", "digest\":\"../sha256:"), "what it names is no digest"),
        ];
        for (manifest, expected) in cases {
            assert_eq!(read(&manifest, b"inputs", "linux/amd64"), expected);
        }
        let nothing = Manifest { bytes: "[]".into(), ..manifest };
        assert_eq!(read(&nothing, b"inputs", "linux/amd64"), "it is no statement about a build");
    }

    #[test]
    fn tags_are_tags_and_tell_platforms_apart() {
        let tag = |platform| tag(Digest::of(b"inputs"), platform);
        assert!(ailtire_terms::reference::is_tag(&tag("linux/amd64")));
        assert_ne!(tag("linux/amd64"), tag("linux/arm64"));
    }
}
