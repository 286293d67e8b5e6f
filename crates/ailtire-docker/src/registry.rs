//! What registries know, asked through the engine.

use ailtire_manifest::reference;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::Deserialize;

use crate::{Engine, EngineError, credentials};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Distribution {
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

impl Engine {
    /// The credentials for the registry of an image reference, in the form that
    /// [`crate::ApiRequest::registry_auth`] takes. `None` where the configuration has none.
    pub async fn registry_auth(&self, reference: &str) -> Option<String> {
        let registry = reference::registry(reference);
        let credentials = credentials::look_up(self.config(), registry).await?;
        let text = serde_json::to_vec(&credentials.into_docker(registry)).ok()?;
        Some(URL_SAFE.encode(text))
    }

    /// The digest that a registry has for an image reference; `None` where it does not have it.
    ///
    /// # Errors
    ///
    /// [`EngineError::RegistryDenied`] where the registry asks for other credentials,
    /// [`EngineError::RegistryUnreachable`] where it does not answer; otherwise the engine's own.
    pub async fn distribution(&self, reference: &str) -> Result<Option<String>, EngineError> {
        let canonical = reference::canonical(reference);
        let auth = self.registry_auth(reference).await;
        let path = format!("/distribution/{canonical}/json");
        let found: Result<Distribution, _> = self.get(path).registry_auth(auth).json().await;
        match found {
            Ok(found) => Ok(Some(found.descriptor.digest)),
            Err(EngineError::Api { status, message }) => refusal(reference, status, message),
            Err(other) => Err(other),
        }
    }
}

/// What an engine's refusal says of the registry. Engines put most of what registries answer under
/// status 500 or 403, so the words count more than the number.
fn refusal(reference: &str, status: u16, message: String) -> Result<Option<String>, EngineError> {
    let has = |marks: &[&str]| {
        let message = message.to_ascii_lowercase();
        marks.iter().any(|mark| message.contains(mark))
    };
    let registry = reference::registry(reference).to_owned();
    let reference = reference.to_owned();
    if has(&["unauthorized", "denied", "no basic auth", "forbidden", "authentication required"]) {
        return Err(EngineError::RegistryDenied { reference, registry, message });
    }
    if status == 404 || has(&["manifest unknown", "no such manifest", "name unknown", "not found"])
    {
        return Ok(None);
    }
    let down = ["dial tcp", "lookup", "timeout", "timed out", "refused", "tls", "x509", "eof"];
    if status == 401 || status == 403 && !has(&down) {
        return Err(EngineError::RegistryDenied { reference, registry, message });
    }
    if has(&down) || has(&["server gave http response", "unavailable", "bad gateway"]) {
        return Err(EngineError::RegistryUnreachable { registry, message });
    }
    Err(EngineError::from_api(status, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, message: &str) -> &'static str {
        match refusal("registry.example/a", status, message.to_owned()) {
            Ok(_) => "absent",
            Err(EngineError::RegistryDenied { .. }) => "denied",
            Err(EngineError::RegistryUnreachable { .. }) => "unreachable",
            Err(_) => "other",
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        assert_eq!(kind(404, "manifest unknown: manifest unknown"), "absent");
        assert_eq!(
            kind(403, "errors:\ndenied: requested access to the resource is denied"),
            "denied"
        );
        assert_eq!(kind(500, "no basic auth credentials"), "denied");
        assert_eq!(kind(401, "unauthorized: authentication required"), "denied");
        let down = "Get \"https://registry.example/v2/\": dial tcp 1.2.3.4:443: connection refused";
        assert_eq!(kind(403, down), "unreachable");
        assert_eq!(kind(500, down), "unreachable");
        let lookup = "dial tcp: lookup registry.example: no such host";
        assert_eq!(kind(500, lookup), "unreachable");
        assert_eq!(kind(500, "something else"), "other");
    }
}
