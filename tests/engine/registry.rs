//! Bases from a real registry that wants to know who asks: credentials, helpers, `--pull`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use crate::support::{Run, TestApplication, client, host, image_files};

const USER: &str = "tester";
const PASSWORD: &str = "swordfish-pass";
/// `tester:swordfish-pass`, for `htpasswd` and for HTTP.
const HASH: &str = "$2b$05$pFs4yt3cc4NeSFJvl/wd.empVt4k8AirGhYV4iKdRd18kjwdghNGy";
const BASIC: &str = "dGVzdGVyOnN3b3JkZmlzaC1wYXNz";
/// The same as the engine wants it in a header.
const REGISTRY_AUTH: &str = "eyJ1c2VybmFtZSI6InRlc3RlciIsInBhc3N3b3JkIjoic3dvcmRmaXNoLXBhc3MifQ==";

/// Debian's `docker-registry` on a free port of the loopback, which wants a password.
struct Registry {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        private_engine::need("docker-registry", "docker-registry").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("htpasswd");
        fs::write(&users, format!("{USER}:{HASH}\n")).unwrap();
        let settings = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: info, formatter: json }}\n\
             storage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: '127.0.0.1:0' }}\n\
             auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n",
            folder.path().join("data").display(),
            users.display()
        );
        fs::write(&settings, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&settings).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        // It chooses the port, and says which one it took.
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the registry ended");
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(['"', '\n', ' ']).unwrap_or(rest.len());
                break rest[..end].to_owned();
            }
        };
        // What it says further must go somewhere, or it would wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { process, address, _folder: folder }
    }

    fn reference(&self, name: &str) -> String {
        format!("{}/{name}:1", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Has the engine push `reference` to the registry in its name, and forget it.
fn move_to_registry(reference: &str) {
    let (name, tag) = reference.rsplit_once(':').unwrap();
    let mut engine = UnixStream::connect(host().strip_prefix("unix://").unwrap()).unwrap();
    write!(
        engine,
        "POST /images/{name}/push?tag={tag} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\
         X-Registry-Auth: {REGISTRY_AUTH}\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    engine.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("digest: sha256:"), "{answer}");
    assert_eq!(client().delete(&format!("/images/{reference}")).unwrap().status, 200);
}

/// An application that makes the base image `reference`, holding `content`.
fn make_base(registry: &Registry, content: &str) {
    let reference = registry.reference("base");
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
    let dockerfile = format!("FROM {}\nCOPY Dockerfile /\n", registry.reference("base"));
    application.put("deploy/web/Dockerfile", &dockerfile);
    application
}

fn base_content(application: &TestApplication) -> Vec<u8> {
    image_files(&application.reference("web"))["base"].content.clone()
}

#[test]
fn a_base_is_fetched_with_credentials_and_again_only_when_asked() {
    let registry = Registry::start();
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
        format!("{{ \"auths\": {{ \"{}\": {{ \"auth\": \"{BASIC}\" }} }} }}", registry.address);
    application.put(".docker/config.json", &auths);
    application.built(&[]);
    assert_eq!(base_content(&application), b"first");

    client().delete(&format!("/images/{}", registry.reference("base"))).unwrap();
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
    client().delete(&format!("/images/{}", registry.reference("base"))).unwrap();
}

#[test]
fn credentials_come_from_a_helper_and_appear_nowhere() {
    let registry = Registry::start();
    make_base(&registry, "helped");
    let application = application_on_base(&registry);
    let helper = application.path(".docker/docker-credential-test");
    let answer = format!("{{\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}");
    application.put(
        ".docker/docker-credential-test",
        &format!("#!/bin/sh\ncat > /dev/null\necho '{answer}'\n"),
    );
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let helpers = format!("{{ \"credHelpers\": {{ \"{}\": \"test\" }} }}", registry.address);
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
    client().delete(&format!("/images/{}", registry.reference("base"))).unwrap();
}
