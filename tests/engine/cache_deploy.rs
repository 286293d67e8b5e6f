//! Deployments of what another machine built: nothing is built, and specs name what a registry has.

use std::collections::BTreeSet;

use private_engine::Client;
use serde_json::{Value, json};

use crate::cache::{Machines, codes, count};
use crate::registry::{BASIC, REGISTRY_AUTH, users};
use crate::support::{Run, TestApplication};

/// An application of one stack with one service, whose image it builds.
fn application(machines: &Machines) -> TestApplication {
    let node = machines.node(0);
    let base = machines.cluster.push(node, machines.base(0)).unwrap();
    application_on(&base)
}

fn application_on(base: &str) -> TestApplication {
    let application =
        TestApplication::new(&[("deploy/build.js", "module.exports = { web: { dir: 'web' } };")]);
    let steps = "COPY file /file\nCMD [\"sleep\", \"1000\"]\n";
    application.put("deploy/web/Dockerfile", &format!("FROM {base}\n{steps}"));
    application.put("deploy/web/file", "first");
    let deploy = "module.exports = { contexts: { default: { file: 'compose.yaml' } } };\n";
    application.put("deploy/deploy.js", deploy);
    let design = format!(
        "services:\n  web:\n    image: {}-web\n    stop_signal: SIGKILL\n    \
         deploy: {{ endpoint_mode: dnsrr, update_config: {{ monitor: 300ms }} }}\n",
        application.name
    );
    application.put("deploy/compose.yaml", &design);
    application
}

/// Has a node be a swarm of its own.
fn separate(machines: &Machines, node: usize) {
    let client = machines.node(node).client();
    client.post_json("/swarm/leave?force=true", &Value::Null).unwrap().accepted("leave").unwrap();
    client.init_swarm().unwrap();
}

/// Runs a command with the registry of the machines, and expects it to go well.
fn done(machines: &Machines, node: usize, application: &TestApplication, what: &[&str]) -> Run {
    let repository = machines.repository();
    let arguments = [what, &["--repo", &repository]].concat();
    let run = application.command_with(machines.node(node).host(), &arguments).output().unwrap();
    let run = Run::of(run);
    assert_eq!(run.code, Some(0), "{what:?}: {run}");
    run
}

const JSON: [&str; 2] = ["--message-format", "json"];

/// Deploys, and says what the image of the service is called then.
fn deployed(
    machines: &Machines,
    node: usize,
    application: &TestApplication,
    more: &[&str],
) -> (Run, String) {
    let run = done(machines, node, application, &[&["deploy"][..], &JSON, more].concat());
    (run, image(&machines.node(node).client(), application))
}

fn service(application: &TestApplication) -> String {
    format!("{}-default_web", application.name)
}

/// What the service runs, in the words of its spec.
fn image(client: &Client, application: &TestApplication) -> String {
    let service = client.get_json(&format!("/services/{}", service(application))).unwrap();
    let image = service.pointer("/Spec/TaskTemplate/ContainerSpec/Image");
    image.and_then(Value::as_str).unwrap().to_owned()
}

fn tasks(client: &Client, application: &TestApplication) -> BTreeSet<String> {
    let tasks = client.running_tasks(&service(application)).unwrap();
    tasks.iter().map(|task| task["ID"].as_str().unwrap().to_owned()).collect()
}

const CACHE: [&str; 2] = ["--cache", "registry"];

#[test]
fn a_fresh_machine_deploys_what_a_registry_has_and_builds_nothing() {
    let machines = Machines::start();
    let first = application(&machines);
    let image = format!("{}/{}-web:latest", machines.repository(), first.name);
    // The worker builds; the manager of both has only the checkout.
    machines.built(1, &first, &[]);
    machines.requests();
    let second = first.cloned();
    let plan = done(&machines, 0, &second, &[&["plan", "--deploy"][..], &CACHE].concat());
    assert!(plan.stdout.contains("create") && !plan.stdout.contains("build"), "{plan}");
    let plan = done(&machines, 0, &second, &["plan", "--deploy"]);
    assert!(plan.stdout.contains("build"), "{plan}");
    let (run, runs) = deployed(&machines, 0, &second, &[&CACHE[..], &["--no-build"]].concat());
    assert!(runs.starts_with(&format!("{image}@sha256:")), "{runs}: {run}");
    let client = machines.node(0).client();
    let before = tasks(&client, &second);
    assert_eq!(before.len(), 1, "{run}");

    let (run, again) = deployed(&machines, 0, &second, &CACHE);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (1, 0), "{run}");
    assert_eq!((count(&run, "bytes_sent"), codes(&run)), (0, vec![]), "{run}");
    assert_eq!((again, tasks(&client, &second)), (runs.clone(), before), "{run}");
    let writes = machines.requests().into_iter();
    let writes = writes.filter(|it| !matches!(&*it.method, "GET" | "HEAD"));
    assert_eq!(writes.count(), 0, "the tag is where it was");

    second.put("deploy/web/file", "second");
    let (run, changed) = deployed(&machines, 0, &second, &CACHE);
    assert_eq!((count(&run, "built"), count(&run, "pushed")), (1, 1), "{run}");
    assert!(changed.starts_with(&format!("{image}@sha256:")) && changed != runs, "{run}");
}

#[test]
fn with_a_cache_or_without_what_runs_goes_on() {
    let machines = Machines::start();
    let application = application(&machines);
    separate(&machines, 1);
    let client = machines.node(1).client();
    let unchanged = |before: &(String, BTreeSet<String>), more: &[&str]| {
        let (run, runs) = deployed(&machines, 1, &application, more);
        assert_eq!(&(runs, tasks(&client, &application)), before, "{more:?}: {run}");
        let summary = &run.events("deployment-finished")[0]["summary"];
        assert_eq!(summary["untouched"], 1, "{run}");
    };
    // By its id, which nobody else knew.
    let (_, runs) = deployed(&machines, 1, &application, &[]);
    assert!(runs.starts_with("sha256:"), "{runs}");
    let before = (runs, tasks(&client, &application));
    done(&machines, 1, &application, &["push", "web"]);
    unchanged(&before, &CACHE);
    unchanged(&before, &[]);
    // By its digest, where it was shared.
    application.put("deploy/web/file", "second");
    let (run, runs) = deployed(&machines, 1, &application, &CACHE);
    assert!(runs.contains("@sha256:"), "{runs}: {run}");
    let before = (runs, tasks(&client, &application));
    unchanged(&before, &[]);
    unchanged(&before, &CACHE);
}

#[test]
fn managers_run_what_a_registry_has() {
    let machines = Machines::start();
    let first = application(&machines);
    let run = machines.built(0, &first, &[]);
    assert_eq!(count(&run, "built"), 2, "the stack's image, too: {run}");
    separate(&machines, 1);
    let second = first.cloned();
    let up = [&["up"][..], &JSON, &CACHE].concat();
    let run = done(&machines, 1, &second, &up);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (2, 0), "{run}");
    assert_eq!((count(&run, "bytes_sent"), codes(&run)), (0, vec!["no-port"]), "{run}");
    let client = machines.node(1).client();
    let before = tasks(&client, &second);
    assert_eq!(before.len(), 1, "{run}");
    done(&machines, 1, &second, &up);
    assert_eq!(tasks(&client, &second), before);
    done(&machines, 1, &second, &["down"]);
}

#[test]
fn nodes_fetch_what_was_found_with_credentials() {
    let machines = Machines::start_guarded(Some(&users()));
    let (client, registry) = (machines.node(0).client(), machines.cluster.registry());
    let name = format!("{registry}/base");
    let tag = format!("/images/{}/tag?repo={name}&tag=1", machines.base(0));
    client.post_json(&tag, &Value::Null).unwrap().accepted(&tag).unwrap();
    client.push(&format!("{name}:1"), REGISTRY_AUTH).unwrap();
    let first = application_on(&format!("{name}:1"));
    let auths = json!({ "auths": { registry: { "auth": BASIC } } });
    first.put(".docker/config.json", &auths.to_string());
    machines.built(0, &first, &[]);
    separate(&machines, 1);
    let second = first.cloned();
    let more = [&CACHE[..], &["--with-registry-auth"]].concat();
    let (run, runs) = deployed(&machines, 1, &second, &more);
    assert_eq!((count(&run, "cached"), count(&run, "built")), (1, 0), "{run}");
    assert!(runs.contains("@sha256:"), "{runs}: {run}");
}
