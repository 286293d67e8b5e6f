//! A page that is open shows what happens.

use ailtire_events::LogStream;
use ailtire_manager::report::{StackReport, StackState};
use ailtire_swarm::status::ServiceCondition;
use private_engine::wait_for;

use crate::access::logged_in;
use crate::browser::{Browser, PATIENCE};
use crate::stand_in::StandIn;

fn fail(report: &mut StackReport) {
    report.state = StackState::Degraded;
    let web = report.services.iter_mut().find(|service| service.name == "web").unwrap();
    web.condition = ServiceCondition::Degraded;
    web.running = 1;
    web.last_error = Some("task: non-zero exit (7)".to_owned());
    "failed".clone_into(&mut web.tasks[1].state);
    web.tasks[1].exit_code = Some(7);
}

fn recover(report: &mut StackReport) {
    report.state = StackState::Running;
    let web = report.services.iter_mut().find(|service| service.name == "web").unwrap();
    web.condition = ServiceCondition::Running;
    web.running = 2;
    web.last_error = None;
    "running".clone_into(&mut web.tasks[1].state);
    web.tasks[1].exit_code = None;
}

fn has_web(browser: &Browser, state: &str) {
    let badge = ".service[data-name=web] > .head > .badge";
    browser.wait_for_text(badge, state);
}

#[test]
fn a_service_that_fails_and_recovers_is_seen() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.wait_for_text("#live", "Live");
    has_web(&browser, "running");
    // What somebody looks at stays as it is.
    browser.run(
        "const web = document.querySelector('.service[data-name=web]'); window.web = web;
         web.querySelector('details').open = true; web.querySelector('summary').focus();",
    );
    manager.change(fail);
    has_web(&browser, "degraded");
    browser.wait_for_text("#announce", "web is degraded");
    browser.wait("document.title === 'degraded · shop'");
    assert!(browser.text(".service[data-name=web]").contains("task: non-zero exit (7)"));
    assert!(browser.text(".service[data-name=web] .tasks").contains("exit code 7"));
    manager.change(recover);
    has_web(&browser, "running");
    browser.wait_for_text("#announce", "shop is running, web is running.");
    browser.wait("document.activeElement === window.web.querySelector('summary')");
    browser.wait("window.web.isConnected && window.web.querySelector('details').open");
    browser.wait("!window.web.textContent.includes('non-zero')");
    browser.finish();
}

#[test]
fn services_come_and_go() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.wait_for_text("#live", "Live");
    manager.change(|report| {
        let mut added = report.services[0].clone();
        "another".clone_into(&mut added.name);
        report.services.insert(0, added);
        report.services.retain(|service| service.name != "pubsub");
    });
    browser.wait_for_text("#announce", "another is running, 1 removed.");
    let names = browser.run(
        "return [...document.querySelectorAll('.services')[0].children].map(it => it.dataset.name)",
    );
    assert_eq!(names, serde_json::json!(["another", "cart", "web"]));
    browser.finish();
}

#[test]
fn without_events_the_page_asks_again_and_again() {
    let manager = StandIn::start();
    let mut browser = logged_in(&manager);
    browser.expect("events");
    browser.wait_for_text("#live", "Live");
    manager.end_events();
    manager.change(fail);
    has_web(&browser, "degraded");
    browser.wait_for_text("#live", "Asks every 5 s");
    browser.finish();
}

#[test]
fn a_log_is_read_and_followed() {
    let manager = StandIn::start();
    manager.write_line(LogStream::Stdout, "listening on 3000");
    manager.write_line(LogStream::Stderr, "<img src=x onerror=alert(1)>\u{1b}[31mred");
    let browser = logged_in(&manager);
    browser.click("a[aria-label='Log of web']");
    browser.wait_for_text(".log p:first-child", "listening on 3000");
    browser.wait_for_text(".log p.stderr", "<img src=x onerror=alert(1)>red");
    browser.wait_for_text("#live", "Live");
    manager.write_line(LogStream::Stderr, "a <b>new</b> line\u{1b}[31m\u{202e}");
    browser.wait_for_text(".log p:nth-child(3) .text", "a <b>new</b> line\u{fffd}");
    let lines = "return [...document.querySelectorAll('.log p')].slice(1).map((it) => it.innerHTML \
                 .replace(/<span class=.text.*/, ''))";
    let lines = browser.run(lines);
    assert_eq!(lines[0], lines[1], "both sides write lines alike");
    browser.click("#follow");
    let left = || (manager.followers() == 0).then_some(());
    wait_for(PATIENCE, "the end of following", left).unwrap();
    browser.finish();
}
