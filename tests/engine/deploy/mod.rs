//! Stacks, deployed by the real command to a swarm of one node.
//!
//! Where nothing has to run, services have no tasks: such a deployment takes no time.

mod changes;
mod failures;
mod history;
mod myapp;
mod objects;
mod order;
mod plans;
mod removal;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Run, TestApplication, client};

/// What services of these tests have in common: `*quick` runs until it is killed, `*idle` has no
/// task.
const COMMON: &str = "\
x-quick: &quick
  image: ailtire-test/busybox:1
  command: [sleep, '1000']
  stop_signal: SIGKILL
  deploy:
    endpoint_mode: dnsrr
    restart_policy: { delay: 200ms }
    update_config: { monitor: 300ms }
x-idle: &idle
  image: ailtire-test/busybox:1
  deploy: { endpoint_mode: dnsrr, replicas: 0 }
";

/// Says that a package's stack is what its compose file says.
const DEPLOY: &str = "module.exports = { contexts: { default: { file: 'compose.yaml' } } };\n";

/// An application whose own stack has this design.
fn application(design: &str) -> TestApplication {
    let application = TestApplication::new(&[]);
    application.stack("deploy", design);
    application
}

impl TestApplication {
    /// Gives the package in whose `deploy` directory `folder` is a stack of this design.
    fn stack(&self, folder: &str, design: &str) {
        self.put(&format!("{folder}/deploy.js"), DEPLOY);
        self.put(&format!("{folder}/compose.yaml"), &format!("{COMMON}{design}"));
    }

    /// Gives the application a package whose stack has this design.
    fn package(&self, name: &str, design: &str) {
        let index = format!("module.exports = {{ name: '{name}' }};\n");
        self.put(&format!("api/{name}/index.js"), &index);
        self.stack(&format!("api/{name}/deploy"), design);
    }

    /// Runs the command, and expects that it goes well.
    pub(crate) fn done(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(0), "{arguments:?}: {}", self.shown(&run));
        run
    }

    /// The full name of a service of the root's stack, or of one in it (`cart/pay`).
    fn service(&self, path: &str) -> String {
        let path = path.replace('/', "-1_");
        format!("{}-default_{path}", self.name)
    }

    /// Ids of the tasks of a service that run.
    pub(crate) fn tasks(&self, path: &str) -> BTreeSet<String> {
        let tasks = client().running_tasks(&self.service(path)).unwrap();
        tasks.iter().map(|task| task["ID"].as_str().unwrap().to_owned()).collect()
    }

    /// The service as the swarm has it.
    fn inspect(&self, path: &str) -> Value {
        client().get_json(&format!("/services/{}", self.service(path))).unwrap()
    }

    /// Everything of the application that the engine has, by kind and name: specs, and for networks
    /// what they are made from. Networks are called by their names, since one that is made again has
    /// another id.
    pub(crate) fn objects(&self) -> BTreeMap<String, Value> {
        let mut objects = BTreeMap::new();
        let networks = client().get_json("/networks").unwrap();
        let networks = networks.as_array().unwrap();
        let with_names = |spec: &Value| {
            let mut text = spec.to_string();
            for network in networks {
                let (id, name) = (network["Id"].as_str().unwrap(), &network["Name"]);
                text = text.replace(id, name.as_str().unwrap());
            }
            serde_json::from_str(&text).unwrap()
        };
        for (kind, list) in [
            ("service", "/services"),
            ("network", "/networks"),
            ("config", "/configs"),
            ("secret", "/secrets"),
            ("volume", "/volumes"),
            ("container", "/containers/json?all=true"),
        ] {
            let answer = client().get_json(list).unwrap();
            let items = answer.get("Volumes").unwrap_or(&answer).as_array().cloned();
            for item in items.unwrap_or_default() {
                let name = [&item["Spec"]["Name"], &item["Name"], &item["Names"][0]]
                    .into_iter()
                    .find_map(Value::as_str)
                    .unwrap_or_default()
                    .trim_start_matches('/')
                    .to_owned();
                let rest = name.strip_prefix(&self.name);
                if rest.is_some_and(|rest| rest.starts_with(['-', '_', '.'])) {
                    let what = match kind {
                        "network" => ["Driver", "Attachable", "Internal", "Labels"]
                            .map(|field| item[field].clone())
                            .into_iter()
                            .collect(),
                        _ => with_names(&item["Spec"]),
                    };
                    objects.insert(format!("{kind} {name}"), what);
                }
            }
        }
        objects
    }

    /// Names of the objects of a kind.
    fn names(&self, kind: &str) -> Vec<String> {
        let names = self.objects().into_keys();
        names.filter_map(|name| Some(name.strip_prefix(kind)?.trim().to_owned())).collect()
    }

    /// What a person sees of a run, with the application called `app`.
    fn shown(&self, run: &Run) -> String {
        let code = run.code.unwrap_or(-1);
        let text = format!("exit {code}\n{}---\n{}", run.stdout, run.stderr);
        text.replace(&self.name, "app")
    }
}
