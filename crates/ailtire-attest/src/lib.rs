//! Statements about images, and who made them: bytes in, bytes out.
//!
//! A [`Statement`] (in-toto, version 1) says something about the manifest with a digest. An
//! [`Envelope`] (DSSE) has signatures over one. Keys are ed25519, as PEM: PKCS#8 and SPKI, as
//! `openssl genpkey -algorithm ed25519` writes them. What the statements say is made by
//! [`bill_of_materials`] and [`Provenance`]. Nothing here depends on the time or the machine: the
//! same inputs give the same bytes.

mod dsse;
mod keys;
mod npm;
mod provenance;
mod spdx_document;
mod statement;
mod yaml;

pub use dsse::{Envelope, PAYLOAD_TYPE, Refusal, Verified};
pub use keys::{KeyError, PublicKey, SigningKey};
pub use npm::{Found, PackageFile, found_in};
pub use provenance::{Entry, Material, PROVENANCE, Provenance};
pub use spdx_document::{SPDX, Subject, bill_of_materials};
pub use statement::Statement;

/// Hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
