use serde_json::Value;

use crate::support::{Lab, Manager, compose};

/// Every route of the interface, as its document has them: method and path.
fn routes(manager: &Manager) -> Vec<(String, String)> {
    let document = manager.call("GET", "openapi.json", "").json();
    let paths = document["paths"].as_object().unwrap().clone();
    let routes = paths.into_iter().flat_map(|(path, methods)| {
        let methods: Vec<String> = methods
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, method)| !method["security"].is_array())
            .map(|(method, _)| method.to_uppercase())
            .collect();
        methods.into_iter().map(move |method| (method, path.clone()))
    });
    routes.collect()
}

#[test]
fn nothing_is_answered_or_done_without_the_token() {
    let lab = Lab::new("access");
    let manager = lab.deploy(&lab.bundle("shop", &compose(&["web"])));
    let routes = routes(&manager);
    assert!(routes.len() > 15, "{routes:?}");
    let tasks = lab.tasks("web");
    let right = format!("Bearer {}", manager.token());
    let wrong = format!("Bearer {}", "x".repeat(43));
    for (method, path) in &routes {
        let path = format!("{path}?name=web&replicas=7&id=1");
        let status = |headers: &[(&str, &str)]| manager.ask(method, &path, headers, "{}").status;
        assert_eq!(status(&[]), 401, "{method} {path}");
        // A right token in between: those who guess are made to wait, and that is not the point.
        assert_eq!(status(&[("authorization", &wrong)]), 401, "{method} {path}");
        let open = manager.ask("GET", "/_admin/route/list", &[("authorization", &right)], "");
        assert_eq!(open.status, 200);
        assert_eq!(status(&[("cookie", "ailtire-session=made.up")]), 401, "{method} {path}");
        assert_eq!(status(&[("authorization", "Basic eDp5")]), 401, "{method} {path}");
        let open = manager.ask("GET", "/_admin/route/list", &[("authorization", &right)], "");
        assert_eq!(open.status, 200);
    }
    let unknown = manager.ask("GET", "/_admin/none", &[], "");
    assert_eq!(unknown.status, 401, "nobody learns what there is");
    assert_eq!(manager.call("GET", "none", "").status, 404);
    let status = manager.status();
    assert_eq!((&status["state"], lab.tasks("web")), (&Value::from("running"), tasks));
    assert!(!status.to_string().contains(&manager.token()));
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
}

#[test]
fn a_browser_logs_in_and_needs_more_than_its_cookie_to_change_something() {
    let lab = Lab::new("browser");
    let manager = lab.deploy(&lab.bundle("shop", &compose(&["web"])));
    let html = ("accept", "text/html");
    let page = manager.ask("GET", "/_admin/view", &[html], "");
    assert_eq!(page.status, 401);
    assert!(page.body.contains("name=\"token\""), "the form asks for the token");
    let sent = manager.ask("POST", "/_admin/redeploy", &[html], "");
    assert_eq!(sent.status, 401);
    assert!(
        sent.body.contains("name=\"token\""),
        "a form whose session is over asks, too: {sent:?}"
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own = ("origin", "http://localhost");
    let body = format!("token={}", manager.token());
    let denied =
        manager.ask("POST", "/_admin/login", &[form, own, html], "token=wrong-wrong-wrong");
    assert_eq!(denied.status, 401);
    assert_eq!(manager.ask("POST", "/_admin/login", &[form, own, html], &body).status, 303);
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
}

#[test]
fn the_interface_can_be_closed() {
    let lab = Lab::new("closed");
    let manager = lab.start(&lab.bundle("shop", &compose(&["web"])), &[("AILTIRE_ADMIN", "off")]);
    manager.wait_until_ready();
    for path in ["status", "login", "", "page.css"] {
        assert_eq!(manager.call("GET", path, "").status, 404, "{path}");
    }
    assert_eq!(manager.call("POST", "shutdown", "").status, 404);
    assert!(manager.stop());
}
