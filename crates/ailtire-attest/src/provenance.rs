//! What an image was made from: SLSA provenance, version 1.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a statement with provenance is called.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// How images are built, and what the parameters mean.
const BUILD_TYPE: &str = "https://ailtire.org/build/v1";
/// Who built.
const BUILDER: &str = "https://ailtire.org/ailtire-build";

/// An entry of a build context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path in the context.
    pub path: String,
    /// Permission bits, as `0644`.
    pub mode: String,
    /// SHA-256 of the content of a file, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Target of a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// An image that another one was built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// The reference in the Dockerfile.
    pub reference: String,
    /// Digest of its manifest, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its id in the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
}

/// What an image was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Definition, target, platforms, arguments: what was asked for.
    pub parameters: Value,
    /// Fingerprint of the inputs.
    pub fingerprint: String,
    /// Images that it was built on.
    pub bases: Vec<Material>,
    /// The build context.
    pub entries: Vec<Entry>,
    /// Path and SHA-256 of the Dockerfile.
    pub dockerfile: (String, String),
    /// Version of the program that built.
    pub version: String,
}

impl Provenance {
    /// What the statement says.
    pub fn predicate(&self) -> Value {
        let mut dependencies: Vec<Value> = Vec::new();
        for base in &self.bases {
            let mut named = json!({ "uri": format!("docker:{}", base.reference) });
            let digest = base.digest.as_ref().and_then(|it| it.split_once(':'));
            if let Some((algorithm, digits)) = digest {
                named["digest"] = json!({ algorithm: digits });
            }
            named["annotations"] = json!(base);
            dependencies.push(named);
        }
        let (path, digest) = &self.dockerfile;
        dependencies.push(json!({
            "uri": "dockerfile:", "name": path, "digest": { "sha256": digest },
        }));
        for entry in &self.entries {
            let mut named = json!({ "uri": "context:", "name": entry.path, "annotations": entry });
            if let Some(digest) = &entry.sha256 {
                named["digest"] = json!({ "sha256": digest });
            }
            dependencies.push(named);
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": self.parameters,
                "internalParameters": { "fingerprint": self.fingerprint },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": { "id": BUILDER, "version": { "ailtire-build": self.version } },
            },
        })
    }

    /// Reads what a statement says; `None` where another program wrote it.
    pub fn read(predicate: &Value) -> Option<Self> {
        let definition = predicate.get("buildDefinition")?;
        if definition.get("buildType")?.as_str()? != BUILD_TYPE {
            return None;
        }
        let (mut bases, mut entries, mut dockerfile) = (Vec::new(), Vec::new(), None);
        for named in definition.get("resolvedDependencies")?.as_array()? {
            let annotations = || named.get("annotations").cloned().unwrap_or_default();
            match named.get("uri")?.as_str()? {
                "context:" => {
                    let entry: Entry = serde_json::from_value(annotations()).ok()?;
                    // What other tools read is what is compared.
                    let digest = named.pointer("/digest/sha256").and_then(Value::as_str);
                    if named.get("name")?.as_str()? != entry.path
                        || digest != entry.sha256.as_deref()
                    {
                        return None;
                    }
                    entries.push(entry);
                }
                "dockerfile:" => {
                    let path = named.get("name")?.as_str()?.to_owned();
                    let digest = named.pointer("/digest/sha256")?.as_str()?.to_owned();
                    dockerfile = Some((path, digest));
                }
                _ => bases.push(serde_json::from_value(annotations()).ok()?),
            }
        }
        let text = |pointer: &str| predicate.pointer(pointer)?.as_str().map(str::to_owned);
        Some(Self {
            parameters: definition.get("externalParameters")?.clone(),
            fingerprint: text("/buildDefinition/internalParameters/fingerprint")?,
            bases,
            entries,
            dockerfile: dockerfile?,
            version: text("/runDetails/builder/version/ailtire-build").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provenance_is_read_as_it_was_written() {
        let entry = |path: &str, sha256: Option<&str>, target: Option<&str>| Entry {
            path: path.to_owned(),
            mode: "0644".to_owned(),
            sha256: sha256.map(str::to_owned),
            target: target.map(str::to_owned),
        };
        let provenance = Provenance {
            parameters: json!({ "image": "web" }),
            fingerprint: "f".to_owned(),
            bases: vec![Material {
                reference: "debian".to_owned(),
                digest: Some("sha256:aa".to_owned()),
                image_id: None,
            }],
            entries: vec![
                entry("a", None, None),
                entry("a/b", Some("bb"), None),
                entry("c", None, Some("a")),
            ],
            dockerfile: ("Dockerfile".to_owned(), "dd".to_owned()),
            version: "1".to_owned(),
        };
        let mut predicate = provenance.predicate();
        assert_eq!(Provenance::read(&predicate), Some(provenance));
        let dependencies = &mut predicate["buildDefinition"]["resolvedDependencies"];
        dependencies[3]["digest"]["sha256"] = json!("cc");
        assert_eq!(Provenance::read(&predicate), None, "it says two things");
        assert_eq!(Provenance::read(&json!({})), None);
    }
}
