//! Connections that become something else than HTTP.

use std::io;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderName, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Body;
use crate::connection::Connection;
use crate::headers::has_token;
use crate::metrics::{Entered, UPGRADED_CONNECTIONS};
use crate::tasks::Lease;

const BUFFER: usize = 8 * 1024;
const WEBSOCKET: &str = "websocket";
const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");

/// A web socket over HTTP/2 has no key, but one over HTTP/1.1 must have one. It only shows that the
/// server knows web sockets, which the example of RFC 6455 with its answer shows as well.
const OWN_KEY: HeaderValue = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
const OWN_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What [`crate::serve`] tells a request of its connection: how long it may go on as a tunnel, and
/// that it counts as long.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) tunnels: TaskTracker,
    pub(crate) close: CancellationToken,
    pub(crate) permit: Arc<OwnedSemaphorePermit>,
}

/// A client's wish for a web socket.
pub(crate) struct Wish {
    client: OnUpgrade,
    surroundings: Option<Surroundings>,
    is_extended: bool,
}

/// Whether a request asks for a web socket. No other protocol is understood here: `h2c`, above all,
/// would lead past the routes.
pub(crate) fn is_wished<B: hyper::body::Body>(request: &Request<B>) -> bool {
    let extended = request.extensions().get::<Protocol>();
    if let Some(protocol) = extended {
        return request.method() == Method::CONNECT && protocol.as_str() == WEBSOCKET;
    }
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && request.body().is_end_stream()
        && has_token(headers, &CONNECTION, "upgrade")
        && headers.get_all(UPGRADE).iter().count() == 1
        && headers.get(UPGRADE).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

impl Wish {
    pub(crate) fn take<B>(request: &mut Request<B>) -> Self {
        Self {
            is_extended: request.method() == Method::CONNECT,
            surroundings: request.extensions_mut().remove(),
            client: hyper::upgrade::on(request),
        }
    }

    /// Makes it a wish for the service; its method is GET.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
        if self.is_extended {
            headers.insert(KEY, OWN_KEY);
        }
    }

    /// Whether a service's answer grants it.
    pub(crate) fn is_granted(&self, answer: &HeaderMap) -> bool {
        has_token(answer, &UPGRADE, WEBSOCKET)
            && (!self.is_extended || answer.get(ACCEPT).is_some_and(|it| it == OWN_ACCEPT))
    }

    /// Joins client and service, and gives the answer that tells the client so.
    pub(crate) fn grant(
        self,
        mut headers: HeaderMap,
        connection: Connection,
        lease: Lease,
    ) -> Option<Response<Body>> {
        let (mut service, begin) = connection.into_stream()?;
        let Self { client, surroundings, is_extended } = self;
        let close = surroundings.as_ref().map(|it| it.close.clone()).unwrap_or_default();
        let permit = surroundings.as_ref().map(|it| Arc::clone(&it.permit));
        let tunnel = async move {
            let _counts = (Entered::new(&UPGRADED_CONNECTIONS), lease, permit);
            let Ok(client) = client.await else { return };
            let joined = async {
                let mut client: TokioIo<Upgraded> = TokioIo::new(client);
                client.write_all(&begin).await?;
                client.flush().await?;
                copy_bidirectional_with_sizes(&mut client, &mut service, BUFFER, BUFFER).await?;
                Ok::<_, io::Error>(())
            };
            // An end that breaks off has ended: the other one is closed with it.
            let _ = close.run_until_cancelled(joined).await;
        };
        match surroundings {
            Some(surroundings) => drop(surroundings.tunnels.spawn(tunnel)),
            None => drop(tokio::spawn(tunnel)),
        }
        let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
        if is_extended {
            headers.remove(ACCEPT);
        } else {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        *response.headers_mut() = headers;
        Some(response)
    }
}
