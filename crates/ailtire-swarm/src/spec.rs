//! The engine's own objects, as its API has them (JSON in Pascal case).
//!
//! Own types, because generated models lose fields when they read. A spec is only ever made from
//! what is to run, never by changing what the engine answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A service (`POST /services/create`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceSpec {
    /// Full name.
    pub name: String,
    /// Labels of the service.
    pub labels: BTreeMap<String, String>,
}

/// A network (`POST /networks/create`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSpec {
    /// Name in the engine.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A config (`POST /configs/create`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConfigSpec {
    /// Name in the engine.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Content in base64.
    pub data: String,
}

/// A secret (`POST /secrets/create`).
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretSpec {
    /// Name in the engine.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Content in base64; absent where an external driver has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<String>,
}

impl std::fmt::Debug for SecretSpec {
    /// Without what it holds.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SecretSpec").field("name", &self.name).finish_non_exhaustive()
    }
}
