use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ailtire_events::LogStream;
use ailtire_swarm::logs::TaskLine;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::*;
use crate::auth::{Access, Denial, Session, Token, Visit};
use crate::report::StackReport;

/// What breaks out of HTML, of attributes, of scripts and of addresses.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&#x41;{{7*7}}\u{202e}\u{1b}[31m";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(500_000)
}

fn report() -> StackReport {
    serde_json::from_str(include_str!("../../tests/browser/report.json")).unwrap()
}

fn session() -> Session {
    let mut headers = HeaderMap::new();
    headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
    let uri = Uri::from_static("/_admin/login");
    let visit = Visit {
        headers: &headers,
        uri: &uri,
        address: [127, 0, 0, 1].into(),
        is_secure: false,
        now: now(),
    };
    let token = Token::random().unwrap();
    Access::new(&token).log_in(&visit, token.expose()).unwrap()
}

fn context(session: &Session) -> PageContext<'_> {
    PageContext { session: Some(session), now: now(), notice: None }
}

fn without_session() -> PageContext<'static> {
    PageContext { session: None, now: now(), notice: None }
}

/// A report in which all that somebody else wrote is hostile.
fn hostile_report() -> StackReport {
    let text = serde_json::to_string(&report()).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    replace_texts(&mut value);
    serde_json::from_value(value).unwrap()
}

fn replace_texts(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                if name == "state" && value != "failed" || name == "condition" {
                    continue;
                }
                replace_texts(value);
                if name == "link" || name == "prefix" {
                    *value = format!("/x{HOSTILE}").into();
                }
                if value.is_null() && ["last_error", "error", "message"].contains(&&**name) {
                    *value = HOSTILE.into();
                }
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(replace_texts),
        serde_json::Value::String(text) => HOSTILE.clone_into(text),
        _ => {}
    }
}

/// What no page may have, whatever it shows.
fn assert_harmless(page: &str) {
    for hostile in ["<img", "'&#x41", "javascript:"] {
        assert!(!page.contains(hostile), "{hostile:?} in {page}");
    }
    // A field that nobody sees must send back what it was given.
    let shown: String = page
        .split(" value=\"")
        .enumerate()
        .map(|(index, part)| if index == 0 { part } else { part.split_once('"').unwrap().1 })
        .collect();
    for invisible in ["\u{202e}", "\u{1b}"] {
        assert!(!shown.contains(invisible), "{invisible:?} in {shown:?}");
    }
    for inline in ["<style", " style=", " onclick=", "http://", "https:", "href=\"//", "src=\"//"] {
        assert!(!page.contains(inline), "{inline:?} in {page}");
    }
    let scripts = page.matches("<script").count();
    assert_eq!(page.matches("<script src=\"page.js?v=").count(), scripts, "{page}");
}

#[test]
fn hostile_texts_stay_texts_on_every_page() {
    let (report, session) = (hostile_report(), session());
    let context = context(&session);
    let line = |stream| TaskLine {
        task: HOSTILE.to_owned(),
        stream,
        time: HOSTILE.to_owned(),
        text: HOSTILE.to_owned(),
    };
    let lines = [line(LogStream::Stdout), line(LogStream::Stderr)];
    let log = LogPage { service: HOSTILE, tail: 7, lines: &lines, error: Some(HOSTILE) };
    let name = report.services[0].name.clone();
    let actions = [
        Action::Redeploy { name: None },
        Action::Redeploy { name: Some(name.clone()) },
        Action::Scale { name },
        Action::Shutdown,
    ];
    let mut pages = vec![
        overview(&report, &context),
        logs(&report, &log, &context),
        problem(StatusCode::NOT_FOUND, HOSTILE, &context),
        login(&format!("/_admin/log?{HOSTILE}"), Some(Denial::WrongToken), &without_session()),
        farewell(&report),
    ];
    pages.extend(actions.iter().map(|action| confirm(&report, action, &context).unwrap()));
    for page in pages {
        assert_harmless(&page);
        assert!(page.contains("<!DOCTYPE html>") && page.contains("<html lang=\"en\">"));
    }
}

#[test]
fn the_overview_has_stacks_services_tasks_and_routes() {
    let session = session();
    let page = overview(&report(), &context(&session));
    for text in [
        "<title>running · shop</title>",
        "prices",
        "task: non-zero exit (3)",
        ", exit code 3",
        " on node-1",
        ">42 s ago</time>",
        "<a href=\"../cart\">/cart</a> → cart:3000/, at most 5 s",
        "tried again 2 times",
        "announced itself <time",
        "1 of 2 services is not as it is to be",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // What a colour says is said by a word and a sign, too.
    assert!(
        page.contains("<span class=\"badge bad\"><span aria-hidden=\"true\">▲ </span>degraded")
    );
}

#[test]
fn buttons_lead_to_the_manager_whose_stack_it_is() {
    let session = session();
    let page = overview(&report(), &context(&session));
    for link in [
        "href=\"confirm?action=scale&amp;name=web\"",
        "href=\"log?name=web\"",
        "href=\"confirm?action=shutdown\"",
        "href=\"../cart/_admin/confirm?action=scale&amp;name=prices\"",
        "href=\"../cart/_admin/log?name=prices\"",
        "href=\"../cart/_admin/view\"",
    ] {
        assert!(page.contains(link), "{link} in {page}");
    }
    assert!(
        !page.contains("href=\"confirm?action=scale&amp;name=cart\""),
        "a stack has one manager"
    );
    let mut unreachable = report();
    unreachable.children[0].link = None;
    let page = overview(&unreachable, &context(&session));
    assert!(page.contains("No route leads to it") && !page.contains("name=prices"), "{page}");
}

#[test]
fn a_child_that_does_not_answer_is_shown_with_the_reason() {
    let mut report = report();
    report.children[0].report = None;
    report.children[0].error = Some("connection refused".to_owned());
    let page = overview(&report, &without_session());
    assert!(page.contains("Its manager could not be asked: connection refused"), "{page}");
}

#[test]
fn without_a_session_there_is_nothing_to_press() {
    let page = overview(&report(), &without_session());
    assert!(
        !page.contains("<form") && !page.contains("log?") && !page.contains("confirm?"),
        "{page}"
    );
}

#[test]
fn forms_ask_first_and_carry_the_sessions_second_text() {
    let (report, session) = (report(), session());
    let context = context(&session);
    let field = format!("<input type=\"hidden\" name=\"csrf\" value=\"{}\">", session.csrf());
    let ask = |query: &str| {
        let action = Action::of(&Form::parse(query.as_bytes()))?;
        confirm(&report, &action, &context)
    };
    for (query, target, question) in [
        ("action=redeploy", "redeploy", "Redeploy all of shop?"),
        ("action=redeploy&name=web", "redeploy", "Redeploy web?"),
        ("action=scale&name=web", "scale", "Scale web?"),
        ("action=shutdown", "shutdown", "Shut down shop?"),
    ] {
        let page = ask(query).unwrap();
        let form = format!("<form class=\"question\" method=\"post\" action=\"{target}\">");
        for text in [form.as_str(), question, &field] {
            assert!(page.contains(text), "{text} in {page}");
        }
    }
    assert!(ask("action=shutdown").unwrap().contains("<b>5 services</b> in <b>2 stacks</b>"));
    for query in ["", "action=explode", "action=scale", "action=scale&name=none"] {
        assert!(ask(query).is_none(), "{query}");
    }
}

#[test]
fn a_shutdown_needs_the_instances_name() {
    let report = report();
    let typed = |text: &str| Action::Shutdown.is_confirmed(&Form::parse(text.as_bytes()), &report);
    assert!(typed("confirm=shop") && typed("confirm=+shop+"));
    assert!(!typed("") && !typed("confirm=") && !typed("confirm=shop_cart-1"));
    assert!(Action::Redeploy { name: None }.is_confirmed(&Form::default(), &report));
}

#[test]
fn notices_are_our_own_words_only() {
    let shown = |query: &str| {
        let notice = Notice::of(&Form::parse(query.as_bytes()));
        let context = PageContext { notice: notice.as_ref(), ..without_session() };
        overview(&report(), &context)
    };
    assert!(shown("done=scale&name=web").contains("web is being scaled."));
    assert!(shown("done=redeploy").contains("The stack is being redeployed."));
    for made_up in ["", "done=pay&name=web", "done=scale&name=call+0900", "done=call+0900"] {
        let page = shown(made_up);
        assert!(!page.contains("0900") && !page.contains("id=\"notice\""), "{made_up}: {page}");
    }
    let scaled = Action::Scale { name: "a&b".to_owned() };
    assert_eq!(scaled.next_page(), "view?done=scale&name=a%26b");
}

#[test]
fn the_login_form_finds_its_way_from_wherever_it_is_shown() {
    let shown = |path: &str| login(path, None, &without_session());
    for (path, target, next) in [
        ("/_admin", "_admin/login", "view"),
        ("/_admin/", "login", "view"),
        ("/_admin/log?name=web", "login", "log?name=web"),
        ("/_admin/route/list", "../login", "view"),
    ] {
        let page = shown(path);
        let form = format!("action=\"{target}\"");
        let field = format!("name=\"next\" value=\"{next}\"");
        assert!(page.contains(&form) && page.contains(&field), "{path}: {page}");
        assert!(!page.contains("role=\"alert\""), "{page}");
    }
    let wrong = login("/_admin/", Some(Denial::WrongToken), &without_session());
    assert!(wrong.contains("that is not this application's token"), "{wrong}");
}

#[test]
fn a_session_is_for_all_interfaces_behind_the_gateway() {
    let mut report = report();
    assert_eq!(prefixes(Some(&report), ""), ["", "/cart"]);
    assert_eq!(prefixes(None, "/outer"), ["/outer"]);
    let mut inner = report.children[0].clone();
    inner.link = Some("/prices/_admin".to_owned());
    report.children[0].report.as_mut().unwrap().children.push(inner);
    assert_eq!(prefixes(Some(&report), "/outer"), ["/outer", "/outer/cart", "/outer/cart/prices"]);
}

#[test]
fn assets_are_small_and_only_what_the_login_needs_is_open() {
    let open: Vec<_> = ["page.css", "page.js", "icon.svg"]
        .iter()
        .map(|name| (name, asset(name).unwrap()))
        .inspect(|(name, asset)| assert!(asset.content.len() < 16_000, "{name}"))
        .filter(|(_, asset)| asset.is_open)
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(open, ["page.css", "icon.svg"]);
    assert_eq!(asset("../page.css"), None);
}

#[test]
fn only_what_can_be_scaled_offers_it() {
    let session = session();
    let mut report = report();
    let action = |name: &str| Action::Scale { name: name.to_owned() };
    let name = report.services.iter().find(|it| it.name == "web").unwrap().name.clone();
    let offer = "aria-label=\"Scale web\"";
    assert!(overview(&report, &context(&session)).contains(offer));
    assert!(confirm(&report, &action(&name), &context(&session)).is_some());
    for service in report.services.iter_mut().filter(|it| it.name == name) {
        service.can_scale = false;
    }
    assert!(!overview(&report, &context(&session)).contains(offer));
    assert_eq!(confirm(&report, &action(&name), &context(&session)), None);
}
