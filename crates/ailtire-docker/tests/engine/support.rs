//! What the tests with an engine share.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ailtire_context::{BuildContext, Content, ContextEntry, Dockerfile};
use ailtire_docker::{BuildError, BuildRequest, BuilderKind, BuiltImage, EndpointOptions, Engine};
use ailtire_events::{EventKind, EventSink, StepState};
use ailtire_tree::Digest;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

/// The engine that the tests may use.
pub(crate) fn host() -> String {
    std::env::var("AILTIRE_TEST_DOCKER_HOST")
        .expect("AILTIRE_TEST_DOCKER_HOST names the engine that tests may use")
}

/// A connection to that engine.
pub(crate) async fn engine() -> Engine {
    engine_at(&host(), BuilderKind::Automatic).await
}

pub(crate) async fn classic_engine() -> Engine {
    engine_at(&host(), BuilderKind::Classic).await
}

pub(crate) async fn engine_at(host: &str, builder: BuilderKind) -> Engine {
    let options =
        EndpointOptions { host: Some(host.to_owned()), builder, ..EndpointOptions::default() };
    Engine::connect(&options).await.unwrap()
}

/// A source tree and the image that is made of it; the image goes when this does.
pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) dockerfile: String,
    pub(crate) name: String,
}

static PROJECTS: AtomicU32 = AtomicU32::new(0);

impl Project {
    pub(crate) fn new(dockerfile: &str) -> Self {
        let number = PROJECTS.fetch_add(1, Ordering::Relaxed);
        // The engine may still know what an earlier run of the tests did.
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        Self {
            folder: tempfile::tempdir().unwrap(),
            dockerfile: dockerfile.to_owned(),
            name: format!("ailtire-test-{now}-{number}"),
        }
    }

    /// A project of many files: deleting them is slow on disks that discard freed blocks.
    pub(crate) fn in_memory(dockerfile: &str) -> Self {
        let mut project = Self::new(dockerfile);
        if let Ok(folder) = tempfile::tempdir_in("/dev/shm") {
            project.folder = folder;
        }
        project
    }

    /// A project whose image can run shell commands.
    pub(crate) fn with_shell(dockerfile: &str) -> Self {
        let project = Self::new(&format!(
            "FROM scratch\nCOPY bin /bin\nSHELL [\"/bin/busybox\", \"sh\", \"-c\"]\n{dockerfile}"
        ));
        std::fs::create_dir(project.folder.path().join("bin")).unwrap();
        std::fs::copy("/bin/busybox", project.folder.path().join("bin/busybox")).unwrap();
        project
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn link(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.folder.path().join(path)).unwrap();
        self
    }

    pub(crate) fn directory(&self, path: &str) -> &Self {
        std::fs::create_dir_all(self.folder.path().join(path)).unwrap();
        self
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) -> &Self {
        let path = self.folder.path().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// The request to build what is in the folder now.
    pub(crate) fn request(&self) -> BuildRequest {
        let mut entries = Vec::new();
        collect(self.folder.path(), "", &mut entries);
        BuildRequest {
            image: self.name.clone(),
            references: vec![format!("{}:latest", self.name)],
            context: Arc::new(BuildContext {
                entries,
                dockerfile: Dockerfile {
                    source: "Dockerfile".to_owned(),
                    text: Arc::from(self.dockerfile.as_str()),
                    digest: Digest::of(self.dockerfile.as_bytes()),
                    bases: Vec::new(),
                    declared_arguments: BTreeSet::new(),
                },
                diagnostics: Vec::new(),
            }),
            source_root: self.folder.path().to_owned(),
            build_arguments: BTreeMap::new(),
            target: None,
            platforms: Vec::new(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            no_cache: false,
            cache_from: Vec::new(),
            context_key: self.name.clone(),
        }
    }

    pub(crate) async fn build(&self, engine: &Engine) -> Result<BuiltImage, BuildError> {
        engine.build(&self.request(), &ailtire_events::NullSink).await
    }
}

/// Adds what is below `directory`, canonical modes, in the order of contexts.
fn collect(root: &Path, directory: &str, entries: &mut Vec<ContextEntry>) {
    let mut names: Vec<_> = std::fs::read_dir(root.join(directory))
        .unwrap()
        .map(|found| found.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in names {
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        let found = root.join(&path).symlink_metadata().unwrap();
        let mode = found.permissions().mode() & 0o7777;
        let entry = |mode, content| ContextEntry { path: path.as_str().into(), mode, content };
        if found.is_dir() {
            entries.push(entry(mode, Content::Directory));
            collect(root, &path, entries);
        } else if found.is_symlink() {
            let target = std::fs::read_link(root.join(&path)).unwrap();
            let target = target.to_str().unwrap().into();
            entries.push(entry(0o777, Content::Symlink { target }));
        } else {
            let content = std::fs::read(root.join(&path)).unwrap();
            entries.push(entry(
                mode,
                Content::File {
                    source: path.as_str().into(),
                    size: content.len() as u64,
                    digest: Digest::of(&content),
                },
            ));
        }
    }
}

/// Keeps events as lines.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<EventKind>>, tokio::sync::Notify);

impl EventSink for Recorder {
    fn emit(&self, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
        self.1.notify_waiters();
    }
}

impl Recorder {
    pub(crate) fn events(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn steps(&self) -> Vec<(String, StepState)> {
        let step = |event| match event {
            EventKind::BuildStep { step, state, .. } => Some((step, state)),
            _ => None,
        };
        self.events().into_iter().filter_map(step).collect()
    }

    pub(crate) fn log(&self) -> String {
        let text = |event| match event {
            EventKind::BuildLog { text, .. } => Some(text),
            _ => None,
        };
        self.events().into_iter().filter_map(text).collect()
    }

    /// Waits until the log holds `text`.
    pub(crate) async fn wait_for_log(&self, text: &str) {
        loop {
            let changed = self.1.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.log().contains(text) {
                return;
            }
            changed.await;
        }
    }
}

/// A plain request to the engine's API, beside the code under test.
pub(crate) async fn api(method: &str, path: &str) -> (u16, Bytes) {
    let host = host();
    let socket = host.strip_prefix("unix://").expect("the tests' engine has a Unix socket");
    let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let (path, body) = path.split_once(' ').unwrap_or((path, ""));
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "docker")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    (status, body)
}

/// One file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageFile {
    pub(crate) kind: tar::EntryType,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) target: String,
    pub(crate) content: Vec<u8>,
}

/// Directories and files that the engine puts into every container.
const ENGINE_FILES: [&str; 9] =
    [".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "proc", "sys", "etc/mtab"];

/// All files of an image below `directory`, from a container that is exported and never run.
pub(crate) async fn image_files(image: &str, directory: &str) -> BTreeMap<String, ImageFile> {
    let body = format!("{{\"Image\":\"{image}\",\"Cmd\":[\"/none\"]}}");
    let (status, answer) = api("POST", &format!("/containers/create {body}")).await;
    assert_eq!(status, 201, "{answer:?}");
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let id = answer["Id"].as_str().unwrap();
    let (status, exported) = api("GET", &format!("/containers/{id}/export")).await;
    assert_eq!(status, 200);
    api("DELETE", &format!("/containers/{id}?force=1")).await;
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(&exported[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().trim_matches('/').to_owned();
        let Some(inside) = path.strip_prefix(directory) else { continue };
        let ours = !ENGINE_FILES.contains(&path.as_str()) && !path.starts_with("etc/");
        if inside.is_empty() || !ours {
            continue;
        }
        let header = entry.header().clone();
        let target = entry.link_name().unwrap().map(|name| name.to_str().unwrap().to_owned());
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        let file = ImageFile {
            kind: header.entry_type(),
            mode: header.mode().unwrap() & 0o7777,
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            target: target.unwrap_or_default(),
            content,
        };
        files.insert(inside.trim_matches('/').to_owned(), file);
    }
    files
}

/// What an image has to hold that a context was copied into.
pub(crate) fn expected_files(request: &BuildRequest) -> BTreeMap<String, ImageFile> {
    let file = |entry: &ContextEntry| {
        let (kind, target, content) = match &entry.content {
            Content::Directory => (tar::EntryType::Directory, String::new(), Vec::new()),
            Content::Symlink { target } => {
                (tar::EntryType::Symlink, target.to_string(), Vec::new())
            }
            Content::File { source, .. } => {
                let content = std::fs::read(request.source_root.join(&**source)).unwrap();
                (tar::EntryType::Regular, String::new(), content)
            }
            Content::Generated { bytes, .. } => {
                (tar::EntryType::Regular, String::new(), bytes.to_vec())
            }
        };
        ImageFile { kind, mode: entry.mode, owner: (0, 0), target, content }
    };
    request.context.entries.iter().map(|entry| (entry.path.to_string(), file(entry))).collect()
}
