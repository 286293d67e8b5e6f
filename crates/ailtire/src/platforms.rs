//! Images for several platforms: an index names one manifest for each.

use ailtire_registry::Manifest;
use serde::Deserialize;

/// An index of manifests.
#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    manifests: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    digest: String,
    platform: Option<Platform>,
}

/// What an image is for, as indexes and configurations have it.
#[derive(Debug, Deserialize)]
pub(crate) struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// Whether `platform` (`linux/arm64`) means this one; without a variant, any.
    pub(crate) fn is(&self, platform: &str) -> bool {
        let plain = format!("{}/{}", self.os, self.architecture);
        platform == plain || platform == self.to_string()
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

impl Index {
    /// `None` for what is the manifest of one image.
    pub(crate) fn read(manifest: &Manifest) -> Option<Self> {
        serde_json::from_slice(&manifest.bytes).ok()
    }

    /// The digest of the manifest for `platform`.
    pub(crate) fn digest_for(&self, platform: &str) -> Option<&str> {
        let entry = self.manifests.iter().find(|entry| {
            let named = entry.platform.as_ref();
            named.is_some_and(|it| it.is(platform))
        });
        entry.map(|entry| &*entry.digest)
    }

    /// What there are manifests for. Those of attestations say `unknown`.
    pub(crate) fn platforms(&self) -> Vec<String> {
        let named = self.manifests.iter().filter_map(|entry| entry.platform.as_ref());
        named.filter(|it| it.os != "unknown").map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_found_with_and_without_its_variant() {
        let text = r#"{ "manifests": [
            { "digest": "a", "platform": { "os": "unknown", "architecture": "unknown" } },
            { "digest": "b", "platform": { "os": "linux", "architecture": "arm", "variant": "v7" } },
            { "digest": "c", "platform": { "os": "linux", "architecture": "amd64" } },
            { "digest": "d" } ] }"#;
        let manifest = |text: &str| Manifest {
            digest: String::new(),
            media_type: String::new(),
            bytes: text.to_owned().into(),
        };
        let index = Index::read(&manifest(text)).unwrap();
        assert_eq!(index.platforms(), ["linux/arm/v7", "linux/amd64"]);
        assert_eq!(index.digest_for("linux/arm"), Some("b"));
        assert_eq!(index.digest_for("linux/arm/v7"), Some("b"));
        assert_eq!(index.digest_for("linux/arm/v6"), None);
        assert_eq!(index.digest_for("linux/amd64"), Some("c"));
        assert!(Index::read(&manifest(r#"{ "config": {} }"#)).is_none());
    }
}
