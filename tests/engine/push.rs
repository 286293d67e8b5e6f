//! Pushing to a real registry, through the real command and a real engine.

use std::process::{Command, Stdio};
use std::time::Duration;

use private_engine::{Fate, Proxy, Registry, RegistryRequest, answer, wait_for};

use crate::registry::{BASIC, users};
use crate::support::{Run, TestApplication, client, image_files, machine_address};

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
fn an_image_names_what_it_is_built_on_as_the_definition_does() {
    let registry = plain_registry();
    let repository = format!("{}/team", registry.address());
    let application = two_images();
    let base = format!("{}-base", application.name);
    let text = format!("FROM {base} AS first\nFROM scratch\nCOPY --from={base} /base /copied\n");
    let text = format!("{text}FROM first\nCOPY --from=1 /copied /\nCOPY file /\n");
    application.put("deploy/web/Dockerfile", &text);
    let build = || json(&application, &["build", "--push"], &repository);
    let run = build();
    assert_eq!((run.code, &run.summary()["built"]), (Some(0), &2.into()), "{run}");
    let names: Vec<String> = image_files(&format!("{repository}/web")).into_keys().collect();
    assert_eq!(names, ["base", "copied", "file"]);
    let run = build();
    assert_eq!(run.summary()["fresh"], 2, "{run}");
    application.put("deploy/base/file", "another one");
    let run = build();
    assert_eq!(run.summary()["built"], 2, "{run}");
    forget(&repository);
}

#[test]
fn a_layer_that_images_share_is_sent_once() {
    let registry = plain_registry();
    let repository = format!("{}/team", registry.address());
    let application = two_images();
    let names = ["base", "web", "doc", "api", "job"];
    let images = names.map(|name| format!("{name}: {{ dir: '{name}' }}")).join(", ");
    application.put("deploy/build.js", &format!("module.exports = {{ {images} }};"));
    for name in &names[1..] {
        let text = format!("FROM {}-base\nCOPY file /{name}\n", application.name);
        application.put(&format!("deploy/{name}/Dockerfile"), &text);
        application.put(&format!("deploy/{name}/file"), &format!("of {name}"));
    }
    let run = json(&application, &["build", "--push"], &repository);
    assert_eq!((run.code, &run.summary()["pushed"]), (Some(0), &5.into()), "{run}");
    let requests = registry.log().settled().unwrap();
    let blobs = requests.iter().filter(|it| it.method == "PUT" && it.uri.contains("/blobs/"));
    assert_eq!(blobs.count(), 10, "one layer and one configuration each: {requests:?}");
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

/// What stands before a registry and does not let the first `failures` of what is asked through.
fn busy_for_a_while(registry: &Registry, mut failures: usize) -> Proxy {
    let proxy = Proxy::start(machine_address(), registry.address()).unwrap();
    proxy.decide(move |_| {
        if failures == 0 {
            return Fate::Pass;
        }
        failures -= 1;
        Fate::Answer(answer("503 Service Unavailable", "", ""))
    });
    proxy
}

#[test]
fn a_registry_that_is_busy_is_asked_again_and_given_up_in_the_end() {
    let registry = plain_registry();
    let application = two_images();
    let proxy = busy_for_a_while(&registry, 8);
    let repository = format!("{}/team", proxy.address());
    let run = json(&application, &["build", "web", "--push"], &repository);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(run.events("diagnostic")[0]["diagnostic"]["code"], "registry-busy", "{run}");
    forget(&repository);

    let proxy = busy_for_a_while(&registry, usize::MAX);
    let repository = format!("{}/team", proxy.address());
    let run = json(&application, &["build", "web", "--push"], &repository);
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(run.summary()["push_failed"], 1, "{run}");
    let help = run.events("push-failed")[0]["failure"]["help"].as_str().unwrap().to_owned();
    assert!(help.contains("run the same command again"), "{run}");
    forget(&repository);
}

/// An application with one image of two layers, and a proxy that meets the uploads of layers after
/// the first `passing` ones with `fate`.
fn two_layers(registry: &Registry, passing: usize, fate: Fate) -> (TestApplication, Proxy) {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY one /\nCOPY two /\n"),
        ("deploy/web/one", "of the first layer"),
        ("deploy/web/two", "of the second layer"),
    ]);
    let proxy = Proxy::start(machine_address(), registry.address()).unwrap();
    let mut seen = 0;
    proxy.decide(move |asked| {
        seen += usize::from(asked.method == "PATCH");
        if asked.method == "PATCH" && seen == passing + 1 { fate.clone() } else { Fate::Pass }
    });
    (application, proxy)
}

/// What was sent, and taken, as the registry's log has it.
fn taken(requests: &[RegistryRequest]) -> usize {
    requests.iter().filter(|it| it.method == "PUT" && it.uri.contains("/blobs/")).count()
}

#[test]
fn a_push_that_was_ended_goes_on_where_it_was() {
    for (signal, code) in [("-KILL", None), ("-INT", Some(130)), ("-TERM", Some(143))] {
        let registry = plain_registry();
        let (application, proxy) = two_layers(&registry, 1, Fate::Hold(10));
        let repository = format!("{}/team", proxy.address());
        let mut command = application.command(&["build", "--push", "--repo", &repository]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut arrived = 0;
        wait_for(Duration::from_mins(1), "a layer that arrived and one that did not", || {
            arrived += taken(&registry.log().take());
            (arrived == 1 && proxy.held() == 1).then_some(())
        })
        .unwrap();
        let mut kill = Command::new("kill");
        assert!(kill.args([signal, &child.id().to_string()]).status().unwrap().success());
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, code, "{signal}: {run}");
        // The engine would wait for the connection, whoever asked for the push.
        proxy.let_go();
        registry.log().settled().unwrap();

        let run = json(&application, &["build", "--push"], &repository);
        let counts = (run.code, &run.summary()["fresh"], &run.summary()["pushed"]);
        assert_eq!(counts, (Some(0), &1.into(), &1.into()), "{signal}: {run}");
        let requests = registry.log().settled().unwrap();
        assert_eq!(taken(&requests), 2, "the other layer and the configuration: {requests:?}");
        let run = json(&application, &["push"], &repository);
        assert_eq!(run.events("image-pushed")[0]["skipped"], true, "{run}");
        forget(&repository);
    }
}

#[test]
fn a_push_whose_connection_breaks_is_tried_again() {
    let registry = plain_registry();
    let (application, proxy) = two_layers(&registry, 0, Fate::CutRequest(10));
    let repository = format!("{}/team", proxy.address());
    let run = json(&application, &["build", "--push"], &repository);
    assert_eq!((run.code, &run.summary()["pushed"]), (Some(0), &1.into()), "{run}");
    assert_eq!(taken(&registry.log().settled().unwrap()), 3, "two layers and the configuration");
    forget(&repository);
}
