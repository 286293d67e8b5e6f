//! HTTP over a [`Dial`]: ordinary requests on kept connections, and upgrades on their own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use ailtire_connect::Stream;
use bollard::BollardRequest;
#[cfg(feature = "build")]
use bytes::Bytes;
use http::header::HeaderValue;
#[cfg(feature = "build")]
use http::{
    Method, StatusCode,
    header::{CONNECTION, HOST, HeaderName, UPGRADE},
};
use http::{Request, Response, Uri};
#[cfg(feature = "build")]
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
#[cfg(feature = "build")]
use hyper::upgrade::Upgraded;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::EngineError;
use crate::dial::Dial;
use crate::error::{find_cause, with_causes};

/// The body of a request, as bollard makes it.
type RequestBody = <BollardRequest as RequestParts>::Body;

/// Names the body type of a request, which bollard does not export by itself.
trait RequestParts {
    type Body;
}

impl<B> RequestParts for Request<B> {
    type Body = B;
}

/// Counts requests and makes them.
#[derive(Clone)]
pub(crate) struct HttpClient {
    dial: Dial,
    client: Client<Connector, RequestBody>,
    requests: Arc<AtomicU64>,
    mutating: Arc<AtomicU64>,
}

impl HttpClient {
    pub(crate) fn new(dial: Dial) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(Connector(dial.clone()));
        Self { dial, client, requests: Arc::default(), mutating: Arc::default() }
    }

    /// Where the requests go.
    pub(crate) fn dial(&self) -> &Dial {
        &self.dial
    }

    /// How many requests were made so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many of them were there to change something.
    pub(crate) fn mutating_requests(&self) -> u64 {
        self.mutating.load(Ordering::Relaxed)
    }

    /// Makes one request.
    pub(crate) async fn request(
        &self,
        mut request: BollardRequest,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !request.method().is_safe() {
            self.mutating.fetch_add(1, Ordering::Relaxed);
        }
        for name in ["x-registry-auth", "x-registry-config"] {
            make_url_safe(&mut request, name);
        }
        self.client.request(request).await
    }

    /// Turns a new connection into a raw one by `POST path` with an upgrade to HTTP/2.
    #[cfg(feature = "build")]
    pub(crate) async fn hijack(
        &self,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Upgraded, EngineError> {
        let stream = self.dial.dial().await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        match tokio::time::timeout(self.dial.timeout(), self.upgrade(stream, path, headers)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.dial.timed_out()),
        }
    }

    #[cfg(feature = "build")]
    async fn upgrade(
        &self,
        stream: Stream,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Upgraded, EngineError> {
        let lost = |error: hyper::Error| self.lost(&error);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // Ends as soon as the connection is handed over, or breaks.
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::new(Full::<Bytes>::default());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().map_err(|_| self.protocol("the path is no path"))?;
        let fixed = [
            (HOST, HeaderValue::from_static("docker")),
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("h2c")),
        ];
        for (name, value) in fixed.iter().chain(headers) {
            request.headers_mut().append(name, value.clone());
        }
        let response = sender.send_request(request).await.map_err(lost)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
            return Err(EngineError::from_api(status, api_message(&body)));
        }
        hyper::upgrade::on(response).await.map_err(lost)
    }

    /// The error for a connection that broke.
    pub(crate) fn lost(&self, error: &(dyn std::error::Error + 'static)) -> EngineError {
        match find_cause::<EngineError>(error) {
            Some(known) => known.clone(),
            None => EngineError::Lost { endpoint: self.dial.describe(), why: with_causes(error) },
        }
    }

    /// The error for an answer that makes no sense.
    pub(crate) fn protocol(&self, why: &str) -> EngineError {
        EngineError::Protocol { endpoint: self.dial.describe(), why: why.to_owned() }
    }

    /// What an error of bollard means.
    pub(crate) fn engine_error(&self, error: bollard::errors::Error) -> EngineError {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                EngineError::from_api(status_code, message)
            }
            Error::DockerStreamError { error } => EngineError::from_api(500, error),
            Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::IOError { .. }
            | Error::RequestTimeoutError => self.lost(&error),
            other => self.protocol(&with_causes(&other)),
        }
    }
}

/// The message of an error answer.
pub(crate) fn api_message(body: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| value.get("message")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

/// The engine reads these headers in base64's URL-safe alphabet; bollard writes the other one.
fn make_url_safe<B>(request: &mut Request<B>, name: &str) {
    let Some(value) = request.headers_mut().get_mut(name) else { return };
    let bytes: Vec<u8> = value
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        })
        .collect();
    if let Ok(mut safe) = HeaderValue::from_bytes(&bytes) {
        safe.set_sensitive(true);
        *value = safe;
    }
}

/// Hands connections of a [`Dial`] to hyper.
#[derive(Clone)]
struct Connector(Dial);

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = EngineError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let dial = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(dial.dial().await?)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_credentials_use_the_alphabet_that_the_engine_reads() {
        let mut request = Request::new(());
        request.headers_mut().insert("x-registry-auth", HeaderValue::from_static("a+b/c="));
        make_url_safe(&mut request, "x-registry-auth");
        assert_eq!(request.headers()["x-registry-auth"], "a-b_c=");
        assert!(request.headers()["x-registry-auth"].is_sensitive());
    }

    #[test]
    fn api_messages_are_taken_out_of_their_json() {
        assert_eq!(api_message(br#"{"message":"no such image"}"#), "no such image");
        assert_eq!(api_message(b"plain\n"), "plain");
    }
}
