//! What registries know, asked through the engine.

use ailtire_connect::Credentials;
use ailtire_terms::reference;
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
    /// The credentials for a registry, named by its host as references name it. `None` where the
    /// configuration has none.
    pub async fn credentials(&self, registry: &str) -> Option<Credentials> {
        credentials::look_up(self.config(), registry).await
    }

    /// The credentials for the registry of an image reference, in the form that
    /// [`crate::ApiRequest::registry_auth`] takes. `None` where the configuration has none.
    pub async fn registry_auth(&self, reference: &str) -> Option<String> {
        let registry = reference::registry(reference);
        let found = credentials::look_up(self.config(), registry).await?;
        let text = serde_json::to_vec(&credentials::for_engine(found, registry)).ok()?;
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

/// What an engine's refusal says of the registry.
fn refusal(reference: &str, status: u16, message: String) -> Result<Option<String>, EngineError> {
    let registry = reference::registry(reference).to_owned();
    match Complaint::of(status, &message) {
        Complaint::Denied => {
            let reference = reference.to_owned();
            Err(EngineError::RegistryDenied { reference, registry, message })
        }
        Complaint::Unknown => Ok(None),
        Complaint::Busy => Err(EngineError::RegistryBusy { registry, message }),
        Complaint::Unreachable => Err(EngineError::RegistryUnreachable { registry, message }),
        Complaint::Other => Err(EngineError::from_api(status, message)),
    }
}

/// What a message of an engine says of a registry. Engines put most of what registries answer under
/// status 500 or 403, so the words count more than the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// It wants other credentials.
    Denied,
    /// It does not have the image.
    Unknown,
    /// It may do it in a while.
    Busy,
    /// It can't be reached, or not in this way.
    Unreachable,
    /// Something else.
    Other,
}

impl Complaint {
    pub(crate) fn of(status: u16, message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let has = |marks: &[&str]| marks.iter().any(|mark| message.contains(mark));
        let denied =
            ["unauthorized", "denied", "no basic auth", "forbidden", "authentication required"];
        let unknown = ["manifest unknown", "no such manifest", "name unknown", "not found"];
        let down = ["dial tcp", "lookup", "refused", "tls: ", "x509", "server gave http response"];
        let busy = [
            "toomanyrequests",
            "too many requests",
            "unexpected http status: 5",
            "internal server error",
            "bad gateway",
            "unavailable",
            "gateway time",
            "connection reset",
            "broken pipe",
            "eof",
            "timeout",
            "timed out",
        ];
        if has(&denied) {
            Self::Denied
        } else if status == 404 || has(&unknown) {
            Self::Unknown
        } else if has(&down) {
            Self::Unreachable
        } else if has(&busy) {
            Self::Busy
        } else if matches!(status, 401 | 403) {
            Self::Denied
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, message: &str) -> &'static str {
        match refusal("registry.example/a", status, message.to_owned()) {
            Ok(_) => "absent",
            Err(EngineError::RegistryDenied { .. }) => "denied",
            Err(EngineError::RegistryUnreachable { .. }) => "unreachable",
            Err(EngineError::RegistryBusy { .. }) => "busy",
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
        assert_eq!(kind(500, "http: server gave HTTP response to HTTPS client"), "unreachable");
        assert_eq!(kind(500, "x509: certificate signed by unknown authority"), "unreachable");
        assert_eq!(kind(500, "received unexpected HTTP status: 503 Service Unavailable"), "busy");
        assert_eq!(kind(500, "toomanyrequests: slow down"), "busy");
        assert_eq!(kind(500, "Get \"http://registry.example/v2/\": EOF"), "busy");
        assert_eq!(kind(500, "something else"), "other");
    }
}
