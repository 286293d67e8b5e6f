//! Signatures over statements: an in-toto statement in a DSSE envelope, attached to the image.
//!
//! The plain statement only says where to look. With keys to check, it is used only if one of them
//! has signed that exactly these inputs, built for this platform, are this image.

use std::collections::BTreeMap;
use std::sync::Arc;

use ailtire_attest::{Envelope, PublicKey, Refusal, SigningKey};
use ailtire_registry::{Artifact, Client, Descriptor, Manifest, RegistryError};
use serde_json::json;

use super::statement::Statement;
use crate::attest::{ENVELOPE, IN_TOTO, PREDICATE_TYPE};

/// What a signed statement says.
const PREDICATE: &str = "https://ailtire.org/build-statement/v1";
/// Annotation that tells statements about one image apart: a hint, checked by the signature.
const FINGERPRINT: &str = "ailtire.statement.fingerprint";
/// A signed statement has less than a kilobyte.
const LONGEST: u64 = 16 * 1024;
const ABOUT_ELSE: &str = "what was signed speaks of something else";
/// How many signed statements about the same are looked at.
const MOST: usize = 8;

/// Whose statements are believed, and how own ones are signed.
#[derive(Debug, Clone, Default)]
pub struct CacheTrust {
    /// What is found is used only if one of these signed it; without any, nothing is checked.
    pub keys: Vec<PublicKey>,
    /// Signs what this run builds and shares.
    pub key: Option<Arc<SigningKey>>,
}

impl Statement {
    fn predicate(&self) -> serde_json::Value {
        json!({
            "fingerprint": self.fingerprint.to_string(),
            "platform": self.platform,
            "imageId": self.image_id,
        })
    }

    /// The statement, signed.
    fn signed(&self, key: &SigningKey) -> Artifact {
        let statement =
            ailtire_attest::Statement::about("", &self.digest, PREDICATE, self.predicate());
        let annotations = BTreeMap::from([
            (PREDICATE_TYPE.to_owned(), PREDICATE.to_owned()),
            (FINGERPRINT.to_owned(), self.fingerprint.to_string()),
        ]);
        Artifact {
            artifact_type: IN_TOTO.to_owned(),
            media_type: ENVELOPE.to_owned(),
            content: Envelope::sign(&statement.bytes(), key).bytes().into(),
            annotations,
        }
    }

    /// Attaches the statement, signed, to the manifest that it is about.
    pub(super) async fn sign(
        &self,
        client: &Client,
        (registry, repository): (&str, &str),
        subject: &Manifest,
        key: &SigningKey,
    ) -> Result<(), RegistryError> {
        client.attach(registry, repository, subject, &[self.signed(key)]).await
    }

    /// Whether one of `keys` signed exactly this; otherwise why not, in words.
    pub(super) async fn check(
        &self,
        client: &Client,
        place: (&str, &str),
        keys: &[PublicKey],
    ) -> Result<Result<(), String>, RegistryError> {
        let fingerprint = self.fingerprint.to_string();
        let may_be = |it: &Descriptor| it.annotations.get(FINGERPRINT) == Some(&fingerprint);
        search(client, place, &self.digest, may_be, |content| self.is_in(content, keys)).await
    }

    /// Whether `envelope` says exactly this, signed by one of `keys`.
    fn is_in(&self, envelope: &[u8], keys: &[PublicKey]) -> Result<(), String> {
        let statement = signed_about(&self.digest, envelope, keys)?;
        if statement.predicate != self.predicate() {
            return Err(ABOUT_ELSE.to_owned());
        }
        Ok(())
    }
}

/// Whether one of `keys` signed that the image with this digest was made from inputs, whichever.
pub(super) async fn is_signed(
    client: &Client,
    place: (&str, &str),
    digest: &str,
    keys: &[PublicKey],
) -> bool {
    let is_it = |content: &[u8]| signed_about(digest, content, keys).map(drop);
    matches!(search(client, place, digest, |_| true, is_it).await, Ok(Ok(())))
}

/// Looks among what is attached to an image for a signed statement about its build that `is_it`.
async fn search(
    client: &Client,
    (registry, repository): (&str, &str),
    digest: &str,
    may_be: impl Fn(&Descriptor) -> bool,
    is_it: impl Fn(&[u8]) -> Result<(), String>,
) -> Result<Result<(), String>, RegistryError> {
    let is_statement = |it: &&Descriptor| {
        it.annotations.get(PREDICATE_TYPE).is_some_and(|kind| kind == PREDICATE) && may_be(it)
    };
    let listed = match client.referrers(registry, repository, digest, IN_TOTO).await {
        Err(error) => return unusable(error),
        Ok(listed) => listed,
    };
    let mut why = "it is not signed".to_owned();
    // The last one may be the one that repairs the others.
    for listed in listed.iter().rev().filter(is_statement).take(MOST) {
        match client.attached(registry, repository, digest, listed, LONGEST).await {
            Ok(None) => why = String::from("its signature is not there any more"),
            Ok(Some((kind, _))) if kind != ENVELOPE => why = Refusal::NoEnvelope.to_string(),
            Ok(Some((_, content))) => match is_it(&content) {
                Ok(()) => return Ok(Ok(())),
                Err(refused) => why = refused,
            },
            Err(error) => why = unusable(error)?.err().unwrap_or_default(),
        }
    }
    Ok(Err(why))
}

/// The statement about the build of the image with this digest that `envelope` holds, signed by one
/// of `keys`.
fn signed_about(
    digest: &str,
    envelope: &[u8],
    keys: &[PublicKey],
) -> Result<ailtire_attest::Statement, String> {
    let envelope = Envelope::read(envelope).map_err(|refusal| refusal.to_string())?;
    let verified = envelope.verify(keys).map_err(|refusal| refusal.to_string())?;
    let statement = ailtire_attest::Statement::read(&verified.payload);
    let statement = statement.filter(|it| it.predicate_type == PREDICATE);
    let statement = statement.ok_or("what was signed is no statement about a build")?;
    if !statement.is_about(digest) {
        return Err(ABOUT_ELSE.to_owned());
    }
    Ok(statement)
}

/// What a registry said of one entry, in words, unless it says something of the registry.
fn unusable(error: RegistryError) -> Result<Result<(), String>, RegistryError> {
    match error {
        error @ RegistryError::Denied { .. } => Err(error),
        error if error.is_registrys() => Err(error),
        error => Ok(Err(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use ailtire_registry::sha256;
    use ailtire_tree::Digest;

    use super::*;

    #[test]
    fn only_what_says_exactly_this_counts() {
        let statement = Statement {
            fingerprint: Digest::of(b"inputs"),
            platform: "linux/amd64".to_owned(),
            digest: sha256(b"manifest"),
            image_id: sha256(b"configuration"),
        };
        let (key, _) = SigningKey::generate().unwrap();
        let keys = [key.public()];
        let envelope = statement.signed(&key).content;
        assert_eq!(statement.is_in(&envelope, &keys), Ok(()));
        let others = [
            Statement { fingerprint: Digest::of(b"other"), ..statement.clone() },
            Statement { platform: "linux/arm64".to_owned(), ..statement.clone() },
            Statement { digest: sha256(b"other"), ..statement.clone() },
            Statement { image_id: sha256(b"other"), ..statement.clone() },
        ];
        for other in others {
            let refused = other.is_in(&envelope, &keys).unwrap_err();
            assert_eq!(refused, "what was signed speaks of something else");
        }
        let about_else = ailtire_attest::Statement::about("", &statement.digest, "x", json!({}));
        let signed = Envelope::sign(&about_else.bytes(), &key).bytes();
        let refused = statement.is_in(&signed, &keys).unwrap_err();
        assert_eq!(refused, "what was signed is no statement about a build");
    }
}
