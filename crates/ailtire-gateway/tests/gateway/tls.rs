//! TLS with clients.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ailtire_gateway::{GatewayOptions, Limits, TlsError, tls_acceptor};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::common::{Rig, Server, get, loopback, route, soon};

fn certificate(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    private_engine::need("openssl", "openssl").unwrap();
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -keyout key -out chain -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -addext basicConstraints=critical,CA:FALSE";
    let mut openssl = Command::new("openssl");
    openssl.args(arguments.split_whitespace()).current_dir(folder).stderr(Stdio::null());
    assert!(openssl.status().unwrap().success());
    let read = |name| std::fs::read(folder.join(name)).unwrap();
    (read("chain"), read("key"))
}

#[tokio::test]
async fn both_protocols_are_agreed_on_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(folder.path());
    let echo = Server::echo().await;
    let routes = vec![route("/", "web", echo.address.port())];
    let tasks: [(&str, &[_]); 1] = [("web", &[loopback(1)])];
    let (options, limits) = (GatewayOptions::default(), Limits::default());
    let rig = Rig::with(options, limits, Some((&chain, &key)), routes, &tasks).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&chain).unwrap()).unwrap();
    for protocol in ["h2", "http/1.1"] {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let name = "localhost".try_into().unwrap();
        let stream = connector.connect(name, rig.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        let stream = TokioIo::new(stream);
        let response = if protocol == "h2" {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            let request = Request::get("https://example.org/").body(Full::<Bytes>::default());
            soon(sender.send_request(request.unwrap())).await.unwrap()
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            soon(sender.send_request(get("/"))).await.unwrap()
        };
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        for part in ["host: example.org\n", "x-forwarded-proto: https\n", ";proto=https\n"] {
            assert!(body.contains(part), "{part} is not in {body}");
        }
    }
    // Who does not speak TLS gets nothing, and does no harm.
    let plain = rig.raw("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!plain.contains("HTTP/1.1 200"), "{plain}");
}

#[test]
fn what_is_no_pair_is_refused_without_telling_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(folder.path());
    let (other, _) = certificate(folder.path());
    assert!(tls_acceptor(&chain, &key).is_ok());
    assert!(matches!(tls_acceptor(b"", &key), Err(TlsError::Certificate)));
    assert!(matches!(tls_acceptor(&chain, b"no key"), Err(TlsError::Key)));
    assert!(matches!(tls_acceptor(&other, &key), Err(TlsError::Pair(_))));
}
