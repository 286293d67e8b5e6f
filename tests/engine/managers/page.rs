//! The page of a whole application, in a real browser, through the root's one port.

use super::small::Small;
use crate::browser::{Browser, key};
use crate::support::client;

/// A service of a stack, as the page has it.
fn service(instance: &str, name: &str) -> String {
    format!(".stack[data-name='{instance}'] > .services > .service[data-name='{name}']")
}

#[test]
fn the_page_of_the_root_reaches_the_stacks_inside() {
    let small = Small::new();
    small.done(&["up"]);
    let (root, inner) = (small.root(), format!("{}_inner-1", small.root()));
    let page = format!("http://{}/_admin/", small.address);
    let mut browser = Browser::start();
    // The form comes with this status.
    browser.expect("status of 401");
    browser.open(&page);
    browser.type_into("#token", small.done(&["token"]).stdout.trim());
    browser.click("button[type=submit]");

    for (instance, name) in [(&root, "web"), (&root, "inner"), (&inner, "worker")] {
        let service = service(instance, name);
        browser.wait_for_text(&format!("{service} > .head > .badge"), "running");
        browser.wait_for_text(&format!("{service} .tasks"), &format!("{name}.1"));
    }
    browser.wait_for_text("#live", "Live");

    browser.click("a[aria-label='Log of worker']");
    browser.wait_for_text(".log", "worker runs");
    assert!(browser.address().contains("/inner/_admin/log"), "{}", browser.address());
    browser.click("header a");
    browser.wait(&format!("document.title === 'running · {inner}'"));
    browser.wait_for_text(&format!("{} .tasks", service(&inner, "worker")), "worker.1");

    browser.open(&page);
    browser.click("a[aria-label='Scale worker']");
    browser.wait("document.activeElement.id === 'replicas'");
    browser.press(&format!("{}2{}", key::SELECT_ALL, key::ENTER));
    browser.wait_for_text(&format!("{} .count", service(&inner, "worker")), "2 of 2");
    assert_eq!(client().running_tasks(&format!("{inner}_worker")).unwrap().len(), 2);

    browser.click("a[href='../inner/_admin/view']");
    browser.wait(&format!("document.title === 'running · {inner}'"));
    browser.click("a[aria-label='Log of worker']");
    browser.wait_for_text(".log", "worker runs");
    browser.finish();
    small.done(&["down"]);
}
