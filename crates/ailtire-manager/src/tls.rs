//! The certificate with which the manager speaks TLS, where it has one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ailtire_gateway::{TlsAcceptor, tls_acceptor};

/// What speaks TLS with the certificate and key in these files; absent where neither is there.
pub(crate) fn acceptor([certificate, key]: &[PathBuf; 2]) -> Result<Option<TlsAcceptor>, String> {
    let (chain, private) = match (read(certificate)?, read(key)?) {
        (None, None) => return Ok(None),
        (Some(chain), Some(private)) => (chain, private),
        (None, Some(_)) => return Err(alone("key", key, "certificate", certificate)),
        (Some(_), None) => return Err(alone("certificate", certificate, "key", key)),
    };
    let acceptor = tls_acceptor(&chain, &private).map_err(|error| {
        format!("TLS can't be spoken with {} and {}: {error}", certificate.display(), key.display())
    })?;
    Ok(Some(acceptor))
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, String> {
    match std::fs::read(file) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} can't be read: {error}", file.display())),
    }
}

fn alone(what: &str, file: &Path, other: &str, missing: &Path) -> String {
    format!(
        "TLS can't be spoken with a {what} alone: {} is there, and the {other} {} is not",
        file.display(),
        missing.display()
    )
}
