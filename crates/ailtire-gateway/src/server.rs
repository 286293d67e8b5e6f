//! Accepting connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::{Entered, OPEN_CONNECTIONS};
use crate::protocol::Protocols;
use crate::tunnel::Surroundings;
use crate::{Body, protocol, socket};

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
    /// How many connections there may be; more of them wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send the head of a request, counted from the end of the answer
    /// before: so long it may also send nothing at all.
    pub head_time: Duration,
    /// How many bytes the head of a request may have (431 beyond; HTTP/1.1 has room for 100 lines).
    pub head_size: usize,
    /// How many bytes the path and query of a request may have (414 beyond).
    pub target_size: usize,
    /// How many requests may be under way at once on a connection of HTTP/2.
    pub streams: u32,
    /// How many requests a client of HTTP/2 may have taken back that were not looked at yet.
    pub resets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(30),
            connections: 16_384,
            head_time: Duration::from_mins(1),
            head_size: 32 * 1024,
            target_size: 16 * 1024,
            streams: 128,
            resets: 20,
        }
    }
}

/// When the system has no room for another connection, it is asked again after this.
const NO_ROOM: Duration = Duration::from_millis(50);

/// Accepts connections until `shutdown`, then lets requests that are under way end.
///
/// From then on connections are told to close (`Connection: close`, GOAWAY). When the last request
/// is answered, or when [`Limits::drain`] is over, what became a web socket is closed as well.
///
/// A client that closes its sending half before it has its answer has gone away: its request is
/// dropped, and the service sees that. Otherwise services would work for clients that left.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handler: Arc<dyn Handle>,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let protocols = Protocols::new(&limits);
    let close = CancellationToken::new();
    let (connections, tunnels) = (TaskTracker::new(), TaskTracker::new());
    let server = Arc::new(Server { tls, handler, limits, protocols, shutdown, close, tunnels });
    while let Some((stream, address, permit)) = server.accept(&listener, &permits).await {
        connections.spawn(Arc::clone(&server).connection(stream, address, permit));
    }
    drop(listener);
    connections.close();
    // Whether all ended in time does not matter: what is left is closed.
    let _ = tokio::time::timeout(server.limits.drain, connections.wait()).await;
    server.close.cancel();
    server.tunnels.close();
    tokio::join!(connections.wait(), server.tunnels.wait());
}

/// What all connections have in common.
pub(crate) struct Server {
    tls: Option<TlsAcceptor>,
    pub(crate) handler: Arc<dyn Handle>,
    pub(crate) limits: Limits,
    pub(crate) protocols: Protocols,
    /// Ends the acceptance of connections and requests.
    pub(crate) shutdown: CancellationToken,
    /// Ends everything.
    pub(crate) close: CancellationToken,
    tunnels: TaskTracker,
}

impl Server {
    /// The next connection, as soon as there is room for it; none after shutdown.
    async fn accept(
        &self,
        listener: &TcpListener,
        permits: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(permits).acquire_owned();
        let permit = self.shutdown.run_until_cancelled(permit).await?.ok()?;
        loop {
            match self.shutdown.run_until_cancelled(listener.accept()).await? {
                Ok((stream, address)) => return Some((stream, address, permit)),
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => {
                    let pause = self.shutdown.cancelled();
                    if tokio::time::timeout(NO_ROOM, pause).await.is_ok() {
                        return None;
                    }
                }
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let _open = Entered::new(&OPEN_CONNECTIONS);
        socket::tune(&stream);
        let client = Arc::new(Client {
            peer: Peer { address, is_secure: self.tls.is_some() },
            surroundings: Surroundings {
                tunnels: self.tunnels.clone(),
                close: self.close.clone(),
                permit: Arc::new(permit),
            },
            server: Arc::clone(&self),
        });
        // What a client is told when it goes wrong was told by then.
        let _ = self.close.run_until_cancelled(self.speak(stream, client)).await;
    }

    async fn speak(&self, stream: TcpStream, client: Arc<Client>) -> Option<()> {
        let Some(tls) = &self.tls else {
            let begin = protocol::of(&stream);
            let begin = tokio::time::timeout(self.limits.head_time, begin);
            let protocol = self.shutdown.run_until_cancelled(begin).await?.ok()??;
            protocol::serve(stream, protocol, client).await;
            return Some(());
        };
        // In a box, since connections without TLS are not to be as large as those with it.
        let accepted = Box::pin(tls.accept(stream));
        let accepted = tokio::time::timeout(self.limits.head_time, accepted);
        let stream = self.shutdown.run_until_cancelled(accepted).await?.ok()?.ok()?;
        let protocol = protocol::of_secure(stream.get_ref().1);
        protocol::serve(stream, protocol, client).await;
        Some(())
    }
}

/// Whether only the connection that was to be accepted is at fault; anything else, such as a limit
/// of open files, would come again at once.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// One connection, to those who serve it.
pub(crate) struct Client {
    peer: Peer,
    surroundings: Surroundings,
    pub(crate) server: Arc<Server>,
}

impl Client {
    /// What is held as long as anything goes on over the connection.
    pub(crate) fn permit(&self) -> &Arc<OwnedSemaphorePermit> {
        &self.surroundings.permit
    }

    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        if let Some(refusal) = protocol::too_long(&request, &self.server.limits) {
            return Ok(refusal);
        }
        if protocol::may_upgrade(&request) {
            request.extensions_mut().insert(self.surroundings.clone());
        }
        Ok(self.server.handler.handle(request, self.peer).await)
    }
}
