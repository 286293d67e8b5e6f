//! One stack, run by plain Docker: no command of ours deploys it.

use std::net::SocketAddr;
use std::process::Command;

use super::http::request;
use super::{PATIENCE, free_port, wait_for};
use crate::support::{TestApplication, client, engine_address, host};

/// Runs a Docker command on the private engine; `None` where it fails.
fn docker(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(["-H", &host()]).args(arguments).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// An application of one stack, whose image is called `<name>-solo`.
fn solo() -> TestApplication {
    let application = TestApplication::new(&[]);
    let deploy =
        "module.exports = { name: 'NAME-solo', contexts: { default: { file: 'c.yaml' } } };";
    application.put("deploy/deploy.js", &deploy.replace("NAME", &application.name));
    application.put(
        "deploy/c.yaml",
        "services:\n  web:\n    image: ailtire-test/busybox:1\n    command: [sleep, '1000']\n    \
         stop_signal: SIGKILL\n    deploy: { endpoint_mode: dnsrr }\n",
    );
    application.built(&[]);
    application
}

/// Waits until the stack `instance` runs, shuts it down at its port, and waits until it is gone.
fn lives_and_dies(application: &TestApplication, instance: &str, port: u16) {
    let address: SocketAddr = (engine_address(), port).into();
    let web = format!("{instance}_web");
    wait_for(PATIENCE, "the stack's service", || {
        client().running_tasks(&web).ok().filter(|tasks| !tasks.is_empty())
    })
    .unwrap();
    // Its service may just have got what it lacked, and then another task takes over.
    wait_for(PATIENCE, "a shutdown", || {
        let filter = format!("ancestor={}-solo:latest", application.name);
        let running = docker(&["ps", "-q", "--filter", &filter])?;
        let token = docker(&["exec", running.lines().next()?, "/ailtire-manager", "token"])?;
        let wrong = request(address, "POST", "/_admin/shutdown", &[])?;
        assert_eq!(wrong.status, 401, "{wrong:?}");
        let token = format!("Bearer {token}");
        let answer = request(address, "POST", "/_admin/shutdown", &[("Authorization", &token)])?;
        (200..300).contains(&answer.status).then_some(())
    })
    .unwrap();
    wait_for(PATIENCE, "the end of all of it", || application.objects().is_empty().then_some(()))
        .unwrap_or_else(|error| panic!("{error}: {:?}", application.objects().keys()));
}

#[test]
fn a_stack_is_a_service_like_any_other() {
    let (application, port) = (solo(), free_port());
    let (name, publish) =
        (format!("{}-alone", application.name), format!("mode=host,target=3000,published={port}"));
    let mount = "type=bind,src=/var/run/docker.sock,dst=/var/run/docker.sock";
    let image = format!("{}-solo:latest", application.name);
    let create = ["service", "create", "--detach", "--name", &name, "--publish", &publish];
    docker(&[&create[..], &["--endpoint-mode", "dnsrr", "--mount", mount, &image]].concat())
        .unwrap();
    lives_and_dies(&application, &format!("{name}-1"), port);
}

#[test]
fn a_stack_is_a_container_like_any_other() {
    let (application, port) = (solo(), free_port());
    let (name, publish) = (format!("{}-run", application.name), format!("{port}:3000"));
    let socket = "/var/run/docker.sock:/var/run/docker.sock";
    let image = format!("{}-solo:latest", application.name);
    docker(&["run", "-d", "--name", &name, "-p", &publish, "-v", socket, &image]).unwrap();
    lives_and_dies(&application, &name, port);
}
