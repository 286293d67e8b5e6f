//! Clients that want too much.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use ailtire_gateway::{GatewayOptions, Limits};
use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::Full;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::common::{
    Client, PATIENCE, Rig, Server, answer, loopback, read_until, route, soon, until,
};

async fn limited(limits: Limits, server: SocketAddr) -> Rig {
    let routes = vec![route("/", "web", server.port())];
    let tasks: [(&str, &[_]); 1] = [("web", &[loopback(1)])];
    Rig::with(GatewayOptions::default(), limits, None, routes, &tasks).await
}

#[tokio::test]
async fn heads_and_targets_have_a_size() {
    let echo = Server::echo().await;
    let rig = Rig::before(echo.address).await;
    let ask = async |target: &str, lines: String| {
        let close = "connection: close\r\n";
        let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n{close}{lines}\r\n");
        let answer = rig.raw(head).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let long = |length: usize| format!("x: {}\r\n", "x".repeat(length));
    assert_eq!(ask("/", long(20_000)).await, "200");
    assert_eq!(ask("/", long(40_000)).await, "431");
    assert_eq!(ask("/", long(200_000)).await, "431");
    assert_eq!(ask("/", "x: x\r\n".repeat(90)).await, "200");
    assert_eq!(ask("/", "x: x\r\n".repeat(110)).await, "431");
    assert_eq!(ask(&format!("/{}", "x".repeat(16_000)), String::new()).await, "200");
    assert_eq!(ask(&format!("/{}", "x".repeat(17_000)), String::new()).await, "414");

    let mut client = Client::http2(rig.address).await;
    let request = Request::get("http://a/").header("x", "x".repeat(40_000));
    let response = soon(client.try_send(request.body(Full::<Bytes>::default()).unwrap())).await;
    assert!(response.is_err() || response.is_ok_and(|it| it.status() == 431));
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let echo = Server::echo().await;
    let limits = Limits { head_time: Duration::from_millis(100), ..Default::default() };
    let rig = limited(limits, echo.address).await;
    // One says nothing, one not enough, one has said enough but nothing since, and one speaks HTTP/2.
    for said in
        ["", "P", "GET / HTTP/1.1\r\nhost: a\r\nx: ", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"]
    {
        let answer = rig.raw(said).await;
        assert_eq!(answer.contains("HTTP/1.1 204"), said.starts_with("OPTIONS"), "{answer}");
    }
    for said in ["PR", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        rig.raw(said).await;
    }
    // A drop each while is not enough either.
    let mut client = rig.connect().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    soon(async {
        while client.write_all(b"G").await.is_ok() {
            ticks.tick().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_too_many_waits() {
    let echo = Server::echo().await;
    let rig = limited(Limits { connections: 2, ..Default::default() }, echo.address).await;
    let ask = b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut first = rig.connect().await;
    first.write_all(ask).await.unwrap();
    read_until(&mut first, "\r\n\r\n").await;
    let mut second = rig.connect().await;
    second.write_all(ask).await.unwrap();
    read_until(&mut second, "\r\n\r\n").await;
    let mut third = rig.connect().await;
    third.write_all(ask).await.unwrap();
    let soon_enough = Duration::from_millis(100);
    assert!(tokio::time::timeout(soon_enough, third.read_u8()).await.is_err());
    drop(first);
    read_until(&mut third, "\r\n\r\n").await;
}

#[tokio::test]
async fn a_connection_of_http2_has_so_many_requests_at_once() {
    let (entered, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (entering, highest, opened) = (Arc::clone(&entered), Arc::clone(&most), Arc::clone(&gate));
    let server = Server::start(move |_| {
        let (entered, most, gate) =
            (Arc::clone(&entering), Arc::clone(&highest), Arc::clone(&opened));
        async move {
            most.fetch_max(entered.fetch_add(1, SeqCst) + 1, SeqCst);
            gate.acquire().await.unwrap().forget();
            entered.fetch_sub(1, SeqCst);
            answer("x")
        }
    })
    .await;
    let rig = limited(Limits { streams: 3, ..Default::default() }, server.address).await;
    let Client::Http2(client) = Client::http2(rig.address).await else { unreachable!() };
    let ask = || {
        let mut client = client.clone();
        tokio::spawn(async move {
            let request = Request::get("http://a/").body(Full::<Bytes>::default()).unwrap();
            client.send_request(request).await.unwrap().status().as_u16()
        })
    };
    // With the first answer the client has learnt of the limit.
    gate.add_permits(1);
    assert_eq!(soon(ask()).await.unwrap(), 200);
    let requests: Vec<_> = (0..10).map(|_| ask()).collect();
    until(|| entered.load(SeqCst) == 3).await;
    gate.add_permits(10);
    for request in requests {
        assert_eq!(soon(request).await.unwrap(), 200);
    }
    assert_eq!(most.load(SeqCst), 3);
}

#[tokio::test]
async fn who_takes_back_requests_as_fast_as_they_go_is_cut_off() {
    let echo = Server::echo().await;
    let rig = Rig::before(echo.address).await;
    let mut client = rig.connect().await;
    // The preface, no settings of its own, and 10,000 times a request that is reset at once.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for number in 0..10_000_u32 {
        let stream = (2 * number + 1).to_be_bytes();
        // `:method: GET`, `:scheme: http`, `:path: /`, and `:authority: a`.
        let headers = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
        bytes.extend([0, 0, 6, 0x01, 0x05].iter().chain(&stream).chain(&headers));
        bytes.extend([0, 0, 4, 0x03, 0].iter().chain(&stream).chain(&[0, 0, 0, 8]));
    }
    let (mut reader, mut writer) = client.split();
    let mut answer = Vec::new();
    let writing = writer.write_all(&bytes);
    let (_, _) = soon(async { tokio::join!(writing, reader.read_to_end(&mut answer)) }).await;
    let requests = rig.gateway.routes()[0].requests;
    println!("10,000 requests were taken back, {requests} of them got as far as a route");
    assert!(requests < 1000);
    until(|| rig.gateway.routes()[0].in_flight == 0).await;
    assert_eq!(rig.get("/").await.0, 200);
}

/// The example program, which is a process of its own.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(server: SocketAddr, files: Option<u64>) -> Self {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "ailtire-gateway", "--example", "gateway"]);
        // Without what tells of this package: build scripts that read it would run again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_str().unwrap_or_default();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(name);
            }
        }
        assert!(build.status().unwrap().success());
        let program = std::env::current_exe().unwrap();
        let program = program.ancestors().nth(2).unwrap().join("examples/gateway");
        let mut command = match files {
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
                shell.arg(program);
                shell
            }
            None => Command::new(program),
        };
        command.args(["127.0.0.1:0", &server.port().to_string(), &server.ip().to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { address: line.trim().parse().unwrap(), child }
    }

    fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64
    }

    /// The processor time that it used, in hundredths of a second.
    fn time(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

async fn ask(stream: &mut TcpStream) {
    stream.write_all(ASK).await.unwrap();
    read_until(stream, "\r\n\r\nx").await;
}

/// Asks over each connection once, over some of them at a time.
async fn ask_all(streams: &mut [TcpStream]) {
    for some in streams.chunks_mut(32) {
        join_all(some.iter_mut().map(ask)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_are_held() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
    let most = limit.maximum.unwrap_or(u64::MAX).saturating_sub(1000);
    let count = usize::try_from(most.min(10_000)).unwrap();
    let server = Server::start(async |_| answer("x")).await;
    let process = Process::start(server.address, None);
    let mut first = TcpStream::connect(process.address).await.unwrap();
    ask(&mut first).await;
    let before = process.resident();
    let mut silent = Vec::with_capacity(count);
    for _ in 0..count {
        silent.push(TcpStream::connect(process.address).await.unwrap());
    }
    ask(&mut first).await;
    let each = |now: u64, before: u64| now.saturating_sub(before) / count as u64;
    let opened = process.resident();
    println!(
        "{count} connections that said nothing: {} kB resident, {} bytes each ({} kB before)",
        opened / 1000,
        each(opened, before),
        before / 1000,
    );
    ask_all(&mut silent).await;
    let used = process.resident();
    println!(
        "{count} connections between two requests: {} kB resident, {} bytes each",
        used / 1000,
        each(used, before),
    );
    // All of them are there still.
    ask_all(&mut silent).await;
    // Without optimisation, too.
    assert!(each(opened, before) < 16_000 && each(used, before) < 40_000);
}

#[tokio::test]
async fn without_room_for_a_connection_nothing_spins() {
    let server = Server::start(async |_| answer("x")).await;
    let process = Process::start(server.address, Some(32));
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(TcpStream::connect(process.address).await.unwrap());
    }
    let before = process.time();
    let waiting = streams.last_mut().unwrap();
    waiting.write_all(ASK).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), waiting.read_u8()).await.is_err());
    let used = process.time() - before;
    assert!(used < 50, "{used} hundredths of a second of work in one second");
    let mut last = streams.pop().unwrap();
    drop(streams);
    tokio::time::timeout(PATIENCE, read_until(&mut last, "\r\n\r\nx")).await.unwrap();
}
