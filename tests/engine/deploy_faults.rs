//! Faults of deployments: what is said, what is left, what the exit code is, and that the same
//! command goes on.

mod engines;
mod locks;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::Duration;

use private_engine::wait_for;
use serde_json::{Value, json};

use crate::support::{Run, TestApplication, client, host};

const LIMIT: Duration = Duration::from_mins(1);

const DEPLOY: &str = "module.exports = { contexts: { default: { file: 'compose.yaml' } } };\n";

/// `fast` runs at once; `slow`, which needs it, does not become healthy.
const SLOW: &str = "\
services:
  fast: &fast
    image: ailtire-test/busybox:1
    command: [sleep, '1000']
    stop_signal: SIGKILL
    deploy: { endpoint_mode: dnsrr }
  slow:
    <<: *fast
    depends_on: [fast]
    healthcheck: { test: [CMD, 'false'], interval: 1s, start_period: 600s }
";

/// The same, but that `slow` is healthy.
fn healthy() -> String {
    SLOW.replace("'false'", "'true'")
}

/// A service without tasks, with this value in its environment.
fn idle(value: &str) -> String {
    format!(
        "services:\n  idle:\n    image: ailtire-test/busybox:1\n    environment: {{ VALUE: \
         '{value}' }}\n    deploy: {{ endpoint_mode: dnsrr, replicas: 0 }}\n"
    )
}

fn application(design: &str) -> TestApplication {
    TestApplication::new(&[("deploy/deploy.js", DEPLOY), ("deploy/compose.yaml", design)])
}

/// A run in the background, whose events are read while it goes on.
struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    said: String,
}

impl Running {
    fn deploy(application: &TestApplication, on: &str, arguments: &[&str]) -> Self {
        let arguments = [&["deploy", "--message-format", "json"], arguments].concat();
        let mut command = application.command_with(on, &arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, said: String::new() }
    }

    /// Reads until an event is what it is to be.
    fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "it ended too early: {}", self.said);
            self.said.push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap();
            if is_it(&event) {
                return event;
            }
        }
    }

    /// Reads until `slow` is waited for.
    fn until_slow_starts(&mut self) {
        self.until(|event| {
            event["reason"] == "service-progress"
                && event["service"] == "slow"
                && event["state"] == "starting"
        });
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let kill = std::process::Command::new("kill").args([name, &process]).status();
        assert!(kill.unwrap().success());
    }

    fn end(mut self) -> Run {
        let mut stdout = Vec::new();
        self.output.read_to_end(&mut stdout).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stdout = [self.said.into_bytes(), stdout].concat();
        Run::of(output)
    }
}

fn values(application: &TestApplication) -> Vec<String> {
    let name = format!("{}-default", application.name);
    let services = client().services(&name).unwrap();
    let environments = services.iter().flat_map(|service| {
        service["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"].as_array().unwrap()
    });
    let environments = environments.filter_map(Value::as_str);
    environments.filter_map(|it| it.strip_prefix("VALUE=")).map(str::to_owned).collect()
}

#[track_caller]
fn done(application: &TestApplication, arguments: &[&str]) -> Run {
    let run = application.run(arguments);
    assert_eq!(run.code, Some(0), "{arguments:?}: {run}");
    run
}

fn history(application: &TestApplication) -> Vec<(u64, bool)> {
    let run = done(application, &["history", "--format", "json"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let entries = document["deployments"].as_array().unwrap().iter();
    entries
        .map(|entry| (entry["number"].as_u64().unwrap(), entry["finished"].as_bool().unwrap()))
        .collect()
}

#[test]
fn a_signal_leaves_what_was_done_and_the_next_run_goes_on() {
    let application = application(&idle("1"));
    done(&application, &["deploy"]);
    application.put("deploy/compose.yaml", SLOW);
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut running = Running::deploy(&application, &host(), &[]);
        running.until_slow_starts();
        running.signal(signal);
        let run = running.end();
        assert_eq!(run.code, Some(code), "{run}");
        assert!(run.stderr.contains("run the same command again"), "{run}");
        let summary = &run.events("deployment-finished").last().unwrap()["summary"];
        assert_eq!(summary["interrupted"], 1, "{run}");
        let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
        assert_eq!(last["reason"], "deployment-finished");
        let all = run.stdout.lines().count();
        assert_eq!(all, run.events.len(), "every line is an event: {run}");
    }
    assert_eq!(history(&application), [(2, false), (1, true)]);
    application.put("deploy/compose.yaml", &healthy());
    let run = done(&application, &["deploy", "--message-format", "json"]);
    let summary = &run.events("deployment-finished")[0]["summary"];
    assert_eq!(summary["untouched"], 1, "{run}");
    assert_eq!(summary["updated"], 1, "{run}");
    assert_eq!(history(&application), [(3, true), (1, true)]);
    let run = done(&application, &["rollback"]);
    assert_eq!(values(&application), ["1"], "{run}");
}

/// What a cancelled run did is taken back by a rollback, which does not go further back than that.
#[test]
fn a_rollback_after_a_cancelled_run_goes_to_what_ran_before_it() {
    let application = application(&idle("1"));
    done(&application, &["deploy"]);
    application.put("deploy/compose.yaml", &idle("2"));
    done(&application, &["deploy"]);
    let failing =
        idle("3").replace("replicas: 0", "replicas: 1, restart_policy: { condition: none }");
    let failing = failing.replace("    environment", "    command: ['false']\n    environment");
    application.put("deploy/compose.yaml", &failing);
    let run = application.run(&["deploy", "--on-failure", "stop"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(values(&application), ["3"]);
    assert_eq!(history(&application), [(3, false), (2, true), (1, true)]);
    done(&application, &["rollback"]);
    assert_eq!(values(&application), ["2"]);
    assert_eq!(history(&application), [(4, true), (2, true), (1, true)]);
    // One that was taken back leaves no trace.
    let run = application.run(&["deploy"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(values(&application), ["2"]);
    assert_eq!(history(&application), [(4, true), (2, true), (1, true)]);
}

#[test]
fn a_damaged_entry_is_told_and_does_not_lead_a_rollback_astray() {
    let application = application(&idle("1"));
    for value in ["1", "2", "3"] {
        application.put("deploy/compose.yaml", &idle(value));
        done(&application, &["deploy"]);
    }
    let name = format!("{}-default.history.3.1", application.name);
    let config = client().get_json(&format!("/configs/{name}")).unwrap();
    client().delete(&format!("/configs/{name}")).unwrap();
    let garbage =
        json!({ "Name": name, "Labels": config["Spec"]["Labels"], "Data": "Z2FyYmFnZQ==" });
    client().post_json("/configs/create", &garbage).unwrap().accepted("a config").unwrap();
    let run = done(&application, &["history"]);
    assert!(run.stderr.contains("the entry 3 can't be read"), "{run}");
    let run = application.run(&["rollback", "--to", "3"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("can't be read"), "{run}");
    done(&application, &["rollback"]);
    assert_eq!(values(&application), ["2"]);
    application.put("deploy/compose.yaml", &idle("4"));
    done(&application, &["deploy"]);
    assert_eq!(values(&application), ["4"]);
}

#[test]
fn a_removal_says_what_is_on_its_networks() {
    let application = application(
        "services:\n  idle:\n    image: ailtire-test/busybox:1\n    networks: [shared]\n    \
         deploy: { endpoint_mode: dnsrr, replicas: 0 }\nnetworks:\n  shared: { attachable: true }\n",
    );
    done(&application, &["deploy"]);
    let network = format!("{}-default_shared", application.name);
    let container = json!({
        "Image": "ailtire-test/busybox:1", "Cmd": ["sleep", "1000"],
        "HostConfig": { "NetworkMode": network },
    });
    let made = client().post_json("/containers/create", &container).unwrap();
    let made = made.accepted("a container").unwrap().json("a container").unwrap();
    let container = made["Id"].as_str().unwrap().to_owned();
    let start = format!("/containers/{container}/start");
    client().post_json(&start, &Value::Null).unwrap().accepted("its start").unwrap();
    let inspect = client().get_json(&format!("/containers/{container}/json")).unwrap();
    let name = inspect["Name"].as_str().unwrap().trim_start_matches('/').to_owned();
    let run = application.run(&["undeploy", "--timeout", "7s"]);
    let removed = client().delete(&format!("/containers/{container}?force=true"));
    assert_eq!(run.code, Some(1), "{run}");
    assert!(
        run.stderr.contains(&format!("docker network disconnect -f {network} {name}")),
        "{run}"
    );
    assert!(run.stderr.contains("waiting for the network"), "{run}");
    removed.unwrap().accepted("the removal of a container").unwrap();
    done(&application, &["undeploy"]);
    // A node knows a network for a while longer than the swarm does.
    wait_for(LIMIT, "the end of the network", || {
        let networks = client().get_json("/networks").unwrap();
        let mut networks = networks.as_array().unwrap().iter();
        networks.all(|it| it["Name"] != network.as_str()).then_some(())
    })
    .unwrap();
}

#[test]
fn a_stack_that_was_taken_over_is_removed_whole() {
    let application = application(&idle("1"));
    let stack = format!("{}-default", application.name);
    let labels = json!({ "com.docker.stack.namespace": stack });
    let network = json!({
        "Name": format!("{stack}_default"), "Driver": "overlay", "Labels": labels,
        "Scope": "swarm",
    });
    client().post_json("/networks/create", &network).unwrap().accepted("a network").unwrap();
    let service = json!({
        "Name": format!("{stack}_idle"), "Labels": labels,
        "TaskTemplate": { "ContainerSpec": { "Image": "ailtire-test/busybox:1" } },
        "Mode": { "Replicated": { "Replicas": 0 } },
    });
    client().post_json("/services/create", &service).unwrap().accepted("a service").unwrap();
    let run = application.run(&["deploy"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("--adopt"), "{run}");
    assert_eq!(
        client().services(&stack).unwrap()[0]["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"],
        Value::Null
    );
    done(&application, &["deploy", "--adopt"]);
    done(&application, &["undeploy"]);
    let networks = client().get_json("/networks").unwrap();
    let left = networks.as_array().unwrap().iter();
    let left: Vec<_> = left.filter(|it| it["Name"].as_str().unwrap().starts_with(&stack)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn values_of_secret_variables_are_shown_nowhere() {
    let design =
        |value: &str| idle(value).replace("VALUE:", &format!("DB_PASSWORD: '{value}', VALUE:"));
    let application =
        application(&design("first-hidden").replace("VALUE: 'first-hidden'", "VALUE: '1'"));
    done(&application, &["deploy"]);
    application.put(
        "deploy/compose.yaml",
        &design("other-hidden").replace("VALUE: 'other-hidden'", "VALUE: '2'"),
    );
    let mut said = Vec::new();
    for arguments in [
        &["plan", "--deploy", "--format", "json"][..],
        &["plan", "--deploy", "-v"],
        &["plan", "--deploy", "--out", "plan.json"],
        &["deploy", "--message-format", "json"],
        &["history", "--format", "json"],
        &["history", "-v"],
        &["status", "--format", "json"],
        &["why", "--service", "idle", "--format", "json"],
    ] {
        said.push(done(&application, arguments).to_string());
    }
    said.push(std::fs::read_to_string(application.path("plan.json")).unwrap());
    assert!(said.iter().any(|it| it.contains("DB_PASSWORD")));
    for text in said {
        assert!(!text.contains("-hidden"), "{text}");
    }
}

/// Waits for the lock of a deployment to be there, and returns its id.
fn lock(application: &TestApplication) -> String {
    let name = format!("{}-default.lock", application.name);
    wait_for(LIMIT, "a lock", || {
        let config = client().get_json(&format!("/configs/{name}")).ok()?;
        config["ID"].as_str().map(str::to_owned)
    })
    .unwrap()
}
