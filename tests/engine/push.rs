//! Pushing to a real registry, through the real command and a real engine.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use private_engine::{Registry, RegistryRequest};

use crate::registry::{BASIC, users};
use crate::support::{Run, TestApplication, client, machine_address};

/// Two images, one on the other.
fn two_images() -> TestApplication {
    TestApplication::new(&[
        (
            "deploy/build.js",
            "module.exports = { base: { dir: 'base' }, web: { dir: 'web', tag: 'web' } };",
        ),
        ("deploy/base/Dockerfile", "FROM scratch\nCOPY file /base\n"),
        ("deploy/base/file", "of the base"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY file /web\n"),
        ("deploy/web/file", "of the web"),
    ])
}

pub(crate) fn plain_registry() -> Registry {
    Registry::start_at(machine_address(), None).unwrap()
}

/// One that wants to know who asks.
pub(crate) fn private_registry() -> Registry {
    Registry::start_at(machine_address(), Some(&users())).unwrap()
}

fn json(application: &TestApplication, arguments: &[&str], repository: &str) -> Run {
    let more = ["--message-format", "json", "--repo", repository];
    application.run(&[arguments, &more].concat())
}

/// The blobs and manifests that were sent.
fn uploads(requests: &[RegistryRequest]) -> Vec<&RegistryRequest> {
    let writes = |request: &&RegistryRequest| !matches!(&*request.method, "GET" | "HEAD");
    requests.iter().filter(writes).collect()
}

pub(crate) fn forget(repository: &str) {
    let images = client().get_json("/images/json").unwrap();
    for tag in images.as_array().into_iter().flatten().flat_map(|image| {
        image["RepoTags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str())
    }) {
        if tag.starts_with(repository) {
            client().delete(&format!("/images/{tag}")).unwrap();
        }
    }
}

#[test]
fn what_is_built_is_pushed_once_and_then_only_asked_about() {
    let registry = plain_registry();
    let repository = format!("{}/team", registry.address());
    let application = two_images();
    let run = json(&application, &["build", "--push"], &repository);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(
        (&run.summary()["built"], &run.summary()["pushed"]),
        (&2.into(), &2.into()),
        "{run}"
    );
    let pushed = run.events("image-pushed");
    assert_eq!(pushed.len(), 2, "{run}");
    assert!(pushed.iter().all(|event| event["skipped"] == false), "{run}");
    assert!(!uploads(&registry.log().settled().unwrap()).is_empty());

    for arguments in [&["push"][..], &["build", "--push"]] {
        let run = json(&application, arguments, &repository);
        assert_eq!(run.code, Some(0), "{run}");
        assert_eq!(
            (&run.summary()["fresh"], &run.summary()["pushed"]),
            (&2.into(), &serde_json::Value::Null),
            "{run}"
        );
        assert!(run.events("image-pushed").iter().all(|event| event["skipped"] == true), "{run}");
        let requests = registry.log().settled().unwrap();
        assert!(uploads(&requests).is_empty(), "{requests:?}");
        let heads = requests.iter().filter(|request| request.method == "HEAD");
        assert_eq!(heads.count(), 2, "one for each image: {requests:?}");
        assert_eq!(requests.len(), 3, "and one for what the registry is: {requests:?}");
    }

    application.put("deploy/web/file", "changed");
    let run = json(&application, &["push"], &repository);
    assert_eq!(run.code, Some(2), "{run}");
    let findings = run.events("diagnostic");
    assert_eq!(findings[0]["diagnostic"]["code"], "image-not-fresh", "{run}");
    let run = json(&application, &["build", "--push"], &repository);
    assert_eq!(
        (&run.summary()["built"], &run.summary()["pushed"]),
        (&1.into(), &1.into()),
        "{run}"
    );
    forget(&repository);
}

#[test]
fn a_tag_that_was_moved_in_the_registry_is_pushed_again() {
    let registry = plain_registry();
    let repository = format!("{}/team", registry.address());
    let application = two_images();
    json(&application, &["build", "--push"], &repository);
    application.put("deploy/web/file", "other");
    let moved = json(&application, &["build", "--push"], &repository);
    let digest =
        moved.events("image-pushed").iter().find(|it| it["skipped"] == false).unwrap()["digest"]
            .clone();
    application.put("deploy/web/file", "of the web");
    let run = json(&application, &["build", "--push"], &repository);
    let back = run.events("image-pushed").into_iter().find(|it| it["skipped"] == false).cloned();
    let back = back.unwrap();
    assert_ne!(back["digest"], digest, "{run}");
    assert_eq!(back["bytes_sent"], 0, "every layer is there: {run}");
    forget(&repository);
}

#[test]
fn an_image_without_a_registry_in_its_name_is_refused_before_anything_is_built() {
    let application = two_images();
    for command in [&["build", "--push"][..], &["push"]] {
        let run = application.run(command);
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains("[no-registry]") && run.stderr.contains("--repo"), "{run}");
        assert!(run.stderr.contains("deploy/build.js:1"), "{run}");
    }
}

#[test]
fn wrong_credentials_and_a_registry_that_is_down_are_told_apart() {
    let registry = private_registry();
    let repository = format!("{}/team", registry.address());
    let application = two_images();
    let run = application.run(&["build", "web", "--push", "--repo", &repository]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("does not let") && run.stderr.contains("docker login"), "{run}");
    assert!(run.stderr.contains("1 not pushed"), "{run}");

    let auths =
        format!("{{ \"auths\": {{ \"{}\": {{ \"auth\": \"{BASIC}\" }} }} }}", registry.address());
    application.put(".docker/config.json", &auths);
    let run = application.run(&["push", "web", "--repo", &repository]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(!run.to_string().contains("swordfish"), "{run}");

    drop(registry);
    let run = application.run(&["push", "web", "--repo", &repository]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("can't be reached by the Docker engine"), "{run}");
    forget(&repository);
}

/// What stands before a registry and does not let the first `failures` of its pushes through.
fn busy_for_a_while(registry: &Registry, failures: usize, answer: &'static str) -> String {
    let listener = TcpListener::bind((machine_address(), 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let upstream = registry.address().to_owned();
    std::thread::spawn(move || {
        let mut failures = failures;
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4];
            let _ = stream.read_exact(&mut head);
            if failures > 0 {
                failures -= 1;
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                continue;
            }
            let Ok(mut to) = TcpStream::connect(&upstream) else { continue };
            let _ = to.write_all(&head);
            let mut back = (to.try_clone().unwrap(), stream.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back.0, &mut back.1);
                back.1.shutdown(Shutdown::Write)
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut stream, &mut to);
                to.shutdown(Shutdown::Write)
            });
        }
    });
    address
}

#[test]
fn a_registry_that_is_busy_is_asked_again_and_given_up_in_the_end() {
    let registry = plain_registry();
    let application = two_images();
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let repository = format!("{}/team", busy_for_a_while(&registry, 8, busy));
    let run = json(&application, &["build", "web", "--push"], &repository);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(run.events("diagnostic")[0]["diagnostic"]["code"], "registry-busy", "{run}");
    forget(&repository);

    let repository = format!("{}/team", busy_for_a_while(&registry, usize::MAX, busy));
    let run = json(&application, &["build", "web", "--push"], &repository);
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(run.summary()["push_failed"], 1, "{run}");
    let help = run.events("push-failed")[0]["failure"]["help"].as_str().unwrap().to_owned();
    assert!(help.contains("run the same command again"), "{run}");
    forget(&repository);
}
