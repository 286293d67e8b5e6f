//! What the gateway says itself.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::Body;

/// Why a request gets no answer of a service. Names the service, never an address: who asks is
/// not to learn how the stack is made.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(crate) fn bad(reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// As JSON for who prefers it, as text otherwise.
    pub(crate) fn answer(self, as_json: bool) -> Response<Body> {
        let Self { status, reason } = self;
        let (kind, text) = if as_json {
            let object = serde_json::json!({ "status": status.as_u16(), "error": reason });
            ("application/json", format!("{object}\n"))
        } else {
            ("text/plain; charset=utf-8", format!("{reason}\n"))
        };
        let mut response = Response::new(body(Bytes::from(text)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == StatusCode::BAD_REQUEST || status == StatusCode::NOT_IMPLEMENTED {
            // Who knows what comes next on such a connection.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The answer to a question about the gateway itself.
pub(crate) fn options() -> Response<Body> {
    let mut response = Response::new(body(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn body(bytes: Bytes) -> Body {
    Full::from(bytes).map_err(|never| match never {}).boxed()
}

/// Whether JSON is asked for; programs that say nothing get text.
pub(crate) fn prefers_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(http::header::ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json")
        },
    )
}
