//! Applications that managers run: brought up by the real command, reached over real HTTP.

mod adoption;
mod alone;
mod changes;
mod http;
mod page;
mod restart;
mod shutdown;
mod small;
mod story;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use private_engine::wait_for;
use serde_json::Value;

use crate::example::{bases, myapp};
use crate::support::{Run, TestApplication, client, engine_address};
use http::{Answer, request};

/// How long what managers do by themselves may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// All services of the example that are no managers, by their place in the tree.
const SERVICES: [&str; 6] = [
    "web",
    "doc",
    "pubsub",
    "mypackage/mservice1",
    "mypackage/mservice2",
    "mypackage/subpackage/mserviceA",
];

/// The example, which has a port of the node for itself.
struct Example {
    application: TestApplication,
    port: u16,
    bases: Vec<String>,
}

/// A port of the node that no other test has.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(8300);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Example {
    fn new() -> Self {
        let port = free_port();
        // Not every kernel serves ports of the whole swarm; those of a node it always does.
        let ports = format!("[{{ target: 3000, published: {port}, mode: 'host' }}]");
        Self { application: myapp(&ports), port, bases: bases() }
    }

    /// `command`, with the base images that the example is built on.
    fn arguments<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        command.iter().copied().chain(self.bases.iter().map(String::as_str)).collect()
    }

    /// Runs a command that reads the definitions, and expects that it goes well.
    fn done(&self, command: &[&str]) -> Run {
        self.application.done(&self.arguments(command))
    }

    fn address(&self) -> SocketAddr {
        (engine_address(), self.port).into()
    }

    fn get(&self, path: &str) -> Option<Answer> {
        request(self.address(), "GET", path, &[])
    }

    /// Waits until `path` is answered, with this status.
    fn answered(&self, path: &str, status: u16) -> Answer {
        let what = format!("{path} with {status}");
        wait_for(PATIENCE, &what, || self.get(path).filter(|it| it.status == status)).unwrap()
    }

    /// Asks the interface of the root's manager.
    fn admin(&self, method: &str, path: &str, token: &str) -> Option<Answer> {
        let token = format!("Bearer {token}");
        request(self.address(), method, path, &[("Authorization", &token)])
    }

    fn token(&self) -> String {
        self.application.done(&["token"]).stdout.trim().to_owned()
    }

    /// Ids of the tasks that run, of all services but managers.
    fn tasks(&self) -> BTreeMap<&'static str, BTreeSet<String>> {
        SERVICES.into_iter().map(|service| (service, self.application.tasks(service))).collect()
    }

    /// Full name of the service of the root's manager.
    fn root(&self) -> String {
        format!("{}-default", self.application.name)
    }

    /// Waits until nothing of it is left.
    fn is_gone(&self) {
        wait_for(PATIENCE, "the end of all that was there", || {
            self.application.objects().is_empty().then_some(())
        })
        .unwrap_or_else(|error| panic!("{error}: {:?}", self.application.objects().keys()));
    }
}

/// Containers of a service that run here.
fn containers(service: &str) -> Vec<String> {
    let tasks = client().running_tasks(service).unwrap();
    let id = |task: &Value| {
        task.pointer("/Status/ContainerStatus/ContainerID")?.as_str().map(str::to_owned)
    };
    tasks.iter().filter_map(id).collect()
}
