//! The client against real registries: Debian's `docker-registry`, plain, with a password, with TLS.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ailtire_registry::{
    Artifact, Client, ClientOptions, Credentials, Manifest, RegistryError, sha256,
};
use private_engine::Registry;

const HASH: &str = "$2b$05$pFs4yt3cc4NeSFJvl/wd.empVt4k8AirGhYV4iKdRd18kjwdghNGy";

fn start(users: Option<&str>) -> Registry {
    Registry::start_at(Ipv4Addr::LOCALHOST, users).unwrap()
}

fn client(options: ClientOptions) -> Client {
    Client::new(options, HashMap::new())
}

/// A manifest that needs no blob but the empty object.
fn manifest(note: &str) -> Manifest {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let text = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{kind}\",\"config\":{{\"mediaType\":\
         \"application/vnd.oci.empty.v1+json\",\"digest\":\"{}\",\"size\":2}},\"layers\":[],\
         \"annotations\":{{\"note\":\"{note}\"}}}}",
        sha256(b"{}")
    );
    let digest = sha256(text.as_bytes());
    Manifest { digest, media_type: kind.to_owned(), bytes: text.into() }
}

async fn round_trip(client: &Client, registry: &str) -> Result<(), RegistryError> {
    let sent = manifest("one");
    assert_eq!(client.manifest(registry, "team/a", "x").await?, None);
    client.put_blob(registry, "team/a", "{}").await?;
    client.put_manifest(registry, "team/a", "x", &sent).await?;
    assert_eq!(client.manifest(registry, "team/a", "x").await?.as_ref(), Some(&sent));
    assert_eq!(client.manifest(registry, "team/a", &sent.digest).await?, Some(sent.clone()));
    assert_eq!(client.manifest_digest(registry, "team/a", "x").await?, Some(sent.digest));
    Ok(())
}

#[tokio::test]
async fn what_is_written_is_read_again_with_one_request_each() {
    let registry = start(None);
    let client = client(ClientOptions::default());
    round_trip(&client, registry.address()).await.unwrap();
    registry.log().settled().unwrap();
    let before = client.requests();
    client.manifest(registry.address(), "team/a", "x").await.unwrap();
    client.manifest_digest(registry.address(), "team/a", "none").await.unwrap();
    assert_eq!(client.requests() - before, 2);
    assert_eq!(registry.log().settled().unwrap().len(), 2);
}

#[tokio::test]
async fn credentials_are_shown_and_asked_for_once() {
    let registry = start(Some(&format!("tester:{HASH}\n")));
    let address = registry.address().to_owned();
    let error = round_trip(&client(ClientOptions::default()), &address).await.unwrap_err();
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    assert!(error.help().contains("docker login"), "{}", error.help());

    let credentials = |password: &str| Credentials {
        user: "tester".into(),
        password: password.into(),
        ..Credentials::default()
    };
    let known = HashMap::from([(address.clone(), credentials("swordfish-pass"))]);
    let client = Client::new(ClientOptions::default(), known);
    round_trip(&client, &address).await.unwrap();
    registry.log().settled().unwrap();
    client.manifest(&address, "team/a", "x").await.unwrap();
    assert_eq!(registry.log().settled().unwrap().len(), 1);

    let known = HashMap::from([(address.clone(), credentials("wrong"))]);
    let error = round_trip(&Client::new(ClientOptions::default(), known), &address).await;
    let error = error.unwrap_err();
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    assert!(!error.to_string().contains("wrong"), "{error}");
}

#[tokio::test]
async fn a_certificate_is_trusted_only_with_its_authority() {
    let registry = Registry::start_with_tls(Ipv4Addr::LOCALHOST, None).unwrap();
    let address = registry.address().to_owned();
    let error = round_trip(&client(ClientOptions::default()), &address).await.unwrap_err();
    assert!(matches!(error, RegistryError::Certificate { .. }), "{error}");
    assert!(error.help().contains("certs.d"), "{}", error.help());

    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join(&address);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::copy(registry.authority(), own.join("ca.crt")).unwrap();
    let certificates = vec![PathBuf::from(folder.path())];
    let options = ClientOptions { certificates, ..ClientOptions::default() };
    round_trip(&client(options), &address).await.unwrap();
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_digest_says_is_an_error() {
    let registry = start(None);
    let client = client(ClientOptions::default());
    round_trip(&client, registry.address()).await.unwrap();
    let digest = manifest("one").digest;
    let digits = digest.trim_start_matches("sha256:").to_owned();
    let path = registry.data().join("blobs/sha256").join(&digits[..2]).join(&digits).join("data");
    std::fs::write(path, manifest("two").bytes).unwrap();
    let error = client.manifest(registry.address(), "team/a", &digest).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Protocol { .. } | RegistryError::Busy { .. }),
        "{error}"
    );
}

/// Answers every connection with the next of `answers`, the last one for ever.
fn scripted(answers: Vec<String>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut next = 0;
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut first = [0; 1];
            // A hello of TLS gets no answer that it understands.
            if stream.read_exact(&mut first).is_ok() && first[0] != 0x16 {
                let _ = stream.write_all(answers[next.min(answers.len() - 1)].as_bytes());
                next += 1;
            } else {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
        }
    });
    address
}

fn answer(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{more}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_and_given_up_in_the_end() {
    let busy = answer("429 Too Many Requests", "Retry-After: 0\r\n", "");
    let down = answer("503 Service Unavailable", "", "");
    let fine = answer("200 OK", "", "{}");
    let address = scripted(vec![busy.clone(), down.clone(), fine.clone()]);
    let client = client(ClientOptions::default());
    assert!(client.manifest(&address, "a", "x").await.unwrap().is_some());

    let address = scripted(vec![busy]);
    let error = client.manifest(&address, "a", "x").await.unwrap_err();
    assert!(error.is_registrys() && matches!(error, RegistryError::Busy { .. }), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_down_or_silent_is_not_waited_for_again() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let options = ClientOptions { timeout: Duration::from_millis(300), ..Default::default() };
    let client = client(options);
    let error = client.manifest(&address.to_string(), "a", "x").await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");

    // The first request is for what it is; from then on it says nothing.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut first = [0; 1];
            if stream.read_exact(&mut first).is_ok() && first[0] == 0x16 {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            } else {
                kept.push(stream);
            }
        }
    });
    let error = client.manifest(&silent, "a", "x").await.unwrap_err();
    assert!(error.to_string().contains("no answer within 0.3 s"), "{error}");
    let before = connections.load(Ordering::Relaxed);
    assert_eq!(client.manifest(&silent, "b", "y").await.unwrap_err(), error);
    assert_eq!(connections.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn a_token_is_fetched_once_for_each_scope() {
    let tokens = scripted(vec![answer("200 OK", "", "{\"token\":\"abc\"}")]);
    let wants = format!("WWW-Authenticate: Bearer realm=\"http://{tokens}/t\",service=\"s\"\r\n");
    let address =
        scripted(vec![answer("401 Unauthorized", &wants, ""), answer("200 OK", "", "{}")]);
    let client = client(ClientOptions::default());
    client.manifest(&address, "a", "x").await.unwrap();
    client.manifest(&address, "a", "y").await.unwrap();
    assert_eq!(client.requests(), 4, "what it is, a token, two manifests");
}

#[tokio::test]
async fn what_several_writers_attach_is_all_there() {
    let registry = start(None);
    let registry = registry.address();
    let writer = || client(ClientOptions::default());
    let subject = manifest("subject");
    writer().put_blob(registry, "team/a", "{}").await.unwrap();
    writer().put_manifest(registry, "team/a", "x", &subject).await.unwrap();
    let artifact = |content: &str| Artifact {
        artifact_type: "a/b".to_owned(),
        media_type: "c/d".to_owned(),
        content: content.to_owned().into(),
        annotations: [("of".to_owned(), content[..3].to_owned())].into(),
    };
    let long = "two".repeat(20_000);
    for content in ["one", &long, "one"] {
        writer().attach(registry, "team/a", &subject, &[artifact(content)]).await.unwrap();
    }
    let reader = writer();
    let listed = reader.referrers(registry, "team/a", &subject.digest).await.unwrap();
    let of: Vec<_> = listed.iter().map(|it| &*it.annotations["of"]).collect();
    assert_eq!(of, ["one", "two"]);
    let get = async |place: usize, most: u64| {
        reader.attached(registry, "team/a", &subject.digest, &listed[place], most).await
    };
    assert_eq!(get(0, 3).await, Ok(Some(("c/d".to_owned(), "one".into()))));
    assert_eq!(get(1, 60_000).await, Ok(Some(("c/d".to_owned(), long.clone().into()))));
    assert!(matches!(get(1, 59_999).await, Err(RegistryError::Protocol { .. })));
    let other = sha256(b"other");
    let wrong = reader.attached(registry, "team/a", &other, &listed[0], 3).await;
    assert!(matches!(wrong, Err(RegistryError::Protocol { .. })));

    // What is no index is replaced.
    let tag = subject.digest.replace(':', "-");
    reader.put_manifest(registry, "team/a", &tag, &manifest("no index")).await.unwrap();
    let none = reader.referrers(registry, "team/a", &subject.digest).await;
    assert!(matches!(none, Err(RegistryError::Protocol { .. })));
    writer().attach(registry, "team/a", &subject, &[artifact("one")]).await.unwrap();
    assert_eq!(reader.referrers(registry, "team/a", &subject.digest).await.unwrap().len(), 1);
}
