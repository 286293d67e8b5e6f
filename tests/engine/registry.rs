//! Bases from a real registry that wants to know who asks: credentials, helpers, `--pull`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use private_engine::Registry;

use crate::support::{Run, TestApplication, client, image_files};

const USER: &str = "tester";
const PASSWORD: &str = "swordfish-pass";
/// `tester:swordfish-pass`, for `htpasswd` and for HTTP.
const HASH: &str = "$2b$05$pFs4yt3cc4NeSFJvl/wd.empVt4k8AirGhYV4iKdRd18kjwdghNGy";
pub(crate) const BASIC: &str = "dGVzdGVyOnN3b3JkZmlzaC1wYXNz";
/// The same as the engine wants it in a header.
pub(crate) const REGISTRY_AUTH: &str =
    "eyJ1c2VybmFtZSI6InRlc3RlciIsInBhc3N3b3JkIjoic3dvcmRmaXNoLXBhc3MifQ==";

fn start_registry() -> Registry {
    Registry::start(&client(), Some(&users())).unwrap()
}

/// Who may use a registry, as `htpasswd` writes it.
pub(crate) fn users() -> String {
    format!("{USER}:{HASH}\n")
}

fn in_registry(registry: &Registry, name: &str) -> String {
    format!("{}/{name}:1", registry.address())
}

/// Has the engine push `reference` to the registry in its name, and forget it.
fn move_to_registry(reference: &str) {
    client().push(reference, REGISTRY_AUTH).unwrap();
    assert_eq!(client().delete(&format!("/images/{reference}")).unwrap().status, 200);
}

/// An application that makes the base image `reference`, holding `content`.
fn make_base(registry: &Registry, content: &str) {
    let reference = in_registry(registry, "base");
    let maker = TestApplication::new(&[
        ("deploy/b/Dockerfile", "FROM scratch\nCOPY file /base\n"),
        ("deploy/b/file", content),
    ]);
    let build = format!("module.exports = {{ b: {{ dir: 'b', tag: '{reference}' }} }};");
    maker.put("deploy/build.js", &build);
    maker.built(&[]);
    move_to_registry(&reference);
}

fn application_on_base(registry: &Registry) -> TestApplication {
    let application =
        TestApplication::new(&[("deploy/build.js", "module.exports = { web: { dir: 'web' } };")]);
    let dockerfile = format!("FROM {}\nCOPY Dockerfile /\n", in_registry(registry, "base"));
    application.put("deploy/web/Dockerfile", &dockerfile);
    application
}

fn base_content(application: &TestApplication) -> Vec<u8> {
    image_files(&application.reference("web"))["base"].content.clone()
}

#[test]
fn a_base_is_fetched_with_credentials_and_again_only_when_asked() {
    let registry = start_registry();
    make_base(&registry, "first");
    let application = application_on_base(&registry);
    let run = application.run(&["build"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("deploy/web/Dockerfile:1"), "{run}");
    assert!(
        run.stderr.contains("no basic auth credentials") || run.stderr.contains("401"),
        "{run}"
    );

    let auths =
        format!("{{ \"auths\": {{ \"{}\": {{ \"auth\": \"{BASIC}\" }} }} }}", registry.address());
    application.put(".docker/config.json", &auths);
    application.built(&[]);
    assert_eq!(base_content(&application), b"first");

    client().delete(&format!("/images/{}", in_registry(&registry, "base"))).unwrap();
    make_base(&registry, "second");
    let run = application.built(&[]);
    assert_eq!(
        run.summary()["fresh"],
        1,
        "a base that is not there any more changed nothing: {run}"
    );
    let run = application.built(&["--pull"]);
    assert_eq!(run.reasons(&application.reference("web")), ["external-base"], "{run}");
    assert_eq!(base_content(&application), b"second");
    let run = application.built(&["--pull"]);
    assert_eq!(run.summary()["fresh"], 1, "{run}");
    client().delete(&format!("/images/{}", in_registry(&registry, "base"))).unwrap();
}

#[test]
fn credentials_come_from_a_helper_and_appear_nowhere() {
    let registry = start_registry();
    make_base(&registry, "helped");
    let application = application_on_base(&registry);
    let helper = application.path(".docker/docker-credential-test");
    let answer = format!("{{\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}");
    application.put(
        ".docker/docker-credential-test",
        &format!("#!/bin/sh\ncat > /dev/null\necho '{answer}'\n"),
    );
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let helpers = format!("{{ \"credHelpers\": {{ \"{}\": \"test\" }} }}", registry.address());
    application.put(".docker/config.json", &helpers);
    let path = format!(
        "{}:{}",
        application.path(".docker").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = application.command(&["build", "--message-format", "json", "-v"]);
    let run = Run::of(command.env("PATH", path).output().unwrap());
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(base_content(&application), b"helped");
    assert!(!run.to_string().contains("swordfish"), "{run}");
    client().delete(&format!("/images/{}", in_registry(&registry, "base"))).unwrap();
}
