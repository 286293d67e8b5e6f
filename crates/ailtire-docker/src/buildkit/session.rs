//! The connection on which the engine asks for what a build needs.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use ailtire_context::ContentError;
use http::{HeaderName, HeaderValue};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use super::services::Services;
use crate::config_file::ConfigFile;
use crate::http_client::HttpClient;
use crate::{BuildRequest, EngineError};

/// What the engine may call.
const METHODS: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.filesync.v1.Auth/Credentials",
];

/// A session; it ends when it is dropped.
pub(super) struct Session {
    id: String,
    sent: Arc<AtomicU64>,
    // Ends the server with the session.
    _server: JoinSet<()>,
}

impl Session {
    /// Opens a session that serves `request`, and tells what went wrong with its files.
    pub(super) async fn start(
        http: &HttpClient,
        config: &ConfigFile,
        request: &BuildRequest,
    ) -> Result<(Self, UnboundedReceiver<ContentError>), EngineError> {
        let id = unique_id();
        let connection = http.hijack("/session", &headers(&id, &request.context_key)).await?;
        let (trouble, troubles) = unbounded_channel();
        let services = Services::new(config, request, trouble);
        let sent = Arc::<AtomicU64>::default();
        let counted = Counted { inner: connection, sent: Arc::clone(&sent) };
        let mut server = JoinSet::new();
        server.spawn(async move {
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(counted, TowerToHyperService::new(services));
            // How it ended shows in the engine's answer to the build.
            let _ = serving.await;
        });
        Ok((Self { id, sent, _server: server }, troubles))
    }

    /// What the engine knows the session by.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Bytes that were written to the connection so far.
    pub(super) fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn headers(id: &str, context_key: &str) -> Vec<(HeaderName, HeaderValue)> {
    let value = |text: &str| HeaderValue::from_str(text).ok();
    // Hashed, since a key may hold what a header can't.
    let shared_key = blake3::hash(context_key.as_bytes()).to_hex();
    let single = [
        ("x-docker-expose-session-uuid", value(id)),
        ("x-docker-expose-session-name", value("ailtire")),
        ("x-docker-expose-session-sharedkey", value(&shared_key)),
    ];
    let methods =
        METHODS.iter().map(|method| ("x-docker-expose-session-grpc-method", value(method)));
    single
        .into_iter()
        .chain(methods)
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), value?)))
        .collect()
}

/// A name that nobody else uses: 128 bits from the system's random source.
pub(super) fn unique_id() -> String {
    let number = || RandomState::new().build_hasher().finish();
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.subsec_nanos());
    // `RandomState` counts its keys up in a thread, so one more source keeps threads apart.
    format!("{:016x}{:016x}{:08x}", number(), RandomState::new().hash_one(time), time)
}

/// Counts the bytes that are written.
struct Counted<T> {
    inner: T,
    sent: Arc<AtomicU64>,
}

impl<T: Read + Unpin> Read for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Counted<T> {
    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.sent.fetch_add(*count as u64, Ordering::Relaxed);
        }
        written
    }
}

impl<T: Write + Unpin> Write for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.count(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| unique_id()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn any_context_key_makes_a_header() {
        assert_eq!(headers("id", "mit Umlaut ä\n").len(), 3 + METHODS.len());
    }
}
