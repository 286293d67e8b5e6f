//! The service that runs a stack's manager: what it needs beside what its design says.
//!
//! The same pieces make the root's service (`up`) and those of the stacks inside a stack (the
//! manager that deploys them), so that both come out alike.

pub use ailtire_compose::TLS_PORT;
use ailtire_compose::{NETWORK_NAME_LIMIT, shorten};

use crate::label;
use crate::spec::{
    FileTarget, Mount, NetworkAttachment, RestartPolicy, SecretReference, ServiceSpec,
};

/// The port that a manager listens on.
pub const MANAGER_PORT: u16 = 3000;

/// A manager's name on the family network of its stack.
pub const MANAGER_ALIAS: &str = "admin";

/// Where a manager finds the application's token.
pub const TOKEN_FILE: &str = "/run/secrets/ailtire-token";

/// The Docker engine's socket, on the node and in the container.
pub const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// Managers talk to the swarm, which only its managers answer for.
const ON_MANAGERS: &str = "node.role==manager";

/// Nanoseconds that a manager has to answer its last requests and to take its stack away.
const GRACE_PERIOD: i64 = 120_000_000_000;

/// Nanoseconds before a manager that ended is started again.
const RESTART_DELAY: i64 = 1_000_000_000;

/// The instance of the stack that the service `service` of the stack `parent` runs.
pub fn child_instance(parent: &str, service: &str) -> String {
    format!("{parent}_{service}-1")
}

/// What a manager's service gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerSetup {
    /// Instance of the stack that it manages.
    pub instance: String,
    /// The full path of that stack, `/` between its parts.
    pub path: String,
    /// Name of that stack's family network.
    pub family_network: String,
    /// Name of the secret that holds the application's token.
    pub token_secret: String,
}

impl ManagerSetup {
    /// The name in the engine of a family network, which may be too long for one.
    pub fn network_name(family_network: &str) -> String {
        shorten(family_network, NETWORK_NAME_LIMIT)
    }

    /// Adds to `spec` what a manager needs: the engine's socket, a place on managers of the swarm,
    /// the token, and the family network of its stack, where it is called [`MANAGER_ALIAS`].
    ///
    /// What `spec` has of these already stays as it is.
    pub fn add_to(&self, spec: &mut ServiceSpec) {
        spec.labels.insert(label::MANAGER.to_owned(), self.instance.clone());
        let task = &mut spec.task_template;
        let placement = task.placement.get_or_insert_default();
        if !placement.constraints.iter().any(|known| known.replace(' ', "") == ON_MANAGERS) {
            placement.constraints.push(ON_MANAGERS.to_owned());
            placement.constraints.sort();
        }
        task.restart_policy.get_or_insert_with(|| RestartPolicy {
            condition: "any".to_owned(),
            delay: Some(RESTART_DELAY),
            ..RestartPolicy::default()
        });
        let target = Self::network_name(&self.family_network);
        if !task.networks.iter().any(|network| network.target == target) {
            let aliases = vec![MANAGER_ALIAS.to_owned()];
            task.networks.push(NetworkAttachment { target, aliases, ..Default::default() });
            task.networks.sort_by(|one, other| one.target.cmp(&other.target));
        }
        let container = &mut task.container_spec;
        container.stop_grace_period.get_or_insert(GRACE_PERIOD);
        if !container.mounts.iter().any(|mount| mount.target == DOCKER_SOCKET) {
            container.mounts.push(Mount {
                kind: "bind".to_owned(),
                source: DOCKER_SOCKET.to_owned(),
                target: DOCKER_SOCKET.to_owned(),
                ..Mount::default()
            });
            container.mounts.sort_by(|one, other| one.target.cmp(&other.target));
        }
        container.secrets.push(secret_file(&self.token_secret, "ailtire-token"));
        container.secrets.sort_by(|one, other| one.secret_name.cmp(&other.secret_name));
        for (name, value) in
            [("AILTIRE_STACKNAME", &self.instance), ("AILTIRE_STACKPATH", &self.path)]
        {
            container.env.retain(|line| line.split('=').next() != Some(name));
            container.env.push(format!("{name}={value}"));
        }
        container.env.sort();
        spec.labels.insert(label::DIGEST.to_owned(), spec.digest());
    }
}

/// The secret `name` as a file that only the manager itself may read.
pub(crate) fn secret_file(name: &str, file: &str) -> SecretReference {
    SecretReference {
        secret_name: name.to_owned(),
        file: Some(FileTarget {
            name: file.to_owned(),
            uid: "0".to_owned(),
            gid: "0".to_owned(),
            mode: 0o400,
        }),
        ..SecretReference::default()
    }
}
