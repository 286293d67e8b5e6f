//! The application's token: who has it may use the interface of its managers.
//!
//! It is a secret of the swarm, which nobody can read back: the managers have it as a file. A secret
//! can't be changed either, so a new token is a new secret, to which all managers are switched over.

mod rotate;

use std::collections::BTreeMap;

use ailtire_compose::{FILE_NAME_LIMIT, shorten};
use ailtire_docker::{Engine, EngineError};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};

use crate::calls;
use crate::observe::{ObservedFile, ObservedService, services_request};
use crate::spec::SecretSpec;
use crate::{Identity, label, manager};

pub use rotate::rotate;

/// How many random bytes a token has.
const BYTES: usize = 32;

/// The fewest characters that a token of somebody's own choice may have.
const SHORTEST: usize = 16;

/// A token. It is never shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Token {
    /// A new one, from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`TokenError::NoRandomNumbers`] where it has none.
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| TokenError::NoRandomNumbers)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// One that somebody chose.
    ///
    /// # Errors
    ///
    /// [`TokenError::NotUsable`] where it is short, or can't be part of a header.
    pub fn chosen(text: &str) -> Result<Self, TokenError> {
        let is_usable = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_usable { Ok(Self(text.to_owned())) } else { Err(TokenError::NotUsable) }
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The operating system gave no random numbers.
    #[error("the operating system has no random numbers for a token")]
    NoRandomNumbers,
    /// A chosen token is short, or has characters that no header has.
    #[error("a token has at least {SHORTEST} printable ASCII characters and no spaces")]
    NotUsable,
}

/// The name of the secret that first holds the token of an application whose root stack has the
/// instance `root`.
pub fn secret_name(root: &str) -> String {
    shorten(&format!("{root}.token"), FILE_NAME_LIMIT)
}

/// The secrets of the deployment that are no stack's: its tokens, the one of now and those before.
pub(crate) async fn all(
    engine: &Engine,
    identity: &Identity,
) -> Result<Vec<ObservedFile>, EngineError> {
    let found: Vec<ObservedFile> = calls::owned_by(identity, engine.get("/secrets")).json().await?;
    let is_of_no_stack = |secret: &ObservedFile| !secret.labels.contains_key(label::NAMESPACE);
    Ok(found.into_iter().filter(is_of_no_stack).collect())
}

/// The name of the secret that the managers of a deployment have, or that was made for them.
///
/// # Errors
///
/// [`EngineError`] where the engine can't be asked.
pub async fn find(engine: &Engine, identity: &Identity) -> Result<Option<String>, EngineError> {
    let (secrets, managers) = tokio::try_join!(all(engine, identity), managers(engine, identity))?;
    let mut used = managers.iter().filter_map(held);
    let used = used.find(|name| secrets.iter().any(|secret| secret.name == *name));
    Ok(used.or_else(|| secrets.first().map(|secret| secret.name.clone())))
}

/// Makes the secret that holds `token`, for a deployment that has none.
///
/// # Errors
///
/// [`EngineError`] where the engine refuses.
pub async fn create(
    engine: &Engine,
    identity: &Identity,
    token: &Token,
) -> Result<String, EngineError> {
    let name = secret_name(&identity.root);
    create_named(engine, identity, &name, token).await?;
    Ok(name)
}

async fn create_named(
    engine: &Engine,
    identity: &Identity,
    name: &str,
    token: &Token,
) -> Result<String, EngineError> {
    let spec = SecretSpec {
        name: name.to_owned(),
        labels: BTreeMap::from(identity.labels()),
        data: Some(STANDARD.encode(token.reveal())),
        ..SecretSpec::default()
    };
    let spec = serde_json::to_value(spec).unwrap_or_default();
    calls::create_file(engine, "/secrets", &spec).await
}

/// The services of a deployment that run managers.
///
/// # Errors
///
/// [`EngineError`] where the engine can't be asked.
pub async fn managers(
    engine: &Engine,
    identity: &Identity,
) -> Result<Vec<ObservedService>, EngineError> {
    let request = calls::owned_by(identity, services_request(engine));
    request.filter("label", label::MANAGER).json().await
}

/// The secret that a manager's service has for its token.
fn held(service: &ObservedService) -> Option<String> {
    let mut secrets = service.spec.task_template.container_spec.secrets.iter();
    let is_token = |secret: &&crate::spec::SecretReference| {
        secret.file.as_ref().is_some_and(|file| is_token_file(&file.name))
    };
    secrets.find(is_token).map(|secret| secret.secret_name.clone())
}

/// Whether a secret's file is the one that managers read the token from.
fn is_token_file(name: &str) -> bool {
    name.rsplit('/').next() == manager::TOKEN_FILE.rsplit('/').next()
}

/// A name that no secret of `there` has.
fn next_name(identity: &Identity, there: &[ObservedFile]) -> String {
    let candidates = (2_u64..).map(|number| format!("{}.token.{number}", identity.root));
    let mut names = candidates.map(|name| shorten(&name, FILE_NAME_LIMIT));
    let is_free = |name: &String| there.iter().all(|secret| secret.name != *name);
    names.find(is_free).unwrap_or_else(|| secret_name(&identity.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_token_is_long_and_new_each_time() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 43);
        assert!(Token::chosen(one.reveal()).is_ok());
        assert_eq!(format!("{one:?}"), "Token(…)");
    }

    #[test]
    fn a_chosen_token_fits_into_a_header() {
        for wrong in ["", "short", "with a space in the middle", "with-an-umlaut-ä-in-it", "a\nb"]
        {
            assert_eq!(Token::chosen(wrong), Err(TokenError::NotUsable), "{wrong}");
        }
        assert_eq!(Token::chosen("0123456789abcdef").unwrap().reveal(), "0123456789abcdef");
    }

    #[test]
    fn a_new_token_has_a_name_of_its_own() {
        let secret = |name: &str| {
            let wire = serde_json::json!({"ID": name, "Spec": {"Name": name}});
            serde_json::from_value::<ObservedFile>(wire).unwrap()
        };
        let shop = Identity::new("shop", "dev");
        assert_eq!(next_name(&shop, &[secret("shop-dev.token")]), "shop-dev.token.2");
        assert_eq!(next_name(&shop, &[secret("shop-dev.token.2")]), "shop-dev.token.3");
    }
}
