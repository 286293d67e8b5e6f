//! TLS with clients.

use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// Why certificate and key can't be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// There is none, or it is not in PEM form.
    #[error(
        "the certificate chain can't be read: give one or more `CERTIFICATE` parts in PEM form"
    )]
    Certificate,
    /// There is none, or it is not in PEM form.
    #[error("the private key can't be read: give one `PRIVATE KEY` part in PEM form")]
    Key,
    /// They are no pair, or of a kind that is not supported.
    #[error("certificate and private key can't be used together: {0}")]
    Pair(#[source] rustls::Error),
}

/// An acceptor for [`crate::serve`] that offers HTTP/2 and HTTP/1.1, from the bytes of a
/// certificate chain and of its private key in PEM form. What the key is stays out of errors.
///
/// # Errors
///
/// When one of them can't be read, or when they do not fit.
pub fn tls_acceptor(chain: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| TlsError::Certificate)?;
    if certificates.is_empty() {
        return Err(TlsError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
