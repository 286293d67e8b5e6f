use ailtire_terms::Position as ExportedPosition;

use super::*;
use crate::document::json;
use crate::yaml;

fn convert(text: &str) -> (Node, Vec<String>) {
    let mut findings = Findings::new("services.js", text);
    // JavaScript's literals are YAML where it matters here.
    let root = yaml::parse(text, &mut findings).unwrap();
    let converted = to_compose(root, &mut findings).unwrap();
    let line = |diagnostic: ailtire_events::Diagnostic| {
        let line = diagnostic.location.and_then(|location| location.line).unwrap_or(0);
        format!("{}:{line}: {}", diagnostic.code, diagnostic.message)
    };
    (converted, findings.into_diagnostics().into_iter().map(line).collect())
}

fn good(text: &str) -> serde_json::Value {
    let (root, messages) = convert(text);
    assert_eq!(messages, [""; 0]);
    json(&root)
}

fn service(text: &str) -> String {
    good(&format!("services: {{ web: {text} }}"))["services"]["web"].to_string()
}

#[test]
fn exported_data_keeps_its_places() {
    let position = ExportedPosition { line: 3, column: 5, length: 2 };
    let node = |value| Exported { value, position: Some(position) };
    let exported = node(ExportedValue::Map(vec![
        ("a".into(), node(ExportedValue::Number(3000.0))),
        ("b".into(), node(ExportedValue::Text("3000".into()))),
        ("c".into(), node(ExportedValue::List(vec![node(ExportedValue::Bool(true))]))),
        ("d".into(), node(ExportedValue::Null)),
        ("a".into(), node(ExportedValue::Number(0.5))),
    ]));
    let tree = tree(&exported);
    assert_eq!(json(&tree).to_string(), r#"{"a":0.5,"b":"3000","c":[true],"d":null}"#);
    let place = Position { line: 3, column: 5, length: 2 };
    assert_eq!(tree.entry("b").unwrap().key_position, place);
    assert_eq!(tree.get("c").unwrap().items()[0].position, place);
}

#[test]
fn keys_of_compose_pass_through() {
    assert_eq!(
        service("{ image: a, environment: { A: 1 }, deploy: { mode: global }, command: [x] }"),
        r#"{"command":["x"],"deploy":{"mode":"global"},"environment":{"A":1},"image":"a"}"#
    );
    assert_eq!(
        service("{ type: stack, networks: children }"),
        r#"{"networks":["children"],"x-ailtire-stack":true}"#
    );
    let root =
        good("{ services: {}, configs: { a: { file: b } }, networks: { n: { driver: x } } }");
    assert_eq!(root["configs"]["a"]["file"], "b");
    assert_eq!(root["networks"]["n"]["driver"], "x");
}

#[test]
fn volumes_are_binds_or_named() {
    let root = good(
        "services: { web: { volumes: { \
           docker: { source: /var/run/docker.sock, target: /var/run/docker.sock }, \
           here: { source: ./content, target: /content, read_only: true }, \
           data: { target: /data }, \
           other: { source: named, target: /named }, \
           short: /short, \
           full: 'v:/full:ro', \
           memory: { type: tmpfs, target: /tmp } } } }\n\
         data: { named: { driver: local }, unused: {} }",
    );
    assert_eq!(
        root["services"]["web"]["volumes"].to_string(),
        r#"[{"source":"/var/run/docker.sock","target":"/var/run/docker.sock","type":"bind"},{"read_only":true,"source":"./content","target":"/content","type":"bind"},{"source":"data","target":"/data","type":"volume"},{"source":"named","target":"/named","type":"volume"},{"source":"short","target":"/short","type":"volume"},"v:/full:ro",{"target":"/tmp","type":"tmpfs"}]"#
    );
    assert_eq!(
        root["volumes"].to_string(),
        r#"{"data":null,"named":{"driver":"local"},"short":null,"unused":{}}"#
    );
}

#[test]
fn interfaces_are_routes() {
    let root = good(
        "services: { web: { interface: { cs: {}, '/s1': { path: /x, port: 80, protocol: https }, '/': } } }",
    );
    assert_eq!(
        root["x-ailtire-routes"].to_string(),
        r#"[{"path":"/","port":3000,"prefix":"/cs","protocol":"http","service":"web"},{"path":"/x","port":80,"prefix":"/s1","protocol":"https","service":"web"},{"path":"/","port":3000,"prefix":"/","protocol":"http","service":"web"}]"#
    );
    assert!(root["services"]["web"].as_object().unwrap().is_empty());
}

#[test]
fn policies_of_a_service_win() {
    let root = good(
        "policies: { scaling: { min: 2 }, timeout: { requestTimeout: 5000 }, retry: { maxRetries: 3 } }\n\
         services: { a: { interface: { a: {} } }, \
           b: { interface: { b: {} }, policies: { scaling: { min: 4 }, timeout: { requestTimeout: 90000 } } }, \
           c: { deploy: { replicas: 7 } }, d: { deploy: { mode: global } }, e: { deploy: } }",
    );
    let replicas: Vec<String> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| root["services"][name]["deploy"]["replicas"].to_string())
        .collect();
    assert_eq!(replicas, ["2", "4", "7", "null", "2"]);
    let routes = root["x-ailtire-routes"].as_array().unwrap();
    assert_eq!((&routes[0]["timeout"], &routes[0]["retries"]), (&"5000ms".into(), &3.into()));
    assert_eq!((&routes[1]["timeout"], &routes[1]["retries"]), (&"90000ms".into(), &3.into()));
}

#[test]
fn policies_that_are_not_applied_are_noted() {
    let text = "policies: { scaling: { max: 2 }, other: true, empty: {} }\nservices:\n  a:\n    policies: { circuit: { open: 1 } }\n";
    assert_eq!(
        convert(text).1,
        [
            "policy-not-applied:1: the policy `policies.scaling.max` is not applied",
            "policy-not-applied:1: the policy `policies.other` is not applied",
            "policy-not-applied:4: the policy `services.a.policies.circuit.open` is not applied",
        ]
    );
}

#[test]
fn ports_of_the_stack() {
    let root = good(
        "services: {}\ninterface: { ports: { 80: 3000, 443: { target: 3001, mode: host, protocol: udp } } }",
    );
    assert_eq!(
        root["x-ailtire-ports"].to_string(),
        r#"[{"published":80,"target":3000},{"mode":"host","protocol":"udp","published":443,"target":3001}]"#
    );
    assert_eq!(
        good("interface: { ports: ['80:3000'] }")["x-ailtire-ports"].to_string(),
        r#"["80:3000"]"#
    );
}

#[test]
fn mistakes_have_their_place() {
    let text = "\
services:
  a: { type: stak }
  b: { volumes: { v: 7 } }
  c: { interface: [x] }
  d: { interface: { x: 3000 } }
  e: { policies: { timeout: { requestTimeout: soon } } }
interface:
  port: { 80: 3000 }
data: [x]
policies: 7
";
    assert_eq!(
        convert(text).1,
        [
            "invalid-type:10: `policies` must be an object, not a number",
            "invalid-type:9: `data` must be an object of volumes, not a list",
            "unknown-service-type:2: there is no type of service `stak`",
            "invalid-type:3: `v` must be an object with `source` and `target`, not a number",
            "invalid-type:4: `interface` must be an object of URLs, not a list",
            "invalid-type:5: `x` must be an object with `path`, `port` and `protocol`, not a number",
            "invalid-value:6: `services.e.policies.timeout.requestTimeout` must be a number of milliseconds",
            "unknown-key:8: `interface` has no field `port`",
        ]
    );
    let twice = "services: {}\ndata: { v: {} }\nvolumes: { v: {} }";
    assert_eq!(convert(twice).1, ["duplicate-key:3: the volume `v` is here twice"]);
}
