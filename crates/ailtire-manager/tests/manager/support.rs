//! Managers under test: the real program, beside a real engine.
//!
//! They run outside of any container, so that tests start and end them as they like. What only a
//! container shows is tested with stack images.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use private_engine::{BaseImage, Client, wait_for};
use serde_json::{Value, json};

/// How long anything may take.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// The engine that tests may use.
pub(crate) fn host() -> String {
    std::env::var("AILTIRE_TEST_DOCKER_HOST")
        .expect("AILTIRE_TEST_DOCKER_HOST names the engine that tests may use")
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An application of a test's own. What is left of it in the engine goes with it.
pub(crate) struct Lab {
    pub(crate) client: Client,
    pub(crate) application: String,
    host: String,
    folder: tempfile::TempDir,
}

/// A manager that runs.
pub(crate) struct Manager {
    process: Child,
    pub(crate) port: u16,
    token_file: PathBuf,
    lines: Arc<Mutex<Vec<Value>>>,
}

/// What a manager answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Lab {
    pub(crate) fn new(name: &str) -> Self {
        Self::on(name, &host())
    }

    /// On the engine at `host`.
    pub(crate) fn on(name: &str, host: &str) -> Self {
        let client = Client::new(host.trim_start_matches("unix://"));
        client.init_swarm().unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let application = format!("{name}{}x{number}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        Self { client, application, host: host.to_owned(), folder }
    }

    /// Instance of the root.
    pub(crate) fn root(&self) -> String {
        format!("{}-test", self.application)
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Writes the content of a stack image; its directory.
    pub(crate) fn bundle(&self, name: &str, compose: &str) -> PathBuf {
        let directory = self.folder.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("compose.yaml"), compose).unwrap();
        let bundle = json!({
            "format": 1, "name": name, "package": name, "application": self.application,
            "environment": "test", "version": "1.2.3",
        });
        std::fs::write(directory.join("stack.json"), bundle.to_string()).unwrap();
        directory
    }

    /// Starts the manager of the stack in `directory`.
    pub(crate) fn start(&self, directory: &Path, variables: &[(&str, &str)]) -> Manager {
        let port = free_port();
        let mut process = Command::new(env!("CARGO_BIN_EXE_ailtire-manager"))
            .args(["--stack", directory.to_str().unwrap()])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env("DOCKER_HOST", &self.host)
            .env("AILTIRE_APPNAME", &self.application)
            .env("AILTIRE_TOKEN_FILE", self.token_file())
            .env("AILTIRE_LOG", "debug")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).expect("every line is an object");
                heard.lock().unwrap().push(line);
            }
        });
        Manager { process, port, token_file: self.token_file(), lines }
    }

    /// Starts it, and waits until its stack is deployed.
    pub(crate) fn deploy(&self, directory: &Path) -> Manager {
        let manager = self.start(directory, &[]);
        manager.wait_until_ready();
        manager
    }

    /// Ids of the tasks of a service that run, sorted.
    pub(crate) fn tasks(&self, service: &str) -> Vec<String> {
        // The engine refuses the question for a service that is not there.
        let name = format!("{}_{service}", self.root());
        let tasks = self.client.running_tasks(&name).unwrap_or_default();
        let mut ids: Vec<_> =
            tasks.iter().map(|task| task["ID"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// Everything that the engine has of the application, in words.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let places = ["services", "networks", "configs", "secrets", "containers/json?all=true"];
        for place in places {
            let found = self.client.get_json(&format!("/{place}")).unwrap();
            for object in found.as_array().unwrap() {
                let text = object.to_string();
                if text.contains(&self.application) {
                    left.push(format!("{place}: {text}"));
                }
            }
        }
        left
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A test that failed leaves its stack; nothing may be in the way of the next one.
        let _ = self.client.remove_application(&self.application);
        let _ = self.client.remove_application(&self.root());
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Manager {
    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(&self.token_file).unwrap()
    }

    pub(crate) fn wait_until_ready(&self) {
        let ready =
            || (self.try_ask("GET", "/healthz?ready", &[], "")?.status == 200).then_some(());
        wait_for(SOON, "a stack that is deployed", ready).unwrap_or_else(|error| {
            panic!("{error}: {:#?}", self.lines.lock().unwrap());
        });
    }

    fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, body: unchunked(head, body) })
    }

    /// Asks without a token.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.try_ask(method, path, headers, body)
            .unwrap_or_else(|| panic!("no answer: {:#?}", self.lines.lock().unwrap()))
    }

    /// Asks as a program that has the token.
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token());
        self.ask(method, &format!("/_admin/{path}"), &[("authorization", &bearer)], body)
    }

    pub(crate) fn status(&self) -> Value {
        self.call("GET", "status", "").json()
    }

    pub(crate) fn wait_for_status(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let look = || Some(self.status()).filter(|status| is_so(status));
        wait_for(SOON, what, look).unwrap_or_else(|error| {
            panic!("{error}: {:#}\n{:#?}", self.status(), self.lines.lock().unwrap());
        })
    }

    /// Waits for a line of the log.
    pub(crate) fn wait_for_line(&self, message: &str) -> Value {
        let look = || {
            let lines = self.lines.lock().unwrap();
            let found =
                lines.iter().find(|line| line["message"].as_str().unwrap().contains(message));
            found.cloned()
        };
        wait_for(SOON, message, look)
            .unwrap_or_else(|error| panic!("{error}: {:#?}", self.lines.lock().unwrap()))
    }

    /// The last line of a deployment.
    pub(crate) fn summary(&self) -> Value {
        self.wait_for_line("deployment ended")["event"]["summary"].clone()
    }

    fn ended(&mut self) -> Option<bool> {
        self.process.try_wait().unwrap().map(|status| status.success())
    }

    /// Waits until it ended by itself; whether it ended well.
    pub(crate) fn wait_for_end(mut self) -> bool {
        wait_for(SOON, "the manager's end", || self.ended()).unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.process.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    /// Tells it to stop; whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        self.signal("TERM");
        wait_for(SOON, "the manager's end", || self.ended()).unwrap()
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a body is without the lengths of its pieces.
fn unchunked(head: &str, body: &str) -> String {
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut rest, mut whole) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        whole.push_str(after.get(..length).unwrap_or_default());
        rest = after.get(length + 2..).unwrap_or_default();
        if length == 0 {
            break;
        }
    }
    whole
}

/// A service of a compose file that runs until it is told to stop.
pub(crate) fn service(name: &str, more: &str) -> String {
    format!(
        "  {name}:\n    image: {}\n    command: ['sh', '-c', 'trap \"exit 0\" TERM; echo {name} \
         runs; while :; do sleep 1; done']\n    networks: [children]\n    stop_grace_period: 1s\n    \
         deploy: {{ endpoint_mode: dnsrr }}\n{more}",
        BaseImage::Busybox.reference()
    )
}

/// A compose file with these services.
pub(crate) fn compose(services: &[&str]) -> String {
    let services: String = services.iter().map(|name| service(name, "")).collect();
    format!("services:\n{services}")
}
