//! Keys: ed25519, as PEM.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::sha256;

/// What goes before the 32 bytes of a private key in PKCS#8 (RFC 8410).
const PRIVATE: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// What goes before the 32 bytes of a public key in SPKI (RFC 8410).
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// Why a key can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text holds no private key.
    #[error("it holds no private ed25519 key (PEM, PKCS#8)")]
    NotPrivate,
    /// The text holds no public key.
    #[error("it holds no public ed25519 key (PEM, SPKI)")]
    NotPublic,
    /// The system has no random numbers.
    #[error("the system gave no random numbers")]
    NoRandomness,
}

/// A private key. It shows nobody more than the id of its public key.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key, and its PEM text.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<(Self, String), KeyError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.map_err(|_| KeyError::NoRandomness)?;
        Ok((Self(pair), pem("PRIVATE KEY", &[&PRIVATE[..], &seed].concat())))
    }

    /// Reads a key from PEM text.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotPrivate`].
    pub fn read(text: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| KeyError::NotPrivate)?;
        // Keys that OpenSSL made don't say what their public one is.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(Self).map_err(|_| KeyError::NotPrivate)
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public().id())
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads a key from PEM text.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotPublic`].
    pub fn read(text: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text).map_err(|_| KeyError::NotPublic)?;
        let bytes = der.strip_prefix(&PUBLIC).and_then(|rest| rest.try_into().ok());
        bytes.map(Self).ok_or(KeyError::NotPublic)
    }

    /// The key as PEM text.
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// What names the key: the SHA-256 digest of its SPKI form.
    pub fn id(&self) -> String {
        sha256(&self.der())
    }

    fn der(&self) -> Vec<u8> {
        [&PUBLIC[..], &self.0].concat()
    }

    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

/// Both kinds of keys fit on one line.
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl genpkey -algorithm ed25519`, and `openssl pkey -pubout`: the first key of
    /// RFC 8032, section 7.1.
    const OPENSSL: (&str, &str) = (
        "-----BEGIN PRIVATE KEY-----\n\
         MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
         -----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\n\
         MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
         -----END PUBLIC KEY-----\n",
    );

    #[test]
    fn keys_are_those_of_openssl() {
        let private = SigningKey::read(OPENSSL.0.as_bytes()).unwrap();
        assert_eq!(private.public().pem(), OPENSSL.1);
        assert_eq!(PublicKey::read(OPENSSL.1.as_bytes()), Ok(private.public()));
        assert_eq!(hex_of(&private.sign(b""))[..16], *"e5564300c360ac72");
    }

    fn hex_of(bytes: &[u8]) -> String {
        crate::hex(bytes)
    }

    #[test]
    fn a_new_key_is_read_again_and_shows_nothing() {
        let (key, text) = SigningKey::generate().unwrap();
        let again = SigningKey::read(text.as_bytes()).unwrap();
        assert_eq!(again.public(), key.public());
        assert!(key.public().has_signed(b"x", &again.sign(b"x")));
        assert!(!key.public().has_signed(b"y", &again.sign(b"x")));
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().id()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "x", OPENSSL.1, &OPENSSL.0.replace("MC4C", "MC4D")] {
            assert_eq!(SigningKey::read(text.as_bytes()).unwrap_err(), KeyError::NotPrivate);
        }
        for text in ["", OPENSSL.0, &OPENSSL.1.replace("K2Vw", "K2Vx")] {
            assert_eq!(PublicKey::read(text.as_bytes()), Err(KeyError::NotPublic));
        }
    }
}
