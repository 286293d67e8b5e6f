//! Connections to registries: over TLS, or plain where that is allowed.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ailtire_connect::{Stream, client_config, system_authorities};
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError};

/// What kept a connection from being made.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Certificate(String),
    /// What answers does not speak TLS.
    #[error("it does not speak TLS")]
    Plain,
}

/// Dials registries.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    /// Folders with a folder for each registry, which holds the authorities (`*.crt`) that it has.
    pub(crate) certificates: Arc<Vec<PathBuf>>,
    pub(crate) timeout: Duration,
}

impl Connector {
    async fn dial(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        match tokio::time::timeout(self.timeout, self.dial_now(uri)).await {
            Ok(dialed) => dialed,
            Err(_) => Err(ConnectError::Unreachable(format!(
                "no answer within {} s",
                self.timeout.as_secs_f32()
            ))),
        }
    }

    async fn dial_now(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let unreachable = |error: io::Error| ConnectError::Unreachable(error.to_string());
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if !is_tls {
            return Ok(Stream::new(stream));
        }
        let registry = uri.authority().map_or(host, |authority| authority.as_str());
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(self.tls(registry)?));
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Stream::new(stream)),
            Err(error) => Err(tls_error(&error)),
        }
    }

    fn tls(&self, registry: &str) -> Result<ClientConfig, ConnectError> {
        let mut authorities = system_authorities();
        for folder in self.certificates.iter().map(|folder| folder.join(registry)) {
            let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for file in files.map(|file| file.path()) {
                if file.extension().is_some_and(|extension| extension == "crt") {
                    let certificates = CertificateDer::pem_file_iter(&file).into_iter().flatten();
                    authorities.add_parsable_certificates(certificates.flatten());
                }
            }
        }
        let builder = client_config(Arc::new(ring::default_provider()))
            .map_err(|error| ConnectError::Certificate(error.to_string()))?;
        Ok(builder.with_root_certificates(authorities).with_no_client_auth())
    }

    /// Whether what answers at `authority` speaks TLS, with whatever certificate.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`] where nothing answers.
    pub(crate) async fn speaks_tls(&self, authority: &str) -> Result<bool, ConnectError> {
        let uri: Result<Uri, _> = format!("https://{authority}/").parse();
        let uri = uri.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        match self.dial(&uri).await {
            Ok(_) | Err(ConnectError::Certificate(_)) => Ok(true),
            Err(ConnectError::Plain) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn tls_error(error: &io::Error) -> ConnectError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidCertificate(why)) => ConnectError::Certificate(format!("{why:?}")),
        Some(TlsError::InvalidMessage(_)) => ConnectError::Plain,
        _ => ConnectError::Unreachable(error.to_string()),
    }
}

/// Whether `authority` is this machine, with which registries may be spoken without TLS.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host of `host:port`.
pub(crate) fn host_of(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_matches(['[', ']'])
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { Ok(TokioIo::new(connector.dial(&uri).await?)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for authority in ["localhost:5000", "127.0.0.1", "127.8.8.8:1", "[::1]:5000"] {
            assert!(is_loopback(authority), "{authority}");
        }
        for authority in ["localhost.example", "10.0.0.1:5000", "registry.example", "[fe80::1]:1"] {
            assert!(!is_loopback(authority), "{authority}");
        }
    }
}
