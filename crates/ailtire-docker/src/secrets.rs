//! Values of build secrets, read when they are asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::BuildError;

/// Where the value of a build secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretValueSource {
    /// The content of this file.
    File(PathBuf),
    /// The value of this variable of the process environment.
    Env(String),
}

impl SecretValueSource {
    /// The value. Errors name the file or the variable, never the value.
    pub(crate) fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => std::fs::read(path)
                .map_err(|error| format!("the file `{}`: {error}", path.display())),
            Self::Env(name) => {
                use std::os::unix::ffi::OsStringExt;
                std::env::var_os(name)
                    .map(OsStringExt::into_vec)
                    .ok_or_else(|| format!("the variable `{name}` is not set"))
            }
        }
    }
}

/// All values.
///
/// # Errors
///
/// The first secret that can't be read.
pub(crate) fn read_all(
    secrets: &BTreeMap<String, SecretValueSource>,
) -> Result<Vec<Vec<u8>>, BuildError> {
    let values = secrets.iter().map(|(id, source)| {
        source.read().map_err(|why| BuildError::Secret { id: id.clone(), why })
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let secrets = BTreeMap::from([
            ("a".to_owned(), SecretValueSource::File("/dev/null".into())),
            ("b".to_owned(), SecretValueSource::Env("NO_SUCH_VARIABLE_HERE".to_owned())),
        ]);
        let error = read_all(&secrets).unwrap_err().to_string();
        assert_eq!(
            error,
            "the build secret `b` could not be read: the variable `NO_SUCH_VARIABLE_HERE` is not set"
        );
    }
}
