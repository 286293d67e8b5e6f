//! What is attached to images: who says what of them.

mod inputs;
mod run;
mod verify;

pub use run::AttestOptions;
pub use verify::{Attestation, Verification, VerifyOptions};

/// What attached statements are, as registries list them.
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";
/// What the content of a signed one is.
pub(crate) const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The annotation that says what a statement says.
pub(crate) const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
