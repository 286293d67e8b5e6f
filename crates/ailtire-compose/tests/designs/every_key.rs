//! A compose file with every key, and what Docker's client and this crate make of it.
//!
//! `every-key.docker.yaml` is what `docker stack config -c every-key.yaml` of Docker 28 prints,
//! with the paths made relative. It has every short syntax in its long form, so reading it must
//! give the same design.

use std::time::Duration;

use crate::common::{FILE, read, without_places};
use ailtire_compose::Condition;

const EVERY_KEY: &str = include_str!("../data/every-key.yaml");
const BY_DOCKER: &str = include_str!("../data/every-key.docker.yaml");

#[test]
fn every_key_is_taken() {
    let read = read(EVERY_KEY);
    let mut found: Vec<String> = read
        .diagnostics
        .iter()
        .map(|found| format!("{:?} {} {}", found.severity, found.code, found.message))
        .collect();
    found.sort();
    let wanted = "\
Note ignored-key `services.web.build` is ignored in a stack
Note ignored-key `services.web.container_name` is ignored in a stack
Note ignored-key `services.web.expose` is ignored in a stack
Note ignored-key `services.web.links` is ignored in a stack
Warning ignored-address `services.web.ports[4]`: Swarm ignores the address, and listens on all of them
Warning ignored-key `services.web.cgroup_parent` is ignored: a stack can't have it
Warning ignored-key `services.web.cgroupns_mode` is ignored: a stack can't have it
Warning ignored-key `services.web.devices` is ignored: a stack can't have it
Warning ignored-key `services.web.external_links` is ignored: a stack can't have it
Warning ignored-key `services.web.ipc` is ignored: a stack can't have it
Warning ignored-key `services.web.mac_address` is ignored: a stack can't have it
Warning ignored-key `services.web.network_mode` is ignored: a stack can't have it
Warning ignored-key `services.web.networks.front.ipv4_address` is ignored: Swarm gives addresses itself
Warning ignored-key `services.web.networks.front.ipv6_address` is ignored: Swarm gives addresses itself
Warning ignored-key `services.web.oom_score_adj` is ignored: a stack can't have it
Warning ignored-key `services.web.pid` is ignored: a stack can't have it
Warning ignored-key `services.web.privileged` is ignored: a stack can't have it
Warning ignored-key `services.web.restart` is ignored, since there is a `deploy.restart_policy`
Warning ignored-key `services.web.security_opt` is ignored: a stack can't have it
Warning ignored-key `services.web.shm_size` is ignored: a stack can't have it
Warning ignored-key `services.web.userns_mode` is ignored: a stack can't have it";
    assert_eq!(found.join("\n"), wanted);
}

#[test]
fn it_is_read_as_docker_reads_it() {
    let mut own = without_places(read(EVERY_KEY).design.unwrap());
    let mut docker = without_places(read(BY_DOCKER).design.unwrap());
    // Printed again, the short syntax of `tmpfs` comes behind the volumes as before.
    assert_eq!(own.services.len(), 3);
    for design in [&mut own, &mut docker] {
        // Swarm takes ports in any order, and Docker's client sorts those of each entry as text.
        design.services.values_mut().for_each(|service| service.ports.sort());
    }
    assert_eq!(own, docker);
}

#[test]
fn numbers_are_those_that_docker_prints() {
    let design = read(EVERY_KEY).design.unwrap();
    let web = &design.services["web"];
    assert_eq!(web.command.as_deref().unwrap(), ["bundle", "exec", "thin server", "-p", "3000"]);
    assert_eq!(web.stop_grace_period, Some(Duration::from_secs(80)));
    assert_eq!(web.configs[1].mode, Some(288));
    assert_eq!(web.secrets[1].mode, Some(256));
    assert_eq!(web.environment["NUMBER"].as_deref(), Some("42"));
    assert_eq!(web.environment["NOWHERE"], None);
    assert_eq!(web.environment["PLAIN"].as_deref(), Some("text"));
    assert_eq!(design.services["db"].environment["PLAIN"].as_deref(), Some("overridden"));
    assert_eq!(web.depends_on["db"].condition, Condition::ServiceStarted);
    assert_eq!(web.depends_on["db"].location.file, FILE);
    let ports: Vec<_> = web
        .ports
        .iter()
        .map(|port| (port.published.unwrap_or(0), port.target, &*port.protocol, &*port.mode))
        .collect();
    assert_eq!(
        ports,
        [
            (0, 3000, "tcp", "ingress"),
            (0, 3001, "tcp", "ingress"),
            (0, 3002, "tcp", "ingress"),
            (8000, 8000, "tcp", "ingress"),
            (9090, 8080, "udp", "ingress"),
            (9091, 8081, "udp", "ingress"),
            (8001, 8001, "tcp", "ingress"),
            (7000, 70, "tcp", "ingress"),
            (7001, 70, "tcp", "ingress"),
            (8443, 443, "sctp", "host"),
        ]
    );
    let resources = web.deploy.resources.as_ref().unwrap();
    assert_eq!(resources.limits.as_ref().unwrap().memory, Some(52_428_800));
    assert_eq!(resources.reservations.as_ref().unwrap().memory, Some(20_971_520));
    let update = web.deploy.update_config.as_ref().unwrap();
    assert_eq!(update.monitor, Some(Duration::from_mins(1)));
    let rollback = web.deploy.rollback_config.as_ref().unwrap();
    assert_eq!(rollback.delay, Some(Duration::from_secs(90)));
    assert_eq!(rollback.monitor, Some(Duration::from_millis(500)));
    let restart = web.deploy.restart_policy.as_ref().unwrap();
    assert_eq!(restart.window, Some(Duration::from_mins(2)));
    let scratch = web.volumes.iter().find(|mount| mount.target == "/scratch").unwrap();
    assert_eq!(scratch.tmpfs.as_ref().unwrap().size, Some(10_000));
}
