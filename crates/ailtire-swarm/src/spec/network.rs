//! Networks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_default, or_default};

/// A network (`POST /networks/create`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSpec {
    /// Name in the engine.
    pub name: String,
    /// Its driver.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Options of its driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    /// Labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Whether it leads nowhere else.
    #[serde(default, skip_serializing_if = "is_default")]
    pub internal: bool,
    /// Whether containers of no service may join it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attachable: bool,
    /// Its addresses.
    #[serde(rename = "IPAM", default, skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
}

/// Addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    /// What gives them out; empty: `default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Ranges.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub config: Vec<IpamPool>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpamPool {
    /// The range.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subnet: String,
}
