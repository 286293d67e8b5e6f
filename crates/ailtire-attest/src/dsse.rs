//! Envelopes with signatures: DSSE 1.0 (<https://github.com/secure-systems-lab/dsse>).

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine};
use serde::{Deserialize, Serialize};

use crate::keys::{PublicKey, SigningKey};

/// What the content of an envelope is: an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// How many signatures of one envelope are looked at: each costs work, and anybody may add some.
const MOST_SIGNATURES: usize = 32;

/// The protocol lets writers choose, so readers take both.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A payload, and signatures over what it is and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    /// A hint that nobody vouches for: it decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}

/// Why an envelope is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It can't be read.
    #[error("it is no envelope with signatures")]
    NoEnvelope,
    /// It holds something else.
    #[error("its envelope holds no in-toto statement")]
    OtherPayload,
    /// Nobody who is known has signed it.
    #[error("it is not signed by a known key")]
    UnknownKey,
}

/// A payload that somebody known has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The payload.
    pub payload: Vec<u8>,
    /// Ids of the known keys that signed it.
    pub keys: Vec<String>,
}

impl Envelope {
    /// Signs an in-toto statement.
    pub fn sign(payload: &[u8], key: &SigningKey) -> Self {
        let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, payload));
        Self {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature {
                keyid: Some(key.public().id()),
                sig: STANDARD.encode(signature),
            }],
        }
    }

    /// The envelope as JSON.
    pub fn bytes(&self) -> Vec<u8> {
        // Strings always have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads an envelope. Nothing in it is trusted yet.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoEnvelope`].
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(bytes).map_err(|_| Refusal::NoEnvelope)
    }

    /// What it holds, whoever signed it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where it holds no statement.
    pub fn unverified_payload(&self) -> Result<Vec<u8>, Refusal> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(Refusal::OtherPayload);
        }
        decode(&self.payload).ok_or(Refusal::NoEnvelope)
    }

    /// What it holds, if one of `keys` has signed it.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing that it holds may be used.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<Verified, Refusal> {
        let payload = self.unverified_payload()?;
        let message = pre_authentication_encoding(&self.payload_type, &payload);
        let signatures: Vec<_> = self.signatures.iter().take(MOST_SIGNATURES).collect();
        let signatures: Vec<_> = signatures.iter().filter_map(|it| decode(&it.sig)).collect();
        let signed = |key: &&PublicKey| signatures.iter().any(|it| key.has_signed(&message, it));
        let keys: Vec<_> = keys.iter().filter(signed).map(PublicKey::id).collect();
        if keys.is_empty() { Err(Refusal::UnknownKey) } else { Ok(Verified { payload, keys }) }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let standard = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let url_safe = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    standard.decode(text).or_else(|_| url_safe.decode(text)).ok()
}

/// The bytes that are signed: they say what the payload is, and where each part ends.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (kind, length) = (payload_type.len(), payload.len());
    let mut bytes = format!("DSSEv1 {kind} {payload_type} {length} ").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate().unwrap().0
    }

    /// The first is the one that the protocol publishes; the others are what its definition says.
    #[test]
    fn the_published_example_is_encoded_as_published() {
        let cases: [(&str, &[u8], &[u8]); 4] = [
            (
                "http://example.com/HelloWorld",
                b"hello world",
                b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
            ),
            ("", b"", b"DSSEv1 0  0 "),
            ("ab", b"c", b"DSSEv1 2 ab 1 c"),
            ("application/x", "\u{a9} \n\0".as_bytes(), b"DSSEv1 13 application/x 5 \xc2\xa9 \n\0"),
        ];
        for (kind, payload, expected) in cases {
            assert_eq!(pre_authentication_encoding(kind, payload), expected);
        }
    }

    #[test]
    fn what_a_known_key_signed_is_handed_out() {
        let (key, other) = (key(), key());
        let envelope = Envelope::read(&Envelope::sign(b"{}", &key).bytes()).unwrap();
        let verified = envelope.verify(&[other.public(), key.public()]).unwrap();
        assert_eq!(verified, Verified { payload: b"{}".to_vec(), keys: vec![key.public().id()] });
        assert_eq!(envelope.verify(&[other.public()]), Err(Refusal::UnknownKey));
        assert_eq!(envelope.verify(&[]), Err(Refusal::UnknownKey));
    }

    #[test]
    fn one_good_signature_of_several_is_enough_and_too_many_are_not_looked_at() {
        let (key, other) = (key(), key());
        let good = Envelope::sign(b"{}", &key);
        let mut envelope = Envelope::sign(b"{}", &other);
        envelope.signatures.push(Signature { keyid: None, sig: "not base64!".to_owned() });
        envelope.signatures.push(Signature { keyid: None, ..good.signatures[0].clone() });
        assert!(envelope.verify(&[key.public()]).is_ok());
        let many = vec![envelope.signatures[0].clone(); MOST_SIGNATURES];
        envelope.signatures.splice(0..0, many);
        assert_eq!(envelope.verify(&[key.public()]), Err(Refusal::UnknownKey));
    }

    #[test]
    fn what_was_changed_is_refused() {
        let key = key();
        let envelope = Envelope::sign(b"{}", &key);
        let refused = |change: &dyn Fn(&mut Envelope)| {
            let mut changed = envelope.clone();
            change(&mut changed);
            changed.verify(&[key.public()]).unwrap_err()
        };
        assert_eq!(refused(&|it| it.payload = STANDARD.encode("[]")), Refusal::UnknownKey);
        assert_eq!(refused(&|it| it.payload_type = "text/plain".into()), Refusal::OtherPayload);
        assert_eq!(refused(&|it| it.payload = "!".into()), Refusal::NoEnvelope);
        assert_eq!(refused(&|it| it.signatures.clear()), Refusal::UnknownKey);
        let bytes = envelope.bytes();
        assert_eq!(Envelope::read(&bytes[..bytes.len() - 2]), Err(Refusal::NoEnvelope));
        assert!(refused(&|it| it.signatures[0].sig.truncate(40)) == Refusal::UnknownKey);
    }

    #[test]
    fn both_alphabets_are_read() {
        let key = key();
        let mut envelope = Envelope::sign(b"\xfb\xff\xfe", &key);
        assert_eq!(envelope.payload, "+//+");
        envelope.payload = "-__-".to_owned();
        let signature = envelope.signatures[0].sig.replace('+', "-").replace('/', "_");
        envelope.signatures[0].sig = signature.trim_end_matches('=').to_owned();
        assert!(envelope.verify(&[key.public()]).is_ok());
    }
}
