//! What is attached to images in a real registry, and checking an image against it.

use private_engine::Registry;
use serde_json::Value;

use crate::cache::{DOCKER, Manifests, sha256};
use crate::push::forget;
use crate::signed_cache::Keys;
use crate::support::{Run, TestApplication, machine_address};

struct Pushed {
    registry: Registry,
    application: TestApplication,
}

impl Pushed {
    fn new() -> Self {
        let lock = r#"{ "lockfileVersion": 3, "packages": { "node_modules/left-pad":
            { "version": "1.3.0", "license": "WTFPL" } } }"#;
        let application = TestApplication::new(&[
            ("deploy/build.js", "module.exports = { web: { dir: 'web' }, doc: { dir: 'doc' } };"),
            ("deploy/web/Dockerfile", "FROM scratch\nARG API_TOKEN\nARG LEVEL\nCOPY . /web\n"),
            ("deploy/web/src/a.js", "1"),
            ("deploy/web/package.json", r#"{ "name": "web", "version": "1.0.0" }"#),
            ("deploy/web/package-lock.json", lock),
            ("deploy/web/broken/package.json", "{"),
            ("deploy/doc/Dockerfile", "FROM scratch\nCOPY file /doc\n"),
            ("deploy/doc/file", "of the doc"),
        ]);
        Self { registry: Registry::start_at(machine_address(), None).unwrap(), application }
    }

    fn repository(&self) -> String {
        format!("{}/team", self.registry.address())
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let repository = self.repository();
        let variables = ["--env", "API_TOKEN=swordfish", "--env", "LEVEL=high"];
        let more = ["--repo", &repository];
        self.application.run(&[arguments, &more, &variables].concat())
    }

    fn build(&self, more: &[&str]) -> Run {
        let run = ["build", "--push", "--message-format", "json"];
        let run = self.run(&[&run[..], more].concat());
        assert_eq!(run.code, Some(0), "{run}");
        run
    }

    fn verify(&self, more: &[&str]) -> (Run, Value) {
        let run = self.run(&[&["verify", "web", "--format", "json"], more].concat());
        let document = serde_json::from_str(&run.stdout).unwrap_or_default();
        (run, document)
    }
}

impl Drop for Pushed {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            forget(&self.repository());
        }
    }
}

fn words(document: &Value) -> Vec<&str> {
    let differences = document["differences"].as_array().unwrap().iter();
    differences.map(|it| it["text"].as_str().unwrap()).collect()
}

#[test]
fn an_image_is_checked_against_the_source_tree() {
    let pushed = Pushed::new();
    let keys = Keys::new();
    let sign = ["--attest", "sbom,provenance", "--sign", &keys.private()];
    let run = pushed.build(&sign);
    let incomplete = run.events("diagnostic");
    assert!(incomplete.iter().any(|it| it["diagnostic"]["code"] == "sbom-incomplete"), "{run}");

    let (run, document) = pushed.verify(&["--key", &keys.public()]);
    assert_eq!((run.code, &document["holds"]), (Some(0), &true.into()), "{run}");
    assert_eq!(document["attestations"].as_array().unwrap().len(), 2, "{run}");
    let signed = |it: &Value| it["keys"].as_array().unwrap().len() == 1;
    assert!(document["attestations"].as_array().unwrap().iter().all(signed), "{run}");
    let reference = format!("{}/{}-web", pushed.repository(), pushed.application.name);
    let pinned = format!("{reference}@{}", document["digest"].as_str().unwrap());
    let run = pushed.run(&["verify", &pinned]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.ends_with("all holds\n"), "{run}");

    // What is said again is said in the same words, and so is there already.
    pushed.registry.log().settled().unwrap();
    pushed.build(&sign);
    let requests = pushed.registry.log().settled().unwrap();
    let is_index = |uri: &str| uri.contains("/manifests/sha256-");
    let wrote = requests.iter().any(|it| it.method == "PUT" && is_index(&it.uri));
    assert!(!wrote, "{requests:?}");

    pushed.application.put("deploy/web/src/a.js", "2");
    pushed.application.put("deploy/web/src/b.js", "new");
    pushed.application.set_mode("deploy/web/package.json", 0o755);
    let (run, document) = pushed.verify(&["--key", &keys.public()]);
    assert_eq!(run.code, Some(1), "{run}");
    let expected = [
        "the mode of package.json changed from 0644 to 0755",
        "src/a.js changed",
        "src/b.js was added",
    ];
    assert_eq!(words(&document), expected, "{run}");
}

#[test]
fn what_is_not_signed_by_a_known_key_does_not_count_where_keys_are_given() {
    let pushed = Pushed::new();
    let (keys, others) = (Keys::new(), Keys::new());
    let (run, document) = {
        pushed.build(&[]);
        pushed.verify(&[])
    };
    assert_eq!(run.code, Some(1), "{run}");
    assert!(document["problems"][0].as_str().unwrap().contains("no provenance"), "{run}");

    pushed.build(&["--attest", "provenance"]);
    let (run, document) = pushed.verify(&[]);
    assert_eq!((run.code, words(&document)), (Some(0), vec![]), "{run}");
    let (run, _) = pushed.verify(&["--key", &keys.public()]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains("it is not signed"), "{run}");

    pushed.build(&["--attest", "provenance", "--sign", &keys.private()]);
    let (run, _) = pushed.verify(&["--key", &keys.public()]);
    assert_eq!(run.code, Some(0), "{run}");
    let (run, _) = pushed.verify(&["--key", &others.public()]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains("it is not signed by a known key"), "{run}");
    // Well signed, but of another image.
    let doc = format!("{}/{}-doc", pushed.repository(), pushed.application.name);
    let run = pushed.run(&["verify", &doc, "--key", &keys.public()]);
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn one_of_an_image_for_several_platforms_is_checked() {
    let pushed = Pushed::new();
    let attest = ["--attest", "provenance"];
    pushed.build(&attest);
    let registry = Manifests(pushed.registry.address().to_owned());
    let name = format!("team/{}-web", pushed.application.name);
    let digest = || {
        let accept = format!("Accept: {DOCKER}");
        sha256(&registry.request(&["--header", &accept], &format!("{name}/manifests/latest")))
    };
    let first = digest();
    let (run, _) = pushed.verify(&["--platform", "linux/s390x"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains("is not for `linux/s390x`, but for `linux/"), "{run}");

    // As another tool puts together what was built on two machines, one of them from another tree.
    pushed.application.put("deploy/web/src/a.js", "2");
    pushed.build(&attest);
    let entry = |digest: String, platform: &str| {
        let (os, architecture) = platform.split_once('/').unwrap();
        serde_json::json!({ "mediaType": DOCKER, "digest": digest, "size": 1,
            "platform": { "os": os, "architecture": architecture } })
    };
    let entries = [entry(digest(), "linux/arm64"), entry(first, "linux/s390x")];
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": kind, "manifests": entries });
    let (kind, index) = (format!("Content-Type: {kind}"), index.to_string());
    let put = ["--request", "PUT", "--header", &kind, "--data-binary", &index];
    registry.request(&put, &format!("{name}/manifests/all"));
    let all = format!("{}/{}-web:all", pushed.repository(), pushed.application.name);
    let verify = |platform: &[&str], code: i32, words: &str| {
        let run = pushed.run(&[&["verify", &all], platform].concat());
        assert_eq!(run.code, Some(code), "{run}");
        assert!(run.stdout.contains(words), "{words}: {run}");
    };
    verify(&["--platform", "linux/arm64"], 0, "all holds");
    verify(&["--platform", "linux/s390x"], 1, "src/a.js changed");
    verify(&["--platform", "linux/386"], 1, "but for `linux/arm64`, `linux/s390x`");
    verify(&[], 1, "it is for `linux/arm64`, `linux/s390x`: `--platform` checks one of them");
}

#[test]
fn other_bases_and_attestations_that_are_damaged_are_said_to_be() {
    let pushed = Pushed::new();
    let doc = format!("{}/{}-doc:latest", pushed.repository(), pushed.application.name);
    pushed.application.put("deploy/web/Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY . /web\n");
    // More than is kept in a manifest itself.
    let long = format!("{{ \"name\": \"web\", \"version\": \"1.0.0-{}\" }}", "x".repeat(20_000));
    pushed.application.put("deploy/web/package.json", &long);
    let base = format!("BASE={doc}");
    pushed.build(&["--attest", "sbom,provenance", "--env", &base]);
    let (run, _) = pushed.verify(&["--env", &base]);
    assert_eq!(run.code, Some(0), "{run}");
    let (run, document) = pushed.verify(&["--env", "BASE=debian:12"]);
    assert_eq!(run.code, Some(1), "{run}");
    let expected = [
        format!("it was built on `{doc}`, which the Dockerfile does not name now"),
        "the Dockerfile names `debian:12` now, which it was not built on".to_owned(),
    ];
    assert_eq!(document["problems"], serde_json::json!(expected), "{run}");

    // The bill of materials is a blob of its own: it ends too early, then it is gone.
    let blobs = pushed.registry.data().join("blobs/sha256");
    let folders = std::fs::read_dir(blobs).unwrap().map(|it| it.unwrap().path());
    let files = folders.flat_map(|it| std::fs::read_dir(it).unwrap());
    let mut files = files.map(|it| it.unwrap().path().join("data"));
    // That of the other image is short.
    let is_bill = |text: &[u8]| text.len() > 20_000 && text.windows(8).any(|it| it == b"SPDX-2.3");
    let (bill, text) = files
        .find_map(|path| {
            let text = std::fs::read(&path).ok().filter(|text| is_bill(text))?;
            Some((path, text))
        })
        .unwrap();
    std::fs::write(&bill, &text[..text.len() / 2]).unwrap();
    let refused = |why: &str| {
        let (run, document) = pushed.verify(&["--env", &base]);
        assert_eq!(run.code, Some(1), "{run}");
        let problem = document["problems"][0].as_str().unwrap();
        assert!(problem.contains("spdx.dev"), "{run}");
        assert!(problem.contains(why), "{why}: {run}");
    };
    refused("is not what it is called");
    std::fs::remove_file(&bill).unwrap();
    refused("the registry does not have it any more");
}

#[test]
fn secrets_are_in_nothing_that_is_attached() {
    let pushed = Pushed::new();
    pushed.build(&["--attest", "sbom,provenance"]);
    let blobs = pushed.registry.data().join("blobs/sha256");
    let mut said = String::new();
    for folder in std::fs::read_dir(blobs).unwrap() {
        for blob in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let bytes = std::fs::read(blob.unwrap().path().join("data")).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            if text.contains("https://in-toto.io/Statement/v1") {
                said.push_str(&text);
            }
        }
    }
    assert!(said.contains(r#""API_TOKEN":"(hidden)""#), "{said}");
    assert!(said.contains(r#""LEVEL":"high""#), "{said}");
    assert!(said.contains("pkg:npm/left-pad@1.3.0"), "{said}");
    assert!(said.contains("could not be read: broken/package.json"), "{said}");
    assert!(!said.contains("swordfish"), "{said}");
}

#[test]
fn attesting_without_pushing_is_refused() {
    let application = TestApplication::new(&[("deploy/build.js", "module.exports = {};")]);
    let run = application.run(&["build", "--attest", "sbom"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("nothing is pushed"), "{run}");
}
