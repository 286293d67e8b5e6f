//! Statements that are signed, and what is done with all others: two engines, one registry.

use std::process::Command;

use serde_json::{Value, json};

use crate::cache::{DOCKER, Machines, Manifests, codes, count, sha256, three_images};
use crate::support::TestApplication;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A pair of keys: the files with the private and the public one.
pub(crate) struct Keys(tempfile::TempDir);

impl Keys {
    pub(crate) fn new() -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_ailtire-build"));
        let output = command.args(["key", "new", "--out", &keys.private()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        keys
    }

    pub(crate) fn private(&self) -> String {
        self.0.path().join("key").display().to_string()
    }

    pub(crate) fn public(&self) -> String {
        format!("{}.pub", self.private())
    }
}

/// What is attached to the image of `application` that is called `image`.
pub(crate) struct Attached {
    pub(crate) registry: Manifests,
    pub(crate) repository: String,
    pub(crate) digest: String,
}

impl Attached {
    fn of(machines: &Machines, application: &TestApplication, image: &str) -> Self {
        Self::at(machines.cluster.registry(), application, image)
    }

    /// As [`Attached::of`], in the registry at `address`.
    pub(crate) fn at(address: String, application: &TestApplication, image: &str) -> Self {
        let registry = Manifests(address);
        let repository = format!("team/{}-{image}", application.name);
        let accept = format!("Accept: {DOCKER}");
        let path = format!("{repository}/manifests/latest");
        let digest = sha256(&registry.request(&["--header", &accept], &path));
        Self { registry, repository, digest }
    }

    fn tag(&self) -> String {
        self.digest.replace(':', "-")
    }

    pub(crate) fn index(&self) -> Value {
        self.registry.get_as(&self.repository, &self.tag(), INDEX)
    }

    pub(crate) fn put_index(&self, index: &Value) {
        self.put_as(&self.tag(), INDEX, &index.to_string());
    }

    pub(crate) fn put_as(&self, tag: &str, kind: &str, body: &str) {
        let kind = format!("Content-Type: {kind}");
        let arguments = ["--request", "PUT", "--header", &kind, "--data-binary", body];
        self.registry.request(&arguments, &format!("{}/manifests/{tag}", self.repository));
    }

    /// The one thing that is attached.
    pub(crate) fn artifact(&self) -> Value {
        let digest = self.index()["manifests"][0]["digest"].as_str().unwrap().to_owned();
        self.registry.get(&self.repository, &digest)
    }

    /// Has the index name `artifact`, changed by hand, instead of what it named.
    pub(crate) fn replace(&self, artifact: &Value) {
        let text = artifact.to_string();
        let digest = sha256(text.as_bytes());
        self.put_as(&digest, artifact["mediaType"].as_str().unwrap(), &text);
        let mut index = self.index();
        index["manifests"][0]["digest"] = json!(digest);
        index["manifests"][0]["size"] = json!(text.len());
        self.put_index(&index);
    }

    /// The envelope of what is attached.
    fn envelope(&self) -> Value {
        let data = self.artifact()["layers"][0]["data"].as_str().unwrap().to_owned();
        serde_json::from_slice(&base64(&["--decode"], data.as_bytes())).unwrap()
    }

    /// Has `content` be what is attached; in the manifest too, unless it is `apart`.
    fn replace_content(&self, content: &[u8], apart: bool) {
        let mut artifact = self.artifact();
        let data = String::from_utf8(base64(&["--wrap=0"], content)).unwrap();
        let layer = &mut artifact["layers"][0];
        layer["digest"] = json!(sha256(content));
        layer["size"] = json!(content.len());
        layer["data"] = if apart { Value::Null } else { json!(data) };
        self.upload(content);
        self.replace(&artifact);
    }

    pub(crate) fn upload(&self, content: &[u8]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, content).unwrap();
        let uploads = format!("{}/blobs/uploads/", self.repository);
        let begun = ["--request", "POST", "--output", "/dev/null", "--write-out"];
        let place = self.registry.request(&[&begun[..], &["%header{location}"]].concat(), &uploads);
        let place = String::from_utf8(place).unwrap();
        let place = place.split_once("/v2/").unwrap().1;
        let data = format!("@{}", file.path().display());
        let kind = "Content-Type: application/octet-stream";
        let put = ["--request", "PUT", "--header", kind, "--data-binary", &data];
        self.registry.request(&put, &format!("{place}&digest={}", sha256(content)));
    }
}

fn base64(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, input).unwrap();
    Command::new("base64").args(arguments).arg(file.path()).output().unwrap().stdout
}

#[test]
fn what_a_known_key_signed_is_found_with_two_requests_more() {
    let machines = Machines::start();
    let (keys, others) = (Keys::new(), Keys::new());
    let application = three_images();
    let sign = ["--cache-sign", &keys.private()];
    let run = machines.built(0, &application, &sign);
    assert_eq!((count(&run, "built"), codes(&run)), (3, vec![]), "{run}");
    machines.requests();

    let verify = ["--cache-verify", &others.public(), "--cache-verify", &keys.public()];
    let run = machines.built(1, &application.cloned(), &verify);
    assert_eq!((count(&run, "cached"), codes(&run)), (3, vec![]), "{run}");
    let requests = machines.requests();
    assert!(requests.iter().all(|it| matches!(&*it.method, "GET" | "HEAD")), "{requests:?}");
    assert!(!requests.iter().any(|it| it.uri.contains("/blobs/")), "{requests:?}");
    // What it is; a statement, a manifest, an index and an envelope an image. Whether it lists what
    // is attached is asked once, too: this registry does not know the question, nor log it.
    assert_eq!(requests.len(), 1 + 4 * 3, "{requests:?}");

    let run = machines.built(1, &application.cloned(), &["--cache-verify", &others.public()]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (0, 3), "{run}");
    assert_eq!(codes(&run), ["cache-entry-refused"; 3], "{run}");
    assert!(run.to_string().contains("it is not signed by a known key"), "{run}");
}

#[test]
fn what_is_not_signed_is_built_and_then_signed_by_its_builder() {
    let machines = Machines::start();
    let keys = Keys::new();
    let application = three_images();
    machines.built(0, &application, &[]);
    let both = ["--cache-verify", &keys.public(), "--cache-sign", &keys.private()];
    let run = machines.built(1, &application.cloned(), &["--cache-sign", &keys.private()]);
    assert_eq!(count(&run, "cached"), 3, "what others built is taken without being signed: {run}");
    let run =
        machines.built(1, &application.cloned(), &[&both[..], &["--cache-required"]].concat());
    assert_eq!((count(&run, "cached"), count(&run, "built")), (0, 3), "{run}");
    assert_eq!(codes(&run), ["cache-entry-refused"; 3], "{run}");
    let run = machines.built(0, &application.cloned(), &both);
    assert_eq!((count(&run, "cached"), codes(&run)), (3, vec![]), "{run}");
}

#[test]
fn poisoned_signatures_of_every_kind_are_refused() {
    let machines = Machines::start();
    let keys = Keys::new();
    let application = three_images();
    let sign = ["--cache-sign", &keys.private()];
    let verify = ["--cache-verify", &keys.public()];
    machines.built(0, &application, &sign);
    let doc = Attached::of(&machines, &application, "doc");
    let web = Attached::of(&machines, &application, "web");
    let (index, envelope) = (doc.index(), doc.envelope());
    let clone = application.cloned();
    let refused = |why: &str| {
        let more = [&verify[..], &["--cache-read-only"]].concat();
        let run = machines.built(1, &clone.cloned(), &more);
        assert!(run.to_string().contains(why), "{why}: {run}");
        let refused = run.events("diagnostic");
        let refused: Vec<_> = refused
            .iter()
            .map(|it| it["diagnostic"]["message"].as_str().unwrap())
            .filter(|it| it.contains("-doc:"))
            .collect();
        assert_eq!(refused.len(), 1, "{why}: {run}");
        assert!(run.built().iter().any(|it| it.ends_with("doc")), "{why}: {run}");
        doc.put_index(&index);
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut envelope = envelope.clone();
        change(&mut envelope);
        doc.replace_content(envelope.to_string().as_bytes(), false);
    };
    let payload = |of: &Value| base64(&["--decode"], of["payload"].as_str().unwrap().as_bytes());

    // The envelope of another image, well signed.
    doc.replace_content(web.envelope().to_string().as_bytes(), false);
    refused("what was signed speaks of something else");
    // Its payload under this one's signature.
    changed(&|it| it["payload"] = web.envelope()["payload"].clone());
    refused("it is not signed by a known key");
    changed(&|it| it["payloadType"] = json!("text/plain"));
    refused("its envelope holds no in-toto statement");
    changed(&|it| it["signatures"] = json!([]));
    refused("it is not signed by a known key");
    let text = envelope.to_string();
    doc.replace_content(&text.as_bytes()[..text.len() / 2], false);
    refused("it is no envelope with signatures");
    // Not even in an envelope.
    doc.replace_content(&payload(&envelope), false);
    refused("it is no envelope with signatures");
    doc.replace_content(&vec![b' '; 1024 * 1024], true);
    refused("is too large");
    // Content that is not what the manifest says.
    let mut artifact = doc.artifact();
    artifact["layers"][0]["data"] = json!("e30=");
    doc.replace(&artifact);
    refused("has another content than it names");
    // Attached to another image.
    let mut artifact = doc.artifact();
    artifact["subject"]["digest"] = json!(web.digest);
    doc.replace(&artifact);
    refused("is attached to another image");
    let mut empty = index.clone();
    empty["manifests"] = json!([]);
    doc.put_index(&empty);
    refused("it is not signed");
}

#[test]
fn one_good_signature_is_enough_and_who_does_not_know_the_key_adds_its_own() {
    let machines = Machines::start();
    let (keys, others) = (Keys::new(), Keys::new());
    let application = three_images();
    machines.built(0, &application, &["--cache-sign", &keys.private()]);
    let doc = Attached::of(&machines, &application, "doc");
    let clone = application.cloned();
    let verify = ["--cache-verify", &keys.public()];
    let mut envelope = doc.envelope();
    // One good signature among others is enough.
    let good = envelope["signatures"][0].clone();
    let bad = json!({ "keyid": good["keyid"], "sig": "AAAA" });
    envelope["signatures"] = json!([bad, { "sig": good["sig"] }]);
    doc.replace_content(envelope.to_string().as_bytes(), false);
    let run = machines.built(1, &clone.cloned(), &verify);
    assert_eq!((count(&run, "cached"), codes(&run)), (3, vec![]), "{run}");

    // Who does not know the key builds, signs with its own, and leaves what was there.
    let more = ["--cache-verify", &others.public(), "--cache-sign", &others.private()];
    machines.built(1, &clone.cloned(), &more);
    let run = machines.built(0, &clone.cloned(), &more);
    assert_eq!((count(&run, "cached"), codes(&run)), (3, vec![]), "{run}");
}

#[test]
fn keys_that_can_not_be_used_are_said_to_be() {
    let application = three_images();
    let keys = Keys::new();
    let cache = ["build", "--cache", "registry", "--repo", "r.example/x"];
    let failed = |more: &[&str], code: i32, why: &str| {
        let run = application.run(&[&cache[..], more].concat());
        assert_eq!(run.code, Some(code), "{run}");
        assert!(run.stderr.contains(why), "{run}");
    };
    failed(&["--cache-sign", "/no/such/key"], 4, "cannot read the key `/no/such/key`");
    failed(&["--cache-verify", &keys.private()], 2, "it holds no public ed25519 key");
    failed(&["--cache-sign", &keys.public()], 2, "it holds no private ed25519 key");
    let run = application.run(&["build", "--cache-verify", &keys.public()]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("of no use without a cache"), "{run}");
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(keys.private(), readable).unwrap();
    let run =
        application.run(&[&cache[..], &["--dry-run", "--cache-sign", &keys.private()]].concat());
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("[key-readable]"), "{run}");
    assert!(run.stderr.contains(&format!("`chmod 600 {}`", keys.private())), "{run}");
    let run = application.run(&["key", "new", "--out", &keys.private()]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr.contains("a key is never replaced"), "{run}");
}
