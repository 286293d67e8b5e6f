//! Stacks made by Docker's clients and by us.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use ailtire_compose::{DesignSource, StackContext, StackDesign};
use ailtire_docker::{BuilderKind, EndpointOptions, Engine, EngineError};
use ailtire_swarm::{DesiredStack, Identity, ResolvedImages, StackToConvert, convert, label};
use ailtire_tree::{StatIndex, Tree};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::normal;

static NUMBER: AtomicU8 = AtomicU8::new(0);

/// What differs between two deployments of one compose file.
#[derive(Debug, Clone)]
pub(crate) struct Variables {
    pub(crate) namespace: String,
    /// The name of a network, a config and a secret that are there.
    external: String,
    pub(crate) subnet: String,
}

impl Variables {
    /// As the compose files name them.
    fn environment(&self) -> [(&str, &str); 3] {
        let Self { namespace, external, subnet } = self;
        [("NAMESPACE", namespace), ("EXTERNAL", external), ("SUBNET", subnet)]
    }
}

/// The engine that the tests may use, as a swarm of one node.
pub(crate) struct Swarm {
    pub(crate) engine: Engine,
    host: String,
    /// Of a network, a config and a secret that belong to no stack.
    external: String,
    folder: TempDir,
}

impl Swarm {
    pub(crate) async fn join() -> Self {
        let host = std::env::var("AILTIRE_TEST_DOCKER_HOST")
            .expect("AILTIRE_TEST_DOCKER_HOST names the engine that tests may use");
        let options = EndpointOptions {
            host: Some(host.clone()),
            builder: BuilderKind::Automatic,
            ..EndpointOptions::default()
        };
        let engine = Engine::connect(&options).await.unwrap();
        let address = json!({"ListenAddr": "127.0.0.1:2377", "AdvertiseAddr": "127.0.0.1"});
        match engine.post("/swarm/init").body(&address).json::<Value>().await {
            // Refused where another test was first.
            Ok(_) | Err(EngineError::Api { status: 503, .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let swarm = Self {
            engine,
            host,
            external: unique("outside"),
            folder: tempfile::tempdir().unwrap(),
        };
        copy_stacks(swarm.folder.path());
        let name = &swarm.external;
        let network = json!({"Name": name, "Driver": "overlay"});
        swarm.create("/networks/create", &network).await;
        for kind in ["configs", "secrets"] {
            let object = json!({"Name": name, "Labels": {}, "Data": "eA=="});
            swarm.create(&format!("/{kind}/create"), &object).await;
        }
        swarm
    }

    pub(crate) fn variables(&self, namespace: &str) -> Variables {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Variables {
            namespace: unique(namespace),
            external: self.external.clone(),
            subnet: format!("10.99.{number}.0/24"),
        }
    }

    /// The compose file `name` as we read it.
    pub(crate) fn read(&self, name: &str, variables: &Variables) -> StackDesign {
        let tree = Tree::open(self.folder.path(), StatIndex::default()).unwrap();
        let process = variables.environment();
        let context = StackContext {
            application: "shop".into(),
            environment: "dev".into(),
            instance: variables.namespace.clone(),
            path: vec![variables.namespace.clone()],
            process: process.map(|(name, value)| (name.into(), value.into())).into(),
            ..StackContext::default()
        };
        let source = DesignSource::Compose { path: format!("{name}.yaml") };
        let read = ailtire_compose::read(&tree, &source, &context);
        read.design.unwrap_or_else(|| panic!("{:#?}", read.diagnostics))
    }

    async fn create(&self, path: &str, body: &(impl Serialize + ?Sized)) {
        let answer = self.engine.post(path).body(body).json::<Value>().await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}\n{}", json!(body)));
    }

    /// Ids by name of what the engine has at `path`.
    pub(crate) async fn ids(&self, path: &str) -> BTreeMap<String, String> {
        let list: Vec<Value> = self.engine.get(path).json().await.unwrap();
        list.iter()
            .map(|object| {
                let name = object.pointer("/Spec/Name").or_else(|| object.get("Name")).unwrap();
                let id = object.get("ID").or_else(|| object.get("Id")).unwrap();
                (name.as_str().unwrap().to_owned(), id.as_str().unwrap().to_owned())
            })
            .collect()
    }
}

/// Puts all compose files, and the files that they name, into `folder`.
fn copy_stacks(folder: &Path) {
    let stacks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker_stack/stacks");
    for entry in fs::read_dir(stacks).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    for name in ["plain", "named", "templated", "credentials", "unused", "password", "key"] {
        let mut file = fs::File::create(folder.join(format!("{name}.txt"))).unwrap();
        writeln!(file, "what {name} holds").unwrap();
    }
}

impl Drop for Swarm {
    /// Takes away what belongs to no stack.
    fn drop(&mut self) {
        for kind in ["network", "config", "secret"] {
            let mut command = Command::new(clients().first().unwrap());
            command.args(["--host", &self.host, kind, "rm", &self.external]);
            let _ = command.output();
        }
    }
}

/// A name that no other test and no other run uses.
fn unique(name: &str) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{now:x}-{number}")
}

/// Docker's clients on this machine, each once.
pub(crate) fn clients() -> Vec<PathBuf> {
    private_engine::need("docker", "docker.io").unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut clients: Vec<PathBuf> = std::env::split_paths(&path)
        .filter_map(|folder| folder.join("docker").canonicalize().ok())
        .collect();
    clients.sort();
    clients.dedup();
    clients
}

/// A client's version, as far as it matters.
pub(crate) fn major_version(client: &Path) -> u32 {
    let output = Command::new(client).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split(' ').nth(2).unwrap();
    version.split('.').next().unwrap().parse().unwrap()
}

/// A stack that runs.
pub(crate) struct Deployment<'a> {
    swarm: &'a Swarm,
    variables: Variables,
    /// What it was made from, where it is ours.
    desired: Option<DesiredStack>,
}

impl<'a> Deployment<'a> {
    /// What a client makes of the compose file `name`.
    pub(crate) fn of_client(
        swarm: &'a Swarm,
        client: &Path,
        name: &str,
        variables: &Variables,
    ) -> Self {
        let folder = swarm.folder.path();
        let mut command = Command::new(client);
        command.args(["--host", &swarm.host, "stack", "deploy", "--resolve-image", "never"]);
        command.arg("--compose-file").arg(format!("{name}.yaml")).arg(&variables.namespace);
        command.env("DOCKER_CONFIG", folder).envs(variables.environment()).current_dir(folder);
        succeed(&mut command);
        Self { swarm, variables: variables.clone(), desired: None }
    }

    /// What we make of a design.
    pub(crate) async fn ours(
        swarm: &'a Swarm,
        variables: &Variables,
        design: &StackDesign,
    ) -> Self {
        let identity = Identity {
            application: "shop".into(),
            environment: "dev".into(),
            root: variables.namespace.clone(),
        };
        let (desired, diagnostics) = convert(&StackToConvert {
            identity: &identity,
            version: Some("1.2.3"),
            namespace: &variables.namespace,
            path: &variables.namespace,
            index: 0,
            parent: None,
            design,
            images: &ResolvedImages::new(),
        });
        assert_eq!(diagnostics, []);
        for network in &desired.networks {
            swarm.create("/networks/create", network).await;
        }
        for config in &desired.configs {
            swarm.create("/configs/create", config).await;
        }
        for secret in &desired.secrets {
            swarm.create("/secrets/create", secret).await;
        }
        let (configs, secrets) = (swarm.ids("/configs").await, swarm.ids("/secrets").await);
        let networks = swarm.ids("/networks").await;
        for service in &desired.services {
            let spec = service.spec.with_ids(&configs, &secrets, &networks).unwrap();
            swarm.create("/services/create", &spec).await;
        }
        Self { swarm, variables: variables.clone(), desired: Some(desired) }
    }

    /// What the engine has of it, as text in which only what matters can differ.
    pub(crate) async fn objects(&self) -> String {
        let mut objects = BTreeMap::new();
        for kind in ["networks", "configs", "secrets", "services"] {
            let namespace = format!("{}={}", label::NAMESPACE, self.variables.namespace);
            let request = self.swarm.engine.get(format!("/{kind}")).filter("label", namespace);
            let list: Vec<Value> = request.json().await.unwrap();
            if kind == "services" {
                list.iter().for_each(normal::assert_read_without_loss);
            }
            objects.insert(kind, list);
        }
        let mut names = BTreeMap::new();
        for path in ["/networks", "/configs", "/secrets"] {
            let ids = self.swarm.ids(path).await;
            names.extend(ids.into_iter().map(|(name, id)| (id, name)));
        }
        normal::text(objects, &names, &self.variables, self.desired.as_ref())
    }

    /// Removes it with Docker's own command; nothing of it is left.
    pub(crate) async fn remove(self, client: &Path) {
        let Self { swarm, variables, .. } = self;
        let mut command = Command::new(client);
        command.args(["--host", &swarm.host, "stack", "rm", &variables.namespace]);
        succeed(command.env("DOCKER_CONFIG", swarm.folder.path()));
        for path in ["/services", "/networks", "/configs", "/secrets"] {
            let namespace = format!("{}={}", label::NAMESPACE, variables.namespace);
            let request = swarm.engine.get(path).filter("label", namespace);
            assert_eq!(request.json::<Vec<Value>>().await.unwrap(), Vec::<Value>::new());
        }
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
}
