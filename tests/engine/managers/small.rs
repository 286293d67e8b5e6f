//! A small application of two stacks, one in the other, which needs no image of its own.

use std::net::SocketAddr;
use std::path::Path;

use private_engine::{BaseImage, PrivateEngine, base_image};

use super::http::{Answer, request};
use super::{PATIENCE, free_port, wait_for};
use crate::support::{Run, TestApplication, engine_address, host};

/// Where base images are kept.
const BASE_IMAGES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../base-images");

/// The application, at a port of the node for itself: `web` at `/`, and at `/inner` the stack `inner`
/// with its service `worker`.
pub(super) struct Small {
    pub(super) application: TestApplication,
    pub(super) address: SocketAddr,
    host: String,
}

impl Small {
    /// On the engine of all tests.
    pub(super) fn new() -> Self {
        Self::at((engine_address(), free_port()).into(), host())
    }

    /// On an engine of its own.
    pub(super) fn on(engine: &PrivateEngine) -> Self {
        engine.init_swarm().unwrap();
        base_image(&engine.client(), BaseImage::Busybox, Path::new(BASE_IMAGES)).unwrap();
        Self::at((engine.address(), free_port()).into(), engine.host().to_owned())
    }

    fn at(address: SocketAddr, host: String) -> Self {
        let small = Self { application: TestApplication::new(&[]), address, host };
        let name = &small.application.name;
        let deploy = |name: &str| {
            format!("module.exports = {{ name: '{name}', default: {{ design: 'services.js' }} }};")
        };
        small.application.put("deploy/deploy.js", &deploy(name));
        small.design("", &format!("{{ target: 3000, published: {} }}", address.port()));
        small.application.put("api/Inner/index.js", "module.exports = { name: 'Inner' };");
        small.application.put("api/Inner/deploy/deploy.js", &deploy(&format!("{name}-inner")));
        let inner = format!("module.exports = {{ services: {{ {} }} }};", server("worker", "/"));
        small.application.put("api/Inner/deploy/services.js", &inner);
        small
    }

    /// Gives the root stack another design: `more` of the top level, and `ports`, each of which is
    /// published by the node itself.
    pub(super) fn design(&self, more: &str, ports: &str) {
        let ports = ports.replace('}', ", mode: 'host' }");
        let inner = format!(
            "inner: {{ type: 'stack', image: '{}-inner', interface: {{ '/inner': {{ path: '/' }} }}, \
             deploy: {{ endpoint_mode: 'dnsrr' }} }}",
            self.application.name
        );
        let design = format!(
            "module.exports = {{ services: {{ {}, {inner} }}, interface: {{ ports: [{ports}] }}, \
             {more} }};",
            server("web", "/")
        );
        self.application.put("deploy/services.js", &design);
    }

    /// Runs the command.
    pub(super) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.application.command_with(&self.host, arguments).output().unwrap())
    }

    /// Runs the command, and expects that it goes well.
    pub(super) fn done(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(0), "{arguments:?}: {run}");
        run
    }

    /// Instance of the root stack.
    pub(super) fn root(&self) -> String {
        format!("{}-default", self.application.name)
    }

    /// Waits until both stacks answer at the root's port.
    pub(super) fn is_reached(&self) {
        for (path, expected) in [("/", "web answers"), ("/inner/", "worker answers")] {
            let is_right = |answer: &Answer| answer.status == 200 && answer.body.contains(expected);
            let get = || request(self.address, "GET", path, &[]).filter(is_right);
            wait_for(PATIENCE, &format!("{path} of {}", self.root()), get).unwrap();
        }
    }
}

/// A service that says its name over HTTP and in its log.
fn server(name: &str, path: &str) -> String {
    let command = format!(
        "mkdir -p /www && echo {name} answers > /www/index.html && echo {name} runs && \
         exec httpd -f -p 3000 -h /www"
    );
    format!(
        "{name}: {{ image: '{}', command: ['sh', '-c', '{command}'], stop_signal: 'SIGKILL', \
         interface: {{ '{path}': {{ path: '/' }} }}, deploy: {{ endpoint_mode: 'dnsrr' }} }}",
        BaseImage::Busybox.reference()
    )
}
