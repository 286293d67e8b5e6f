//! The one service that an application is brought up with: the manager of a stack that lies in no
//! other one.
//!
//! Everything else of the tree is made by managers. This service belongs to no stack, so that none
//! of them, nor `docker stack`, takes it for one of its own.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::{Port, SERVICE_NAME_LIMIT, TLS_CERTIFICATE, TLS_KEY, shorten};
use ailtire_docker::{Engine, EngineError};
use ailtire_events::{EventKind, EventSink, FieldChange, Location, ObjectAction, ObjectKind};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::apply::keep_tasks;
use crate::manager::{MANAGER_PORT, ManagerSetup, TLS_PORT, secret_file};
use crate::observe::{Observed, ObservedService};
use crate::plan::{collides, service_difference};
use crate::spec::{
    ContainerSpec, EndpointSpec, MissingObject, NetworkSpec, PortConfig, SecretSpec, ServiceMode,
    ServiceSpec, TaskSpec, UpdateConfig,
};
use crate::{Desired, DesiredService, Identity, ResolvedImage, calls, label};

/// What the service of a root's manager is made from.
#[derive(Debug, Clone)]
pub struct RootManager<'a> {
    /// Whose deployment it is.
    pub identity: &'a Identity,
    /// What every manager's service gets.
    pub setup: ManagerSetup,
    /// Reference of the stack's image.
    pub reference: &'a str,
    /// What runs under this reference.
    pub image: &'a ResolvedImage,
    /// Version of the application, where there is one.
    pub version: Option<&'a str>,
    /// Ports that the stack's design publishes.
    pub ports: &'a [Port],
    /// The secrets with the certificate and the key with which it speaks TLS, if it does.
    pub certificate: Option<[String; 2]>,
    /// Variables of its container.
    pub environment: BTreeMap<String, String>,
    /// Where the stack is defined.
    pub location: Location,
}

impl RootManager<'_> {
    /// The service.
    pub fn service(&self) -> RootService {
        let mut labels = BTreeMap::from(self.identity.labels());
        labels.insert(label::IMAGE.to_owned(), self.reference.to_owned());
        labels.insert(label::STACK_PATH.to_owned(), self.setup.path.clone());
        let fingerprint = self.image.fingerprint.clone();
        let origin = [(label::VERSION, self.version.map(str::to_owned))];
        let origin = origin.into_iter().chain([(label::FINGERPRINT, fingerprint.clone())]);
        labels.extend(origin.filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let files = self.certificate.iter().flatten().zip([TLS_CERTIFICATE, TLS_KEY]);
        let mut spec = ServiceSpec {
            name: shorten(&self.setup.instance, SERVICE_NAME_LIMIT),
            labels,
            task_template: TaskSpec {
                container_spec: ContainerSpec {
                    image: self.image.run.clone(),
                    env: environment.collect(),
                    secrets: files.map(|(secret, file)| secret_file(secret, file)).collect(),
                    ..ContainerSpec::default()
                },
                ..TaskSpec::default()
            },
            mode: Some(ServiceMode::Replicated { replicas: Some(1) }),
            // Two of them would deploy the same stack at once, and can't have the same port.
            update_config: Some(UpdateConfig {
                parallelism: 1,
                order: "stop-first".to_owned(),
                ..UpdateConfig::default()
            }),
            rollback_config: None,
            endpoint_spec: Some(self.endpoint()),
        };
        self.setup.add_to(&mut spec);
        RootService(DesiredService {
            name: self.setup.instance.clone(),
            spec,
            after: Vec::new(),
            image: self.reference.to_owned(),
            fingerprint,
            location: self.location.clone(),
        })
    }

    /// The ports all lead to the manager. It needs no virtual address, which only some kernels
    /// serve, unless the swarm itself is to publish a port on all nodes.
    fn endpoint(&self) -> EndpointSpec {
        let mut ports: Vec<PortConfig> = self
            .ports
            .iter()
            .map(|port| PortConfig {
                protocol: port.protocol.clone(),
                target_port: self.target(port).into(),
                published_port: port.published.unwrap_or_default().into(),
                publish_mode: port.mode.clone(),
            })
            .collect();
        ports.sort();
        let on_nodes = ports.iter().all(|port| port.publish_mode == "host");
        EndpointSpec { mode: if on_nodes { "dnsrr" } else { "vip" }.to_owned(), ports }
    }

    /// The manager's own port that one of the design leads to.
    fn target(&self, port: &Port) -> u16 {
        if port.is_tls(self.certificate.is_some()) { TLS_PORT } else { MANAGER_PORT }
    }
}

/// The service of a root's manager as it is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct RootService(pub(crate) DesiredService);

impl RootService {
    /// Its name in the engine.
    pub fn name(&self) -> &str {
        &self.0.spec.name
    }

    /// Instance of the stack that it manages.
    pub fn instance(&self) -> &str {
        &self.0.name
    }

    /// What it is to be.
    pub fn spec(&self) -> &ServiceSpec {
        &self.0.spec
    }

    /// What has to be done so that it becomes what it is to be.
    pub fn compare(&self, observed: &Observed) -> (ObjectAction, Vec<FieldChange>) {
        let Some(found) = observed.service(self.name()) else {
            return (ObjectAction::Created, Vec::new());
        };
        let difference = service_difference(&self.0, found, observed);
        let is_same = difference.changes.is_empty();
        let action = if is_same { ObjectAction::Untouched } else { ObjectAction::Updated };
        (action, difference.changes)
    }

    /// Makes it what it is to be; its id. Nothing is sent where it is already. `observed` is what
    /// runs now, with the networks and secrets that it uses.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses.
    pub async fn apply(
        &self,
        engine: &Engine,
        observed: &Observed,
        auth: Option<String>,
    ) -> Result<String, EngineError> {
        let spec = || self.with_ids(observed).map_err(|missing| refused(&missing));
        let Some(found) = observed.service(self.name()) else {
            return calls::create_service(engine, &spec()?, auth).await;
        };
        let difference = service_difference(&self.0, found, observed);
        if !difference.changes.is_empty() {
            let mut spec = spec()?;
            keep_tasks(&mut spec, &found.raw, difference.task, difference.endpoint);
            calls::update_service(engine, found, &spec, auth).await?;
        }
        Ok(found.id.clone())
    }

    /// Services of the deployment that publish a port of its own: a deployment without managers
    /// gave it to the stack's entry.
    pub fn rivals<'observed>(
        &self,
        observed: &'observed Observed,
        identity: &Identity,
    ) -> Vec<&'observed ObservedService> {
        let is_rival = |other: &&ObservedService| {
            let held = other.spec.endpoint_spec.iter().flat_map(|spec| &spec.ports);
            let mut held = held.filter(|held| self.ports().any(|port| collides(held, port)));
            other.name() != self.name()
                && identity.owns(&other.spec.labels)
                && held.next().is_some()
        };
        observed.services.iter().filter(is_rival).collect()
    }

    fn ports(&self) -> impl Iterator<Item = &PortConfig> {
        self.0.spec.endpoint_spec.iter().flat_map(|spec| &spec.ports)
    }

    /// Takes from `rival` the ports that this one is to have. Returns when its tasks of before are
    /// gone, which hold ports of nodes.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses.
    pub async fn take_ports(
        &self,
        engine: &Engine,
        rival: &ObservedService,
        timeout: std::time::Duration,
    ) -> Result<(), EngineError> {
        let mut spec = rival.raw.clone();
        if let Some(ports) = spec["EndpointSpec"]["Ports"].as_array_mut() {
            ports.retain(|port| {
                let held: PortConfig = serde_json::from_value(port.clone()).unwrap_or_default();
                !self.ports().any(|port| collides(&held, port))
            });
        }
        let tasks = calls::tasks_of(engine, &rival.id).await?;
        calls::update_service(engine, rival, &spec, None).await?;
        let held = rival.spec.endpoint_spec.iter().flat_map(|spec| &spec.ports);
        if held.into_iter().any(|port| port.publish_mode == "host") {
            let tasks: BTreeSet<String> = tasks.into_iter().map(|task| task.id).collect();
            calls::wait_for_end(engine, &tasks, tokio::time::Instant::now() + timeout).await?;
        }
        Ok(())
    }

    /// The ports that it is reached at: in the container, on the nodes, and how they are published.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine can't be asked.
    pub async fn published(&self, engine: &Engine) -> Result<Vec<PortConfig>, EngineError> {
        let service: Published = engine.get(format!("/services/{}", self.name())).json().await?;
        let mut ports = service.endpoint.unwrap_or_default().ports;
        if ports.is_empty() {
            // What nodes publish themselves is said by the tasks alone.
            let tasks: Vec<TaskPorts> =
                engine.get("/tasks").filter("service", self.name()).json().await?;
            ports.extend(
                tasks
                    .into_iter()
                    .filter(|it| it.status.state == "running")
                    .flat_map(|task| task.status.port_status.unwrap_or_default().ports),
            );
        }
        ports.sort();
        ports.dedup();
        Ok(ports)
    }

    fn with_ids(&self, observed: &Observed) -> Result<Value, MissingObject> {
        let secrets = observed.secrets.iter();
        let secrets = secrets.map(|secret| (secret.name.clone(), secret.id.clone())).collect();
        let networks = observed.network_ids();
        let spec = self.0.spec.with_ids(&BTreeMap::new(), &secrets, &networks)?;
        Ok(serde_json::to_value(spec).unwrap_or_default())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Published {
    #[serde(default)]
    endpoint: Option<EndpointSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskPorts {
    status: TaskPortStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskPortStatus {
    state: String,
    #[serde(default)]
    port_status: Option<EndpointSpec>,
}

/// What a tree needs that its managers can't make: `network`, which the root's manager is on from
/// its start, and the secrets of all designs, whose content no image holds.
#[derive(Debug, Clone, Default)]
pub struct Provisions {
    networks: Vec<(NetworkSpec, String)>,
    secrets: Vec<(SecretSpec, String)>,
}

impl Provisions {
    /// What is missing of it.
    pub fn missing(desired: &Desired, networks: Vec<NetworkSpec>, observed: &Observed) -> Self {
        let path_of = |labels: &BTreeMap<String, String>| {
            labels.get(label::NAMESPACE).cloned().unwrap_or_default()
        };
        let networks = networks.into_iter().filter(|it| observed.network(&it.name).is_none());
        let secrets = desired.stacks.iter().flat_map(|stack| {
            let missing = stack.secrets.iter().filter(|it| observed.secret(&it.name).is_none());
            missing.map(|secret| (secret.clone(), stack.path.clone()))
        });
        Self {
            networks: networks.map(|network| (network.clone(), path_of(&network.labels))).collect(),
            secrets: secrets.collect(),
        }
    }

    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.secrets.is_empty()
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses.
    pub async fn make(&self, engine: &Engine, sink: &dyn EventSink) -> Result<(), EngineError> {
        let tell = |kind, stack: &str, name: &str| {
            sink.emit(EventKind::ObjectChanged {
                stack: stack.to_owned(),
                kind,
                name: name.to_owned(),
                action: ObjectAction::Created,
                changes: Vec::new(),
            });
        };
        for (network, stack) in &self.networks {
            calls::create_network(engine, &json!(network), &network.name).await?;
            tell(ObjectKind::Network, stack, &network.name);
        }
        for (secret, stack) in &self.secrets {
            calls::create_file(engine, "/secrets", &json!(secret)).await?;
            tell(ObjectKind::Secret, stack, &secret.name);
        }
        Ok(())
    }
}

fn refused(missing: &MissingObject) -> EngineError {
    EngineError::Api { status: 404, message: missing.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(published: u16, mode: &str) -> Port {
        let published = Some(published);
        Port { mode: mode.into(), target: 8080, published, protocol: "tcp".into() }
    }

    fn service(ports: &[Port]) -> ServiceSpec {
        with_certificate(ports, None)
    }

    fn with_certificate(ports: &[Port], certificate: Option<[&str; 2]>) -> ServiceSpec {
        let identity = Identity::new("shop", "dev");
        let image = ResolvedImage { run: "sha256:1".into(), fingerprint: Some("f".into()) };
        let manager = RootManager {
            identity: &identity,
            setup: ManagerSetup {
                instance: "shop-dev".into(),
                path: "shop-dev".into(),
                family_network: "shop_shop-dev_family".into(),
                token_secret: "shop-dev.token".into(),
            },
            reference: "shop:dev",
            image: &image,
            version: Some("1.2"),
            ports,
            certificate: certificate.map(|names| names.map(str::to_owned)),
            environment: BTreeMap::from([("AILTIRE_ENV".into(), "dev".into())]),
            location: Location::file("deploy/deploy.js"),
        };
        manager.service().0.spec
    }

    #[test]
    fn it_belongs_to_the_deployment_and_to_no_stack() {
        let spec = service(&[]);
        assert_eq!(spec.name, "shop-dev");
        assert!(!spec.labels.contains_key(label::NAMESPACE));
        for (name, value) in [
            (label::APPLICATION, "shop"),
            (label::ENVIRONMENT, "dev"),
            (label::MANAGER, "shop-dev"),
            (label::STACK_PATH, "shop-dev"),
            (label::IMAGE, "shop:dev"),
            (label::FINGERPRINT, "f"),
            (label::VERSION, "1.2"),
        ] {
            assert_eq!(spec.labels.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(spec.labels[label::DIGEST], spec.digest());
    }

    #[test]
    fn it_has_what_every_manager_has() {
        let spec = service(&[]);
        let container = &spec.task_template.container_spec;
        assert_eq!(container.image, "sha256:1");
        assert_eq!(
            container.env,
            ["AILTIRE_ENV=dev", "AILTIRE_STACKNAME=shop-dev", "AILTIRE_STACKPATH=shop-dev"]
        );
        assert_eq!(container.secrets[0].secret_name, "shop-dev.token");
        assert_eq!(spec.task_template.networks[0].target, "shop_shop-dev_family");
        let placement = spec.task_template.placement.unwrap();
        assert_eq!(placement.constraints, ["node.role==manager"]);
        assert_eq!(spec.update_config.unwrap().order, "stop-first");
    }

    #[test]
    fn every_port_leads_to_the_manager_in_the_mode_of_the_design() {
        let endpoint = service(&[port(443, "ingress"), port(80, "host")]).endpoint_spec.unwrap();
        assert_eq!(endpoint.mode, "vip");
        let ports: Vec<_> = endpoint.ports.iter().collect();
        let shown: Vec<_> = ports
            .iter()
            .map(|it| (it.target_port, it.published_port, it.publish_mode.as_str()))
            .collect();
        assert_eq!(shown, [(3000, 80, "host"), (3000, 443, "ingress")]);
        assert_eq!(service(&[port(80, "host")]).endpoint_spec.unwrap().mode, "dnsrr");
        assert_eq!(service(&[]).endpoint_spec.unwrap().mode, "dnsrr");
    }

    #[test]
    fn what_is_for_tls_leads_to_where_it_is_spoken() {
        let https = Port { target: 3443, ..port(8443, "host") };
        let ports = [port(80, "host"), port(443, "host"), https];
        let spec = with_certificate(&ports, Some(["shop.crt", "shop.key"]));
        let endpoint = spec.endpoint_spec.unwrap();
        let shown = endpoint.ports.iter().map(|it| (it.published_port, it.target_port));
        assert_eq!(
            shown.collect::<BTreeMap<_, _>>(),
            [(80, 3000), (443, 3443), (8443, 3443)].into()
        );
        let secrets = spec.task_template.container_spec.secrets;
        let shown = secrets.iter().map(|it| (&*it.secret_name, &*it.file.as_ref().unwrap().name));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                ("shop-dev.token", "ailtire-token"),
                ("shop.crt", "ailtire-tls-certificate"),
                ("shop.key", "ailtire-tls-key"),
            ]
        );
    }
}
