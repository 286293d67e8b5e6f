//! Requests that two readers could understand in two ways are not handed on.

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use hyper::ext::Protocol;

use crate::answer::Refusal;

/// The host that a request is for, as its sender wrote it; refuses what is ambiguous.
///
/// What hyper's parser has refused or made harmless before: several lengths, bad lengths and chunk
/// sizes, folded lines, control characters, a length besides `chunked` (it is dropped, and the
/// connection closed).
pub(crate) fn host<B>(request: &Request<B>) -> Result<Option<HeaderValue>, Refusal> {
    let headers = request.headers();
    let is_extended = request.extensions().get::<Protocol>().is_some();
    if request.method() == Method::CONNECT && !is_extended {
        let reason = "this is not a proxy to connect through";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, reason));
    }
    encoding(headers)?;
    let is_asterisk = request.method() == Method::OPTIONS && request.uri().path() == "*";
    if !request.uri().path().starts_with('/') && !is_asterisk {
        return Err(Refusal::bad("the target is not a path"));
    }
    if climbs(request.uri().path()) {
        return Err(Refusal::bad("the path leads above itself"));
    }
    authority(request)
}

/// Any coding but `chunked` would have to be handed on as it is, and framed by somebody else.
fn encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_known = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if is_known {
        return Ok(());
    }
    Err(Refusal::bad("the only transfer encoding understood here is `chunked`, once"))
}

fn authority<B>(request: &Request<B>) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::bad("more than one host"));
    }
    if host.is_some_and(|host| !is_authority(host)) {
        return Err(Refusal::bad("the host is none"));
    }
    let uri = request.uri();
    let is_multiplexed = request.version() == Version::HTTP_2;
    if uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Err(Refusal::bad("the target's scheme is not understood here"));
    }
    match (uri.authority(), host) {
        (Some(authority), _) if authority.as_str().contains('@') => {
            Err(Refusal::bad("the target has a user"))
        }
        (Some(authority), Some(host)) if is_multiplexed && host != authority.as_str() => {
            Err(Refusal::bad("two hosts"))
        }
        // The target counts where a request has both (RFC 9112, 3.2.2).
        (Some(authority), _) => HeaderValue::from_str(authority.as_str())
            .map(Some)
            .map_err(|_| Refusal::bad("the host is none")),
        (None, Some(host)) => Ok(Some(host.clone())),
        (None, None) if request.version() == Version::HTTP_11 => Err(Refusal::bad("no host")),
        (None, None) => Ok(None),
    }
}

fn is_authority(host: &HeaderValue) -> bool {
    let text = host.as_bytes();
    !text.contains(&b'@') && Authority::try_from(text).is_ok()
}

/// Whether a path has a `..`, plain or encoded: what it leads to depends on who resolves it, and
/// could lie outside of what the route opens.
fn climbs(path: &str) -> bool {
    if !path.contains("..") && !path.contains("%2") {
        return false;
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'%', b'2', b'e' | b'E', after @ ..] => (b'.', after),
            [b'%', b'2', b'f' | b'F', after @ ..] | [b'%', b'5', b'c' | b'C', after @ ..] => {
                (b'/', after)
            }
            [b'\\', after @ ..] => (b'/', after),
            _ => (*first, after),
        };
        plain.push(byte);
        rest = after;
    }
    plain.split(|byte| *byte == b'/').any(|segment| segment == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_climb_are_found_however_they_are_written() {
        for path in ["/..", "/a/../b", "/a/%2e%2E/b", "/a/.%2e", "/a/..%2fb", "/a%2F..", "/..%5cb"]
        {
            assert!(climbs(path), "{path}");
        }
        for path in ["/", "/a..b/c", "/...", "/a/..b", "/%2e", "/a%20b", "/a/.../b", "/a%252e"] {
            assert!(!climbs(path), "{path}");
        }
    }
}
