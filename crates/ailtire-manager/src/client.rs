//! Short requests to other managers, and to this one.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::auth::Token;

/// How long another manager may take to answer where nothing else is said.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is believed.
const LIMIT: usize = 16 * 1024 * 1024;

/// A request to a manager.
pub(crate) struct Ask<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a Token>,
    pub(crate) body: Option<&'a Value>,
    /// How long the answer may take.
    pub(crate) within: Duration,
}

impl Ask<'_> {
    /// Asks, and reads the whole answer.
    pub(crate) async fn send(self) -> Result<(StatusCode, Bytes), String> {
        let (address, within) = (self.address, self.within);
        match tokio::time::timeout(within, self.exchange()).await {
            Ok(answer) => answer.map_err(|why| format!("{address}: {why}")),
            Err(_) => Err(format!("{address}: no answer within {} ms", within.as_millis())),
        }
    }

    async fn exchange(self) -> Result<(StatusCode, Bytes), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let body = self.body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|error| text(&error))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| text(&error))?;
        let stream = TcpStream::connect(self.address).await.map_err(|error| text(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| text(&error))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| text(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LIMIT).collect().await;
            let body = body.map_err(|error| text(&error))?.to_bytes();
            Ok((status, body))
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // The end of the connection is the end of the answer, too.
            _ = &mut connection => exchange.await,
        }
    }
}
