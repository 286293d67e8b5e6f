//! HTTP/1.1 and HTTP/2, as far as clients speak them.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::rustls::ServerConnection;

use crate::answer::{self, Refusal};
use crate::held::Held;
use crate::server::{Client, Server};
use crate::{Body, Limits};

/// What is read ahead of a service, or written ahead of a client.
const BUFFER: usize = 64 * 1024;
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// What begins HTTP/2 without TLS, and no request of HTTP/1.1.
const PREFACE: &[u8; 4] = b"PRI ";

/// What a connection speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// Its first bytes leave it open.
    Unknown,
}

/// Both protocols, set up once for all connections.
pub(crate) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    either: auto::Builder<TokioExecutor>,
}

impl Protocols {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_header_size(limits.head_size)
            .max_buf_size(BUFFER.max(limits.head_size));
        let list_size = u32::try_from(limits.head_size).unwrap_or(u32::MAX);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(limits.resets)
            .max_local_error_reset_streams(limits.resets.max(1))
            .max_header_list_size(list_size)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(BUFFER)
            .keep_alive_interval(limits.head_time)
            .keep_alive_timeout(PONG_WITHIN.min(limits.head_time))
            .enable_connect_protocol();
        let mut either = auto::Builder::new(TokioExecutor::new());
        either
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(BUFFER.max(limits.head_size))
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(limits.resets)
            .max_local_error_reset_streams(limits.resets.max(1))
            .max_header_list_size(list_size)
            .keep_alive_interval(limits.head_time)
            .keep_alive_timeout(PONG_WITHIN.min(limits.head_time))
            .enable_connect_protocol();
        Self { http1, http2, either }
    }
}

/// What the first bytes say; nothing if there are none. They stay in the socket, so that a
/// connection that says nothing costs no buffer.
pub(crate) async fn of(stream: &TcpStream) -> Option<Protocol> {
    let mut begin = [0; PREFACE.len()];
    let count = stream.peek(&mut begin).await.ok().filter(|count| *count > 0)?;
    Some(match begin.get(..count)? {
        begin if begin == PREFACE => Protocol::Http2,
        begin if PREFACE.starts_with(begin) => Protocol::Unknown,
        _ => Protocol::Http1,
    })
}

/// What both ends agreed on.
pub(crate) fn of_secure(connection: &ServerConnection) -> Protocol {
    match connection.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    }
}

/// Serves a connection until it ends; after shutdown it takes no more requests. How it ends is of
/// no interest: its requests were answered, or nobody is there.
///
/// Each protocol has a box of its own, so that a connection is as large as what it speaks.
pub(crate) async fn serve<S>(stream: S, protocol: Protocol, client: Arc<Client>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let stream = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => Box::pin(serve_http1(stream, client)).await,
        Protocol::Http2 => Box::pin(serve_http2(stream, client)).await,
        Protocol::Unknown => Box::pin(serve_either(stream, client)).await,
    }
}

async fn serve_http1<S>(stream: TokioIo<S>, client: Arc<Client>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let server = Arc::clone(&client.server);
    let service = service_fn(move |request| Arc::clone(&client).answer(request));
    let connection = server.protocols.http1.serve_connection(stream, service).with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = server.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn serve_http2<S>(stream: TokioIo<S>, client: Arc<Client>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (server, activity) = (Arc::clone(&client.server), Activity::new(&client));
    let service = service_fn(activity.watch(client));
    let connection = server.protocols.http2.serve_connection(stream, service);
    drive(connection, http2::Connection::graceful_shutdown, &activity, &server).await;
}

async fn serve_either<S>(stream: TokioIo<S>, client: Arc<Client>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (server, activity) = (Arc::clone(&client.server), Activity::new(&client));
    let service = service_fn(activity.watch(client));
    let connection = server.protocols.either.serve_connection_with_upgrades(stream, service);
    drive(connection, auto::UpgradeableConnection::graceful_shutdown, &activity, &server).await;
}

/// Drives a connection that may have many requests at once to its end, which `shut_down` asks for
/// after shutdown, and where nothing goes on over it.
async fn drive<C: Future>(
    connection: C,
    shut_down: fn(Pin<&mut C>),
    activity: &Activity,
    server: &Server,
) {
    let mut connection = pin!(connection);
    let is_idle = tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = server.shutdown.cancelled() => false,
        () = activity.idle(server.limits.head_time) => true,
    };
    shut_down(connection.as_mut());
    if is_idle {
        // Who has nothing under way, and does not close now, is not heard any more.
        let _ = tokio::time::timeout(server.limits.head_time, connection).await;
    } else {
        let _ = connection.await;
    }
}

/// What goes on over a connection that may have many requests at once: hyper watches the time
/// between two requests for HTTP/1.1 only.
struct Activity {
    seen: Arc<AtomicU64>,
    permit: Arc<OwnedSemaphorePermit>,
}

impl Activity {
    fn new(client: &Client) -> Self {
        Self { seen: Arc::default(), permit: Arc::clone(client.permit()) }
    }

    /// Answers requests; each holds the permit until its answer is complete.
    fn watch(
        &self,
        client: Arc<Client>,
    ) -> impl Fn(Request<Incoming>) -> Answering + Send + Sync + use<> {
        let seen = Arc::clone(&self.seen);
        move |request| {
            seen.fetch_add(1, Relaxed);
            let held = Arc::clone(client.permit());
            let answered = Arc::clone(&client).answer(request);
            Box::pin(async move {
                let Ok(response) = answered.await;
                Ok(response.map(|body| Held { body, _held: held }))
            })
        }
    }

    /// Returns once nothing went on for that long.
    async fn idle(&self, limit: Duration) {
        // One is held here, one by the client.
        const HELD: usize = 2;
        let mut ticks = tokio::time::interval(limit.max(Duration::from_millis(1)));
        ticks.tick().await;
        let mut before = 0;
        loop {
            ticks.tick().await;
            let now = self.seen.load(Relaxed);
            if now == before && Arc::strong_count(&self.permit) <= HELD {
                return;
            }
            before = now;
        }
    }
}

type Answering = BoxFuture<'static, Result<Response<Held<Arc<OwnedSemaphorePermit>>>, Infallible>>;

/// The answer to a request whose target is longer than allowed.
pub(crate) fn too_long<B>(request: &Request<B>, limits: &Limits) -> Option<Response<Body>> {
    let target = request.uri().path_and_query()?;
    if target.as_str().len() <= limits.target_size {
        return None;
    }
    let refusal = Refusal::new(StatusCode::URI_TOO_LONG, "the path is too long");
    Some(refusal.answer(answer::prefers_json(request.headers())))
}

/// Whether a request could become something else than HTTP.
pub(crate) fn may_upgrade<B>(request: &Request<B>) -> bool {
    request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE)
}
