//! Headers on their way through.

use std::fmt::Write;
use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderName, PROXY_AUTHORIZATION,
    TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderValue, Version};

use crate::Peer;
use crate::answer::Refusal;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What `Via` calls this gateway.
const PSEUDONYM: &str = "ailtire";
/// Through so many gateways goes no request that is not led in a circle.
const MOST_GATEWAYS: usize = 32;

/// Whether a header that is a list has a token.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|it| it.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// Removes what is meant for this connection only (RFC 9110, 7.6.1): the known headers, and those
/// that `Connection` names. Nobody can have a message's frame or host removed that way.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
            .filter(|token| !token.eq_ignore_ascii_case("close"))
            .filter_map(|token| token.parse().ok())
            .filter(|name| *name != CONTENT_LENGTH && *name != HOST)
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// What a request's headers become, apart from those that only this connection is meant to see.
pub(crate) struct Forwarding<'a> {
    pub(crate) peer: Peer,
    /// What the client takes us for; absent in HTTP/1.0.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) service: &'a str,
    pub(crate) hidden_prefix: &'a str,
    pub(crate) trusts: bool,
    pub(crate) version: Version,
    /// Whether the body's length is not known before.
    pub(crate) is_chunked: bool,
}

impl Forwarding<'_> {
    /// Makes the headers for the service out of the client's.
    pub(crate) fn apply(self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        // Room for what is added below, at once.
        headers.reserve(8);
        let takes_trailers = has_token(headers, &TE, "trailers");
        remove_hop_by_hop(headers);
        // We are asked for the body when the service reads it, and answer `100 Continue` then.
        headers.remove(EXPECT);
        headers.remove(PROXY_AUTHORIZATION);
        if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        if self.is_chunked {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if !self.trusts {
            let claims = [FORWARDED, VIA, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO];
            for name in claims.into_iter().chain([FORWARDED_PREFIX]) {
                headers.remove(name);
            }
        }
        if self.version == Version::HTTP_2 {
            join_cookies(headers);
        }
        self.add_forwarded(headers);
        add_via(headers, self.version)?;
        // The host stays what the client called: links, cookies and checks of the origin that a
        // service makes of it are for the client, and the name of a task means nothing there.
        let fallback = || HeaderValue::from_str(self.service).ok();
        if let Some(host) = self.host.clone().or_else(fallback) {
            headers.insert(HOST, host);
        }
        Ok(())
    }

    fn add_forwarded(&self, headers: &mut HeaderMap) {
        let address = self.peer.address.ip().to_canonical();
        let protocol = if self.peer.is_secure { "https" } else { "http" };
        append(headers, FORWARDED_FOR, ", ", |text| write!(text, "{address}"));
        let host = self.host.as_ref();
        append(headers, FORWARDED, ", ", |text| {
            match address {
                IpAddr::V4(address) => write!(text, "for={address}")?,
                IpAddr::V6(address) => write!(text, "for=\"[{address}]\"")?,
            }
            if let Some(host) = host.and_then(|host| host.to_str().ok()) {
                write!(text, ";host=\"{host}\"")?;
            }
            write!(text, ";proto={protocol}")
        });
        // A gateway before us knows better what the client said.
        if !headers.contains_key(FORWARDED_PROTO) {
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(protocol));
        }
        if let Some(host) = host.filter(|_| !headers.contains_key(FORWARDED_HOST)) {
            headers.insert(FORWARDED_HOST, host.clone());
        }
        if !self.hidden_prefix.is_empty() {
            append(headers, FORWARDED_PREFIX, "", |text| text.write_str(self.hidden_prefix));
        }
    }
}

/// Adds to the end of a header, which is one line then.
fn append(
    headers: &mut HeaderMap,
    name: HeaderName,
    between: &str,
    write: impl FnOnce(&mut String) -> std::fmt::Result,
) {
    let mut text = String::new();
    for value in headers.get_all(&name) {
        // What is no text never came from a gateway.
        let Ok(value) = value.to_str() else { continue };
        if !text.is_empty() {
            text.push_str(between);
        }
        text.push_str(value);
    }
    if !text.is_empty() {
        text.push_str(between);
    }
    if write(&mut text).is_ok()
        && let Ok(value) = HeaderValue::try_from(text)
    {
        headers.insert(name, value);
    }
}

/// Says that a message came through here, and ends circles.
fn add_via(headers: &mut HeaderMap, version: Version) -> Result<(), Refusal> {
    let own = match version {
        Version::HTTP_10 => "1.0 ailtire",
        Version::HTTP_2 => "2.0 ailtire",
        _ => "1.1 ailtire",
    };
    if !headers.contains_key(VIA) {
        headers.insert(VIA, HeaderValue::from_static(own));
        return Ok(());
    }
    if tokens(headers, &VIA).filter(|it| it.ends_with(PSEUDONYM)).count() >= MOST_GATEWAYS {
        let reason = "routes lead in a circle";
        return Err(Refusal::new(http::StatusCode::LOOP_DETECTED, reason));
    }
    append(headers, VIA, ", ", |text| text.write_str(own));
    Ok(())
}

/// The parts that HTTP/2 may take a cookie header into (RFC 9113, 8.2.3) are one again.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let parts: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
        headers.insert(COOKIE, cookie);
    }
}

/// Makes the headers for the client out of the service's.
pub(crate) fn answer(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        // Both are not to come: it is the encoding that counted.
        headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
    // Never an error: nobody leads an answer in a circle.
    let _ = add_via(headers, Version::HTTP_11);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(lines: &[(&'static str, &str)], trusts: bool, peer: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let forwarding = Forwarding {
            peer: Peer { address: peer.parse().unwrap(), is_secure: false },
            host: Some(HeaderValue::from_static("example.org:8080")),
            service: "doc",
            hidden_prefix: "/doc",
            trusts,
            version: Version::HTTP_11,
            is_chunked: false,
        };
        forwarding.apply(&mut headers).unwrap();
        headers
    }

    fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn what_is_for_this_connection_goes_no_further() {
        let headers = forwarded(
            &[
                ("connection", "close, X-Own , host, content-length"),
                ("connection", "x-other"),
                ("x-own", "1"),
                ("x-other", "1"),
                ("keep-alive", "timeout=5"),
                ("te", "gzip, trailers;q=0.5"),
                ("upgrade", "h2c"),
                ("proxy-connection", "keep-alive"),
                ("content-length", "3"),
                ("x-kept", "1"),
            ],
            true,
            "192.0.2.1:1",
        );
        for name in ["connection", "x-own", "x-other", "keep-alive", "te", "upgrade"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert_eq!(all(&headers, "content-length"), ["3"]);
        assert_eq!(all(&headers, "x-kept"), ["1"]);
        assert_eq!(all(&headers, "host"), ["example.org:8080"]);
    }

    #[test]
    fn a_client_that_takes_trailers_says_so_to_the_service() {
        let headers = forwarded(&[("te", "trailers"), ("connection", "TE")], true, "192.0.2.1:1");
        assert_eq!(
            (all(&headers, "te"), all(&headers, "connection")),
            (vec!["trailers"], vec!["te"])
        );
    }

    #[test]
    fn what_earlier_gateways_said_is_continued() {
        let lines = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "198.51.100.1"),
            ("forwarded", "for=203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/mypackage"),
            ("via", "2.0 ailtire"),
        ];
        let headers = forwarded(&lines, true, "[2001:db8::1]:1");
        let expected = ["203.0.113.9, 198.51.100.1, 2001:db8::1"];
        assert_eq!(all(&headers, "x-forwarded-for"), expected);
        let own = "for=\"[2001:db8::1]\";host=\"example.org:8080\";proto=http";
        assert_eq!(all(&headers, "forwarded"), [format!("for=203.0.113.9, {own}")]);
        assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
        assert_eq!(all(&headers, "x-forwarded-host"), ["example.org:8080"]);
        assert_eq!(all(&headers, "x-forwarded-prefix"), ["/mypackage/doc"]);
        assert_eq!(all(&headers, "via"), ["2.0 ailtire, 1.1 ailtire"]);
    }

    #[test]
    fn strangers_claims_are_replaced() {
        let lines = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-prefix", "/x"),
            ("forwarded", "for=203.0.113.9"),
        ];
        let headers = forwarded(&lines, false, "[::ffff:192.0.2.1]:1");
        assert_eq!(all(&headers, "x-forwarded-for"), ["192.0.2.1"]);
        assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
        assert_eq!(all(&headers, "x-forwarded-host"), ["example.org:8080"]);
        assert_eq!(all(&headers, "x-forwarded-prefix"), ["/doc"]);
        let own = "for=192.0.2.1;host=\"example.org:8080\";proto=http";
        assert_eq!(all(&headers, "forwarded"), [own]);
    }

    #[test]
    fn circles_end() {
        let mut headers = HeaderMap::new();
        let ends =
            (0..=MOST_GATEWAYS).position(|_| add_via(&mut headers, Version::HTTP_11).is_err());
        assert_eq!(ends, Some(MOST_GATEWAYS));
    }

    #[test]
    fn cookies_become_one_line() {
        let mut headers = HeaderMap::new();
        for part in ["a=1", "b=2"] {
            headers.append(COOKIE, HeaderValue::from_static(part));
        }
        join_cookies(&mut headers);
        assert_eq!(all(&headers, "cookie"), ["a=1; b=2"]);
    }
}
