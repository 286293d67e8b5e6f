//! Accepting connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::Body;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it speaks TLS with us.
    pub is_secure: bool,
}

/// Answers requests.
pub trait Handle: Send + Sync + 'static {
    /// Answers `request`.
    fn handle(&self, request: Request<Incoming>, peer: Peer) -> BoxFuture<'_, Response<Body>>;
}

/// What clients may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a drain may take once shutdown was asked for.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { drain: Duration::from_secs(30) }
    }
}

/// Accepts connections until `shutdown`, then lets requests that are under way end.
pub async fn serve(
    listener: TcpListener,
    _tls: Option<TlsAcceptor>,
    handler: Arc<dyn Handle>,
    _limits: Limits,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else { continue };
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            let peer = Peer { address, is_secure: false };
            let service = service_fn(move |request| {
                let handler = Arc::clone(&handler);
                async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}
