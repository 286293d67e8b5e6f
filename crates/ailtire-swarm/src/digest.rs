//! The canonical digest of a spec: what tells, without looking at fields, whether something changed.
//!
//! It is made from what is to run, never from what the engine answers, and kept as a label
//! ([`label::DIGEST`]). It holds names, not ids, and is the same on every machine: keys are sorted
//! here, and lists whose order means nothing when a spec is made.

use serde::Serialize;
use serde_json::Value;

use crate::label;
use crate::spec::{NetworkSpec, ServiceSpec};

/// Labels of a service that say where it came from, not what it is.
///
/// The version changes with each release, and the fingerprint with what an image is made of, even
/// where the image stays the same. Neither is a reason to touch a service; what its tasks run is in
/// the image that its spec names. Both labels tell of the last time that the service changed.
const ORIGIN: [&str; 3] = [label::DIGEST, label::VERSION, label::FINGERPRINT];

/// Labels that this program gives to a network. A network can't be changed, only made anew, which
/// takes all its services down: never for our own sake.
const OURS: [&str; 7] = [
    label::DIGEST,
    label::VERSION,
    label::FINGERPRINT,
    label::APPLICATION,
    label::ENVIRONMENT,
    label::STACK_PATH,
    label::SERVICE,
];

impl ServiceSpec {
    /// The canonical digest of this spec as it is before [`ServiceSpec::with_ids`], in hexadecimal.
    ///
    /// The labels [`label::DIGEST`], [`label::VERSION`] and [`label::FINGERPRINT`] are no part of it.
    pub fn digest(&self) -> String {
        let mut spec = self.clone();
        spec.labels.retain(|name, _| !ORIGIN.contains(&name.as_str()));
        digest("ailtire-build service spec 1", &spec)
    }
}

impl NetworkSpec {
    /// The canonical digest of this spec, in hexadecimal. None of this program's own labels is part
    /// of it.
    pub fn digest(&self) -> String {
        let mut spec = self.clone();
        spec.labels.retain(|name, _| !OURS.contains(&name.as_str()));
        digest("ailtire-build network spec 1", &spec)
    }
}

/// `context` names the kind of object and the version of what is hashed for it.
fn digest(context: &'static str, spec: &impl Serialize) -> String {
    // A spec has only texts as keys, and so always becomes JSON.
    let value = serde_json::to_value(spec).unwrap_or_default();
    let mut hasher = blake3::Hasher::new_derive_key(context);
    write_canonical(&value, &mut hasher);
    hasher.finalize().to_hex().to_string()
}

/// JSON without white space and with sorted keys, whatever order the library's maps have.
fn write_canonical(value: &Value, hasher: &mut blake3::Hasher) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            hasher.update(b"{");
            for (name, value) in fields {
                hasher.update(Value::from(name.as_str()).to_string().as_bytes());
                hasher.update(b":");
                write_canonical(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                write_canonical(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        plain => {
            hasher.update(plain.to_string().as_bytes());
        }
    }
}
