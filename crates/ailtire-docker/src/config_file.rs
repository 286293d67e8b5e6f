//! Docker's own configuration file, as far as it concerns us.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::EngineError;

/// `config.json` of the configuration directory.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConfigFile {
    /// The Docker context to use where no variable names one.
    pub(crate) current_context: Option<String>,
    /// Credentials by registry.
    pub(crate) auths: BTreeMap<String, AuthEntry>,
    /// Suffix of the helper program that keeps the credentials.
    pub(crate) creds_store: Option<String>,
    /// The same for single registries.
    pub(crate) cred_helpers: BTreeMap<String, String>,
}

/// Credentials of one registry. No `Debug`: they must not reach a log.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
pub(crate) struct AuthEntry {
    /// `user:password` in base64.
    pub(crate) auth: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) identitytoken: String,
    pub(crate) registrytoken: String,
}

impl ConfigFile {
    /// The file in `directory`; the empty configuration where there is none.
    pub(crate) fn load(directory: Option<&Path>) -> Result<Self, EngineError> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        let path = directory.join("config.json");
        let bad = |why: String| EngineError::BadEndpoint {
            message: format!("Docker's configuration `{}` can't be used: {why}", path.display()),
            help: "correct the file, or name another directory in `DOCKER_CONFIG`".to_owned(),
        };
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                // The error's own text may quote a value of the file.
                bad(format!("it is no valid JSON at line {}", error.line()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(bad(error.to_string())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Test data has no reader that could see half of it.
mod tests {
    use super::*;

    #[test]
    fn no_file_is_an_empty_configuration() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ConfigFile::load(Some(folder.path())).unwrap().auths.is_empty());
    }

    #[test]
    fn a_broken_file_is_an_error_that_quotes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), "{\n\"auths\": \"hunter2\"}").unwrap();
        let error = ConfigFile::load(Some(folder.path())).err().unwrap().to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }
}
