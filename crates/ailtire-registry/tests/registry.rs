//! The client against real registries: Debian's `docker-registry`, plain, with a password, with TLS.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use ailtire_registry::{
    Artifact, Client, ClientOptions, Credentials, Manifest, RegistryError, sha256,
};
use private_engine::{Asked, Fate, Proxy, Registry, answer};

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

/// Answers every request with the next of `answers`, the last one for ever.
fn scripted(answers: Vec<String>) -> Proxy {
    let proxy = Proxy::start(Ipv4Addr::LOCALHOST, "").unwrap();
    let mut next = 0;
    proxy.decide(move |_| {
        let answer = answers[next.min(answers.len() - 1)].clone();
        next += 1;
        Fate::Answer(answer)
    });
    proxy
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_and_given_up_in_the_end() {
    let busy = answer("429 Too Many Requests", "Retry-After: 0\r\n", "");
    let down = answer("503 Service Unavailable", "", "");
    let fine = answer("200 OK", "", "{}");
    let busy_first = scripted(vec![busy.clone(), down.clone(), fine.clone()]);
    let client = client(ClientOptions::default());
    assert!(client.manifest(busy_first.address(), "a", "x").await.unwrap().is_some());

    let always_busy = scripted(vec![busy]);
    let error = client.manifest(always_busy.address(), "a", "x").await.unwrap_err();
    assert!(error.is_registrys() && matches!(error, RegistryError::Busy { .. }), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_down_or_silent_is_not_waited_for_again() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let options = ClientOptions { timeout: Duration::from_millis(300), ..Default::default() };
    let client = client(options);
    let error = client.manifest(&address.to_string(), "a", "x").await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");

    for fate in [Fate::Silence, Fate::Dribble] {
        let proxy = Proxy::start(Ipv4Addr::LOCALHOST, "").unwrap();
        proxy.decide(move |_| fate.clone());
        let error = client.manifest(proxy.address(), "a", "x").await.unwrap_err();
        assert!(error.to_string().contains("no answer within 0.3 s"), "{error}");
        assert_eq!(proxy.asked().len(), 1);
        assert_eq!(client.manifest(proxy.address(), "b", "y").await.unwrap_err(), error);
        assert_eq!(proxy.asked(), []);
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_for_each_scope() {
    let tokens = scripted(vec![answer("200 OK", "", "{\"token\":\"abc\"}")]);
    let wants = format!(
        "WWW-Authenticate: Bearer realm=\"http://{}/t\",service=\"s\"\r\n",
        tokens.address()
    );
    let asking = scripted(vec![answer("401 Unauthorized", &wants, ""), answer("200 OK", "", "{}")]);
    let client = client(ClientOptions::default());
    client.manifest(asking.address(), "a", "x").await.unwrap();
    client.manifest(asking.address(), "a", "y").await.unwrap();
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
    let listed = reader.referrers(registry, "team/a", &subject.digest, "a/b").await.unwrap();
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
    let none = reader.referrers(registry, "team/a", &subject.digest, "a/b").await;
    assert!(matches!(none, Err(RegistryError::Protocol { .. })));
    writer().attach(registry, "team/a", &subject, &[artifact("one")]).await.unwrap();
    assert_eq!(
        reader.referrers(registry, "team/a", &subject.digest, "a/b").await.unwrap().len(),
        1
    );
}

/// A registry that lists what is attached itself, in pages of one, as Debian's does not.
fn listing(subject: &str, pages: usize, next: impl Fn(usize) -> String + Send + 'static) -> Proxy {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let proxy = Proxy::start(Ipv4Addr::LOCALHOST, "").unwrap();
    let list = format!("/v2/team/a/referrers/{subject}?artifactType=a%2Fb");
    let subject = subject.to_owned();
    proxy.decide(move |Asked { method, path, .. }| {
        let page = path.strip_prefix(&list).map(|rest| rest.trim_start_matches("&page="));
        Fate::Answer(match (&**method, page) {
            ("GET", Some(page)) => {
                let page: usize = page.parse().unwrap_or(0);
                let entry = |kind: &str| {
                    let digest = sha256(format!("{kind} {page}").as_bytes());
                    format!(
                        "{{\"mediaType\":\"m/t\",\"digest\":\"{digest}\",\"size\":1,\
                         \"artifactType\":\"{kind}\"}}"
                    )
                };
                let body = format!(
                    "{{\"schemaVersion\":2,\"mediaType\":\"{INDEX}\",\"manifests\":[{},{}]}}",
                    entry("a/b"),
                    entry("c/d")
                );
                let more = (page + 1 < pages).then(|| next(page + 1));
                let link = more.map(|next| format!("Link: <{next}>; rel=\"next\"\r\n"));
                let headers = format!("Content-Type: {INDEX}\r\n{}", link.unwrap_or_default());
                answer("200 OK", &headers, &body)
            }
            ("PUT", None) => answer("201 Created", &format!("OCI-Subject: {subject}\r\n"), ""),
            ("HEAD", None) => answer("200 OK", "", ""),
            ("GET", None) if path == "/v2/" => answer("200 OK", "", "{}"),
            _ => answer("404 Not Found", "", ""),
        })
    });
    proxy
}

#[tokio::test]
async fn what_a_registry_lists_itself_is_read_page_by_page_and_kept_in_no_index() {
    let subject = manifest("subject");
    let list = format!("/v2/team/a/referrers/{}?artifactType=a%2Fb", subject.digest);
    let link = list.clone();
    let proxy = listing(&subject.digest, 3, move |page| format!("{link}&page={page}"));
    let client = client(ClientOptions::default());
    let read = async |proxy: &Proxy| {
        client.referrers(proxy.address(), "team/a", &subject.digest, "a/b").await
    };
    for _ in 0..2 {
        let listed = read(&proxy).await.unwrap();
        let digests: Vec<_> = listed.into_iter().map(|it| it.digest).collect();
        let expected = ["a/b 0", "a/b 1", "a/b 2"].map(|it| sha256(it.as_bytes()));
        assert_eq!(digests, expected, "only of the type that was asked for");
    }
    let artifact = Artifact {
        artifact_type: "a/b".to_owned(),
        media_type: "c/d".to_owned(),
        content: "one".into(),
        annotations: [].into(),
    };
    proxy.asked();
    client.attach(proxy.address(), "team/a", &subject, &[artifact]).await.unwrap();
    let asked = proxy.asked();
    let written = asked.iter().filter(|it| it.method == "PUT");
    let written: Vec<_> = written.map(|it| &*it.path).collect();
    assert_eq!(written.len(), 1, "{written:?}");
    assert!(written[0].starts_with("/v2/team/a/manifests/sha256:"), "{written:?}");

    let link = list.clone();
    let endless = listing(&subject.digest, usize::MAX, move |page| format!("{link}&page={page}"));
    let error = read(&endless).await.unwrap_err();
    assert!(error.to_string().contains("more than 32 pages"), "{error}");
    let elsewhere = listing(&subject.digest, 2, move |_| format!("http://127.0.0.2:1{list}"));
    let error = read(&elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("to another host"), "{error}");
}
