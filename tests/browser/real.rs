//! The page of a real manager, of a real stack, on a private engine.

use std::time::Duration;

use private_engine::{BaseImage, Client, base_image, wait_for};
use serde_json::{Value, json};

use crate::access::log_in_with;
use crate::browser::{Browser, key};
use crate::directory::Directory;

/// Variable with the private engine's address.
const HOST: &str = "AILTIRE_TEST_DOCKER_HOST";

const TOKEN: &str = "the-token-of-a-real-application";

/// The port of the node that leads to the manager.
const PORT: u16 = 8377;

/// How long the swarm may take for something.
const PATIENCE: Duration = Duration::from_mins(2);

const DEPLOY: &str = "module.exports = { contexts: { default: { file: 'compose.yaml' } } };\n";

/// Runs until there is a file, and fails then.
const COMPOSE: &str = "\
services:
  web:
    image: NAME-web
    stop_signal: SIGKILL
    deploy:
      endpoint_mode: dnsrr
      restart_policy: { delay: 3s }
";

const DOCKERFILE: &str = "FROM ailtire-test/busybox:1
COPY run.sh /run.sh
CMD [\"sh\", \"/run.sh\"]
";

const PROGRAM: &str = "\
echo 'waiting for <b>work</b>'
while [ ! -e /fail ]; do sleep 0.2; done
echo 'there is no work' >&2
exit 7
";

/// An application with one stack, whose manager runs as a service.
struct Application {
    name: String,
    client: Client,
    host: String,
    directory: Directory,
}

impl Application {
    fn start() -> Self {
        let host = std::env::var(HOST)
            .expect("these tests need a private engine: run them with `cargo xtask test`");
        let client = Client::new(host.strip_prefix("unix://").unwrap());
        client.init_swarm().unwrap();
        let cache =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/base-images");
        base_image(&client, BaseImage::Busybox, &cache).unwrap();
        let name = format!("p{}", std::process::id());
        let application = Self { name, client, host, directory: Directory::new() };
        application.build();
        application.run_manager();
        application
    }

    fn build(&self) {
        let name = &self.name;
        let put = |path: &str, content: &str| {
            self.directory.put(path, &content.replace("NAME", name));
        };
        put("api/index.js", "module.exports = { name: 'NAME' };\n");
        put("deploy/deploy.js", DEPLOY);
        put("deploy/compose.yaml", COMPOSE);
        put("deploy/build.js", "module.exports = { web: { dir: 'web', tag: 'NAME-web' } };\n");
        put("deploy/web/Dockerfile", DOCKERFILE);
        put("deploy/web/run.sh", PROGRAM);
        let output = self.directory.command_with(&self.host, &["build"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn run_manager(&self) {
        let secret = json!({
            "Name": format!("{}.token", self.name),
            // The same text in base64, as the engine takes it.
            "Data": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, TOKEN),
        });
        let id = self.post("/secrets/create", &secret)["ID"].clone();
        let (socket, place) = (self.host.strip_prefix("unix://"), "/var/run/docker.sock");
        let file = json!({ "Name": "ailtire-token", "UID": "0", "GID": "0", "Mode": 0o400 });
        let service = json!({
            "Name": self.name,
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": format!("{}:latest", self.name),
                    "Mounts": [{ "Type": "bind", "Source": socket, "Target": place }],
                    "Secrets": [{ "SecretID": id, "SecretName": secret["Name"], "File": file }],
                },
            },
            "Mode": { "Replicated": { "Replicas": 1 } },
            "EndpointSpec": {
                "Mode": "dnsrr",
                "Ports": [{
                    "Protocol": "tcp", "TargetPort": 3000, "PublishedPort": PORT,
                    "PublishMode": "host",
                }],
            },
        });
        self.post("/services/create", &service);
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post_json(path, body).unwrap().accepted(path).unwrap();
        answer.json(path).unwrap_or_default()
    }

    /// The page's address, once it is served.
    fn page(&self) -> String {
        let address = self.client.init_swarm().unwrap();
        let look = || std::net::TcpStream::connect((address, PORT)).ok();
        let listens = wait_for(PATIENCE, "the manager", look);
        assert!(listens.is_ok(), "no manager: {:?}", self.client.tasks(&self.name));
        format!("http://{address}:{PORT}/_admin/")
    }

    fn running(&self) -> Vec<Value> {
        self.client.running_tasks(&format!("{}-1_web", self.name)).unwrap()
    }

    /// Makes the one task of `web` fail.
    fn fail(&self) {
        let task = self.running().remove(0);
        let container = task["Status"]["ContainerStatus"]["ContainerID"].as_str().unwrap();
        let command = json!({ "Cmd": ["touch", "/fail"] });
        let made = self.post(&format!("/containers/{container}/exec"), &command);
        let start = format!("/exec/{}/start", made["Id"].as_str().unwrap());
        self.post(&start, &json!({ "Detach": true }));
    }

    /// Names of what the swarm still has of it.
    fn left(&self) -> Vec<String> {
        let lists = ["/services", "/secrets", "/configs", "/networks"];
        let found = lists.iter().flat_map(|list| {
            let list = self.client.get_json(list).unwrap();
            list.as_array().cloned().unwrap_or_default()
        });
        let name = |it: Value| {
            [&it["Name"], &it["Spec"]["Name"]]
                .into_iter()
                .find_map(|name| name.as_str().map(str::to_owned))
        };
        found.filter_map(name).filter(|name| name.contains(&self.name)).collect()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // What can't be removed goes with the engine.
        let _ = self.client.delete(&format!("/services/{}", self.name));
        let _ = self.client.remove_application(&self.name);
        let _ = self.client.delete(&format!("/secrets/{}.token", self.name));
        for image in [format!("{}:latest", self.name), format!("{}-web:latest", self.name)] {
            let _ = self.client.delete(&format!("/images/{image}?force=true"));
        }
    }
}

#[test]
fn a_real_stack_is_watched_scaled_and_shut_down() {
    let application = Application::start();
    let mut browser = Browser::start();
    // While it starts, it may have to be replaced once, to get what it needs.
    browser.expect("status of 50");
    browser.expect("ERR_");
    log_in_with(&mut browser, &application.page(), TOKEN);
    let badge = ".service[data-name=web] > .head > .badge";
    browser.wait_for_text(badge, "running");

    application.fail();
    browser.wait("!document.querySelector('.service[data-name=web] > .head > .good')");
    browser.wait_for_text(".service[data-name=web]", "non-zero exit (7)");
    browser.wait_for_text(badge, "running");

    browser.click("a[aria-label='Log of web']");
    browser.wait_for_text(".log", "waiting for <b>work</b>");
    browser.wait_for_text(".log .stderr", "there is no work");
    browser.click("header a");

    browser.click("a[aria-label='Scale web']");
    browser.wait("document.activeElement.id === 'replicas'");
    browser.press(&format!("{}3{}", key::SELECT_ALL, key::ENTER));
    browser.wait_for_text(".service[data-name=web] .count", "3 of 3");
    assert_eq!(application.running().len(), 3);

    let instance = browser.run("return document.querySelector('.facts b').textContent");
    browser.click("a[aria-label^='Shut down']");
    browser.type_into("#confirm", instance.as_str().unwrap());
    browser.click("dialog button.danger");
    browser.wait_for_text("h1", "is being removed");
    let is_gone = || application.left().is_empty().then_some(());
    let ended = wait_for(PATIENCE, "the end of the stack", is_gone);
    assert!(ended.is_ok(), "left: {:?}", application.left());
    browser.finish();
}
