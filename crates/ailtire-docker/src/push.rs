//! Has the engine push an image, and reads how far it is.

use std::collections::HashMap;

use ailtire_terms::reference;
use futures_util::TryStreamExt;
use serde_json::Value;

use crate::registry::Complaint;
use crate::{Engine, EngineError};

/// Credentials for a registry that wants none: the engine insists on the header.
const NO_CREDENTIALS: &str = "e30=";

/// An image that a registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedImage {
    /// The digest that the registry has for it.
    pub digest: String,
    /// Bytes of layers that were sent, as the engine counts them: before compression.
    pub bytes_sent: u64,
}

impl Engine {
    /// Has the engine push what it has as `reference`. Layers that the registry has are not sent.
    /// `progress` is told of the bytes of layers that were sent so far. Dropping the future ends
    /// the push.
    ///
    /// # Errors
    ///
    /// [`EngineError::PushDenied`] where the registry asks for other credentials,
    /// [`EngineError::RegistryBusy`] where trying again may help,
    /// [`EngineError::RegistryUnreachable`] where it can't be reached in this way; otherwise the
    /// engine's own.
    pub async fn push(
        &self,
        reference: &str,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<PushedImage, EngineError> {
        let canonical = reference::canonical(reference);
        let (name, tag) = reference::split_tag(&canonical);
        let auth = self.registry_auth(reference).await;
        let request = self
            .post(format!("/images/{name}/push"))
            .query("tag", tag.unwrap_or("latest"))
            .registry_auth(Some(auth.unwrap_or_else(|| NO_CREDENTIALS.to_owned())));
        let refused = |error| match error {
            EngineError::Api { status, message } => refusal(reference, status, message),
            other => other,
        };
        let mut lines = request.json_stream().await.map_err(refused)?;
        let mut push = Push::default();
        while let Some(line) = lines.try_next().await? {
            if let Some(message) = line.get("error").and_then(Value::as_str) {
                return Err(refusal(reference, 500, message.to_owned()));
            }
            if push.take(&line) {
                progress(push.bytes());
            }
        }
        let digest = push.digest.take();
        let digest = digest.ok_or_else(|| self.http().protocol("a push ended without a digest"))?;
        Ok(PushedImage { digest, bytes_sent: push.bytes() })
    }
}

/// What an engine has said about a push.
#[derive(Debug, Default)]
struct Push {
    /// The most that was sent of each layer. One that is sent again counts once.
    layers: HashMap<String, u64>,
    digest: Option<String>,
}

impl Push {
    /// Takes one line; whether more bytes were sent.
    fn take(&mut self, line: &Value) -> bool {
        if let Some(digest) = line.pointer("/aux/Digest").and_then(Value::as_str) {
            self.digest = Some(digest.to_owned());
        }
        let (Some(layer), Some(current)) = (
            line.get("id").and_then(Value::as_str),
            line.pointer("/progressDetail/current").and_then(Value::as_u64),
        ) else {
            return false;
        };
        let sent = self.layers.entry(layer.to_owned()).or_default();
        let more = current > *sent;
        *sent = current.max(*sent);
        more
    }

    fn bytes(&self) -> u64 {
        self.layers.values().sum()
    }
}

/// What an engine's refusal to push says.
fn refusal(reference: &str, status: u16, message: String) -> EngineError {
    let registry = reference::registry(reference).to_owned();
    match Complaint::of(status, &message) {
        Complaint::Denied => {
            EngineError::PushDenied { reference: reference.to_owned(), registry, message }
        }
        Complaint::Busy => EngineError::RegistryBusy { registry, message },
        Complaint::Unreachable => EngineError::RegistryUnreachable { registry, message },
        Complaint::Unknown | Complaint::Other => EngineError::from_api(status, message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_counted_once_a_layer_and_the_digest_is_kept() {
        let mut push = Push::default();
        let pushing = |layer: &str, current: u64| json!({ "status": "Pushing", "id": layer, "progressDetail": { "current": current } });
        assert!(!push.take(&json!({ "status": "The push refers to repository [r/a]" })));
        assert!(!push.take(&json!({ "status": "Preparing", "id": "a", "progressDetail": {} })));
        assert!(push.take(&pushing("a", 512)));
        assert!(push.take(&pushing("b", 100)));
        assert!(push.take(&pushing("a", 2048)));
        assert!(!push.take(&pushing("a", 1024)), "a layer that is sent again is behind");
        assert!(!push.take(&json!({ "status": "Layer already exists", "id": "c" })));
        push.take(&json!({ "aux": { "Tag": "1", "Digest": "sha256:d", "Size": 528 } }));
        assert_eq!((push.bytes(), push.digest.as_deref()), (2148, Some("sha256:d")));
    }

    #[test]
    fn refusals_say_whether_trying_again_may_help() {
        let busy = refusal("r.example/a:1", 500, "received unexpected HTTP status: 502".into());
        assert!(matches!(busy, EngineError::RegistryBusy { .. }), "{busy}");
        let denied = refusal("r.example/a:1", 500, "no basic auth credentials".into());
        assert!(denied.help().contains("docker login r.example"), "{}", denied.help());
        let http = "Get \"https://r.example/v2/\": http: server gave HTTP response to HTTPS client";
        let http = refusal("r.example/a:1", 500, http.into());
        assert!(http.help().contains("insecure-registries"), "{}", http.help());
        let tls = refusal("r.example/a:1", 500, "x509: certificate signed by unknown".into());
        assert!(tls.help().contains("certs.d/r.example"), "{}", tls.help());
    }
}
