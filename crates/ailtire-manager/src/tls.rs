//! The certificate with which the manager speaks TLS, where it has one.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What speaks TLS with the certificate and key in these files; absent where neither is there.
pub(crate) fn acceptor(
    [certificate, key]: &[std::path::PathBuf; 2],
) -> Result<Option<TlsAcceptor>, String> {
    if !certificate.exists() && !key.exists() {
        return Ok(None);
    }
    let fail = |file: &Path, why: &dyn std::fmt::Display| {
        format!("the certificate can't be used: {}: {why}", file.display())
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fail(key, &error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| fail(certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
