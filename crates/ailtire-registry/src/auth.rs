//! Who asks: what registries want to know, and what they are told.

use ailtire_connect::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// The header for HTTP's own authentication; `None` without a user.
pub(crate) fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    if credentials.user.is_empty() {
        return None;
    }
    let text = STANDARD.encode(format!("{}:{}", credentials.user, credentials.password));
    secret(&format!("Basic {text}"))
}

/// A header that shows `token`.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What a registry wants to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Nothing.
    Nothing,
    /// User and password.
    Basic,
    /// A token, which is to be had elsewhere.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// Reads the headers `WWW-Authenticate`; `None` where they ask for nothing that is known.
    pub(crate) fn of<'headers>(
        headers: impl Iterator<Item = &'headers HeaderValue>,
    ) -> Option<Self> {
        let mut basic = None;
        for text in headers.filter_map(|header| header.to_str().ok()) {
            let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = parameters(rest);
                let get = |name: &str| {
                    let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.clone())
                };
                if let Some(realm) = get("realm") {
                    return Some(Self::Bearer { realm, service: get("service") });
                }
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

/// `name="value"` pairs, commas between them.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_owned();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.push((name, value.trim().to_owned()));
        text = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(lines: &[&'static str]) -> Option<Challenge> {
        let headers: Vec<_> = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
        Challenge::of(headers.iter())
    }

    #[test]
    fn challenges_are_read() {
        let token = "Bearer realm=\"https://auth.example/token\",service=\"registry.example\"";
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("registry.example".to_owned()),
        };
        assert_eq!(challenge(&["Basic realm=\"x\"", token]), Some(expected));
        assert_eq!(challenge(&["Basic realm=\"x, y\""]), Some(Challenge::Basic));
        assert_eq!(challenge(&["Negotiate"]), None);
        assert_eq!(challenge(&["Bearer service=\"x\""]), None);
    }

    #[test]
    fn what_is_shown_does_not_show_in_logs() {
        let credentials =
            Credentials { user: "a".into(), password: "b".into(), ..Credentials::default() };
        let header = basic(&credentials).unwrap();
        assert!(header.is_sensitive());
        assert_eq!(header, "Basic YTpi");
        assert!(basic(&Credentials::default()).is_none());
    }
}
