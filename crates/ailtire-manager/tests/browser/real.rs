//! The page of a real manager, whose stack runs on a private engine.

use private_engine::wait_for;

use crate::access::log_in_with;
use crate::browser::{Browser, key};
use crate::support::{Lab, SOON};

/// Its task runs until it finds a file, and fails then.
const COMPOSE: &str = "\
services:
  web:
    image: ailtire-test/busybox:1
    command:
      - sh
      - -c
      - |
        echo 'waiting for <b>work</b>'
        while [ ! -e /fail ]; do sleep 0.2; done
        echo 'there is no work' >&2
        exit 7
    networks: [children]
    stop_signal: SIGKILL
    deploy:
      endpoint_mode: dnsrr
      restart_policy: { delay: 3s }
";

/// Makes the one task of `web` fail.
fn fail(lab: &Lab) {
    let task = lab.client.running_tasks(&format!("{}_web", lab.root())).unwrap().remove(0);
    let container = task["Status"]["ContainerStatus"]["ContainerID"].as_str().unwrap();
    let command = serde_json::json!({ "Cmd": ["touch", "/fail"] });
    let path = format!("/containers/{container}/exec");
    let made = lab.client.post_json(&path, &command).unwrap().json(&path).unwrap();
    let start = format!("/exec/{}/start", made["Id"].as_str().unwrap());
    let detached = serde_json::json!({ "Detach": true });
    lab.client.post_json(&start, &detached).unwrap().accepted(&start).unwrap();
}

#[test]
fn a_real_stack_is_watched_scaled_and_shut_down() {
    let lab = Lab::new("page");
    let manager = lab.deploy(&lab.bundle("shop", COMPOSE));
    let mut browser = Browser::start();
    let page = format!("http://127.0.0.1:{}/_admin/", manager.port);
    log_in_with(&mut browser, &page, manager.token().trim());
    let badge = ".service[data-name=web] > .head > .badge";
    browser.wait_for_text(badge, "running");

    fail(&lab);
    browser.wait("!document.querySelector('.service[data-name=web] > .head > .good')");
    browser.wait_for_text(".service[data-name=web]", "non-zero exit (7)");
    browser.wait_for_text(badge, "running");

    browser.click("a[aria-label='Log of web']");
    browser.wait_for_text(".log", "waiting for <b>work</b>");
    browser.wait_for_text(".log .stderr", "there is no work");
    browser.click("header a");

    browser.click("a[aria-label='Scale web']");
    browser.wait("document.activeElement.id === 'replicas'");
    browser.press(&format!("{}3{}", key::SELECT_ALL, key::ENTER));
    browser.wait_for_text(".service[data-name=web] .count", "3 of 3");
    assert_eq!(lab.tasks("web").len(), 3);

    browser.click("a[aria-label^='Shut down']");
    browser.type_into("#confirm", &lab.root());
    browser.click("dialog button.danger");
    browser.wait_for_text("h1", "is being removed");
    assert!(manager.wait_for_end());
    wait_for(SOON, "the end of the stack", || lab.left().is_empty().then_some(())).unwrap();
    browser.finish();
}
