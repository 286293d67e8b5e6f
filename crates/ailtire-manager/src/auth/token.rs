//! The application's secret.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of a token that is made here.
const LENGTH: usize = 32;

/// A token with fewer characters could be guessed.
const SHORTEST: usize = 16;

/// The secret that opens the managers of an application. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file is there and can't be read.
    #[error("the application's token can't be read from {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is too short, or has what a header can't carry.
    #[error(
        "the application's token is of no use: it must have at least {SHORTEST} characters, all of \
         them visible ASCII; make another secret of it"
    )]
    Unusable,
    /// The system has no random numbers.
    #[error("no token could be made: the system gives no random numbers")]
    Random,
}

impl Token {
    /// A random one.
    ///
    /// # Errors
    ///
    /// [`TokenError::Random`].
    pub fn random() -> Result<Self, TokenError> {
        let text = random_text::<LENGTH>().ok_or(TokenError::Random)?;
        Ok(Self(text.into()))
    }

    /// The token in `text`; white space around it is no part of it.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unusable`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let is_fine = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_fine { Ok(Self(text.into())) } else { Err(TokenError::Unusable) }
    }

    /// The token in `file`; absent where there is no such file.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn read(file: &Path) -> Result<Option<Self>, TokenError> {
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // What is no text can't be a token; the error must not show it.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(TokenError::Unusable),
            Err(source) => Err(TokenError::Read { file: file.to_owned(), source }),
        }
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A key for one purpose, from which neither the token nor a key for another one follows.
    pub(super) fn key(&self, purpose: &str) -> hmac::Key {
        let token = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        let derived = hmac::sign(&token, format!("ailtire-manager {purpose}").as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// This many random bytes, as text.
pub(super) fn random_text<const BYTES: usize>() -> Option<String> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
