//! Three nodes, an application, and the real command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use private_engine::{BaseImage, Client, Cluster, Registry, base_image, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::directory::Directory;

/// How long the swarm may take for anything that it does by itself.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// The stack of the application: its name, and the environment where none is named.
pub(crate) const STACK: &str = "shop-default";

/// The application on its nodes. Nodes are dropped before their folder.
pub(crate) struct Lab {
    /// Where nodes get the application's image; absent when it was stopped.
    registry: Option<Registry>,
    /// What `--repo` names.
    pub(crate) repository: String,
    cluster: Option<Cluster>,
    application: Directory,
    /// What the design has now.
    services: BTreeMap<String, Value>,
    _folder: TempDir,
}

impl Lab {
    /// Three nodes that run nothing yet, and an application with two services.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let cluster = Cluster::start(folder.path(), 3).unwrap();
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../base-images");
        base_image(&cluster.node(0).unwrap().client(), BaseImage::Busybox, &cache).unwrap();
        let registry = cluster.start_registry(None).unwrap();
        let mut lab = Self {
            repository: format!("{}/team", registry.address()),
            registry: Some(registry),
            cluster: Some(cluster),
            application: Directory::new(),
            services: BTreeMap::new(),
            _folder: folder,
        };
        for (path, content) in [
            ("api/index.js", "module.exports = { name: 'shop' };\n"),
            ("deploy/build.js", "module.exports = { web: { dir: 'web' } };\n"),
            ("deploy/deploy.js", "module.exports = { contexts: { default: { file: 'c.yaml' } } };"),
            ("deploy/web/page", "first\n"),
        ] {
            lab.put(path, content);
        }
        let dockerfile = format!(
            "FROM {}\nCOPY page /\nCMD [\"sh\", \"-c\", \"cat /page; echo on $NODE; exec sleep 1d\"]\n",
            BaseImage::Busybox.reference()
        );
        lab.put("deploy/web/Dockerfile", &dockerfile);
        lab.set("web", service("shop-web", &json!({ "replicas": 3 })));
        lab.set("agent", service("shop-web", &json!({ "mode": "global" })));
        lab
    }

    pub(crate) fn put(&self, path: &str, content: &str) {
        self.application.put(path, content);
    }

    /// Puts a service into the design.
    pub(crate) fn set(&mut self, name: &str, service: Value) {
        self.services.insert(name.to_owned(), service);
        self.write();
    }

    /// A service as the design has it.
    pub(crate) fn design(&self, name: &str) -> Value {
        self.services[name].clone()
    }

    /// Takes a service out of the design.
    pub(crate) fn unset(&mut self, name: &str) {
        self.services.remove(name);
        self.write();
    }

    /// What is in JSON is in YAML, too.
    fn write(&self) {
        self.put("deploy/c.yaml", &json!({ "services": self.services }).to_string());
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }

    /// The manager's engine.
    pub(crate) fn client(&self) -> Client {
        self.cluster().node(0).unwrap().client()
    }

    /// Stops the registry of the application.
    pub(crate) fn stop_registry(&mut self) {
        self.registry = None;
    }

    /// The application's registry, as long as it is there.
    pub(crate) fn registry(&self) -> &Registry {
        self.registry.as_ref().unwrap()
    }

    /// How often a registry was asked for what `path` is part of, with all that was answered before.
    pub(crate) fn requests(&self, registry: &Registry, path: &str) -> usize {
        // What is asked later is in the log later.
        const MARK: &str = "/v2/mark/manifests/";
        let count = |path: &str| registry.requests(path).unwrap();
        let before = count(MARK);
        let mark = format!("/distribution/{}/mark:1/json", registry.address());
        self.client().get(&mark).unwrap();
        until("the registry's log", || count(MARK) > before);
        count(path)
    }

    /// The reference of the application's image in the registry.
    pub(crate) fn reference(&self) -> String {
        format!("{}/shop-web:latest", self.repository)
    }

    /// Runs the command to its end, with the manager's engine.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let host = self.cluster().node(0).unwrap().host();
        Run::of(&self.application.command_with(host, arguments).output().unwrap())
    }

    /// Deploys from the registry.
    pub(crate) fn deploy(&self, arguments: &[&str]) -> Run {
        self.run(&[&["deploy", "--repo", &self.repository], arguments].concat())
    }

    /// Deploys from the registry, and expects it to go well.
    pub(crate) fn deployed(&self, arguments: &[&str]) -> Run {
        self.deploy(arguments).expect(0)
    }

    /// Builds what no deployment needed yet, and pushes all to the registry.
    pub(crate) fn pushed(&self) {
        self.run(&["build", "--push", "--repo", &self.repository]).expect(0);
    }

    /// What runs, as `status` has it, and its exit code.
    pub(crate) fn status(&self) -> (Value, Option<i32>) {
        let run = self.run(&["status", "--format", "json"]);
        let status: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
        (status, run.code)
    }

    /// One service, as `status` has it.
    pub(crate) fn service(&self, name: &str) -> Value {
        let (status, _) = self.status();
        let services = status["stacks"][0]["services"].as_array().unwrap();
        services.iter().find(|service| service["name"] == name).unwrap().clone()
    }

    /// Versions of all services and ids of their tasks: what changes when anything does.
    pub(crate) fn fingerprint(&self) -> BTreeSet<String> {
        let list = |path: &str| self.client().get_json(path).unwrap();
        let text = |item: &Value| format!("{} {}", item["ID"], item["Version"]["Index"]);
        let services = list("/services");
        let tasks = list("/tasks");
        // The swarm forgets those that ended at times of its own.
        let tasks =
            tasks.as_array().unwrap().iter().filter(|task| task["DesiredState"] == "running");
        let tasks = tasks.map(|task| task["ID"].to_string());
        services.as_array().unwrap().iter().map(text).chain(tasks).collect()
    }

    /// The image that a service's spec has.
    pub(crate) fn image_of(&self, service: &str) -> String {
        let service = self.client().get_json(&format!("/services/{STACK}_{service}")).unwrap();
        let image = &service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"];
        image.as_str().unwrap().to_owned()
    }

    /// The host names of the nodes that run a service's tasks.
    pub(crate) fn nodes_of(&self, service: &str) -> Vec<String> {
        self.nodes_of_full(&format!("{STACK}_{service}"))
    }

    /// The same for a service's full name.
    pub(crate) fn nodes_of_full(&self, name: &str) -> Vec<String> {
        let tasks = self.client().running_tasks(name).unwrap();
        let mut names: Vec<String> = tasks.iter().map(|task| self.host_name(task)).collect();
        names.sort();
        names
    }

    fn host_name(&self, task: &Value) -> String {
        let node = format!("/nodes/{}", task["NodeID"].as_str().unwrap());
        let node = self.client().get_json(&node).unwrap();
        node["Description"]["Hostname"].as_str().unwrap().to_owned()
    }

    /// Sets whether a node takes tasks: `active` or `drain`.
    pub(crate) fn set_availability(&self, host_name: &str, availability: &str) {
        let client = self.client();
        let nodes = client.get_json("/nodes").unwrap();
        let is_meant = |node: &&Value| node["Description"]["Hostname"] == host_name;
        let node = nodes.as_array().unwrap().iter().find(is_meant).unwrap();
        let mut spec = node["Spec"].clone();
        spec["Availability"] = availability.into();
        let path = format!(
            "/nodes/{}/update?version={}",
            node["ID"].as_str().unwrap(),
            node["Version"]["Index"]
        );
        client.post_json(&path, &spec).unwrap().accepted(&path).unwrap();
    }

    /// Containers and networks of an instance on all nodes that are there.
    pub(crate) fn left_of(&self, instance: &str) -> Vec<String> {
        let mut left = Vec::new();
        for node in (0..3).filter_map(|number| self.cluster().node(number)) {
            for path in ["/containers/json?all=true", "/networks"] {
                for item in node.client().get_json(path).unwrap().as_array().unwrap() {
                    if item.to_string().contains(&format!("{instance}-")) {
                        left.push(item.to_string());
                    }
                }
            }
        }
        left
    }

    /// Ends a node as a power failure does.
    pub(crate) fn kill_node(&mut self, number: usize) {
        self.cluster.as_mut().unwrap().kill_node(number).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.application.path(path)
    }

    /// Stops the nodes in an orderly way.
    pub(crate) fn stop(mut self) {
        self.cluster.take().unwrap().stop().unwrap();
    }
}

/// A service of a design that starts and stops at once.
pub(crate) fn service(image: &str, deploy: &Value) -> Value {
    let mut deploy = deploy.clone();
    deploy["endpoint_mode"] = "dnsrr".into();
    deploy["restart_policy"] = json!({ "delay": "100ms" });
    deploy["update_config"] = json!({ "parallelism": 0, "monitor": "300ms" });
    json!({
        "image": image,
        "stop_signal": "SIGKILL",
        "environment": { "NODE": "{{.Node.Hostname}}" },
        "deploy": deploy,
    })
}

/// Waits until `look` finds what is to be.
pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(LIMIT, what, || look().then_some(())).unwrap();
}

/// What a run of the command came to.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Expects each of these texts in what was written for people.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) -> &Self {
        // Long lines are broken.
        let said: Vec<&str> = self.stderr.split_whitespace().collect();
        let said = said.join(" ");
        for text in texts {
            assert!(said.contains(text), "`{text}` is missing: {self}");
        }
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "exit {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}
