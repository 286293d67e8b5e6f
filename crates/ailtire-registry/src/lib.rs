//! Reads and writes manifests in container registries.
//!
//! A [`Client`] speaks the OCI distribution protocol as far as small things go: it asks which
//! manifest a tag names, reads and writes manifests and what is attached to them, and small blobs. Layers go
//! through the Docker engine. What a registry answers is checked: a manifest is what its digest
//! says, or an error.
//!
//! Whether a registry wants to know who asks is found out once. Connections are kept. A registry
//! that is too busy is asked again a few times; nothing waits for longer than its limit.

mod auth;
mod client;
mod connect;
mod digest;
mod error;
mod referrers;

pub use ailtire_connect::Credentials;
pub use client::{Client, ClientOptions, Manifest};
pub use digest::sha256;
pub use error::RegistryError;
pub use referrers::{Artifact, Descriptor};
