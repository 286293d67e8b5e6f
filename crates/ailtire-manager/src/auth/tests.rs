use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::*;

const NOW: u64 = 1_800_000_000;
const TOKEN: &str = "correct-horse-battery-staple";

/// A request whose parts can be borrowed.
#[derive(Clone)]
struct Asked {
    headers: HeaderMap,
    uri: Uri,
    now: u64,
}

impl Asked {
    fn new(headers: &[(&str, &str)]) -> Self {
        let mut asked = Self { headers: HeaderMap::new(), uri: Uri::from_static("/"), now: NOW };
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            asked.headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        asked
    }

    fn at(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    fn visit(&self) -> Visit<'_> {
        Visit {
            headers: &self.headers,
            uri: &self.uri,
            address: [10, 0, 0, 1].into(),
            is_secure: false,
            now: UNIX_EPOCH + Duration::from_secs(self.now),
        }
    }
}

fn access() -> Access {
    Access::new(&Token::parse(TOKEN).unwrap())
}

fn bearer(token: &str) -> Asked {
    Asked::new(&[("authorization", &format!("Bearer {token}"))])
}

const FROM_PAGE: [(&str, &str); 2] = [("host", "example.org"), ("origin", "http://example.org")];

fn logged_in(access: &Access) -> Session {
    access.log_in(&Asked::new(&FROM_PAGE).visit(), TOKEN).unwrap()
}

fn with_cookie(value: &str) -> Asked {
    Asked::new(&[("cookie", &format!("theme=dark; {SESSION_COOKIE}={value}; other=1"))])
}

#[test]
fn the_token_lets_programs_in() {
    let access = access();
    assert_eq!(access.identify(&bearer(TOKEN).visit()), Ok(Caller::Program));
    let lower = Asked::new(&[("authorization", &format!("bearer {TOKEN}"))]);
    assert_eq!(access.identify(&lower.visit()), Ok(Caller::Program));
}

#[test]
fn wrong_truncated_and_missing_tokens_do_not() {
    for token in ["", "wrong", &TOKEN[..TOKEN.len() - 1], &format!("{TOKEN}x"), "Bearer"] {
        let denied = access().identify(&bearer(token).visit());
        assert_eq!(denied, Err(Denial::WrongToken), "{token:?}");
    }
    for headers in [[("authorization", "Basic Y29ycmVjdA==")], [("authorization", TOKEN)]] {
        let denied = access().identify(&Asked::new(&headers).visit());
        assert_eq!(denied, Err(Denial::WrongToken), "{headers:?}");
    }
    assert_eq!(access().identify(&Asked::new(&[]).visit()), Err(Denial::Missing));
    let no_text = HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    let mut asked = Asked::new(&[]);
    asked.headers.insert(header::AUTHORIZATION, no_text);
    assert_eq!(access().identify(&asked.visit()), Err(Denial::WrongToken));
}

#[test]
fn a_wrong_token_beside_a_good_session_is_refused() {
    let access = access();
    let mut asked = with_cookie(logged_in(&access).value());
    asked.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer wrong"));
    assert_eq!(access.identify(&asked.visit()), Err(Denial::WrongToken));
}

#[test]
fn after_too_many_wrong_tokens_a_client_waits() {
    let access = access();
    let form = Asked::new(&FROM_PAGE);
    for _ in 0..10 {
        assert_eq!(access.log_in(&form.visit(), "wrong"), Err(Denial::WrongToken));
    }
    let denied = access.log_in(&form.visit(), TOKEN).unwrap_err();
    assert_eq!(denied, Denial::TooMany(60));
    let answer = (denied.status().as_u16(), denied.retry_after());
    assert_eq!(answer, (429, Some(Duration::from_mins(1))));
    let mut other = form.clone();
    other.headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
    assert!(access.log_in(&other.visit(), TOKEN).is_ok(), "others don't wait");
    assert!(access.log_in(&form.at(NOW + 60).visit(), TOKEN).is_ok());
}

#[test]
fn programs_get_more_tries() {
    let access = access();
    for _ in 0..120 {
        assert_eq!(access.identify(&bearer("wrong").visit()), Err(Denial::WrongToken));
    }
    assert_eq!(access.identify(&bearer(TOKEN).visit()), Err(Denial::TooMany(60)));
    assert!(access.log_in(&Asked::new(&FROM_PAGE).visit(), TOKEN).is_ok());
}

#[test]
fn a_session_is_good_until_its_end() {
    let access = access();
    let session = logged_in(&access);
    let cookie = with_cookie(session.value());
    assert_eq!(access.identify(&cookie.visit()), Ok(Caller::Browser(session.clone())));
    let last = cookie.clone().at(NOW + SESSION_LENGTH - 1);
    assert_eq!(access.identify(&last.visit()), Ok(Caller::Browser(session)));
    let late = cookie.at(NOW + SESSION_LENGTH);
    assert_eq!(access.identify(&late.visit()), Err(Denial::NoSession));
}

#[test]
fn another_manager_of_the_application_knows_the_session_and_its_forms() {
    let session = logged_in(&access());
    let other = access();
    let mut asked = with_cookie(session.value());
    let caller = other.identify(&asked.visit()).unwrap();
    for (name, value) in FROM_PAGE {
        asked.headers.insert(name, HeaderValue::from_static(value));
    }
    assert_eq!(other.allow_change(&caller, &asked.visit(), Some(session.csrf())), Ok(()));
}

#[test]
fn a_session_does_not_outlive_its_token() {
    let session = logged_in(&access());
    let changed = Access::new(&Token::random().unwrap());
    let replayed = with_cookie(session.value());
    assert_eq!(changed.identify(&replayed.visit()), Err(Denial::NoSession));
}

#[test]
fn a_changed_or_truncated_session_is_none() {
    let access = access();
    let session = logged_in(&access);
    let value = session.value();
    let (end, rest) = value.split_once('.').unwrap();
    let longer = format!("{}.{rest}", end.parse::<u64>().unwrap() + 1);
    let unsigned = value.rsplit_once('.').unwrap().0;
    let other = logged_in(&access);
    let swapped = format!("{unsigned}.{}", other.value().rsplit_once('.').unwrap().1);
    for text in
        [&longer, unsigned, &format!("{unsigned}."), &value[..value.len() - 2], "", ".", &swapped]
    {
        let denied = access.identify(&with_cookie(text).visit());
        assert_eq!(denied, Err(Denial::NoSession), "{text:?}");
    }
}

#[test]
fn of_several_cookies_of_the_name_one_must_be_good() {
    let access = access();
    let session = logged_in(&access);
    let cookies = format!("{SESSION_COOKIE}=old.x.y; {SESSION_COOKIE}={}", session.value());
    let asked = Asked::new(&[("cookie", &cookies)]);
    assert_eq!(access.identify(&asked.visit()), Ok(Caller::Browser(session)));
}

#[test]
fn who_logged_out_is_out() {
    let access = access();
    let session = logged_in(&access);
    let other = logged_in(&access);
    let cookie = with_cookie(session.value());
    access.log_out(&session, &cookie.visit());
    assert_eq!(access.identify(&cookie.visit()), Err(Denial::NoSession));
    assert!(access.identify(&with_cookie(other.value()).visit()).is_ok());
    let later = with_cookie(other.value()).at(NOW + SESSION_LENGTH);
    access.log_out(&other, &later.visit());
    assert!(!access.is_ended(&session), "what is over anyway is not kept in mind");
}

#[test]
fn a_change_needs_the_sessions_second_text() {
    let access = access();
    let session = logged_in(&access);
    let other = logged_in(&access);
    let page = Asked::new(&FROM_PAGE);
    let caller = Caller::Browser(session.clone());
    let allow = |asked: &Asked, field| access.allow_change(&caller, &asked.visit(), field);
    assert_eq!(allow(&page, Some(session.csrf())), Ok(()));
    for wrong in [None, Some(""), Some("x"), Some(other.csrf()), Some(session.value())] {
        assert_eq!(allow(&page, wrong), Err(Denial::NoCsrf), "{wrong:?}");
    }
    let mut script = page.clone();
    script.headers.insert(CSRF_HEADER, HeaderValue::from_str(session.csrf()).unwrap());
    assert_eq!(allow(&script, None), Ok(()));
    script.headers.insert(CSRF_HEADER, HeaderValue::from_static("wrong"));
    assert_eq!(allow(&script, Some(session.csrf())), Err(Denial::NoCsrf), "the header counts");
    assert_eq!(access.allow_change(&Caller::Program, &page.visit(), None), Ok(()));
}

#[test]
fn only_pages_of_the_same_origin_change_something() {
    let same: [&[(&str, &str)]; 7] = [
        &[("host", "example.org"), ("origin", "http://example.org")],
        &[("host", "example.org:80"), ("origin", "http://Example.org")],
        &[("host", "example.org:8080"), ("origin", "http://example.org:8080")],
        &[("host", "web"), ("x-forwarded-host", "a.org"), ("origin", "https://a.org")],
        &[("host", "[::1]:3000"), ("origin", "http://[::1]:3000")],
        &[("host", "a.org"), ("sec-fetch-site", "same-origin"), ("origin", "http://a.org")],
        &[("sec-fetch-site", "same-origin")],
    ];
    for headers in same {
        assert_eq!(Asked::new(headers).visit().require_same_origin(), Ok(()), "{headers:?}");
    }
    let other: [&[(&str, &str)]; 9] = [
        &[],
        &[("host", "example.org")],
        &[("host", "example.org"), ("origin", "null")],
        &[("host", "example.org"), ("origin", "http://evil.org")],
        &[("host", "example.org"), ("origin", "http://example.org.evil.org")],
        &[("host", "example.org"), ("origin", "http://example.org:8080")],
        &[("host", "a.org"), ("origin", "http://a.org"), ("sec-fetch-site", "same-site")],
        &[("host", "a.org"), ("origin", "http://b.org"), ("sec-fetch-site", "same-origin")],
        &[("host", "a.org"), ("sec-fetch-site", "cross-site")],
    ];
    for headers in other {
        let denied = Asked::new(headers).visit().require_same_origin();
        assert_eq!(denied, Err(Denial::OtherOrigin), "{headers:?}");
        let refused = access().log_in(&Asked::new(headers).visit(), TOKEN);
        assert_eq!(refused, Err(Denial::OtherOrigin), "{headers:?}");
    }
}

#[test]
fn http_2_has_the_host_in_its_target() {
    let mut asked = Asked::new(&[("origin", "https://example.org")]);
    asked.uri = Uri::from_static("https://example.org/_admin/login");
    assert_eq!(asked.visit().require_same_origin(), Ok(()));
}

#[test]
fn cookies_go_to_interfaces_only() {
    let session = logged_in(&access());
    let cookies: Vec<_> = session.cookies(["", "/mypackage/"], false).collect();
    let value = session.value();
    let rest = "Max-Age=43200; HttpOnly; SameSite=Strict";
    assert_eq!(
        cookies,
        [
            format!("{SESSION_COOKIE}={value}; Path=/_admin; {rest}").as_str(),
            format!("{SESSION_COOKIE}={value}; Path=/mypackage/_admin; {rest}").as_str(),
        ]
    );
    let cookies: Vec<_> = session.cookies([""], true).collect();
    assert!(cookies[0].to_str().unwrap().ends_with("; Secure"));
    let removal: Vec<_> = Session::removal(["/a"], false).collect();
    let removed =
        format!("{SESSION_COOKIE}=; Path=/a/_admin; Max-Age=0; HttpOnly; SameSite=Strict");
    assert_eq!(removal, [removed.as_str()]);
}

#[test]
fn a_prefix_can_be_nothing_but_a_path() {
    let prefix = |value: &str| Asked::new(&[("x-forwarded-prefix", value)]).visit().prefix();
    assert_eq!(prefix("/mypackage"), "/mypackage");
    assert_eq!(prefix("/a/b/"), "/a/b");
    assert_eq!(prefix("/"), "");
    for hostile in ["//evil.org", "a", "/a; Domain=evil.org", "/a\"", "/../x", "/a//b", "/<b>"] {
        assert_eq!(prefix(hostile), "", "{hostile:?}");
        assert_eq!(logged_in(&access()).cookies([hostile], false).count(), 0, "{hostile:?}");
    }
    assert_eq!(Asked::new(&[]).visit().prefix(), "");
}

#[test]
fn tls_in_front_of_a_gateway_counts() {
    assert!(Asked::new(&[("x-forwarded-proto", "https")]).visit().is_secure());
    assert!(!Asked::new(&[("x-forwarded-proto", "http")]).visit().is_secure());
    let asked = Asked::new(&[]);
    assert!(!asked.visit().is_secure());
    assert!(Visit { is_secure: true, ..asked.visit() }.is_secure());
}

#[test]
fn tokens_are_read_and_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    assert!(Token::read(&file).unwrap().is_none());
    let write = |content: &[u8]| {
        std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), content)
    };
    write(format!("{TOKEN}\n").as_bytes()).unwrap();
    assert_eq!(Token::read(&file).unwrap().unwrap().expose(), TOKEN);
    for useless in [b"".as_slice(), b"\n", b"short", b"with space in the middle", b"\xff\xfe\xfd"] {
        write(useless).unwrap();
        assert!(matches!(Token::read(&file), Err(TokenError::Unusable)), "{useless:?}");
    }
    assert!(matches!(Token::read(folder.path()), Err(TokenError::Read { .. })));
    let random = Token::random().unwrap();
    assert_eq!(random.expose().len(), 43);
    assert_ne!(random, Token::random().unwrap());
    assert_eq!(Token::parse(random.expose()).unwrap(), random);
}

#[test]
fn nothing_of_it_is_printed() {
    let access = access();
    let session = logged_in(&access);
    let printed = format!("{access:?} {session:?} {:?}", Token::parse(TOKEN).unwrap());
    for secret in [TOKEN, session.value(), session.csrf()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn only_reading_changes_nothing() {
    assert!(!may_change(&Method::GET) && !may_change(&Method::HEAD));
    assert!(
        may_change(&Method::POST) && may_change(&Method::DELETE) && may_change(&Method::OPTIONS)
    );
}

#[test]
fn now_is_when_a_request_comes() {
    let request = http::Request::new(());
    let peer = ailtire_gateway::Peer { address: ([127, 0, 0, 1], 1).into(), is_secure: true };
    let visit = Visit::of(&request, peer);
    assert!(visit.is_secure() && visit.now <= SystemTime::now());
}
