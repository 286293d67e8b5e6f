//! TLS settings from the files that Docker keeps.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::EngineError;
use crate::endpoint::TlsFiles;

/// What wraps a TCP connection in TLS as `files` say.
pub(crate) fn connector(files: &TlsFiles) -> Result<TlsConnector, EngineError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ailtire_connect::client_config(Arc::clone(&provider))
        .map_err(|error| unusable(&error.to_string()))?;
    let builder = if files.accept_any {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        builder.with_root_certificates(authorities(files.authorities.as_deref())?)
    };
    let config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable(key, &error.to_string()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unreadable(certificate, &error.to_string()))?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(present), None) | (None, Some(present)) => {
            return Err(unreadable(
                present,
                "the other one of `cert.pem` and `key.pem` is missing",
            ));
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, EngineError> {
    let Some(file) = file else { return Ok(ailtire_connect::system_authorities()) };
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|error| unreadable(file, &error.to_string()))?;
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, EngineError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(file, &error.to_string()))?;
    if found.is_empty() {
        return Err(unreadable(file, "it holds no certificate"));
    }
    Ok(found)
}

fn unreadable(file: &Path, why: &str) -> EngineError {
    unusable(&format!("`{}`: {why}", file.display()))
}

fn unusable(why: &str) -> EngineError {
    EngineError::BadEndpoint {
        message: format!("the TLS settings for the Docker engine can't be used: {why}"),
        help:
            "check `ca.pem`, `cert.pem` and `key.pem` in `DOCKER_CERT_PATH` or the Docker context"
                .to_owned(),
    }
}

/// For those who asked for TLS without verification. Signatures are checked all the same.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
