//! Reading requests.

use std::net::IpAddr;
use std::time::SystemTime;

use ailtire_gateway::Peer;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::auth::Visit;
use crate::failure::ApiError;
use crate::page::Form;
use crate::update;

/// The longest body of most requests.
const SMALL: usize = 64 * 1024;

/// A request with its whole body.
pub(super) struct Asked {
    headers: HeaderMap,
    uri: Uri,
    address: IpAddr,
    is_secure: bool,
    /// The query.
    pub(super) query: Form,
    /// The body, where it is a form.
    pub(super) form: Form,
    /// The body.
    pub(super) body: Bytes,
}

/// How long a body may be.
pub(super) fn limit(route: &str) -> usize {
    if route == "update" { update::LIMIT } else { SMALL }
}

impl Asked {
    /// Reads the body.
    pub(super) async fn read(
        request: Request<Incoming>,
        peer: Peer,
        limit: usize,
    ) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let error = format!("the body has more than {limit} bytes");
                return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, error, "send less");
            }
            let error = format!("the body broke off: {error}");
            ApiError::new(StatusCode::BAD_REQUEST, error, "send it again")
        })?;
        let body = body.to_bytes();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_form =
            content_type.is_some_and(|it| it.starts_with("application/x-www-form-urlencoded"));
        let query = Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let form = if is_form { Form::parse(&body) } else { Form::default() };
        Ok(Self {
            headers: parts.headers,
            uri: parts.uri,
            address: peer.address.ip(),
            is_secure: peer.is_secure,
            query,
            form,
            body,
        })
    }

    /// The request, as far as access is concerned.
    pub(super) fn visit(&self) -> Visit<'_> {
        Visit {
            headers: &self.headers,
            uri: &self.uri,
            address: self.address,
            is_secure: self.is_secure,
            now: SystemTime::now(),
        }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// A field of the form, or of the query.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.get(name).or_else(|| self.query.get(name)).filter(|value| !value.is_empty())
    }

    /// A field that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.field(name).ok_or_else(|| {
            let hint = format!("add it to the query: `?{name}=…`");
            ApiError::new(StatusCode::BAD_REQUEST, format!("`{name}` is missing"), hint)
        })
    }

    /// A number that has to be there.
    pub(super) fn number(&self, name: &str) -> Result<u64, ApiError> {
        let text = self.required(name)?;
        text.parse().map_err(|_| {
            let error = format!("`{name}` is `{text}`, which is no whole number");
            ApiError::new(StatusCode::BAD_REQUEST, error, "write digits only")
        })
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.field(name).is_some_and(|value| matches!(value, "1" | "true" | "yes" | "on"))
    }

    pub(super) fn wants_page(&self) -> bool {
        accepts(&self.headers, "text/html")
    }

    pub(super) fn accepts(&self, content_type: &str) -> bool {
        accepts(&self.headers, content_type)
    }
}

/// Whether a browser asks, and wants something to look at.
pub(super) fn wants_page<B>(request: &Request<B>) -> bool {
    accepts(request.headers(), "text/html")
}

fn accepts(headers: &HeaderMap, content_type: &str) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.contains(content_type))
}
