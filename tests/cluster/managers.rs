//! An application that managers run, on several nodes.

use serde_json::json;

use crate::directory::Directory;
use crate::http::request;
use crate::support::{Lab, Run, until};

/// The port of the application on its manager's node.
const PORT: u16 = 8080;

/// A stack whose service runs on another node than its manager.
const DESIGN: &str = "module.exports = {
  services: {
    far: {
      image: 'tree-far',
      environment: { NODE: '{{.Node.Hostname}}' },
      interface: { '/': { path: '/' } },
      stop_signal: 'SIGKILL',
      deploy: {
        endpoint_mode: 'dnsrr',
        placement: { constraints: ['node.hostname == node-2'] },
      },
    },
  },
  interface: { ports: [{ target: 3000, published: 8080, mode: 'host' }] },
};
";

const DOCKERFILE: &str = "FROM ailtire-test/busybox:1
CMD [\"sh\", \"-c\", \"mkdir /www; echo on $NODE > /www/index.html; exec httpd -f -p 3000 -h /www\"]
";

pub(crate) fn the_gateway_reaches_services_on_other_nodes(lab: &mut Lab) {
    let application = Directory::new();
    for (path, content) in [
        ("api/index.js", "module.exports = { name: 'tree' };\n"),
        ("deploy/build.js", "module.exports = { far: { dir: 'far' } };\n"),
        ("deploy/deploy.js", "module.exports = { default: { design: 'services.js' } };\n"),
        ("deploy/services.js", DESIGN),
        ("deploy/far/Dockerfile", DOCKERFILE),
    ] {
        application.put(path, content);
    }
    let node = lab.cluster().node(0).unwrap();
    let run = |arguments: &[&str]| {
        let all = [arguments, &["--repo", &lab.repository]].concat();
        Run::of(&application.command_with(node.host(), &all).output().unwrap()).expect(0)
    };
    run(&["build", "--push"]);
    run(&["up", "--timeout", "1m"]);
    let nodes = |name: &str| lab.nodes_of_full(&format!("tree-default{name}"));
    assert_eq!((nodes(""), nodes("_far")), (vec!["node-1".into()], vec!["node-2".into()]));
    let address = (node.address(), PORT).into();
    let answers = || {
        let answer = request(address, "GET", "/", &[]);
        answer.is_some_and(|it| it.status == 200 && it.body.contains("on node-2"))
    };
    assert!(answers());
    let far = || lab.client().running_tasks("tree-default_far").unwrap()[0]["ID"].clone();
    let before = far();

    // No other node may run the manager, and what it manages goes on without it.
    lab.set_availability("node-1", "drain");
    until("the manager's end", || request(address, "GET", "/", &[]).is_none());
    lab.set_availability("node-1", "active");
    until("the gateway again", answers);
    assert_eq!(far(), before);
    let down = application.command_with(node.host(), &["down"]).output().unwrap();
    Run::of(&down).expect(0);
    until("the end of all of it", || lab.left_of("tree").is_empty());
    for part in ["/services", "/configs", "/secrets"] {
        assert_eq!(lab.client().get_json(part).unwrap(), json!([]), "{part}");
    }
}
