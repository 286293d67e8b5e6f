//! A swarm of several nodes on one machine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{Error, Tried};
use crate::folder::remove_folder;
use crate::network::{self, Connection, Network};
use crate::{Launch, PrivateEngine, Registry, RequestLog, debian, registry, swarm};

/// The last byte of the address of the switch, where the registry is.
const SWITCH: u8 = 2;

/// The last byte of the address of the first node.
const FIRST_NODE: u8 = 11;

const REGISTRY_PORT: u16 = 5000;

/// Engines that are one swarm, and a registry that all of them reach; dropping it stops them.
///
/// Each node has its own network, host name (`node-1`, …) and address. All are connected to one
/// switch, which is in a network namespace too, so that no firewall of this machine is in the way.
#[derive(Debug)]
pub struct Cluster {
    /// In the order in which they are dropped: nodes before their network.
    nodes: Vec<Option<PrivateEngine>>,
    switch: Switch,
}

/// What connects the nodes; it ends when its standard input does.
#[derive(Debug)]
struct Switch {
    process: Child,
    network: Network,
    /// Its network namespace, as a file of `/proc`.
    namespace: PathBuf,
    /// The registry's folder.
    data: PathBuf,
    /// What was asked of the registry; absent until that runs.
    log: Option<RequestLog>,
}

impl Cluster {
    /// Starts `count` nodes in `folder` and joins them: the first is the manager, the others are
    /// workers.
    ///
    /// # Errors
    /// As [`Launch::start`]; the registry does not start; the nodes do not find each other.
    pub fn start(folder: &Path, count: u8) -> Result<Self, Error> {
        Self::start_guarded(folder, count, None)
    }

    /// The same; the registry wants the password of one of `users` where there are any.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_guarded(folder: &Path, count: u8, users: Option<&str>) -> Result<Self, Error> {
        debian::need_all(&crate::engine::PROGRAMS)?;
        fs::create_dir_all(folder).tried(|| format!("creating {}", folder.display()))?;
        let folder = folder.canonicalize().tried(|| format!("finding {}", folder.display()))?;
        let switch = Switch::start(&folder, users)?;
        let start = |number: u8| {
            let name = format!("node-{}", number + 1);
            let folder = folder.join(&name);
            fs::create_dir_all(&folder).tried(|| format!("creating {}", folder.display()))?;
            let connection = switch.connection(&folder, number);
            let launch = Launch::new(folder).connected(connection).host_name(name);
            // What the registry lost does not come back by asking for a minute.
            launch.argument("--max-download-attempts=1").start()
        };
        let nodes: Vec<PrivateEngine> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..count).map(|number| scope.spawn(move || start(number))).collect();
            let started = starts
                .into_iter()
                .map(|start| start.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            // Every one is waited for, or those that did start would not be stopped.
            started.collect::<Vec<_>>().into_iter().collect::<Result<_, Error>>()
        })?;
        swarm::join(&nodes)?;
        Ok(Self { nodes: nodes.into_iter().map(Some).collect(), switch })
    }

    /// A node that has not been killed; the manager is number 0.
    pub fn node(&self, number: usize) -> Option<&PrivateEngine> {
        self.nodes.get(number)?.as_ref()
    }

    /// Ends a node at once, as a power failure does. The others are not told.
    ///
    /// # Errors
    /// As [`PrivateEngine::kill`].
    pub fn kill_node(&mut self, number: usize) -> Result<(), Error> {
        self.nodes.get_mut(number).and_then(Option::take).map_or(Ok(()), PrivateEngine::kill)
    }

    /// Host and port of the registry, as the nodes and this machine reach it.
    pub fn registry(&self) -> String {
        self.switch.registry()
    }

    /// Starts one more registry that all nodes reach; it ends when it is dropped, or with the
    /// manager. It wants the password of one of `users` where there are any.
    ///
    /// # Errors
    /// As [`Registry::start`]; the manager was killed.
    pub fn start_registry(&self, users: Option<&str>) -> Result<Registry, Error> {
        let manager = self.node(0).ok_or(Error::Late { what: "a manager".into() })?;
        Registry::listen(&manager.client(), manager.address(), users)
    }

    /// Where the registry keeps what it has.
    pub fn registry_data(&self) -> PathBuf {
        self.switch.data.join("data/docker/registry/v2")
    }

    /// What was asked of the registry.
    pub fn registry_log(&self) -> Option<&RequestLog> {
        self.switch.log.as_ref()
    }

    /// Pushes an image of a node to the registry, and returns the reference under which every node
    /// can have it.
    ///
    /// # Errors
    /// The node has no such image, or the registry refuses it.
    pub fn push(&self, node: &PrivateEngine, reference: &str) -> Result<String, Error> {
        let client = node.client();
        let (name, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let name = format!("{}/{name}", self.registry());
        let path = format!("/images/{reference}/tag?repo={name}&tag={tag}");
        client.post_json(&path, &serde_json::Value::Null)?.accepted(&format!("POST {path}"))?;
        let pushed = format!("{name}:{tag}");
        client.push(&pushed, "e30=")?;
        Ok(pushed)
    }

    /// Stops all nodes, then what connects them.
    ///
    /// # Errors
    /// As [`PrivateEngine::stop`].
    pub fn stop(mut self) -> Result<(), Error> {
        let nodes = std::mem::take(&mut self.nodes);
        let stopped: Vec<_> = nodes.into_iter().flatten().map(PrivateEngine::stop).collect();
        self.switch.end().and(stopped.into_iter().collect())
    }
}

impl Switch {
    fn start(folder: &Path, users: Option<&str>) -> Result<Self, Error> {
        let network = Network::choose(folder)?;
        let address = network.address(SWITCH);
        let data = folder.join("registry");
        remove_folder(&data)?;
        registry::prepare(&data, &format!("{address}:{REGISTRY_PORT}"), users)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", include_str!("switch.sh"), "switch", &network.device]);
        command.arg(format!("{}/24", network.machine())).arg(format!("{address}/24")).arg(&data);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for the owner; nodes end before their network.
        let process = command.process_group(0).spawn().tried(|| "running /bin/sh".into())?;
        let mut switch = Self { process, network, namespace: PathBuf::new(), data, log: None };
        let mut line = String::new();
        if let Some(output) = switch.process.stdout.take() {
            let read = BufReader::new(output).read_line(&mut line);
            read.tried(|| "reading the switch's process".into())?;
        }
        switch.namespace = format!("/proc/{}/ns/net", line.trim()).into();
        let log = switch.process.stderr.take().map(BufReader::new);
        switch.log = Some(RequestLog::read(log)?);
        Ok(switch)
    }

    fn registry(&self) -> String {
        format!("{}:{REGISTRY_PORT}", self.network.address(SWITCH))
    }

    fn connection(&self, folder: &Path, number: u8) -> Connection {
        Connection {
            outside: self.namespace.clone(),
            device: network::name(folder),
            plug: "ip link set \"$1\" master switch && ip link set \"$1\" up".into(),
            address: self.network.address(FIRST_NODE + number),
            registry: Some(self.registry()),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        drop(self.process.stdin.take());
        self.process.wait().map(drop).tried(|| "waiting for the switch".into())
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // A drop can't report; `Cluster::stop` does.
        let _ = self.end();
    }
}
