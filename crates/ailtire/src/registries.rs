//! Registries as this machine reaches them itself.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ailtire_docker::{Engine, RegistrySetup};
use ailtire_registry::{Client, ClientOptions};
use ailtire_terms::reference::{Reference, canonical};

/// Where a reference points to.
pub(crate) struct Place {
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// The tag, or the digest where there is one.
    pub(crate) tag: String,
}

impl Place {
    /// `None` for what is no reference.
    pub(crate) fn of(reference: &str) -> Option<Self> {
        let Reference { domain, path, tag, digest } =
            Reference::parse(&canonical(reference)).ok()?;
        Some(Self { registry: domain, repository: path, tag: digest.or(tag)? })
    }
}

/// A client for the registries of `references`, which shows them what Docker's configuration has
/// for them, and speaks to them as `engine` does. It waits
/// for an answer no longer than `timeout`.
pub(crate) async fn client(
    references: impl Iterator<Item = &String>,
    engine: &Engine,
    setup: &RegistrySetup,
    timeout: Option<Duration>,
) -> Client {
    let registries: BTreeSet<String> =
        references.filter_map(|reference| Some(Place::of(reference)?.registry)).collect();
    let mut options = ClientOptions::default();
    options.timeout = timeout.unwrap_or(options.timeout);
    let mut credentials = HashMap::new();
    for registry in registries {
        if setup.is_insecure(&registry) {
            options.insecure.insert(registry.clone());
        }
        if let Some(found) = engine.credentials(&registry).await {
            credentials.insert(registry, found);
        }
    }
    Client::new(options, credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_place() {
        let place = |reference: &str| {
            let Place { registry, repository, tag } = Place::of(reference).unwrap();
            format!("{registry} {repository} {tag}")
        };
        assert_eq!(place("debian"), "docker.io library/debian latest");
        assert_eq!(place("r.example:5000/a/b:1"), "r.example:5000 a/b 1");
        let digest = format!("sha256:{:064}", 1);
        assert_eq!(place(&format!("r.example/a:1@{digest}")), format!("r.example a {digest}"));
        assert!(Place::of("NO").is_none());
    }
}
