//! How the page looks: on a telephone, in the dark, and with texts that want to be more.

use std::fs;
use std::path::Path;

use ailtire_events::LogStream;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::access::logged_in;
use crate::browser::Browser;
use crate::stand_in::{StandIn, TOKEN, sample};

/// Names the folder for pictures of the page; without it, none are taken.
const SCREENSHOTS: &str = "AILTIRE_SCREENSHOTS";

/// The largest picture that goes into the repository.
const LARGEST_PICTURE: usize = 150_000;

/// Breaks out of whatever is not escaped.
const HOSTILE: &str = "</script><img src=x onerror=\"window.hacked=1\">'&amp;\u{202e}";

fn assert_fits(browser: &Browser, page: &str) {
    let widths = browser.run("return [document.documentElement.scrollWidth, innerWidth]");
    assert_eq!(widths, json!([320, 320]), "{page} needs no sideways scrolling");
}

#[test]
fn a_telephone_is_wide_enough() {
    let mut report = sample();
    report.services[0].name =
        "a-service-with-a-name-as-long-as-the-swarm-allows-and-longer".to_owned();
    report.services[0].last_error = Some("x".repeat(300));
    report.services[0].tasks[0].error = Some("starting container failed: ".repeat(8));
    report.services[0].image = format!("registry.example.org/{}", "deep/".repeat(30));
    let manager = StandIn::with_report(report);
    manager.write_line(LogStream::Stdout, &"log".repeat(200));
    let mut browser = Browser::start();
    browser.be_phone();
    browser.expect("status of 401");
    browser.open(&manager.at("/_admin/"));
    assert_fits(&browser, "the login form");
    browser.type_into("#token", TOKEN);
    browser.click("button[type=submit]");
    browser.wait_for_text("#live", "Live");
    browser.run("for (const it of document.querySelectorAll('details')) it.open = true");
    assert_fits(&browser, "the overview");
    browser.click("a[aria-label='Shut down shop']");
    browser.wait_for_text("dialog[open] h1", "Shut down shop?");
    assert_fits(&browser, "a dialog");
    for page in ["confirm?action=scale&name=web", "log?name=web"] {
        browser.open(&manager.at(&format!("/_admin/{page}")));
        assert_fits(&browser, page);
    }
    browser.finish();
}

/// The least contrast of all texts with what is behind them, and what has it.
const CONTRAST: &str = "
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (text) => {
        const [red, green, blue] = parse(text).map((part) => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
        for (let it = element; it; it = it.parentElement) {
            const color = getComputedStyle(it).backgroundColor;
            if ((parse(color)[3] ?? 1) > 0) return color;
        }
    };
    let least = [99, ''];
    for (const element of document.querySelectorAll('body *')) {
        const texts = [...element.childNodes].filter((it) => it.nodeType === 3 && it.data.trim());
        if (!texts.length || element.closest('script') || !element.checkVisibility()) continue;
        const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < least[0]) least = [contrast, element.outerHTML];
    }
    return least;";

#[test]
fn light_and_dark_can_be_read() {
    let mut report = sample();
    report.message = Some("a message".to_owned());
    let manager = StandIn::with_report(report);
    manager.write_line(LogStream::Stderr, "an error");
    let browser = logged_in(&manager);
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for page in ["view", "log?name=web", "confirm?action=shutdown", "confirm?action=redeploy"] {
            browser.open(&manager.at(&format!("/_admin/{page}")));
            let least = browser.run(CONTRAST);
            assert!(least[0].as_f64().unwrap() >= 4.5, "{scheme}, {page}: {least}");
        }
        grounds.push(browser.run(ground));
    }
    assert_ne!(grounds[0], grounds[1]);
    browser.finish();
}

#[test]
fn hostile_texts_are_texts() {
    let mut report = sample();
    report.message = Some(HOSTILE.to_owned());
    for service in &mut report.services {
        service.name.push_str(HOSTILE);
        service.last_error = Some(HOSTILE.to_owned());
        service.tasks[0].error = Some(HOSTILE.to_owned());
    }
    let child = report.children[0].report.as_deref_mut().unwrap();
    child.services[0].name = HOSTILE.to_owned();
    let manager = StandIn::with_report(report);
    manager.write_line(LogStream::Stdout, HOSTILE);
    let browser = logged_in(&manager);
    browser.wait_for_text("#live", "Live");
    manager.change(|report| report.services[0].running = 7);
    browser.wait_for_text(".count", "7 of 1");
    browser.click(".service a[data-asks]");
    browser.wait("document.querySelector('dialog').open");
    let harmless = "!window.hacked && !document.querySelector('img') && \
                    document.querySelectorAll('script').length === 1";
    browser.wait(harmless);
    browser.open(&manager.at("/_admin/view"));
    browser.click(".service a[href^=log]");
    browser.wait_for_text(".log", "<img src=x");
    browser.wait(harmless);
    browser.finish();
}

#[test]
fn pictures_for_the_documentation() {
    let Some(folder) = std::env::var_os(SCREENSHOTS) else { return };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    let manager = StandIn::start();
    let browser = logged_in(&manager);
    let take = |name: &str| {
        browser.wait_for_text("#live", "Live");
        let picture = STANDARD.decode(browser.screenshot()).unwrap();
        assert!(picture.len() < LARGEST_PICTURE, "{name}: {} bytes", picture.len());
        fs::write(folder.join(name), picture).unwrap();
    };
    browser.prefer("light");
    take("page-light.png");
    browser.prefer("dark");
    take("page-dark.png");
    browser.prefer("light");
    browser.be_phone();
    take("page-phone.png");
}
