//! What can be done from the page: with the mouse, with the keyboard, and without scripts.

use serde_json::json;

use crate::access::{log_in, logged_in};
use crate::browser::{Browser, key};
use crate::stand_in::StandIn;

const SCALE_WEB: &str = "a[aria-label='Scale web']";
const SHUT_DOWN: &str = "a[aria-label='Shut down shop']";

#[test]
fn scaling_asks_in_a_dialog() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.click(SCALE_WEB);
    browser.wait_for_text("dialog[open] h1", "Scale web?");
    assert_eq!(browser.run("return document.activeElement.id"), "replicas");
    browser.press(key::ESCAPE);
    browser.wait("!document.querySelector('dialog').open");
    assert_eq!(manager.done(), Vec::<String>::new(), "Escape does nothing");
    browser.click(SCALE_WEB);
    browser.wait("document.activeElement.id === 'replicas'");
    browser.press(&format!("{}5", key::SELECT_ALL));
    browser.click("dialog button.main");
    browser.wait("!document.querySelector('dialog').open");
    browser.wait_for_text("#announce", "Done.");
    assert_eq!(manager.done(), ["shop scale web 5"]);
    let focus = browser.run("return document.activeElement.getAttribute('aria-label')");
    assert_eq!(focus, "Scale web", "the focus is where it was");
    browser.finish();
}

#[test]
fn a_shutdown_needs_the_name_typed() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.click(SHUT_DOWN);
    browser.wait_for_text("dialog[open] h1", "Shut down shop?");
    let is_disabled = "return document.querySelector('dialog button').disabled";
    assert_eq!(browser.run(is_disabled), true);
    browser.type_into("#confirm", "sho");
    assert_eq!(browser.run(is_disabled), true);
    browser.type_into("#confirm", "p");
    assert_eq!(browser.run(is_disabled), false);
    browser.click("dialog button.danger");
    browser.wait_for_text("h1", "shop is being removed");
    assert_eq!(manager.done(), ["shop shutdown"]);
    browser.finish();
}

#[test]
fn a_stack_inside_is_served_by_its_own_manager() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.click("a[aria-label='Scale prices']");
    browser.wait("document.activeElement.id === 'replicas'");
    browser.press(&format!("{}2{}", key::SELECT_ALL, key::ENTER));
    browser.wait_for_text("#announce", "Done.");
    assert_eq!(manager.done(), ["shop_cart-1 scale prices 2"]);
    browser.click("a[href='../cart/_admin/view']");
    browser.wait("document.title === 'degraded · shop_cart-1'");
    assert_eq!(browser.address(), manager.at("/cart/_admin/view"), "nobody has to log in again");
    browser.finish();
}

#[test]
fn one_can_log_in_behind_a_gateway_too() {
    let manager = StandIn::start();
    let mut browser = Browser::start();
    log_in(&mut browser, &manager.at("/cart/_admin/"));
    browser.wait("document.title === 'degraded · shop_cart-1'");
    browser.click("a[aria-label='Redeploy prices']");
    browser.click("dialog button.main");
    browser.wait_for_text("#announce", "Done.");
    assert_eq!(manager.done(), ["shop_cart-1 redeploy prices"]);
    browser.finish();
}

#[test]
fn everything_is_reached_by_keyboard() {
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    browser.wait_for_text("#live", "Live");
    let focus = || {
        let focus = browser.run(
            "const it = document.activeElement; const style = getComputedStyle(it);
             return [it.getAttribute('aria-label') ?? it.textContent.trim(), style.outlineStyle]",
        );
        assert_eq!(focus[1], "solid", "the focus is seen on {}", focus[0]);
        focus[0].as_str().unwrap().to_owned()
    };
    browser.press(key::TAB);
    assert_eq!(focus(), "Skip to the content");
    browser.press(key::ENTER);
    browser.wait("document.activeElement.id === 'main'");
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "Scale web") {
        browser.press(key::TAB);
        seen.push(focus());
        assert!(seen.len() < 40, "{seen:?}");
    }
    assert_eq!(seen[..3], ["Redeploy shop", "Shut down shop", "Log of cart"]);
    browser.press(key::ENTER);
    browser.wait("document.activeElement.id === 'replicas'");
    browser.press(&format!("{}4{}", key::SELECT_ALL, key::ENTER));
    browser.wait_for_text("#announce", "Done.");
    assert_eq!(manager.done(), ["shop scale web 4"]);
    browser.wait("document.activeElement.getAttribute('aria-label') === 'Scale web'");
    browser.finish();
}

#[test]
fn without_scripts_a_page_asks() {
    let manager = StandIn::start();
    let mut browser = Browser::start();
    // The driver's own scripts still run.
    browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    log_in(&mut browser, &manager.at("/_admin/"));
    browser.click(SCALE_WEB);
    browser.wait_for_text("h1", "Scale web?");
    browser.type_into("#replicas", &format!("{}3", key::SELECT_ALL));
    browser.click("button.main");
    browser.wait_for_text("#notice", "web is being scaled.");
    assert_eq!(manager.done(), ["shop scale web 3"]);
    browser.click(SHUT_DOWN);
    browser.type_into("#confirm", "something else");
    browser.click("button.danger");
    browser.expect("status of 400");
    browser.wait_for_text("[role=alert]", "that is not its name");
    assert_eq!(manager.done(), Vec::<String>::new());
    browser.finish();
}
