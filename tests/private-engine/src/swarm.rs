//! An engine of our own as a node of a swarm.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::wait::wait_for;
use crate::{Client, PrivateEngine};

/// The engine's own answer to those who ask for what is there already.
const ALREADY: u16 = 503;

/// How long a node may take to become one.
const NODE_DEADLINE: Duration = Duration::from_secs(30);

/// How often nodes report, in nanoseconds: one that stops is missed in a few seconds.
const HEARTBEAT: u64 = 1_000_000_000;

impl Client {
    /// Makes the engine, one of our own, the manager of a swarm of one node where it is not one
    /// yet, and returns its address: ports that services publish in host mode are reached there.
    ///
    /// Any number of threads and processes may do so at once.
    ///
    /// # Errors
    /// The engine refuses, or is not a manager half a minute later.
    pub fn init_swarm(&self) -> Result<Ipv4Addr, Error> {
        let swarm = json!({
            "ListenAddr": "0.0.0.0:2377",
            "AdvertiseAddr": "eth0",
            "Spec": { "Dispatcher": { "HeartbeatPeriod": HEARTBEAT } },
        });
        match self.manager_address() {
            Some(address) => Ok(address),
            None => self.become_node("/swarm/init", &swarm, Client::manager_address),
        }
    }

    fn join_swarm(&self, manager: Ipv4Addr, token: &Value) -> Result<Ipv4Addr, Error> {
        let swarm = json!({
            "ListenAddr": "0.0.0.0:2377",
            "AdvertiseAddr": "eth0",
            "RemoteAddrs": [format!("{manager}:2377")],
            "JoinToken": token,
        });
        self.become_node("/swarm/join", &swarm, Client::node_address)
    }

    fn become_node(
        &self,
        path: &str,
        swarm: &Value,
        address: fn(&Self) -> Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, Error> {
        let response = self.post_json(path, swarm)?;
        if response.status != ALREADY {
            response.accepted(&format!("POST {path}"))?;
        }
        wait_for(NODE_DEADLINE, "the engine to be a node of a swarm", || address(self))
    }

    /// The engine's address, if it is a node that works.
    fn node_address(&self) -> Option<Ipv4Addr> {
        let info = self.get_json("/info").ok()?;
        let swarm = info.get("Swarm")?;
        let is_active = swarm.get("LocalNodeState")?.as_str()? == "active";
        is_active.then(|| swarm.get("NodeAddr")?.as_str()?.parse().ok()).flatten()
    }

    fn manager_address(&self) -> Option<Ipv4Addr> {
        self.get("/swarm").ok().filter(|response| response.status == 200)?;
        self.node_address()
    }
}

impl PrivateEngine {
    /// Makes the engine the manager of a swarm, as [`Client::init_swarm`] does.
    ///
    /// # Errors
    /// As [`Client::init_swarm`].
    pub fn init_swarm(&self) -> Result<Ipv4Addr, Error> {
        self.client().init_swarm()
    }
}

/// Makes one swarm of `nodes`, whose first is the manager.
pub(crate) fn join(nodes: &[PrivateEngine]) -> Result<(), Error> {
    let Some((first, others)) = nodes.split_first() else { return Ok(()) };
    let manager = first.init_swarm()?;
    let swarm = first.client().get_json("/swarm")?;
    let token = swarm.pointer("/JoinTokens/Worker").unwrap_or(&Value::Null);
    for node in others {
        node.client().join_swarm(manager, token)?;
    }
    let ready = || {
        let nodes = first.client().get_json("/nodes").ok()?;
        let is_ready =
            |node: &&Value| node.pointer("/Status/State").and_then(Value::as_str) == Some("ready");
        Some(nodes.as_array()?.iter().filter(is_ready).count() > others.len()).filter(|all| *all)
    };
    wait_for(NODE_DEADLINE, "all nodes to be ready", ready).map(drop)
}
