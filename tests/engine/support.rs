//! An application in a temporary directory, the real command, and what the engine really has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use private_engine::Client;
use serde_json::Value;

use crate::directory::Directory;

/// Variable with the private engine's address.
const HOST: &str = "AILTIRE_TEST_DOCKER_HOST";

/// The private engine's address.
pub(crate) fn host() -> String {
    std::env::var(HOST)
        .expect("these tests need a private engine: run them with `cargo xtask test`")
}

/// A client of the private engine.
pub(crate) fn client() -> Client {
    Client::new(host().strip_prefix("unix://").expect("the private engine has a Unix socket"))
}

/// The private engine's address, a swarm's manager: ports that services publish in host mode are
/// reached there.
pub(crate) fn engine_address() -> Ipv4Addr {
    client().init_swarm().unwrap()
}

/// This machine's address as the private engine has it.
pub(crate) fn machine_address() -> Ipv4Addr {
    private_engine::machine_address(engine_address())
}

/// A name that no other test, and no other run, uses.
pub(crate) fn unique_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("t{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An application of its own name in a directory of its own. Its images go when it goes, and so
/// does all that was deployed of it.
pub(crate) struct TestApplication {
    pub(crate) name: String,
    directory: Directory,
}

impl TestApplication {
    /// An application with these files; `api/index.js` names it.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let application = Self::bare(unique_name());
        let index = format!("module.exports = {{ name: '{}' }};\n", application.name);
        application.put("api/index.js", &index);
        for (path, content) in files {
            application.put(path, content);
        }
        application
    }

    fn bare(name: String) -> Self {
        Self { name, directory: Directory::new() }
    }

    /// A copy of the application `fixtures/<fixture>`, whose images are called `<prefix>-…`.
    pub(crate) fn of_fixture(fixture: &str, prefix: &str) -> Self {
        let application = Self::bare(prefix.to_owned());
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        copy_tree(&fixtures.join(fixture), application.root());
        application
    }

    /// A copy of the source tree in another directory, as a fresh clone is: without state, with
    /// other time stamps.
    pub(crate) fn cloned(&self) -> Self {
        let clone = Self::bare(self.name.clone());
        copy_tree(self.root(), clone.root());
        clone
    }

    pub(crate) fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The command, ready to run on this application and the private engine.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&host(), arguments)
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Builds, with events.
    pub(crate) fn build(&self, arguments: &[&str]) -> Run {
        self.run(&[&["build", "--message-format", "json"], arguments].concat())
    }

    /// Builds and expects it to go well.
    pub(crate) fn built(&self, arguments: &[&str]) -> Run {
        let run = self.build(arguments);
        assert_eq!(run.code, Some(0), "{run}");
        run
    }

    /// The reference of the image that the top package calls `image`.
    pub(crate) fn reference(&self, image: &str) -> String {
        format!("{}-{image}:latest", self.name)
    }
}

impl std::ops::Deref for TestApplication {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

impl Drop for TestApplication {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os(HOST).is_none() {
            return;
        }
        let client = client();
        // What can't be removed goes with the engine.
        let _ = client.remove_application(&self.name);
        let Ok(list) = client.get("/images/json") else { return };
        let images: Value = serde_json::from_slice(&list.body).unwrap_or_default();
        for reference in images.as_array().into_iter().flatten().flat_map(|image| {
            image["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str)
        }) {
            if reference.starts_with(&format!("{}-", self.name)) {
                let _ = client.delete(&format!("/images/{reference}"));
            }
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if entry.file_name() == ".ailtire" {
            continue;
        }
        if kind.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// What a run of the command came to.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) events: Vec<Value>,
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "exit {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        let events = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code(), stdout, stderr, events }
    }

    /// Every event with this `reason`.
    pub(crate) fn events(&self, reason: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["reason"] == reason).collect()
    }

    /// The images named by events with this `reason`, without application name and tag.
    pub(crate) fn images(&self, reason: &str) -> BTreeSet<String> {
        let name = |event: &&Value| {
            let image = event["image"].as_str().unwrap();
            let image = image.split_once('-').map_or(image, |(_, rest)| rest);
            image.trim_end_matches(":latest").to_owned()
        };
        self.events(reason).iter().map(name).collect()
    }

    /// The images that were built.
    pub(crate) fn built(&self) -> Vec<String> {
        self.images("build-finished").into_iter().collect()
    }

    /// Kinds of the reasons why `image` was dirty.
    pub(crate) fn reasons(&self, reference: &str) -> Vec<String> {
        let dirty = self.events("image-dirty");
        let event = dirty.iter().find(|event| event["image"] == reference);
        let reasons = event.and_then(|event| event["reasons"].as_array());
        let kinds = reasons.into_iter().flatten().map(|reason| reason["kind"].as_str().unwrap());
        kinds.map(str::to_owned).collect()
    }

    /// The counts at the end.
    pub(crate) fn summary(&self) -> &Value {
        &self.events("run-finished").last().unwrap_or_else(|| panic!("no end: {self}"))["summary"]
    }
}

/// Configuration and files of an image: all that can be the same in two builds of the same inputs
/// (the times of directories that `COPY` makes can't).
pub(crate) fn identity(reference: &str) -> (Value, TarFiles) {
    (inspect_all(reference)["Config"].clone(), image_files(reference))
}

/// Everything that the engine says of an image.
pub(crate) fn inspect_all(reference: &str) -> Value {
    let response = client().get(&format!("/images/{reference}/json")).unwrap();
    assert_eq!(response.status, 200, "{reference}: {}", String::from_utf8_lossy(&response.body));
    serde_json::from_slice(&response.body).unwrap()
}

/// The id under which the engine has `reference`.
pub(crate) fn image_id(reference: &str) -> String {
    inspect_all(reference)["Id"].as_str().unwrap().to_owned()
}

/// One file of an image or of a context: kind, mode, content or link target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TarFile {
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

pub(crate) type TarFiles = BTreeMap<String, TarFile>;

/// The entries of a tar archive.
pub(crate) fn tar_files(bytes: &[u8]) -> TarFiles {
    let mut files = TarFiles::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
        let (kind, content) = match entry.header().entry_type() {
            tar::EntryType::Directory => ('d', Vec::new()),
            tar::EntryType::Symlink => ('l', entry.link_name_bytes().unwrap().into_owned()),
            tar::EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                ('f', content)
            }
            other => panic!("{path} is a {other:?}"),
        };
        // An archive made elsewhere may leave the field empty.
        let owner = (entry.header().uid().unwrap_or(0), entry.header().gid().unwrap_or(0));
        assert_eq!(owner, (0, 0), "{path}");
        let mode = if kind == 'l' { 0o777 } else { entry.header().mode().unwrap() & 0o7777 };
        files.insert(path.trim_start_matches("./").to_owned(), TarFile { kind, mode, content });
    }
    files
}

/// The files of an image that has no deletions in its layers.
pub(crate) fn image_files(reference: &str) -> TarFiles {
    image_files_of(&client(), reference)
}

/// The same of an image of another engine.
pub(crate) fn image_files_of(client: &Client, reference: &str) -> TarFiles {
    let response = client.get(&format!("/images/{reference}/get")).unwrap();
    assert_eq!(response.status, 200, "{reference}: {}", String::from_utf8_lossy(&response.body));
    let saved = tar_files_of_save(&response.body);
    let manifest: Value = serde_json::from_slice(&saved["manifest.json"]).unwrap();
    let mut files = TarFiles::new();
    for layer in manifest[0]["Layers"].as_array().unwrap() {
        files.extend(tar_files(&saved[layer.as_str().unwrap()]));
    }
    files
}

fn tar_files_of_save(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        // Equal layers are saved once, with links to them.
        if entry.header().entry_type() == tar::EntryType::Symlink {
            let target = entry.link_name().unwrap().unwrap().to_str().unwrap().to_owned();
            let target = target.trim_start_matches("../").to_owned();
            content = files.get(&target).cloned().unwrap_or_default();
        }
        files.insert(path, content);
    }
    files
}
