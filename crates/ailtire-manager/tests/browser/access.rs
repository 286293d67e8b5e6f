//! Getting in, and what those get who try without.

use crate::browser::Browser;
use crate::stand_in::{StandIn, TOKEN};

/// Opens the page and logs in.
pub(crate) fn logged_in(manager: &StandIn) -> Browser {
    let mut browser = Browser::start();
    log_in(&mut browser, &manager.at("/_admin/"));
    browser
}

/// Logs in at `address`.
pub(crate) fn log_in(browser: &mut Browser, address: &str) {
    log_in_with(browser, address, TOKEN);
}

/// Logs in at `address` with a token.
pub(crate) fn log_in_with(browser: &mut Browser, address: &str, token: &str) {
    // The form comes with this status.
    browser.expect("status of 401");
    browser.open(address);
    browser.type_into("#token", token);
    browser.click("button[type=submit]");
    browser.wait("document.querySelector('.logout')");
}

#[test]
fn only_the_token_opens_the_page() {
    let manager = StandIn::start();
    let mut browser = Browser::start();
    browser.expect("status of 401");
    browser.open(&manager.at("/_admin/log?name=web"));
    assert_eq!(browser.text("h1"), "Log in");
    assert!(browser.run("return document.querySelector('[role=alert]')").is_null());
    browser.type_into("#token", "a-token-that-is-wrong");
    browser.click("button[type=submit]");
    browser.wait_for_text("[role=alert]", "that is not this application's token");
    browser.type_into("#token", TOKEN);
    browser.click("button[type=submit]");
    browser.wait_for_text("h1", "Log of web");
    assert_eq!(browser.run("return document.cookie"), "", "scripts don't see the session");
    let cookies = browser.cookies();
    let mut paths = Vec::new();
    for cookie in cookies.as_array().unwrap() {
        assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&true.into(), &"Strict".into()));
        paths.push(cookie["path"].as_str().unwrap());
    }
    paths.sort_unstable();
    assert_eq!(paths, ["/_admin", "/cart/_admin"]);
    browser.finish();
}

#[test]
fn who_logs_out_is_out() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.wait_for_text("h1", "shop");
    browser.click(".logout button");
    browser.wait_for_text("h1", "Log in");
    browser.open(&manager.at("/_admin/view"));
    assert_eq!(browser.text("h1"), "Log in");
    browser.finish();
}

#[test]
fn a_page_that_lost_its_session_shows_the_login_form() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.wait_for_text("#live", "Live");
    browser.command("Network.clearBrowserCookies", &serde_json::json!({}));
    manager.change(|report| report.message = Some("changed".to_owned()));
    browser.wait_for_text("h1", "Log in");
    browser.finish();
}

#[test]
fn forms_of_others_do_nothing() {
    let manager = StandIn::start();
    let mut browser = logged_in(&manager);
    browser.expect("status of 403");
    // A script of the same origin that does not know the session's second text.
    let status = browser.run(
        "return fetch('scale', { method: 'POST', body: new URLSearchParams({ name: 'web', \
         replicas: '9' }) }).then((response) => response.status)",
    );
    assert_eq!(status, 403);
    // A form of another origin, even of one on the same host, whose requests have the cookie, and
    // even one that came to know that text.
    let csrf = browser.run("return document.querySelector('[name=csrf]').value");
    let other = StandIn::start();
    browser.open(&other.at("/_admin/page.css"));
    let script = format!(
        "const form = document.createElement('form'); form.method = 'post';
         form.action = '{}'; form.innerHTML = '<input name=csrf value={}><input name=name \
         value=web><input name=replicas value=9>'; document.body.append(form); form.submit();",
        manager.at("/_admin/scale"),
        csrf.as_str().unwrap()
    );
    browser.run(&script);
    browser.wait_for_text("[role=alert]", "on behalf of another site");
    assert_eq!(manager.done(), Vec::<String>::new());
    browser.finish();
}
