//! From names to the ids that only the engine knows.

use std::collections::BTreeMap;

use ailtire_events::ObjectKind;

use super::ServiceSpec;

/// Networks that every node has of its own. The engine finds them by name, not by id.
const BUILT_IN_NETWORKS: [&str; 4] = ["host", "bridge", "none", "default"];

/// Something that a service uses is not in the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("service `{service}` uses {kind} `{name}`, which the engine does not have")]
pub struct MissingObject {
    /// Full name of the service.
    pub service: String,
    /// What kind of thing it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

impl ServiceSpec {
    /// This spec as the engine takes it, with the ids of the configs, secrets and networks that it
    /// names. The maps are from names to ids.
    ///
    /// # Errors
    /// A map lacks one of the names.
    pub fn with_ids(
        &self,
        configs: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, String>,
        networks: &BTreeMap<String, String>,
    ) -> Result<Self, MissingObject> {
        let find = |kind: ObjectKind, ids: &BTreeMap<String, String>, name: &str| {
            ids.get(name).cloned().ok_or_else(|| MissingObject {
                service: self.name.clone(),
                kind,
                name: name.to_owned(),
            })
        };
        let mut spec = self.clone();
        let container = &mut spec.task_template.container_spec;
        for reference in &mut container.configs {
            reference.config_id = find(ObjectKind::Config, configs, &reference.config_name)?;
        }
        for reference in &mut container.secrets {
            reference.secret_id = find(ObjectKind::Secret, secrets, &reference.secret_name)?;
        }
        let credentials =
            container.privileges.as_mut().and_then(|all| all.credential_spec.as_mut());
        if let Some(credentials) = credentials.filter(|credentials| !credentials.config.is_empty())
        {
            credentials.config = find(ObjectKind::Config, configs, &credentials.config)?;
        }
        for attachment in &mut spec.task_template.networks {
            if !is_built_in(&attachment.target) {
                attachment.target = find(ObjectKind::Network, networks, &attachment.target)?;
            }
        }
        Ok(spec)
    }
}

/// Whether every node has this network of its own, so that nobody has to make it.
pub(crate) fn is_built_in(network: &str) -> bool {
    BUILT_IN_NETWORKS.contains(&network)
}
