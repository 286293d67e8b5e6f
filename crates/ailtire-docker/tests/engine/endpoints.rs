//! The ways to an engine: `ssh`, TLS, contexts, and what is in the way.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Project, expected_files, host, image_files};
use ailtire_docker::{EndpointOptions, Engine, EngineError};
use private_engine::Launch;

/// Connects its standard streams to the engine of the tests, as `docker system dial-stdio` does.
const FAKE_SSH: &str = r#"#!/usr/bin/perl
use IO::Socket::UNIX; use IO::Select;
die "unexpected: @ARGV\n" unless "@ARGV" eq "-o ConnectTimeout=30 -T -l me -p 2222 -- far docker system dial-stdio";
my $socket = IO::Socket::UNIX->new(Peer => "SOCKET") or die "no socket\n";
my $select = IO::Select->new($socket, \*STDIN);
while (1) {
    for my $from ($select->can_read) {
        my $count = sysread($from, my $data, 65536);
        exit 0 if $from == $socket && !$count;
        if (!$count) { $select->remove($from); shutdown($socket, 1); next; }
        my $to = $from == $socket ? \*STDOUT : $socket;
        my $done = 0;
        while ($done < $count) { $done += syswrite($to, $data, $count - $done, $done) or exit 1; }
    }
}
"#;

fn program(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("ssh");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn builds_go_through_ssh() {
    let folder = tempfile::tempdir().unwrap();
    private_engine::need("perl", "perl-base").unwrap();
    let script = FAKE_SSH.replace("SOCKET", host().strip_prefix("unix://").unwrap());
    let options = EndpointOptions {
        host: Some("ssh://me@far:2222".to_owned()),
        ssh_program: program(folder.path(), &script),
        ..EndpointOptions::default()
    };
    let engine = Engine::connect(&options).await.unwrap();
    assert_eq!(engine.describe(), "ssh://me@far:2222");
    let project = Project::new("FROM scratch\nCOPY . /copied/\n");
    project.write("name", &project.name).write("large", vec![7; 3_000_000]);
    let built = project.build(&engine).await.unwrap();
    let expected = expected_files(&project.request());
    assert_eq!(image_files(&built.image_id, "copied").await, expected);
}

#[tokio::test]
async fn what_ssh_complains_about_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\necho 'me@far: Permission denied (publickey).' >&2\nexit 255\n";
    let mut options = EndpointOptions {
        host: Some("ssh://far".to_owned()),
        ssh_program: program(folder.path(), script),
        ..EndpointOptions::default()
    };
    let error = Engine::connect(&options).await.err().unwrap();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("Permission denied (publickey)"), "{error}");
    options.ssh_program = folder.path().join("none");
    let error = Engine::connect(&options).await.err().unwrap();
    assert!(error.to_string().contains("there is no program"), "{error}");
}

#[tokio::test]
async fn a_context_leads_to_its_engine() {
    let folder = tempfile::tempdir().unwrap();
    let meta = folder.path().join("contexts/meta/any");
    std::fs::create_dir_all(&meta).unwrap();
    let text =
        format!(r#"{{"Name": "mine", "Endpoints": {{"docker": {{"Host": "{}"}}}}}}"#, host());
    std::fs::write(meta.join("meta.json"), text).unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"currentContext": "mine"}"#).unwrap();
    let options = EndpointOptions {
        config_directory: Some(folder.path().to_owned()),
        ..EndpointOptions::default()
    };
    let engine = Engine::connect(&options).await.unwrap();
    assert_eq!(engine.describe(), host());
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("d.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let options = EndpointOptions {
        host: Some(format!("unix://{}", socket.display())),
        connect_timeout: Duration::from_millis(200),
        ..EndpointOptions::default()
    };
    let error = Engine::connect(&options).await.err().unwrap();
    assert!(error.to_string().ends_with("no answer within 0.2 s"), "{error}");
}

fn openssl(folder: &Path, arguments: &str) {
    let status = Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split(' '))
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "openssl {arguments}");
}

/// `ca.pem`, `server.pem` for a server at `address`, `server-key.pem`, `cert.pem` and `key.pem`.
fn make_certificates(folder: &Path, address: Ipv4Addr) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    private_engine::need("openssl", "openssl").unwrap();
    let server = format!("subjectAltName=IP:{address}\n");
    std::fs::write(folder.join("server.ext"), server).unwrap();
    std::fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth\n").unwrap();
    openssl(
        folder,
        &format!("req -x509 {KEY} -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=ca"),
    );
    for (key, certificate, extensions) in
        [("server-key.pem", "server.pem", "server.ext"), ("key.pem", "cert.pem", "client.ext")]
    {
        openssl(folder, &format!("req {KEY} -keyout {key} -out request -subj /CN=any"));
        openssl(
            folder,
            &format!(
                "x509 -req -in request -CA ca.pem -CAkey ca-key.pem -CAcreateserial \
                 -out {certificate} -days 2 -extfile {extensions}"
            ),
        );
    }
}

#[tokio::test]
async fn tls_proves_both_sides() {
    let certificates = tempfile::tempdir().unwrap();
    let path = certificates.path();
    let folder = tempfile::tempdir().unwrap();
    let mut launch = Launch::new(folder.path());
    let address = launch.address().unwrap();
    make_certificates(path, address);
    let host = format!("tcp://{address}:2376");
    let file = |name: &str| path.join(name).display().to_string();
    let private = launch
        .argument(format!("--host={host}"))
        .argument("--tlsverify")
        .argument(format!("--tlscacert={}", file("ca.pem")))
        .argument(format!("--tlscert={}", file("server.pem")))
        .argument(format!("--tlskey={}", file("server-key.pem")))
        .start()
        .unwrap();
    let options = EndpointOptions {
        host: Some(host),
        tls_verify: true,
        certificate_path: Some(path.to_owned()),
        ..EndpointOptions::default()
    };
    let engine = Engine::connect(&options).await.unwrap();
    let project = Project::new("FROM scratch\nCOPY . /copied/\n");
    project.write("large", vec![7; 1_000_000]);
    let built = project.build(&engine).await.unwrap();
    assert!(engine.images().await.unwrap().contains_id(&built.image_id));

    let unverified = EndpointOptions { tls_verify: false, tls: true, ..options.clone() };
    Engine::connect(&unverified).await.unwrap();
    let plain = EndpointOptions { tls_verify: false, ..options.clone() };
    Engine::connect(&plain).await.err().unwrap();

    let strangers = tempfile::tempdir().unwrap();
    make_certificates(strangers.path(), address);
    let stranger =
        EndpointOptions { certificate_path: Some(strangers.path().to_owned()), ..options.clone() };
    let error = Engine::connect(&stranger).await.err().unwrap();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    std::fs::copy(path.join("ca.pem"), strangers.path().join("ca.pem")).unwrap();
    let error = Engine::connect(&stranger).await.err().unwrap();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    drop(private);
}
