//! Configs and secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Driver, or_default};

/// A config (`POST /configs/create`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConfigSpec {
    /// Name in the engine.
    pub name: String,
    /// Labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Content in base64.
    #[serde(default)]
    pub data: String,
    /// What replaces templates in it for each task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templating: Option<Driver>,
}

/// A secret (`POST /secrets/create`).
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretSpec {
    /// Name in the engine.
    pub name: String,
    /// Labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Content in base64; absent where an external driver has it, and in what the engine answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The external driver that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,
    /// What replaces templates in it for each task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templating: Option<Driver>,
}

impl std::fmt::Debug for SecretSpec {
    /// Without what it holds.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SecretSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A config in a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigReference {
    /// The file that it is in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileTarget>,
    /// In place of a file: it is for the engine only, as a credential spec is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeTarget>,
    /// Its id; empty until [`super::ServiceSpec::with_ids`] puts it in.
    #[serde(rename = "ConfigID", skip_serializing_if = "String::is_empty")]
    pub config_id: String,
    /// Its name in the engine.
    pub config_name: String,
}

/// A secret in a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecretReference {
    /// The file that it is in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileTarget>,
    /// Its id; empty until [`super::ServiceSpec::with_ids`] puts it in.
    #[serde(rename = "SecretID", skip_serializing_if = "String::is_empty")]
    pub secret_id: String,
    /// Its name in the engine.
    pub secret_name: String,
}

/// A file in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileTarget {
    /// Its path; a secret's is relative to `/run/secrets`.
    pub name: String,
    /// Its owner.
    #[serde(rename = "UID")]
    pub uid: String,
    /// Its group.
    #[serde(rename = "GID")]
    pub gid: String,
    /// Permission bits.
    pub mode: u32,
}

/// The target of a config that is no file: nothing more is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuntimeTarget {}
