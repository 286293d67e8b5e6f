//! A swarm of one node and one of three carry what tests of deployment send over them.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod leftovers;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use private_engine::{
    BaseImage, Client, Cluster, PrivateEngine, base_image, machine_address, wait_for,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_mins(1);

/// Tells a copy of this program to start a cluster in that folder and to wait to be killed.
const OWNER: &str = "PRIVATE_ENGINE_TEST_OWNER";

/// Where base images are kept.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../base-images")
}

/// The page of a host's web server; absent where there is no answer.
fn page(address: Ipv4Addr, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((address, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let page: String = answer.lines().skip_while(|line| !line.is_empty()).skip(1).collect();
    (!page.is_empty()).then_some(page)
}

/// This machine is in the network of the node with that address no more.
fn assert_machine_has_left(node: Ipv4Addr) {
    let list = Command::new("ip").args(["-4", "-o", "addr"]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(!list.contains(&format!(" {}/", machine_address(node))), "{list}");
}

fn post(client: &Client, path: &str, body: &Value) -> Value {
    let response = client.post_json(path, body).unwrap().accepted(path).unwrap();
    response.json(path).unwrap()
}

/// A web server whose page says on which node it runs.
fn create_web(client: &Client, name: &str, image: &str, replicas: u64, ports: &Value) {
    let serve = "mkdir /www; echo $NODE > /www/index.html; exec httpd -f -p 80 -h /www";
    create_service(client, name, image, serve, replicas, ports);
}

/// A service that hands on, from its own port 80, what `url` answers.
fn create_relay(client: &Client, name: &str, image: &str, url: &str, ports: &Value) {
    let serve = format!(
        "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho; wget -qO- {url}\\n' >/www/cgi-bin/index.cgi; \
         chmod 755 /www/cgi-bin/index.cgi; exec httpd -f -p 80 -h /www"
    );
    create_service(client, name, image, &serve, 1, ports);
}

fn create_service(
    client: &Client,
    name: &str,
    image: &str,
    command: &str,
    replicas: u64,
    ports: &Value,
) {
    let service = json!({
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "Command": ["sh", "-c", command],
                "Env": ["NODE={{.Node.Hostname}}"],
            },
            "Networks": [{ "Target": "carrier" }],
        },
        "Mode": { "Replicated": { "Replicas": replicas } },
        "EndpointSpec": { "Mode": "dnsrr", "Ports": ports },
    });
    post(client, "/services/create", &service);
}

fn create_network(client: &Client) {
    let network = json!({ "Name": "carrier", "Driver": "overlay", "Attachable": true });
    post(client, "/networks/create", &network);
}

fn host_port(target: u16, published: u16) -> Value {
    json!([{ "TargetPort": target, "PublishedPort": published, "PublishMode": "host" }])
}

/// The nodes of a service's running tasks.
fn nodes_of(client: &Client, service: &str) -> Vec<String> {
    let running = client.running_tasks(service).unwrap().into_iter();
    running.map(|task| task["NodeID"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_engine_is_a_swarm_of_one_for_everyone_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let engine = PrivateEngine::start(folder.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(engine.init_swarm().unwrap(), engine.address()));
        }
    });
    let client = engine.client();
    assert_eq!(client.init_swarm().unwrap(), engine.address());
    let image = base_image(&client, BaseImage::Busybox, &cache()).unwrap();
    create_network(&client);
    create_web(&client, "web", image, 2, &json!([]));
    create_relay(&client, "one", image, "http://web/", &host_port(80, 8080));
    create_relay(&client, "two", image, "http://tasks.web/", &host_port(80, 8081));
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for port in [8080, 8081] {
        let said = wait_for(LIMIT, "a page", || page(engine.address(), port)).unwrap();
        assert_eq!(said, name.trim());
    }
    assert_eq!(client.running_tasks("web").unwrap().len(), 2);
    let inside = client.run("carrier", image, &["wget", "-qO-", "http://one"]).unwrap();
    assert_eq!(inside.trim(), name.trim());
    let error = client.run("carrier", image, &["sh", "-c", "echo no luck; exit 3"]).unwrap_err();
    assert!(error.to_string().ends_with("no luck\n"), "{error}");
    let parts = |kind: &str| client.get_json(kind).unwrap();
    client.remove_application("we").unwrap();
    assert_eq!(parts("/services").as_array().unwrap().len(), 3);
    for name in ["web", "one", "two", "carrier"] {
        client.remove_application(name).unwrap();
    }
    assert_eq!(parts("/services"), json!([]));
    assert!(!parts("/networks").to_string().contains("carrier"));
    let socket = client.socket().to_owned();
    engine.stop().unwrap();
    assert!(!socket.exists());
}

#[test]
fn three_nodes_share_networks_and_images_and_take_over_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let begin = std::time::Instant::now();
    let mut cluster = Cluster::start(folder.path(), 3).unwrap();
    eprintln!("the cluster is there after {:?}", begin.elapsed());
    let manager = cluster.node(0).unwrap();
    let (client, address) = (manager.client(), manager.address());
    base_image(&client, BaseImage::Busybox, &cache()).unwrap();
    let image = cluster.push(manager, BaseImage::Busybox.reference()).unwrap();
    create_network(&client);
    // More tasks than nodes, or a node could be left out.
    create_web(&client, "web", &image, 3, &json!([]));
    create_relay(&client, "relay", &image, "http://web/", &host_port(80, 8080));
    let spread = || {
        let nodes: BTreeSet<String> = nodes_of(&client, "web").into_iter().collect();
        (nodes.len() == 3).then_some(nodes)
    };
    wait_for(LIMIT, "a task on each node", spread).unwrap();
    let relay = wait_for(LIMIT, "the relay", || nodes_of(&client, "relay").pop()).unwrap();
    let list = client.get_json("/nodes").unwrap();
    let number = |id: &str| {
        let node = list.as_array().unwrap().iter().find(|node| node["ID"] == id).unwrap();
        let name = node["Description"]["Hostname"].as_str().unwrap();
        name.strip_prefix("node-").unwrap().parse::<usize>().unwrap() - 1
    };
    let relay_address = cluster.node(number(&relay)).unwrap().address();
    let mut heard = BTreeSet::new();
    let all = || {
        heard.extend(page(relay_address, 8080));
        (heard.len() == 3).then_some(())
    };
    wait_for(LIMIT, "pages of all three nodes", all).unwrap();
    assert_eq!(heard, ["node-1", "node-2", "node-3"].map(str::to_owned).into());

    let begin = std::time::Instant::now();
    cluster.kill_node(1).unwrap();
    assert!(cluster.node(1).is_none());
    let left = || {
        let nodes = nodes_of(&client, "web");
        (nodes.len() == 3 && nodes.iter().all(|id| number(id) != 1)).then_some(())
    };
    wait_for(LIMIT, "the tasks of the killed node elsewhere", left).unwrap();
    eprintln!("tasks of a killed node run elsewhere after {:?}", begin.elapsed());
    let begin = std::time::Instant::now();
    let devices: Vec<String> = ["node-1", "node-3"]
        .iter()
        .map(|node| leftovers::device_of(&folder.path().join(node)))
        .collect();
    cluster.stop().unwrap();
    eprintln!("stopped after {:?}", begin.elapsed());
    for device in devices {
        leftovers::assert_none(folder.path(), &device);
    }
    assert_machine_has_left(address);
}

#[test]
fn a_killed_owner_takes_its_cluster_with_it() {
    // This test, run again as a process of its own, is the owner that is killed.
    if let Some(folder) = std::env::var_os(OWNER) {
        let cluster = Cluster::start(Path::new(&folder), 2).unwrap();
        println!("\naddress {}", cluster.node(0).unwrap().address());
        std::io::stdin().read_line(&mut String::new()).unwrap();
        drop(cluster);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_owner_takes_its_cluster_with_it", "--nocapture"])
        .env(OWNER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let address = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .find_map(|line| Some(line.unwrap().strip_prefix("address ")?.to_owned()))
        .unwrap();
    let device = leftovers::device_of(&folder.path().join("node-1"));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let gone = || leftovers::processes(folder.path()).is_empty().then_some(());
    wait_for(LIMIT, "the cluster's end", gone).unwrap();
    leftovers::assert_none(folder.path(), &device);
    assert_machine_has_left(address.parse().unwrap());
    assert!(!folder.path().join("registry").exists());
}
