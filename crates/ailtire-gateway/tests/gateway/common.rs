//! A gateway with servers behind it, all of them on this machine's loopback addresses.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ailtire_gateway::{
    Body, BodyError, Gateway, GatewayOptions, Limits, Resolve, Route, serve, tls_acceptor,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; only a failure waits for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a future gives, which must not take for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    soon(async {
        while !is_so() {
            ticks.tick().await;
        }
    })
    .await;
}

/// Knows the tasks of services by heart.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<String, Vec<IpAddr>>>);

impl Resolve for Known {
    fn resolve<'a>(&'a self, service: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let known = self.0.lock().unwrap().get(service).cloned();
        Box::pin(async { Ok(known.unwrap_or_default()) })
    }
}

/// `127.0.0.number`.
pub(crate) fn loopback(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

/// A route from `prefix` to the same path of `service`.
pub(crate) fn route(prefix: &str, service: &str, port: u16) -> Route {
    Route {
        prefix: prefix.to_owned(),
        service: service.to_owned(),
        path: "/".to_owned(),
        port,
        timeout: None,
        retries: None,
    }
}

/// A gateway that is being served.
pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) known: Arc<Known>,
    pub(crate) served: JoinHandle<()>,
}

impl Rig {
    pub(crate) async fn start(routes: Vec<Route>, tasks: &[(&str, &[IpAddr])]) -> Self {
        Self::with(GatewayOptions::default(), Limits::default(), None, routes, tasks).await
    }

    /// All requests go to one server.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        Self::start(vec![route("/", "web", server.port())], &[("web", &[server.ip()])]).await
    }

    pub(crate) async fn with(
        options: GatewayOptions,
        limits: Limits,
        tls: Option<(&[u8], &[u8])>,
        routes: Vec<Route>,
        tasks: &[(&str, &[IpAddr])],
    ) -> Self {
        let known = Arc::new(Known::default());
        let gateway = Gateway::new(options, Arc::clone(&known) as _);
        gateway.set_routes(routes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let handler = Arc::new(gateway.clone());
        let tls = tls.map(|(chain, key)| tls_acceptor(chain, key).unwrap());
        let served = tokio::spawn(serve(listener, tls, handler, limits, shutdown.clone()));
        let rig = Self { gateway, address, shutdown, known, served };
        for (service, addresses) in tasks {
            rig.set_tasks(service, addresses);
        }
        rig
    }

    pub(crate) fn set_tasks(&self, service: &str, addresses: &[IpAddr]) {
        self.known.0.lock().unwrap().insert(service.to_owned(), addresses.to_vec());
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let mut client = Client::http1(self.address).await;
        soon(client.send(request)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        text(self.send(get(path)).await).await
    }

    /// What is sent back to bytes on a connection, until it is closed.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has said what it had to say.
        let _ = soon(stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A request as most clients send it.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", "example.org").body(Full::default()).unwrap()
}

/// Status and body of an answer.
pub(crate) async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = soon(response.into_body().collect()).await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// A connection of a client.
pub(crate) enum Client<B = Full<Bytes>> {
    Http1(http1::SendRequest<B>),
    Http2(http2::SendRequest<B>),
}

impl<B> Client<B>
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    pub(crate) async fn http1(address: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self::Http1(sender)
    }

    pub(crate) async fn http2(address: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        Self::Http2(sender)
    }

    pub(crate) async fn try_send(
        &mut self,
        request: Request<B>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    pub(crate) async fn send(&mut self, request: Request<B>) -> Response<Incoming> {
        self.try_send(request).await.unwrap()
    }
}

/// Free sockets of one port at several addresses: the tasks of one service.
pub(crate) async fn listeners(numbers: &[u8]) -> Vec<TcpListener> {
    loop {
        let first = TcpListener::bind((loopback(numbers[0]), 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut all = vec![first];
        for number in &numbers[1..] {
            if let Ok(next) = TcpListener::bind((loopback(*number), port)).await {
                all.push(next);
            }
        }
        if all.len() == numbers.len() {
            return all;
        }
    }
}

/// A server whose connections end with it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
}

impl Server {
    /// Stops as if it were killed: its socket and its connections close at once.
    pub(crate) fn kill(&self) {
        self.stop.cancel();
    }

    /// Lets `serve` have every connection.
    pub(crate) fn raw<F>(
        listener: TcpListener,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                let connection = serve(stream);
                let stopped = stopped.clone();
                tokio::spawn(async move { stopped.run_until_cancelled(connection).await });
            }
        });
        Self { address, stop }
    }

    /// Answers requests.
    pub(crate) fn http<F>(
        listener: TcpListener,
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::raw(listener, move |stream| {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async { Ok::<_, Infallible>(answered.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            async { drop(connection.await) }
        })
    }

    pub(crate) async fn start<F>(
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::http(listeners(&[1]).await.remove(0), answer)
    }

    /// Answers with the request as it came: its line, its headers and its body.
    pub(crate) async fn echo() -> Self {
        Self::start(|request| async {
            let (head, body) = request.into_parts();
            let mut text = format!("{} {} {:?}\n", head.method, head.uri, head.version);
            for (name, value) in &head.headers {
                let value = String::from_utf8_lossy(value.as_bytes());
                writeln!(text, "{name}: {value}").unwrap();
            }
            let body = body.collect().await.unwrap();
            let trailers = format!("{:?}", body.trailers());
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            answer(format!("{text}\n{body}\n{trailers}"))
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An answer that is a text.
pub(crate) fn answer(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(text.into()).map_err(|never| match never {}).boxed())
}

/// Reads from a socket up to and including `end`.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    soon(async {
        while !text.ends_with(end.as_bytes()) {
            match stream.read_u8().await {
                Ok(byte) => text.push(byte),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&text)),
            }
        }
    })
    .await;
    String::from_utf8(text).unwrap()
}
