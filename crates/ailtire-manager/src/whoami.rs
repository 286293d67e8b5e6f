//! Which container, and which service, this manager is.

use std::collections::BTreeMap;

use ailtire_docker::{Engine, EngineError};
use serde::Deserialize;

use crate::settings::Settings;

/// What the engine knows of this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// Its container; absent where it runs in none of this engine.
    pub(crate) container: Option<OwnContainer>,
    /// The service that the container is a task of.
    pub(crate) service: Option<OwnService>,
}

/// The container that this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnContainer {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whether the engine removes it when it ends.
    pub(crate) is_transient: bool,
    /// Ids of its networks.
    pub(crate) networks: Vec<String>,
}

/// The service that this is a task of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnService {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Which of its tasks this is.
    pub(crate) slot: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    name: String,
    config: InspectedConfig,
    host_config: HostConfig,
    network_settings: NetworkSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    auto_remove: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    networks: Option<BTreeMap<String, Endpoint>>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "NetworkID", default)]
    network_id: String,
}

/// Asks the engine who this is.
pub(crate) async fn find(engine: &Engine) -> Result<Own, EngineError> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let Some(id) = container_id(&mounts, &host_name) else { return Ok(Own::default()) };
    match engine.get(format!("/containers/{id}/json")).json::<Inspected>().await {
        Ok(inspected) => Ok(own(inspected)),
        // It is a container of another engine.
        Err(EngineError::Api { status: 404, .. }) => Ok(Own::default()),
        Err(error) => Err(error),
    }
}

/// The engine mounts files of its own into every container, from a directory named after it. The
/// host name is the id's beginning unless somebody chose another one.
fn container_id(mounts: &str, host_name: &str) -> Option<String> {
    let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of_file = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (source, target) = (fields.next()?, fields.next()?);
        let file = target.strip_prefix("/etc/")?;
        let id = source.strip_suffix(file)?.strip_suffix('/')?.rsplit('/').next()?;
        (id.len() == 64 && is_id(id)).then(|| id.to_owned())
    });
    let host_name = host_name.trim();
    of_file.or_else(|| (host_name.len() == 12 && is_id(host_name)).then(|| host_name.to_owned()))
}

fn own(inspected: Inspected) -> Own {
    let labels = inspected.config.labels.unwrap_or_default();
    let label = |name: &str| labels.get(&format!("com.docker.swarm.{name}")).cloned();
    let service = label("service.id").zip(label("service.name")).map(|(id, name)| {
        let slot = label("task.name").and_then(|task| {
            task.strip_prefix(&name)?.strip_prefix('.')?.split('.').next()?.parse().ok()
        });
        OwnService { id, name, slot: slot.unwrap_or(1) }
    });
    let networks = inspected.network_settings.networks.unwrap_or_default();
    let container = OwnContainer {
        id: inspected.id,
        name: inspected.name.trim_start_matches('/').to_owned(),
        is_transient: inspected.host_config.auto_remove,
        networks: networks.into_values().map(|endpoint| endpoint.network_id).collect(),
    };
    Own { container: Some(container), service }
}

impl Own {
    /// The instance of the stack that this manages.
    pub(crate) fn instance(&self, settings: &Settings) -> Option<String> {
        let of_service =
            || self.service.as_ref().map(|service| format!("{}-{}", service.name, service.slot));
        let of_container = || self.container.as_ref().map(|container| container.name.clone());
        settings.instance.clone().or_else(of_service).or_else(of_container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "45da175f3c5d6c1ddfd8958903f84011f9fde94894600b99705aeb0ce949b950";

    #[test]
    fn the_engine_s_own_files_name_the_container() {
        let mounts = format!(
            "700 650 0:52 / / rw - overlay overlay rw\n\
             719 700 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 d rw"
        );
        assert_eq!(container_id(&mounts, "chosen\n").as_deref(), Some(ID));
        assert_eq!(container_id("", "45da175f3c5d\n").as_deref(), Some("45da175f3c5d"));
        assert_eq!(container_id("22 1 8:1 /home/etc/hostname /etc/hostname rw", "build"), None);
    }

    fn inspected(labels: &[(&str, &str)]) -> Own {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let json = serde_json::json!({
            "Id": ID, "Name": "/shop", "Config": {"Labels": labels},
            "HostConfig": {"AutoRemove": true},
            "NetworkSettings": {"Networks": {"bridge": {"NetworkID": "n"}}},
        });
        own(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn a_task_has_the_instance_of_its_service_and_slot() {
        let settings = Settings::from_variables(BTreeMap::new());
        let own = inspected(&[
            ("com.docker.swarm.service.id", "s"),
            ("com.docker.swarm.service.name", "shop.web"),
            ("com.docker.swarm.task.name", "shop.web.2.cg16xu946x"),
        ]);
        assert_eq!(own.instance(&settings).as_deref(), Some("shop.web-2"));
    }

    #[test]
    fn a_container_has_its_name() {
        let own = inspected(&[]);
        let mut settings = Settings::from_variables(BTreeMap::new());
        assert_eq!(own.instance(&settings).as_deref(), Some("shop"));
        assert!(own.container.as_ref().unwrap().is_transient);
        settings.instance = Some("told".to_owned());
        assert_eq!(own.instance(&settings).as_deref(), Some("told"));
    }
}
