use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let mut routes: BTreeSet<_> = ROUTES
        .iter()
        .map(|(method, name)| ((*method).to_owned(), format!("/_admin/{name}")))
        .collect();
    routes.insert(("GET".to_owned(), "/healthz".to_owned()));
    assert_eq!(described, routes);
}

#[test]
fn the_document_refers_to_what_it_has() {
    let document = document();
    let text = document.to_string();
    let references = text.split("\"#/components/").skip(1);
    for reference in references.map(|rest| rest.split('"').next().unwrap()) {
        let pointer = format!("/components/{reference}");
        assert!(document.pointer(&pointer).is_some(), "{pointer}");
    }
}

#[test]
fn what_is_open_to_all_says_so() {
    let open: Vec<String> = document()["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, methods)| methods["get"]["security"].is_array())
        .map(|(path, _)| path.clone())
        .collect();
    let expected = ["/_admin/icon.svg", "/_admin/login", "/_admin/page.css", "/healthz"];
    assert_eq!(open, expected);
}

#[test]
fn a_wrong_method_is_told_the_right_one() {
    let response = no_route("scale");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[ALLOW], "POST");
    assert_eq!(no_route("nothing").status(), StatusCode::NOT_FOUND);
    assert_eq!(no_route("login").headers()[ALLOW], "GET, POST");
}

#[test]
fn the_health_check_waits_for_the_stack_and_liveness_does_not() {
    assert_eq!(health(false, false).status(), StatusCode::OK);
    assert_eq!(health(false, true).status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health(true, true).status(), StatusCode::OK);
}

#[test]
fn a_browser_is_refused_in_its_own_language() {
    let kind = |response: &Response<Body>| response.headers()["content-type"].clone();
    for denial in [Denial::NoCsrf, Denial::OtherOrigin, Denial::NoSession, Denial::TooMany(3)] {
        let (page, program) = (denied(denial, Some("/_admin/view")), denied(denial, None));
        assert_eq!(page.status(), program.status());
        assert_eq!(kind(&page), "text/html; charset=utf-8", "{denial:?}");
        assert_eq!(kind(&program), "application/json", "{denial:?}");
    }
}
