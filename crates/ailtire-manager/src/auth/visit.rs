//! What the head of a request says of who sent it, and from where.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use ailtire_gateway::Peer;
use http::{HeaderMap, Request, Uri, header};

use super::Denial;

/// The longest chain of addresses that is told from another one.
const LONGEST_CHAIN: usize = 200;

/// A request, as far as access is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its target: HTTP/2 has the host there.
    pub uri: &'a Uri,
    /// The address that it comes from.
    pub address: IpAddr,
    /// Whether the connection is TLS.
    pub is_secure: bool,
    /// When it comes.
    pub now: SystemTime,
}

impl<'a> Visit<'a> {
    /// The visit that `request` is.
    pub fn of<B>(request: &'a Request<B>, peer: Peer) -> Self {
        Self {
            headers: request.headers(),
            uri: request.uri(),
            address: peer.address.ip(),
            is_secure: peer.is_secure,
            now: SystemTime::now(),
        }
    }

    /// Whether the browser speaks TLS, be it with a gateway in front of this manager.
    pub fn is_secure(&self) -> bool {
        self.is_secure || self.first("x-forwarded-proto").is_some_and(|it| it == "https")
    }

    /// What gateways in front of this manager replaced of the path: empty, or begins with a slash
    /// and does not end with one.
    pub fn prefix(&self) -> String {
        let prefix = self.first("x-forwarded-prefix").unwrap_or_default();
        safe_prefix(prefix).unwrap_or_default().to_owned()
    }

    /// Whose wrong tokens are counted together.
    ///
    /// Behind a gateway all have its address; what the gateway says of them keeps them apart, and
    /// apart from the gateway's own manager. Whoever makes such a header up gets more tries, and
    /// still no chance to guess a token, while nobody can lock others out.
    pub(super) fn client(&self) -> String {
        let chain = self.text("x-forwarded-for").unwrap_or_default();
        let chain: String = chain.chars().take(LONGEST_CHAIN).collect();
        format!("{} {chain}", self.address)
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> u64 {
        self.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// Refuses what a browser sends on behalf of a page of another origin.
    pub(super) fn require_same_origin(&self) -> Result<(), Denial> {
        let site = self.text("sec-fetch-site");
        if site.is_some_and(|site| site != "same-origin") {
            return Err(Denial::OtherOrigin);
        }
        // Browsers leave Sec-Fetch-Site out without TLS; they do send the origin of every POST.
        match self.text(header::ORIGIN.as_str()) {
            Some(origin) if self.is_own(origin) => Ok(()),
            None if site.is_some() => Ok(()),
            _ => Err(Denial::OtherOrigin),
        }
    }

    fn is_own(&self, origin: &str) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return false,
        };
        let plain = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
        let own = [
            self.first("x-forwarded-host"),
            self.text(header::HOST.as_str()),
            self.uri.authority().map(http::uri::Authority::as_str),
        ];
        own.into_iter().flatten().any(|host| plain(host) == plain(authority))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    /// The first element of a list: what the outermost gateway says.
    fn first(&self, name: &str) -> Option<&'a str> {
        self.text(name).and_then(|value| value.split(',').next()).map(str::trim)
    }
}

/// `prefix` without a slash at its end, if it can be the beginning of a path and of nothing else:
/// it goes into cookies and addresses.
pub(crate) fn safe_prefix(prefix: &str) -> Option<&str> {
    let prefix = prefix.trim_end_matches('/');
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/@:+".contains(&byte);
    let is_path = prefix.starts_with('/')
        && prefix.bytes().all(is_safe)
        && prefix[1..].split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    (prefix.is_empty() || is_path).then_some(prefix)
}
