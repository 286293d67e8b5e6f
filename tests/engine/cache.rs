//! What one machine has built is not built by another: two engines, one registry, real requests.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use private_engine::{
    BaseImage, Client, Cluster, PrivateEngine, RegistryRequest, base_image, need,
};
use serde_json::{Value, json};

use crate::push::{forget, private_registry};
use crate::stack_images::nested;
use crate::support::{Run, TestApplication};

/// Three images: two on their own, one on another one.
pub(crate) fn three_images() -> TestApplication {
    let build = "module.exports = { base: { dir: 'base' }, web: { dir: 'web' }, \
                 doc: { dir: 'doc', labels: { a: 'b' } } };";
    let application = TestApplication::new(&[
        ("deploy/build.js", build),
        ("deploy/base/Dockerfile", "FROM scratch\nCOPY file /base\n"),
        ("deploy/base/file", "of the base"),
        ("deploy/web/file", "of the web"),
        ("deploy/doc/Dockerfile", "FROM scratch\nCOPY file /doc\n"),
        ("deploy/doc/file", "of the doc"),
    ]);
    application.put("deploy/web/Dockerfile", "ARG REPO\nFROM ${REPO}-base\nCOPY file /web\n");
    application
}

pub(crate) struct Machines {
    pub(crate) cluster: Cluster,
    _folder: tempfile::TempDir,
}

impl Machines {
    pub(crate) fn start() -> Self {
        Self::start_guarded(None)
    }

    /// With a registry that wants to know who asks, if it has `users`.
    pub(crate) fn start_guarded(users: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::start_guarded(folder.path(), 2, users).unwrap();
        Self { cluster, _folder: folder }
    }

    pub(crate) fn node(&self, number: usize) -> &PrivateEngine {
        self.cluster.node(number).unwrap()
    }

    /// An image that every node can have by itself.
    pub(crate) fn base(&self, node: usize) -> &'static str {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../base-images");
        base_image(&self.node(node).client(), BaseImage::Busybox, &cache).unwrap()
    }

    pub(crate) fn repository(&self) -> String {
        format!("{}/team", self.cluster.registry())
    }

    pub(crate) fn command(
        &self,
        node: usize,
        application: &TestApplication,
        more: &[&str],
    ) -> Command {
        let repository = self.repository();
        let mut arguments = vec!["build", "--cache", "registry", "--message-format", "json"];
        let variable = format!("REPO={repository}/{}", application.name);
        arguments.extend(["--repo", &repository, "--env", &variable]);
        arguments.extend(more);
        application.command_with(self.node(node).host(), &arguments)
    }

    pub(crate) fn build(&self, node: usize, application: &TestApplication, more: &[&str]) -> Run {
        Run::of(self.command(node, application, more).output().unwrap())
    }

    pub(crate) fn built(&self, node: usize, application: &TestApplication, more: &[&str]) -> Run {
        let run = self.build(node, application, more);
        assert_eq!(run.code, Some(0), "{run}");
        run
    }

    pub(crate) fn requests(&self) -> Vec<RegistryRequest> {
        self.cluster.registry_log().unwrap().settled().unwrap()
    }

    /// The references that an engine has of an application.
    fn references(&self, node: usize, application: &TestApplication) -> BTreeSet<String> {
        let images = self.node(node).client().get_json("/images/json").unwrap();
        let tags = images.as_array().unwrap().iter().flat_map(|image| {
            image["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str)
        });
        tags.filter(|tag| tag.contains(&application.name)).map(str::to_owned).collect()
    }
}

pub(crate) fn count(run: &Run, what: &str) -> u64 {
    run.summary()[what].as_u64().unwrap_or_default()
}

pub(crate) fn codes(run: &Run) -> Vec<&str> {
    run.events("diagnostic").iter().map(|it| it["diagnostic"]["code"].as_str().unwrap()).collect()
}

#[test]
fn a_second_machine_builds_and_fetches_nothing_and_then_only_what_changed() {
    let machines = Machines::start();
    let first = three_images();
    let run = machines.built(0, &first, &[]);
    assert_eq!((count(&run, "built"), count(&run, "pushed")), (3, 3), "{run}");
    assert_eq!(codes(&run), [""; 0], "{run}");
    machines.requests();

    let second = first.cloned();
    let run = machines.built(1, &second, &["--metadata-file", "metadata.json"]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (3, 0), "{run}");
    let metadata = std::fs::read_to_string(second.path("metadata.json")).unwrap();
    let metadata: serde_json::Map<String, Value> = serde_json::from_str(&metadata).unwrap();
    let has_digest = |it: &Value| it["digest"].as_str().unwrap().starts_with("sha256:");
    assert!(metadata.len() == 3 && metadata.values().all(has_digest), "{metadata:?}");
    assert_eq!((count(&run, "bytes_sent"), count(&run, "bytes_pushed")), (0, 0), "{run}");
    let requests = machines.requests();
    assert!(requests.iter().all(|it| matches!(&*it.method, "GET" | "HEAD")), "{requests:?}");
    assert!(!requests.iter().any(|it| it.uri.contains("/blobs/")), "{requests:?}");
    assert_eq!(requests.len(), 1 + 2 * 3, "what it is, a statement and a manifest an image");
    assert!(requests.iter().map(|it| it.bytes).sum::<u64>() < 10_000, "{requests:?}");
    assert_eq!(machines.references(1, &second), BTreeSet::new());

    second.put("deploy/web/file", "changed");
    let run = machines.built(1, &second, &[]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (2, 1), "{run}");
    let loaded = run.events("image-cached").into_iter().filter(|it| it["loaded"] == true);
    assert_eq!(loaded.count(), 1, "only the base of what is built: {run}");

    // And back on the first machine, what the second one built.
    first.put("deploy/web/file", "changed");
    let run = machines.built(0, &first, &["--load"]);
    assert_eq!((count(&run, "fresh"), count(&run, "cached")), (2, 1), "{run}");
    let run = machines.built(0, &first, &[]);
    assert_eq!(count(&run, "fresh"), 3, "what was loaded is fresh: {run}");
}

#[test]
fn a_tree_of_stacks_is_not_built_twice() {
    let machines = Machines::start();
    let first = nested();
    let run = machines.built(0, &first, &[]);
    assert_eq!((count(&run, "built"), count(&run, "pushed")), (5, 5), "{run}");
    let second = first.cloned();
    let run = machines.built(1, &second, &[]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (5, 0), "{run}");
    second.put("api/Cart/deploy/pay/file", "changed");
    let run = machines.built(1, &second, &[]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (2, 3), "{run}");
    first.put("api/Cart/deploy/pay/file", "changed");
    let run = machines.built(0, &first, &[]);
    assert_eq!((count(&run, "fresh"), count(&run, "cached")), (2, 3), "{run}");
}

#[test]
fn entries_that_lie_or_lead_nowhere_are_refused_and_repaired() {
    let machines = Machines::start();
    let application = three_images();
    machines.built(0, &application, &[]);
    let registry = Manifests(machines.cluster.registry());
    let name = |image: &str| format!("team/{}-{image}", application.name);

    // The statement about one image stands where that about another is looked for.
    let statements = |image: &str| registry.statements(&name(image));
    let (base, doc) = (statements("base"), statements("doc"));
    assert_eq!((base.len(), doc.len()), (1, 1));
    let mut lie = registry.get(&name("doc"), &doc[0]);
    lie["annotations"]["ailtire.statement.fingerprint"] = json!("0".repeat(64));
    registry.put(&name("doc"), &doc[0], &lie);
    // One names an image that is not there.
    let mut dangling = registry.get(&name("base"), &base[0]);
    dangling["annotations"]["ailtire.statement.digest"] = json!(format!("sha256:{:064}", 1));
    registry.put(&name("base"), &base[0], &dangling);
    // One names an image, but not the one whose id it has.
    let web = statements("web");
    let mut wrong = registry.get(&name("web"), &web[0]);
    wrong["annotations"]["ailtire.statement.image-id"] = json!(format!("sha256:{:064}", 2));
    registry.put(&name("web"), &web[0], &wrong);

    let run = machines.built(1, &application.cloned(), &[]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (0, 3), "{run}");
    assert_eq!(codes(&run), ["cache-entry-refused"; 3], "{run}");
    let run = machines.built(0, &application.cloned(), &["--force", "*"]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (0, 3), "{run}");

    let clone = application.cloned();
    clone.put("deploy/web/file", "for readers");
    let run = machines.built(1, &clone, &["--cache-read-only"]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (2, 1), "{run}");
    assert_eq!(count(&run, "pushed"), 0, "{run}");
    let tags = statements("web").len();
    assert_eq!(tags, 1, "nothing is stated by those who only read");
}

#[test]
fn a_tag_that_was_moved_is_set_again_by_manifest_alone() {
    let machines = Machines::start();
    let application = three_images();
    let run = machines.built(0, &application, &[]);
    let digest = |run: &Run| {
        let pushed = run.events("image-pushed").into_iter();
        pushed.filter(|it| it["image"].as_str().unwrap().contains("-doc:")).count()
    };
    assert_eq!(digest(&run), 1, "{run}");
    let before = application.cloned();
    application.put("deploy/doc/file", "changed");
    machines.built(0, &application, &[]);
    machines.requests();
    let run = machines.built(1, &before, &["--cache-read-only"]);
    assert_eq!(count(&run, "cached"), 3, "{run}");
    let writes = |requests: Vec<RegistryRequest>| -> Vec<String> {
        let writes = requests.into_iter().filter(|it| !matches!(&*it.method, "GET" | "HEAD"));
        writes.map(|it| it.uri).collect()
    };
    assert_eq!(writes(machines.requests()), [""; 0], "who only reads sets nothing");
    let run = machines.built(1, &before, &[]);
    assert_eq!(count(&run, "cached"), 3, "{run}");
    let expected = format!("/v2/team/{}-doc/manifests/latest", application.name);
    assert_eq!(writes(machines.requests()), [expected]);
    let registry = Manifests(machines.cluster.registry());
    let named = registry.request(
        &["--header", &format!("Accept: {DOCKER}")],
        &format!("team/{}-doc/manifests/latest", application.name),
    );
    let found = run.events("image-cached").into_iter();
    let found = found.filter(|it| it["image"].as_str().unwrap().contains("-doc:"));
    let found: Vec<_> = found.map(|it| it["digest"].as_str().unwrap()).collect();
    assert_eq!(found, [sha256(&named)]);
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    let output = Command::new("sha256sum").arg(file.path()).output().unwrap();
    format!("sha256:{}", &String::from_utf8(output.stdout).unwrap()[..64])
}

#[test]
fn a_foreign_base_is_known_by_its_registry_or_not_at_all() {
    let machines = Machines::start();
    let build = |node: usize, application: &TestApplication| machines.built(node, application, &[]);
    let client: Client = machines.node(0).client();
    let base = machines.base(0);
    let foreign = machines.cluster.push(machines.node(0), base).unwrap();
    let application =
        TestApplication::new(&[("deploy/build.js", "module.exports = { web: { dir: 'web' } };")]);
    let dockerfile = format!("FROM {foreign}\nCOPY Dockerfile /\n");
    application.put("deploy/web/Dockerfile", &dockerfile);
    build(0, &application);
    machines.requests();
    let run = build(1, &application.cloned());
    assert_eq!((count(&run, "cached"), count(&run, "built")), (1, 0), "{run}");
    let requests = machines.requests();
    assert!(!requests.iter().any(|it| it.uri.contains("/blobs/")), "{requests:?}");

    // Only the first machine has it, and nobody else can know what it is.
    let local = "only-here/base:1";
    let path = format!("/images/{base}/tag?repo=only-here/base&tag=1");
    client.post_json(&path, &Value::Null).unwrap();
    application.put("deploy/web/Dockerfile", &format!("FROM {local}\nCOPY Dockerfile /\n"));
    build(0, &application);
    let run = machines.build(1, &application.cloned(), &[]);
    assert_eq!(count(&run, "cached"), 0, "{run}");
}

#[test]
fn a_registry_that_is_down_is_a_warning_unless_it_is_required() {
    let machines = Machines::start();
    let application = three_images();
    let mut arguments = vec!["build", "--cache", "registry", "--message-format", "json"];
    let down = machines.cluster.registry().replace(":5000", ":5999/team");
    let variable = format!("REPO={down}/{}", application.name);
    arguments.extend(["--repo", &down, "--env", &variable]);
    let host = machines.node(0).host().to_owned();
    let run = Run::of(application.command_with(&host, &arguments).output().unwrap());
    assert_eq!((run.code, count(&run, "built")), (Some(0), 3), "{run}");
    assert_eq!(codes(&run), ["cache-unavailable"], "{run}");
    arguments.push("--cache-required");
    application.put("deploy/doc/file", "changed");
    let run = Run::of(application.command_with(&host, &arguments).output().unwrap());
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("can't be reached"), "{run}");
}

#[test]
fn images_whose_blobs_the_registry_lost_or_damaged_are_built_where_they_are_needed() {
    let machines = Machines::start();
    let application = three_images();
    machines.built(0, &application, &[]);
    let registry = Manifests(machines.cluster.registry());
    let manifest = |image: &str| {
        registry.get_as(&format!("team/{}-{image}", application.name), "latest", DOCKER)
    };
    let blob = |descriptor: &Value| {
        let digits = descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:");
        let blobs = machines.cluster.registry_data().join("blobs/sha256");
        blobs.join(&digits[..2]).join(digits).join("data")
    };
    // A layer is gone, another one ends too early, a configuration is gone.
    std::fs::remove_file(blob(&manifest("doc")["layers"][0])).unwrap();
    let layer = blob(&manifest("base")["layers"][0]);
    let whole = std::fs::read(&layer).unwrap();
    std::fs::write(&layer, &whole[..whole.len() / 2]).unwrap();
    std::fs::remove_file(blob(&manifest("web")["config"])).unwrap();
    let run = machines.built(1, &application.cloned(), &["--load", "--cache-read-only"]);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (0, 3), "{run}");
    assert_eq!(codes(&run), ["cache-entry-refused"; 3], "{run}");
    assert_eq!(run.stdout.matches("could not be fetched").count(), 3, "{run}");
}

#[test]
fn a_registry_that_does_not_know_who_asks_keeps_nothing_from_being_built() {
    let registry = private_registry();
    let repository = format!("{}/team", registry.address());
    let application = three_images();
    let variable = format!("REPO={repository}/{}", application.name);
    let options = ["--cache", "registry", "--repo", &repository, "--env", &variable];
    let run = application.build(&options);
    assert_eq!((run.code, count(&run, "built")), (Some(0), 3), "{run}");
    let codes = codes(&run);
    assert_eq!(codes[0], "cache-unavailable", "{run}");
    assert_eq!(codes[1..], ["cache-not-written"; 3], "{run}");

    application.put("deploy/doc/file", "changed");
    let run = application.build(&[&options[..], &["--push"]].concat());
    assert_eq!((run.code, count(&run, "push_failed")), (Some(1), 3), "{run}");
    forget(&repository);
}

pub(crate) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Manifests of a registry, read and written by hand.
pub(crate) struct Manifests(pub(crate) String);

impl Manifests {
    pub(crate) fn request(&self, arguments: &[&str], path: &str) -> Vec<u8> {
        need("curl", "curl").unwrap();
        let url = format!("http://{}/v2/{path}", self.0);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail"]).args(arguments).arg(url);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    pub(crate) fn statements(&self, repository: &str) -> Vec<String> {
        let list = self.request(&[], &format!("{repository}/tags/list"));
        let list: Value = serde_json::from_slice(&list).unwrap();
        let tags = list["tags"].as_array().unwrap().iter().filter_map(Value::as_str);
        tags.filter(|tag| tag.starts_with("ailtire-")).map(str::to_owned).collect()
    }

    pub(crate) fn get(&self, repository: &str, tag: &str) -> Value {
        self.get_as(repository, tag, OCI)
    }

    pub(crate) fn get_as(&self, repository: &str, tag: &str, kind: &str) -> Value {
        let accept = format!("Accept: {kind}");
        let path = format!("{repository}/manifests/{tag}");
        serde_json::from_slice(&self.request(&["--header", &accept], &path)).unwrap()
    }

    pub(crate) fn put(&self, repository: &str, tag: &str, manifest: &Value) {
        let kind = format!("Content-Type: {OCI}");
        let body = manifest.to_string();
        let arguments = ["--request", "PUT", "--header", &kind, "--data-binary", &body];
        self.request(&arguments, &format!("{repository}/manifests/{tag}"));
    }
}
