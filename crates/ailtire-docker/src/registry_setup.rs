//! What an engine says of itself that matters to those who speak to its registries themselves.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::{Engine, EngineError};

/// How an engine sees registries, and what it builds for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistrySetup {
    /// The platform that it builds for where nothing else is said (`linux/amd64`).
    pub platform: String,
    /// Registries that may speak plain HTTP.
    insecure: Vec<String>,
    /// Networks whose registries may.
    networks: Vec<Network>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(rename = "OSType")]
    os: String,
    architecture: String,
    #[serde(default)]
    registry_config: Option<RegistryConfig>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RegistryConfig {
    #[serde(rename = "InsecureRegistryCIDRs")]
    networks: Option<Vec<String>>,
    index_configs: Option<BTreeMap<String, IndexConfig>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexConfig {
    #[serde(default)]
    secure: bool,
}

impl Engine {
    /// How the engine sees registries, and what it builds for.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn registry_setup(&self) -> Result<RegistrySetup, EngineError> {
        let info: Info = self.get("/info").json().await?;
        Ok(setup_of(info))
    }
}

fn setup_of(info: Info) -> RegistrySetup {
    let config = info.registry_config.unwrap_or_default();
    let registries = config.index_configs.unwrap_or_default().into_iter();
    let networks = config.networks.unwrap_or_default();
    RegistrySetup {
        platform: format!("{}/{}", info.os, architecture(&info.architecture)),
        insecure: registries.filter(|(_, it)| !it.secure).map(|(name, _)| name).collect(),
        networks: networks.iter().filter_map(|text| Network::parse(text)).collect(),
    }
}

impl RegistrySetup {
    /// Whether `registry` (host, and port if it has one) may speak plain HTTP.
    pub fn is_insecure(&self, registry: &str) -> bool {
        let host = match registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => registry,
        };
        let named = |name: &String| name == registry || name == host;
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        self.insecure.iter().any(named)
            || address.is_some_and(|it| self.networks.iter().any(|network| network.has(it)))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        Some(Self { address: address.parse().ok()?, bits: bits.parse().ok()? })
    }

    fn has(self, address: IpAddr) -> bool {
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let ((own, length), (other, other_length)) = (number(self.address), number(address));
        let rest = length - self.bits.min(length);
        length == other_length && own.checked_shr(rest) == other.checked_shr(rest)
    }
}

/// What images call an architecture that the kernel calls otherwise.
fn architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "arm/v7",
        "armv6l" => "arm/v6",
        "i386" | "i686" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_and_insecure_registries_are_read() {
        let info = serde_json::from_value(serde_json::json!({
            "OSType": "linux",
            "Architecture": "x86_64",
            "RegistryConfig": {
                "InsecureRegistryCIDRs": ["127.0.0.0/8", "10.1.0.0/16", "::1/128"],
                "IndexConfigs": {
                    "docker.io": { "Secure": true },
                    "plain.example:5000": { "Secure": false }
                }
            }
        }));
        let setup = setup_of(info.unwrap());
        assert_eq!(setup.platform, "linux/amd64");
        for plain in ["127.0.0.1:5000", "10.1.2.3", "[::1]:5000", "plain.example:5000"] {
            assert!(setup.is_insecure(plain), "{plain}");
        }
        for secure in ["10.2.0.1:5000", "docker.io", "registry.example", "plain.example", "[::2]"] {
            assert!(!setup.is_insecure(secure), "{secure}");
        }
    }
}
