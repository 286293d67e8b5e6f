//! What we make of a compose file is what `docker stack deploy` makes of it, field by field.
//!
//! Against a real engine, named by `AILTIRE_TEST_DOCKER_HOST`. Nothing runs: services want no task,
//! or no node that there is.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod normal;
mod support;

use std::path::PathBuf;

use ailtire_compose::shorten;
use snapbox::assert_data_eq;
use support::{Deployment, Swarm, clients, major_version};

/// One compose file, deployed by each of Docker's clients and by us, one after the other, since a
/// port can't be published twice.
async fn compare(name: &str, clients: &[PathBuf]) {
    let swarm = Swarm::join().await;
    let mut references = Vec::new();
    for client in clients {
        let variables = swarm.variables("reference");
        let reference = Deployment::of_client(&swarm, client, name, &variables);
        references.push(reference.objects().await);
        reference.remove(client).await;
    }
    let variables = swarm.variables("own");
    let design = swarm.read(name, &variables);
    let own = Deployment::ours(&swarm, &variables, &design).await;
    let actual = own.objects().await;
    // Docker's own command sees what we made, and takes it away.
    own.remove(clients.first().unwrap()).await;
    for expected in references {
        assert_data_eq!(&actual, snapbox::Data::text(expected).raw());
    }
}

#[tokio::test]
async fn services_that_say_little_are_the_same() {
    compare("minimal", &clients()).await;
}

#[tokio::test]
async fn services_that_say_everything_are_the_same() {
    compare("full", &clients()).await;
}

#[tokio::test]
async fn short_forms_are_the_same() {
    compare("short", &clients()).await;
}

#[tokio::test]
async fn jobs_are_the_same() {
    // Docker's client knows them since version 23; the engine does since 20.10.
    let mut clients = clients();
    clients.retain(|client| major_version(client) >= 23);
    if !clients.is_empty() {
        compare("jobs", &clients).await;
    }
}

#[tokio::test]
async fn configs_and_secrets_are_the_same() {
    compare("files", &clients()).await;
}

#[tokio::test]
async fn long_names_are_taken() {
    let swarm = Swarm::join().await;
    let mut variables = swarm.variables("long");
    variables.namespace = shorten(&format!("{}_{}", variables.namespace, "longer_".repeat(20)), 63);
    for name in ["minimal", "full", "files", "short"] {
        let mut design = swarm.read(name, &variables);
        for service in design.services.values_mut() {
            // Another test publishes them.
            service.ports.clear();
        }
        let own = Deployment::ours(&swarm, &variables, &design).await;
        own.remove(clients().first().unwrap()).await;
    }
}
