//! Whether an engine is part of a swarm, and as what.

use serde::Deserialize;

use crate::{Engine, EngineError};

/// An engine's place in a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwarmInfo {
    /// How far it is in one.
    pub state: SwarmState,
    /// Whether it manages the swarm: only a manager can be asked to deploy.
    pub is_manager: bool,
    /// Its id in the swarm; empty outside of one.
    pub node_id: String,
    /// Its address in the swarm; empty outside of one.
    pub node_address: String,
    /// Id of the swarm; empty unless the engine manages it.
    pub cluster_id: String,
    /// Nodes of the swarm; 0 unless the engine manages it.
    pub nodes: u64,
    /// Managers of the swarm; 0 unless the engine manages it.
    pub managers: u64,
    /// What is wrong with it; empty where nothing is.
    pub error: String,
    /// The engine's host name.
    pub host_name: String,
    /// The engine's release.
    pub engine_version: String,
}

/// How far an engine is in a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SwarmState {
    /// It is in none.
    #[serde(alias = "")]
    Inactive,
    /// It is joining one.
    Pending,
    /// It is in one.
    Active,
    /// It is in one and can't take part in it.
    Error,
    /// It is in one and waits for the key that unlocks it.
    Locked,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    swarm: Swarm,
    #[serde(default)]
    name: String,
    #[serde(default)]
    server_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Swarm {
    local_node_state: SwarmState,
    control_available: bool,
    #[serde(rename = "NodeID", default)]
    node_id: String,
    #[serde(default)]
    node_addr: String,
    cluster: Option<Cluster>,
    nodes: Option<u64>,
    managers: Option<u64>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(rename = "ID", default)]
    id: String,
}

impl Engine {
    /// What the engine is in a swarm, in one request.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn swarm_info(&self) -> Result<SwarmInfo, EngineError> {
        let Info { swarm, name, server_version } = self.get("/info").json().await?;
        Ok(SwarmInfo {
            state: swarm.local_node_state,
            is_manager: swarm.control_available,
            node_id: swarm.node_id,
            node_address: swarm.node_addr,
            cluster_id: swarm.cluster.map(|cluster| cluster.id).unwrap_or_default(),
            nodes: swarm.nodes.unwrap_or_default(),
            managers: swarm.managers.unwrap_or_default(),
            error: swarm.error,
            host_name: name,
            engine_version: server_version,
        })
    }
}
