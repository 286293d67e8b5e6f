//! Stacks of the tests: made by hand, deployed, looked at, taken away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ailtire_compose::Condition;
use ailtire_docker::{EndpointOptions, Engine};
use ailtire_events::{Diagnostic, EventKind, EventSink, Location, ObjectAction, ServiceFailure};
use ailtire_swarm::spec::{
    EndpointSpec, HealthConfig, NetworkAttachment, NetworkSpec, RestartPolicy, ServiceMode,
    ServiceSpec, UpdateConfig,
};
use ailtire_swarm::{
    ApplyOptions, Changes, Desired, DesiredService, DesiredStack, Identity, OnFailure, Outcome,
    PlanOptions, Prerequisite, Scope, ServiceEnd, Task, WaitOptions, apply, label, observe, plan,
};
use private_engine::{BaseImage, Client};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// The image that tests run.
pub(crate) fn image() -> String {
    BaseImage::Busybox.reference().to_owned()
}

/// The engine that the tests may use, as a swarm of one node.
pub(crate) async fn engine() -> Engine {
    let host = std::env::var("AILTIRE_TEST_DOCKER_HOST")
        .expect("AILTIRE_TEST_DOCKER_HOST names the engine that tests may use");
    Client::new(host.trim_start_matches("unix://")).init_swarm().unwrap();
    let options = EndpointOptions { host: Some(host), ..EndpointOptions::default() };
    Engine::connect(&options).await.unwrap()
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A name that no other test and no other run uses.
pub(crate) fn unique(name: &str) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("{name}-{now:x}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A stack under test. It has to be taken away at the end.
pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) desired: Desired,
    pub(crate) options: ApplyOptions,
    pub(crate) events: Arc<Recorder>,
    pub(crate) cancel: CancellationToken,
}

impl Lab {
    pub(crate) async fn new(name: &str) -> Self {
        let namespace = unique(name);
        let identity = Identity {
            application: namespace.clone(),
            environment: "test".to_owned(),
            root: namespace.clone(),
        };
        let stack = DesiredStack {
            namespace: namespace.clone(),
            path: namespace,
            parent: None,
            networks: Vec::new(),
            external_networks: Vec::new(),
            configs: Vec::new(),
            external_configs: Vec::new(),
            secrets: Vec::new(),
            external_secrets: Vec::new(),
            services: Vec::new(),
        };
        let wait =
            WaitOptions { timeout: Duration::from_mins(1), stable: Duration::from_millis(1500) };
        Self {
            engine: engine().await,
            desired: Desired {
                identity,
                version: None,
                stacks: vec![stack],
                scope: Scope::default(),
            },
            options: ApplyOptions { wait, ..ApplyOptions::default() },
            events: Arc::default(),
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.desired.stacks[0].namespace
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from(self.desired.identity.labels());
        labels.insert(label::NAMESPACE.to_owned(), self.namespace().to_owned());
        labels
    }

    /// Adds a service that runs a shell command.
    pub(crate) fn add(&mut self, name: &str, command: &str) -> &mut DesiredService {
        let mut spec = ServiceSpec {
            name: format!("{}_{name}", self.namespace()),
            labels: self.labels(),
            ..ServiceSpec::default()
        };
        spec.labels.insert(label::IMAGE.to_owned(), image());
        let container = &mut spec.task_template.container_spec;
        container.image = image();
        container.args = ["/bin/busybox", "sh", "-c", command].map(str::to_owned).to_vec();
        // Ends at once when asked to.
        container.init = Some(false);
        container.stop_grace_period = Some(1_000_000_000);
        spec.task_template.restart_policy = Some(RestartPolicy {
            condition: "any".to_owned(),
            delay: Some(100_000_000),
            ..RestartPolicy::default()
        });
        spec.mode = Some(ServiceMode::Replicated { replicas: Some(1) });
        spec.update_config =
            Some(UpdateConfig { parallelism: 1, monitor: 500_000_000, ..UpdateConfig::default() });
        spec.endpoint_spec =
            Some(EndpointSpec { mode: "dnsrr".to_owned(), ..EndpointSpec::default() });
        self.desired.stacks[0].services.push(DesiredService {
            name: name.to_owned(),
            spec,
            after: Vec::new(),
            image: image(),
            fingerprint: None,
            location: Location::file("docker-compose.yaml"),
        });
        self.desired.stacks[0].services.last_mut().unwrap()
    }

    pub(crate) fn service(&mut self, name: &str) -> &mut DesiredService {
        let services = &mut self.desired.stacks[0].services;
        services.iter_mut().find(|service| service.name == name).unwrap()
    }

    /// Adds an overlay network and puts a service on it.
    pub(crate) fn network(&mut self, name: &str, services: &[&str]) {
        let name = format!("{}_{name}", self.namespace());
        let network = NetworkSpec {
            name: name.clone(),
            driver: "overlay".to_owned(),
            labels: self.labels(),
            ..NetworkSpec::default()
        };
        self.desired.stacks[0].networks.push(network);
        for service in services {
            let attachment = NetworkAttachment {
                target: name.clone(),
                aliases: vec![(*service).to_owned()],
                ..NetworkAttachment::default()
            };
            self.service(service).spec.task_template.networks.push(attachment);
        }
    }

    /// What is to run, each spec with its digest.
    pub(crate) fn desired(&self) -> Desired {
        let mut desired = self.desired.clone();
        for service in &mut desired.stacks[0].services {
            let digest = service.spec.digest();
            service.spec.labels.insert(label::DIGEST.to_owned(), digest);
        }
        desired
    }

    pub(crate) async fn plan(&self) -> Result<Changes, Vec<Diagnostic>> {
        let desired = self.desired();
        let observed = observe(&self.engine, &desired).await.unwrap();
        plan(&desired, &observed, &self.options.plan)
    }

    pub(crate) async fn deploy(&self) -> Outcome {
        let changes = self.plan().await.unwrap();
        let desired = self.desired();
        let (options, events) = (&self.options, &*self.events);
        apply(&self.engine, &desired, &changes, options, events, self.cancel.clone()).await
    }

    /// Deploys, and expects that it goes well.
    pub(crate) async fn deployed(&self) -> Outcome {
        let outcome = self.deploy().await;
        assert!(outcome.error.is_none(), "{:?}\n{:#?}", outcome.error, self.events.events());
        outcome
    }

    /// Ids of tasks that are to run.
    pub(crate) async fn tasks(&self, service: &str) -> Vec<String> {
        let mut ids: Vec<_> = self
            .all_tasks(service)
            .await
            .into_iter()
            .filter(|task| task.desired_state == "running")
            .map(|task| task.id)
            .collect();
        ids.sort();
        ids
    }

    pub(crate) async fn all_tasks(&self, service: &str) -> Vec<Task> {
        let name = format!("{}_{service}", self.namespace());
        self.engine.get("/tasks").filter("service", name).json().await.unwrap()
    }

    pub(crate) async fn raw(&self, service: &str) -> Option<Value> {
        let path = format!("/services/{}_{service}", self.namespace());
        self.engine.get(path).json().await.ok()
    }

    /// What the stack has in the engine: names.
    pub(crate) async fn left(&self) -> Vec<String> {
        let mut names = Vec::new();
        for path in ["/services", "/networks", "/configs", "/secrets"] {
            let filter = format!("{}={}", label::NAMESPACE, self.namespace());
            let found: Vec<Value> =
                self.engine.get(path).filter("label", filter).json().await.unwrap();
            names.extend(found.iter().map(|it| {
                let name = it.pointer("/Spec/Name").unwrap_or(&it["Name"]);
                name.as_str().unwrap().to_owned()
            }));
        }
        names.sort();
        names
    }

    /// Takes everything away.
    pub(crate) async fn end(mut self) {
        self.desired.stacks[0].services.clear();
        self.desired.stacks[0].networks.clear();
        self.desired.stacks[0].configs.clear();
        self.desired.stacks[0].secrets.clear();
        self.options.plan = PlanOptions { prune: true, adopt: true, ..PlanOptions::default() };
        self.cancel = CancellationToken::new();
        self.deployed().await;
        assert_eq!(self.left().await, Vec::<String>::new());
    }
}

pub(crate) fn after(service: &str) -> Prerequisite {
    Prerequisite { stack: 0, service: service.to_owned(), condition: Condition::ServiceStarted }
}

pub(crate) fn health(command: &str) -> HealthConfig {
    HealthConfig {
        test: ["CMD", "/bin/busybox", "sh", "-c", command].map(str::to_owned).to_vec(),
        interval: 300_000_000,
        timeout: 2_000_000_000,
        retries: 1,
        ..HealthConfig::default()
    }
}

pub(crate) fn failure_of(outcome: &Outcome, service: &str) -> ServiceFailure {
    let found = outcome.services.iter().find(|it| it.service == service).unwrap();
    match &found.end {
        ServiceEnd::Failed(failure) => (**failure).clone(),
        other => panic!("`{service}` did not fail: {other:?}"),
    }
}

pub(crate) fn stop(lab: &mut Lab) {
    lab.options.on_failure = OnFailure::Stop;
}

/// Keeps events.
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

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Waits for an event.
    pub(crate) async fn wait_for(&self, is_it: impl Fn(&EventKind) -> bool) {
        loop {
            let changed = self.1.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.events().iter().any(&is_it) {
                return;
            }
            changed.await;
        }
    }

    /// What became of objects, in its order: `created web`.
    pub(crate) fn deeds(&self) -> Vec<String> {
        let deed = |event| match event {
            EventKind::ObjectChanged { name, action, .. } if action != ObjectAction::Untouched => {
                Some(format!("{action:?} {name}").to_lowercase())
            }
            EventKind::ServiceConverged { service, .. } => Some(format!("converged {service}")),
            _ => None,
        };
        self.events().into_iter().filter_map(deed).collect()
    }
}
