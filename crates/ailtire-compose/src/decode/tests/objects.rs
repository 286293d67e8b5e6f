//! Networks, volumes, configs, secrets, routes, and the design as a whole.

use std::time::Duration;

use super::{Application, json, read};

#[test]
fn networks_and_volumes() {
    let outcome = read(
        "x-common: &common {driver: overlay}
version: '3.9'
services: {web: {image: web}}
networks:
  a:
  b: {<<: *common, driver_opts: {mtu: 1400}, attachable: true, internal: true, labels: [x=y], x-a: 1}
  c: {external: true}
  d: {external: {name: other}}
  e: {external: 'true', name: given}
  f: {name: mine, ipam: {driver: default, config: [{subnet: 10.1.0.0/16}, {subnet: '2001:db8::/64'}]}}
volumes:
  a:
  b: {driver: local, driver_opts: {type: nfs}, labels: {x: y}}
  c: {external: true}
  d: {external: {name: other}}
  e: {name: mine}",
    );
    for (pointer, wanted) in [
        ("networks/a", "{}"),
        (
            "networks/b",
            r#"{"attachable":true,"driver":"overlay","driver_opts":{"mtu":"1400"},"internal":true,"labels":{"x":"y"}}"#,
        ),
        ("networks/c", r#"{"external":true,"name":"c"}"#),
        ("networks/d", r#"{"external":true,"name":"other"}"#),
        ("networks/e", r#"{"external":true,"name":"given"}"#),
        (
            "networks/f",
            r#"{"ipam":{"config":[{"subnet":"10.1.0.0/16"},{"subnet":"2001:db8::/64"}],"driver":"default"},"name":"mine"}"#,
        ),
        ("volumes/a", "{}"),
        ("volumes/b", r#"{"driver":"local","driver_opts":{"type":"nfs"},"labels":{"x":"y"}}"#),
        ("volumes/c", r#"{"external":true,"name":"c"}"#),
        ("volumes/d", r#"{"external":true,"name":"other"}"#),
        ("volumes/e", r#"{"name":"mine"}"#),
    ] {
        assert_eq!(json(outcome.design(), &format!("/{pointer}")), wanted, "{pointer}");
    }
    assert_eq!(outcome.findings(), "");
}

#[test]
fn configs_and_secrets_are_read() {
    let application = Application {
        files: &[("deploy/site.conf", b"\xff\x00"), ("keys/key.pem", b"key")],
        variables: &[("TOKEN", "t"), ("NAME", "world")],
    };
    let outcome = application.read(
        "services: {web: {image: web}}
configs:
  file: {file: ./site.conf, labels: {a: b}, template_driver: golang}
  inline: {content: \"hello ${NAME}\"}
  variable: {environment: TOKEN, name: fixed}
  outside: {external: true}
secrets:
  file: {file: ../keys/key.pem}
  variable: {environment: TOKEN}
  driven: {driver: vault, driver_opts: {path: x}}
  outside: {external: {name: theirs}}",
    );
    assert_eq!(outcome.findings(), "");
    let design = outcome.design();
    let data = |object: &crate::FileObject| object.data.clone();
    assert_eq!(data(&design.configs["file"]).unwrap(), b"\xff\x00");
    assert_eq!(data(&design.configs["inline"]).unwrap(), b"hello world");
    assert_eq!(data(&design.configs["variable"]).unwrap(), b"t");
    assert_eq!(data(&design.configs["outside"]), None);
    assert_eq!(data(&design.secrets["file"]).unwrap(), b"key");
    assert_eq!(data(&design.secrets["variable"]).unwrap(), b"t");
    assert_eq!(data(&design.secrets["driven"]), None);
    assert_eq!(
        json(design, "/configs"),
        r#"{"file":{"file":"deploy/site.conf","labels":{"a":"b"},"template_driver":"golang"},"inline":{"content":"hello world"},"outside":{"external":true,"name":"outside"},"variable":{"environment":"TOKEN","name":"fixed"}}"#
    );
    assert_eq!(
        json(design, "/secrets"),
        r#"{"driven":{"driver":"vault","driver_opts":{"path":"x"}},"file":{"file":"keys/key.pem"},"outside":{"external":true,"name":"theirs"},"variable":{"environment":"TOKEN"}}"#
    );
}

#[test]
fn routes_and_ports_of_the_root() {
    let outcome = read(
        "services: {web: {image: web}, shop: {image: NoReference, x-ailtire-stack: true}}
x-ailtire-routes:
- {prefix: /, service: web}
- {prefix: /shop, service: shop, path: /x, port: 3001, protocol: http, timeout: 2s, retries: 3}
x-ailtire-ports:
- {target: 3000, published: 80, mode: ingress, protocol: tcp}",
    );
    let design = outcome.design();
    assert!(design.services["shop"].is_stack && !design.services["web"].is_stack);
    assert_eq!(design.routes[0].prefix, "/shop");
    assert_eq!(design.routes[0].timeout, Some(Duration::from_secs(2)));
    assert_eq!(design.routes[0].retries, Some(3));
    assert_eq!(
        json(design, "/x-ailtire-routes/1"),
        r#"{"path":"/","port":3000,"prefix":"/","protocol":"http","service":"web"}"#
    );
    assert_eq!(
        json(design, "/x-ailtire-ports"),
        r#"[{"mode":"ingress","protocol":"tcp","published":80,"target":3000}]"#
    );
}
