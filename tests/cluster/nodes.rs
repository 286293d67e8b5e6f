//! Nodes that come, go and refuse.

use serde_json::json;

use crate::support::{Lab, service, until};

pub(crate) fn status_and_logs_name_nodes_and_tasks(lab: &mut Lab) {
    let shown = lab.run(&["status", "--verbose"]).expect(0);
    let logs = lab.run(&["logs", "web"]).expect(0);
    for task in lab.service("web")["tasks"].as_array().unwrap() {
        let (name, node) = (task["name"].as_str().unwrap(), task["node"].as_str().unwrap());
        assert!(shown.stdout.contains(&format!("{name}  running on {node}")), "{shown}");
        for line in ["first", &format!("on {node}")] {
            assert!(logs.stdout.lines().any(|it| it == format!("{name} | {line}")), "{logs}");
        }
    }
    assert_eq!(logs.stdout.lines().count(), 6, "{logs}");
    // Docker's own name of a task on every node ends with the node's id, which tells people little.
    let agents = lab.run(&["logs", "agent", "--tail", "1"]).expect(0);
    for node in ["node-1", "node-2", "node-3"] {
        assert!(agents.stdout.contains(&format!("on {node}\n")), "{agents}");
    }
    assert_eq!(agents.stdout.lines().count(), 3, "{agents}");
}

pub(crate) fn a_drained_node_is_not_waited_for(lab: &mut Lab) {
    lab.set_availability("node-3", "drain");
    // The new image that an earlier step pushed.
    lab.deployed(&["--timeout", "30s"]);
    let nodes = lab.nodes_of("web");
    assert!(nodes.len() == 3 && !nodes.contains(&"node-3".to_owned()), "{nodes:?}");
    assert_eq!(lab.nodes_of("agent"), ["node-1", "node-2"]);
    let (status, code) = lab.status();
    assert_eq!(code, Some(0), "{status}");
    assert_eq!(lab.service("agent")["wanted"], 2);
    lab.set_availability("node-3", "active");
    until("an agent on each node", || lab.nodes_of("agent").len() == 3);
    lab.deployed(&[]);
}

pub(crate) fn services_without_a_node_are_told_apart(lab: &mut Lab) {
    let nowhere = json!({ "placement": { "constraints": ["node.labels.zone == moon"] } });
    lab.set("nowhere", service("shop-web", &nowhere));
    let crowd = json!({ "replicas": 4, "placement": { "max_replicas_per_node": 1 } });
    lab.set("crowd", service("shop-web", &crowd));
    let run = lab.deploy(&["--timeout", "4s", "--on-failure", "continue"]).expect(1);
    run.says(&[
        "after 4s: its tasks have no node: no suitable node (scheduling constraints not satisfied",
        "after 4s: its tasks have no node: no suitable node (max replicas per node limit exceed",
        "deploy.placement",
    ]);
    let (status, code) = lab.status();
    assert_eq!(code, Some(1), "{status}");
    let crowd = lab.service("crowd");
    assert_eq!((&crowd["condition"], &crowd["running"]), (&json!("degraded"), &json!(3)));
    lab.unset("nowhere");
    let crowd = json!({ "replicas": 3, "placement": { "max_replicas_per_node": 1 } });
    lab.set("crowd", service("shop-web", &crowd));
    lab.deployed(&["--prune"]);
    assert_eq!(lab.status().1, Some(0));
    assert_eq!(lab.nodes_of("crowd"), ["node-1", "node-2", "node-3"]);
}

pub(crate) fn removal_leaves_nothing_on_any_node(lab: &mut Lab) {
    let before = lab.fingerprint();
    lab.deployed(&["--name", "other"]);
    let left = lab.left_of("other").len();
    // Each node has a container of both services, and the network.
    assert!(left >= 9, "{left}");
    lab.run(&["undeploy", "--name", "other"]).expect(0);
    // The swarm forgets tasks a moment before their nodes have removed their containers.
    until("the end of containers and networks", || lab.left_of("other").is_empty());
    assert_eq!(lab.fingerprint(), before);
}

pub(crate) fn tasks_of_a_dead_node_move_and_all_goes_on_without_it(lab: &mut Lab) {
    // New tasks are on all nodes again, which have the image, though the registry is gone.
    change(lab, &["web"], "2");
    assert_eq!(lab.nodes_of("web"), ["node-1", "node-2", "node-3"]);
    lab.kill_node(2);
    let moved = || {
        let nodes = ["web", "agent", "crowd"].map(|service| lab.nodes_of(service));
        nodes.each_ref().map(Vec::len) == [3, 2, 2] && !nodes.concat().contains(&"node-3".into())
    };
    until("the tasks of the dead node elsewhere", moved);
    // Three tasks of which each wants a node for itself have two.
    let crowd = lab.service("crowd");
    assert_eq!((&crowd["condition"], &crowd["running"]), (&json!("degraded"), &json!(2)));
    let web = lab.service("web");
    assert_eq!((&web["condition"], &web["running"]), (&json!("running"), &json!(3)), "{web}");
    let agent = lab.service("agent");
    assert_eq!((&agent["running"], &agent["wanted"]), (&json!(2), &json!(2)), "{agent}");
    let shown = lab.run(&["status"]).expect(1);
    for text in ["degraded    2/3", "no suitable node (max replicas per node", "node-3 (down)"] {
        assert!(shown.stdout.contains(text), "{text}: {shown}");
    }

    let smaller = json!({ "replicas": 2, "placement": { "max_replicas_per_node": 1 } });
    lab.set("crowd", service("shop-web", &smaller));
    // New specs, while the old tasks of the dead node never end.
    change(lab, &["agent", "web"], "3");
    assert_eq!(lab.nodes_of("crowd"), ["node-1", "node-2"]);
    lab.run(&["status"]).expect(0);
    lab.set("crowd", service("shop-web", &json!({ "replicas": 0 })));
    lab.deployed(&["--timeout", "10s"]);
    lab.run(&["undeploy", "--timeout", "20s"]).expect(0);
    until("the end of containers and networks", || lab.left_of("shop").is_empty());
}

/// Gives services another spec.
fn change(lab: &mut Lab, names: &[&str], generation: &str) {
    for name in names {
        let mut changed = lab.design(name);
        changed["environment"]["GENERATION"] = generation.into();
        lab.set(name, changed);
    }
    lab.deployed(&["--timeout", "30s"]);
}

pub(crate) fn a_worker_is_no_place_to_deploy(lab: &mut Lab) {
    let worker = lab.cluster().node(1).unwrap().host().to_owned();
    for command in ["deploy", "status", "undeploy"] {
        let run = lab.run(&[command, "--host", &worker]).expect(3);
        run.says(&["not a manager", "docker node promote"]);
    }
}
