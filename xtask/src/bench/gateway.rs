//! The gateway against nginx: both before the same server, in turns.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Row;
use super::measure::versus;
use crate::{Outcome, files, process, table, terminal};

/// Of so many rounds the median is taken, after one that warms both up.
const ROUNDS: usize = 5;
/// How long a round takes, in seconds, over how many connections at once.
const SECONDS: &str = "-d3";
const CONNECTIONS: &str = "-c32";
/// As many for both: the cores of a small machine.
const WORKERS: usize = 2;
/// How many bytes a page has, by which `statm` counts.
const PAGE: u64 = 4096;

/// What one round gave.
#[derive(Debug, Clone, Copy)]
struct Round {
    requests_per_second: f64,
    half_within: Duration,
    most_within: Duration,
}

/// Measures; `folder` is for configuration files.
pub(super) fn measure(folder: &Path) -> Outcome<Vec<Row>> {
    private_engine::need("nginx", "nginx-light")?;
    private_engine::need("wrk", "wrk")?;
    terminal::status("Compiling", "the gateway with optimisation");
    let mut compile = process::cargo();
    // As it is in stack images.
    compile.args(["build", "--profile", "manager"]);
    compile.args(["--package", "ailtire-gateway", "--example", "gateway"]);
    process::run(&mut compile)?;
    fs::create_dir_all(folder)?;
    let server = Nginx::start(&folder.join("server"), 1, |_| {
        "location / { default_type text/plain; return 200 \"sixty bytes or so, as a small answer \
         of an interface has it\"; }"
            .to_owned()
    })?;
    let nginx = Nginx::start(&folder.join("proxy"), WORKERS, |upstreams| {
        let _ =
            writeln!(upstreams, "upstream backend {{ server {}; keepalive 64; }}", server.address);
        // The headers that the gateway adds as well.
        "location / { proxy_pass http://backend; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; proxy_set_header Host $host; \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
         proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Proto $scheme; \
         proxy_set_header Forwarded \"for=$remote_addr;host=$host;proto=$scheme\"; \
         proxy_set_header Via \"1.1 nginx\"; add_header Via \"1.1 nginx\"; }"
            .to_owned()
    })?;
    let gateway = Gateway::start(server.address)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..=ROUNDS {
        terminal::status("Measuring", &format!("the gateway and nginx, round {number}"));
        let pair = (round(gateway.address)?, round(nginx.address)?);
        if number > 0 {
            ours.push(pair.0);
            theirs.push(pair.1);
        }
    }
    let memory = (resident(gateway.child.id())?, resident(nginx.child.id())?);
    Ok(rows(&ours, &theirs, memory))
}

#[allow(clippy::cast_precision_loss)] // A ratio with two decimals.
fn rows(ours: &[Round], theirs: &[Round], memory: (u64, u64)) -> Vec<Row> {
    let row = |what: &str, values: [f64; 2], shown: [String; 2], aim| {
        versus(what, values, shown, "nginx", aim)
    };
    let rate = [ours, theirs].map(|rounds| median(rounds, |it| it.requests_per_second));
    let time = |what: &str, take: fn(&Round) -> Duration, aim| {
        let values = [ours, theirs].map(|rounds| median(rounds, |it| take(it).as_secs_f64()));
        row(what, values, values.map(|it| format!("{:.2} ms", it * 1e3)), aim)
    };
    vec![
        row("gateway, requests a second", rate, rate.map(|it| format!("{it:.0}")), "≥ 0.80"),
        time("its median latency", |it| it.half_within, ""),
        time("its 99th percentile", |it| it.most_within, "≤ 1.30"),
        row(
            "its memory after that",
            [memory.0 as f64, memory.1 as f64],
            [table::bytes(memory.0), table::bytes(memory.1)],
            "≤ 15 MB",
        ),
    ]
}

fn median(rounds: &[Round], take: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(take).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn round(address: SocketAddr) -> Outcome<Round> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", CONNECTIONS, SECONDS, "--latency"]).arg(format!("http://{address}/"));
    let text = process::output(&mut wrk)?;
    read(&text).ok_or_else(|| format!("`wrk` printed:\n{text}").into())
}

/// Reads what `wrk` prints; anything but good answers is no measure.
fn read(text: &str) -> Option<Round> {
    let value = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
        Some(line.trim().to_owned())
    };
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    Some(Round {
        requests_per_second: value("Requests/sec:")?.parse().ok()?,
        half_within: duration(&value("50%")?)?,
        most_within: duration(&value("99%")?)?,
    })
}

/// `874.00us`, `1.27ms` or `1.02s`.
fn duration(text: &str) -> Option<Duration> {
    let (number, factor) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * factor))
}

/// The resident memory of a process and its children. Pages that they share count each time.
fn resident(process: u32) -> Outcome<u64> {
    let statm = fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages: u64 = statm.split(' ').nth(1).ok_or("`statm` has no second number")?.parse()?;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    let mut bytes = pages * PAGE;
    for child in children.split_whitespace() {
        bytes += resident(child.parse()?)?;
    }
    Ok(bytes)
}

/// The gateway in a process of its own.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(server: SocketAddr) -> Outcome<Self> {
        let program = files::target().join("manager/examples/gateway");
        let mut command = Command::new(program);
        command.args(["127.0.0.1:0", &server.port().to_string(), &server.ip().to_string()]);
        command.env("WORKERS", WORKERS.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("the gateway has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self { address: line.trim().parse()?, child })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An nginx with a folder of its own.
struct Nginx {
    child: Child,
    configuration: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    fn start(
        folder: &Path,
        workers: usize,
        location: impl FnOnce(&mut String) -> String,
    ) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut upstreams = String::new();
        let location = location(&mut upstreams);
        let place = folder.display();
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {place}/{name};"))
            .join(" ");
        let text = format!(
            "daemon off;\nworker_processes {workers};\npid {place}/pid;\nerror_log {place}/log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\naccess_log off;\nkeepalive_requests 1000000000;\n{folders}\n{upstreams}\n\
             server {{ listen {address}; {location} }}\n}}\n"
        );
        let configuration = folder.join("nginx.conf");
        files::write(&configuration, text.as_bytes())?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg(folder.join("log")).arg("-c").arg(&configuration);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut nginx = Self { child, configuration, address };
        while TcpStream::connect(address).is_err() {
            if let Some(status) = nginx.child.try_wait()? {
                return Err(format!("nginx ended with {status}; see {place}/log").into());
            }
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only when it is asked.
        let mut stop = Command::new("nginx");
        stop.arg("-c").arg(&self.configuration).args(["-s", "stop"]).stderr(Stdio::null());
        let _ = stop.status();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "  Latency Distribution\n     50%  874.00us\n     99%    1.27ms\n\
            \x20 39049 requests in 3.00s, 7.10MB read\nRequests/sec:  13016.33\n";
        let round = read(text).unwrap();
        assert_eq!(round.half_within, Duration::from_micros(874));
        assert_eq!(round.most_within, Duration::from_micros(1270));
        assert!(round.requests_per_second > 13_016.0);
        assert!(read(&format!("{text}  Non-2xx or 3xx responses: 3\n")).is_none());
        assert_eq!(duration("1.02s"), Some(Duration::from_millis(1020)));
    }
}
