//! What `compose` prints is what Docker's own client takes, and makes the same of.

use std::process::Command;

use crate::support::{TestApplication, host};

const DEPLOY: &str = "module.exports = {
  name: 'printed',
  contexts: { default: { type: 'swarm', design: 'services.js', env: { LEVEL: 'debug' } } },
};
";

const SERVICES: &str = "module.exports = {
  services: {
    web: {
      image: 'ailtire-test/busybox:1',
      command: ['httpd', '-f', '-p', '3000'],
      interface: { '/web': { path: '/', port: 3000 } },
      environment: { PRICE: '5 $$ and ${LEVEL}' },
      volumes: { pages: { source: 'pages', target: '/srv/pages' } },
      deploy: { endpoint_mode: 'dnsrr', replicas: 1, resources: { limits: { cpus: '0.50' } } },
      stop_grace_period: '1s',
    },
    worker: {
      image: 'ailtire-test/busybox:1',
      command: 'sleep 3600',
      networks: { siblings: {} },
      depends_on: ['web'],
      deploy: { endpoint_mode: 'dnsrr' },
      stop_grace_period: '1s',
    },
  },
};
";

#[test]
fn a_printed_design_is_deployed_by_dockers_client_and_taken_over_without_a_restart() {
    let application =
        TestApplication::new(&[("deploy/deploy.js", DEPLOY), ("deploy/services.js", SERVICES)]);
    let stack = format!("{}-default", application.name);
    let printed = application.run(&["compose", "-o", "stack.yaml"]);
    assert_eq!(printed.code, Some(0), "{printed}");

    private_engine::need("docker", "docker.io").unwrap();
    let mut client = Command::new("docker");
    client.args(["--host", &host(), "stack", "deploy", "--resolve-image", "never"]);
    client.args(["--compose-file", "stack.yaml", &stack]);
    client.env("DOCKER_CONFIG", application.root()).current_dir(application.root());
    let output = client.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let refused = application.run(&["deploy", "--resolve-image", "never"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("--adopt"), "{refused}");

    let options = ["--adopt", "--resolve-image", "never"];
    let plan = application.run(&[&["plan", "--deploy", "--format", "json"], &options[..]].concat());
    assert_eq!(plan.code, Some(0), "{plan}");
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let services = plan["stacks"][0]["services"].as_array().unwrap();
    assert_eq!(services.len(), 2);
    for service in services {
        assert_eq!(service["restarts"], serde_json::Value::Null, "{service:#}");
    }
}
