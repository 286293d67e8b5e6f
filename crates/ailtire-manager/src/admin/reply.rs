//! Making answers.

use ailtire_gateway::{Body, BodyError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::page::{Asset, HEADERS};

/// Pieces of an answer that wait for who reads it.
const PIECES: usize = 16;

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer that is there as a whole.
pub(super) fn plain(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    response(status, content_type, body)
}

pub(super) fn json_reply(status: StatusCode, value: &Value) -> Response<Body> {
    plain(status, "application/json", format!("{value}\n"))
}

pub(super) fn text(status: StatusCode, text: String) -> Response<Body> {
    plain(status, "text/plain; charset=utf-8", text)
}

pub(super) fn html(status: StatusCode, page: String) -> Response<Body> {
    let mut response = plain(status, "text/html; charset=utf-8", page);
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A file of the page. Its address changes with its content.
pub(super) fn asset(asset: Asset) -> Response<Body> {
    let mut response = plain(StatusCode::OK, asset.content_type, asset.content);
    let value = HeaderValue::from_static("private, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, value);
    response
}

/// Sends a browser on to another page, relative to the one that it asked for.
pub(super) fn see_other(page: &str) -> Response<Body> {
    let mut response = text(StatusCode::SEE_OTHER, String::new());
    if let Ok(value) = HeaderValue::from_str(page) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// An answer that goes on, as long as somebody reads it.
pub(super) fn stream(
    content_type: &'static str,
    pieces: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
) -> Response<Body> {
    // Bodies have to be `Sync`, which a channel's end is and a stream need not be.
    let (sender, mut receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        let mut pieces = std::pin::pin!(pieces);
        loop {
            let piece = tokio::select! {
                () = sender.closed() => return,
                piece = pieces.next() => piece,
            };
            let Some(piece) = piece else { return };
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    let flow = stream::poll_fn(move |context| receiver.poll_recv(context));
    let body = StreamBody::new(flow.map(|piece| piece.map(Frame::data)));
    let mut response = response(StatusCode::OK, content_type, BodyExt::boxed(body));
    // Proxies are not to wait for more.
    let name = http::HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, HeaderValue::from_static("no"));
    response
}

/// What every answer of the interface has: nobody keeps it, and nobody guesses what it is.
pub(super) fn secure(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
