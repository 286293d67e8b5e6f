//! A stack image against an image of Node that does the same: its size, how long a container of it takes
//! to its first routed answer, and its memory then.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use private_engine::{BaseImage, Client, PrivateEngine, base_image, wait_for};
use serde_json::{Value, json};

use super::Row;
use super::measure::versus;
use crate::pass::Build;
use crate::{Outcome, files, table, terminal};

/// Of so many starts the median is taken, after one that warms both up.
const ROUNDS: usize = 5;

/// How often a container that starts is asked.
const INTERVAL: Duration = Duration::from_millis(1);

const PATIENCE: Duration = Duration::from_mins(2);

/// What is asked for again and again: the service behind the gateway answers it.
const ROUTED: &str = "/web/";

const FILES: [(&str, &str); 6] = [
    ("api/index.js", "module.exports = { name: 'bench' };\n"),
    (
        "deploy/deploy.js",
        "module.exports = { name: 'bench', contexts: { default: { design: 'services.js' } } };\n",
    ),
    (
        "deploy/services.js",
        "module.exports = { services: { web: {\n  image: 'ailtire-test/busybox:1',\n  \
         command: ['sh', '-c', 'echo hello > /tmp/index.html && exec httpd -f -p 3000 -h /tmp'],\n  \
         stop_signal: 'SIGKILL',\n  deploy: { endpoint_mode: 'dnsrr' },\n  \
         interface: { '/web': { path: '/', port: 3000 } },\n} } };\n",
    ),
    ("deploy/build.js", "module.exports = { node: { dir: 'node' } };\n"),
    (
        "deploy/node/Dockerfile",
        "FROM ailtire-test/node:1\nCOPY gateway.js /\nEXPOSE 3000\nCMD [\"node\", \"/gateway.js\"]\n",
    ),
    ("deploy/node/gateway.js", include_str!("gateway.js")),
];

/// Measures in `folder`.
pub(super) fn measure(program: &Path, folder: &Path) -> Outcome<Vec<Row>> {
    let application = folder.join("application");
    for (path, text) in FILES {
        files::write(&application.join(path), text.as_bytes())?;
    }
    let engine = PrivateEngine::start(&folder.join("engine"))?;
    let rows = measure_on(&engine, program, &application)?;
    engine.stop()?;
    Ok(rows)
}

fn measure_on(engine: &PrivateEngine, program: &Path, application: &Path) -> Outcome<Vec<Row>> {
    engine.init_swarm()?;
    let client = engine.client();
    terminal::status("Making", "a base image with Node from Debian packages");
    for base in [BaseImage::Busybox, BaseImage::Node] {
        base_image(&client, base, &files::base_images())?;
    }
    let build = Build {
        program: program.to_owned(),
        application: application.to_owned(),
        host: engine.host().to_owned(),
        variables: Vec::new(),
        arguments: Vec::new(),
    };
    build.done("a stack image and one with Node")?;

    terminal::status("Measuring", "containers of a stack image, and of Node in its place");
    let socket = "/var/run/docker.sock:/var/run/docker.sock";
    let stack = Container::create(engine, "bench", 8080, &json!({ "Binds": [socket] }), &[])?;
    // The first start deploys what all others find.
    stack.start()?;
    stack.ready("/healthz?ready")?;
    let environment = [r#"ROUTES={"/web":"tasks.web:3000"}"#];
    let node = Container::create(engine, "bench-node", 8081, &json!({}), &environment)?;
    node.join(&stack.network()?)?;
    stack.kill()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..=ROUNDS {
        let pair = (stack.round("/healthz?ready")?, node.round(ROUTED)?);
        if number > 0 {
            ours.push(pair.0);
            theirs.push(pair.1);
        }
    }
    Ok(rows([stack.image_size()?, node.image_size()?], &ours, &theirs))
}

/// What one start gave.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// From the request for the start to the first routed answer.
    container: Duration,
    /// From the start of the process to that answer.
    process: Duration,
    /// Resident, in bytes.
    memory: u64,
}

fn rows(sizes: [u64; 2], ours: &[Round], theirs: &[Round]) -> Vec<Row> {
    let bytes = |what: &str, values: [u64; 2], aim| {
        versus(what, values.map(amount), values.map(table::bytes), "Node", aim)
    };
    let time = |what: &str, take: fn(&Round) -> Duration, aim| {
        let times = [ours, theirs].map(|rounds| median(rounds, take));
        versus(what, times.map(|it| it.as_secs_f64()), times.map(table::time), "Node", aim)
    };
    let memory = [ours, theirs].map(|rounds| median(rounds, |it| it.memory));
    vec![
        bytes("stack image, its size", sizes, ""),
        time("its container, to the first routed answer", |it| it.container, ""),
        time("of that, its process", |it| it.process, "≤ 100 ms"),
        bytes("its memory after that", memory, "≤ 15 MB"),
    ]
}

#[allow(clippy::cast_precision_loss)] // A ratio with two decimals.
fn amount(bytes: u64) -> f64 {
    bytes as f64
}

fn median<T: Ord + Default + Copy>(rounds: &[Round], take: fn(&Round) -> T) -> T {
    let mut values: Vec<T> = rounds.iter().map(take).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A container that is a gateway, started again and again.
struct Container {
    client: Client,
    image: String,
    path: String,
    address: SocketAddr,
}

impl Container {
    /// A container called `name` of the image with that name; its port is the engine's `port`.
    fn create(
        engine: &PrivateEngine,
        name: &str,
        port: u16,
        host: &Value,
        environment: &[&str],
    ) -> Outcome<Self> {
        let client = engine.client();
        let image = format!("{name}:latest");
        let mut host = host.clone();
        host["PortBindings"] = json!({ "3000/tcp": [{ "HostPort": port.to_string() }] });
        let body = json!({ "Image": image, "Env": environment, "HostConfig": host });
        let path = format!("/containers/create?name={name}");
        client.post_json(&path, &body)?.accepted(&path)?;
        let address = SocketAddr::from((engine.address(), port));
        Ok(Self { client, image, path: format!("/containers/{name}"), address })
    }

    fn post(&self, what: &str) -> Outcome {
        let path = format!("{}/{what}", self.path);
        self.client.post_json(&path, &Value::Null)?.accepted(&path)?;
        Ok(())
    }

    fn start(&self) -> Outcome {
        self.post("start")
    }

    fn kill(&self) -> Outcome {
        self.post("kill")?;
        self.post("wait")
    }

    /// The network of a stack that its manager has joined.
    fn network(&self) -> Outcome<String> {
        let container = self.client.get_json(&format!("{}/json", self.path))?;
        let networks = container["NetworkSettings"]["Networks"].as_object();
        let mut names = networks.into_iter().flatten().map(|(name, _)| name);
        let name = names.find(|name| *name != "bridge");
        Ok(name.ok_or("the manager has joined no network")?.clone())
    }

    fn join(&self, network: &str) -> Outcome {
        let name = self.path.trim_start_matches("/containers/");
        let path = format!("/networks/{network}/connect");
        self.client.post_json(&path, &json!({ "Container": name }))?.accepted(&path)?;
        Ok(())
    }

    /// Waits until `path` and what is behind the gateway are answered.
    fn ready(&self, path: &str) -> Outcome {
        let is_ready = || (self.answers(path) && self.answers(ROUTED)).then_some(());
        Ok(wait_for(PATIENCE, &format!("{} to answer", self.image), is_ready)?)
    }

    /// Starts, waits for a routed answer and then for `path`, and ends.
    fn round(&self, path: &str) -> Outcome<Round> {
        let begin = Instant::now();
        self.start()?;
        while !self.answers(ROUTED) {
            if begin.elapsed() > PATIENCE {
                return Err(format!("a container of {} does not answer", self.image).into());
            }
            thread::park_timeout(INTERVAL);
        }
        let container = begin.elapsed();
        let answered = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let state = self.client.get_json(&format!("{}/json", self.path))?;
        let started = state["State"]["StartedAt"].as_str().and_then(second_of_minute);
        let started = started.ok_or("the engine does not say when a container started")?;
        let process = since(started, answered);
        self.ready(path)?;
        let memory = self.memory()?;
        self.kill()?;
        Ok(Round { container, process, memory })
    }

    /// What its processes have in memory, in bytes.
    fn memory(&self) -> Outcome<u64> {
        let top = self.client.get_json(&format!("{}/top?ps_args=-o%20pid,rss", self.path))?;
        let processes = top["Processes"].as_array().into_iter().flatten();
        let kilobytes = processes.filter_map(|it| it[1].as_str()?.parse::<u64>().ok());
        Ok(kilobytes.sum::<u64>() * 1024)
    }

    fn image_size(&self) -> Outcome<u64> {
        let image = self.client.get_json(&format!("/images/{}/json", self.image))?;
        Ok(image["Size"].as_u64().ok_or("an image has no size")?)
    }

    /// Whether it answers well; something else may listen before it does.
    fn answers(&self, path: &str) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
            let mut status = [0; 12];
            stream.read_exact(&mut status)?;
            std::io::Result::Ok(status)
        };
        ask().is_ok_and(|status| &status == b"HTTP/1.1 200")
    }
}

/// The second within its minute of a time like `2030-01-02T03:04:05.678Z`.
fn second_of_minute(time: &str) -> Option<Duration> {
    let seconds = time.rsplit(':').next()?.strip_suffix('Z')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// How long before `now` it was `second` of a minute, the last time.
fn since(second: Duration, now: Duration) -> Duration {
    const MINUTE: Duration = Duration::from_mins(1);
    let now = Duration::from_secs(now.as_secs() % MINUTE.as_secs())
        + Duration::from_nanos(now.subsec_nanos().into());
    now.checked_sub(second).unwrap_or_else(|| (now + MINUTE).saturating_sub(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_within_the_last_minute_is_known_by_its_second() {
        let started = second_of_minute("2026-11-23T01:55:41.803915119Z").unwrap();
        let answered = Duration::from_millis(120 * 60_000 + 42_303);
        let between = since(started, answered);
        assert!(between.abs_diff(Duration::from_micros(499_085)) < Duration::from_micros(1));
        let answered = Duration::from_millis(121 * 60_000 + 1_803);
        let between = since(started, answered);
        assert!(between.abs_diff(Duration::from_micros(19_999_085)) < Duration::from_micros(1));
        assert_eq!(second_of_minute("never"), None);
    }
}
