//! Requests that could be read in two ways: the service never sees two where there was one.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::common::{Rig, Server, listeners, read_until, soon, until};

/// A server that writes down all that it gets, byte for byte, and answers each request.
async fn recording() -> (Server, Arc<Mutex<String>>) {
    let record = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&record);
    let server = Server::raw(listeners(&[1]).await.remove(0), move |stream| {
        let written = Arc::clone(&written);
        async move { write_down(stream, &written).await }
    });
    (server, record)
}

async fn write_down(mut stream: TcpStream, written: &Mutex<String>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut text = String::new();
    loop {
        let count = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        let part = String::from_utf8_lossy(&buffer[..count]);
        text.push_str(&part);
        written.lock().unwrap().push_str(&part);
        let is_complete = if text.contains("transfer-encoding: chunked") {
            text.ends_with("0\r\n\r\n")
        } else {
            text.contains("\r\n\r\n")
        };
        if is_complete {
            text.clear();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
    }
}

/// A request that nobody should see, and would see if a body ended too early.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn what_is_ambiguous_is_refused() {
    let (server, record) = recording().await;
    let rig = Rig::before(server.address).await;
    let post = |lines: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n");
    let get = |line: &str| format!("GET {line}\r\n\r\n");
    let requests = [
        post("content-length: 3\r\ncontent-length: 4"),
        post("content-length: 3, 4"),
        post("content-length: 3, 3"),
        post("content-length: +3"),
        post("content-length: -1"),
        post("content-length: 0x3"),
        post("content-length: "),
        post("content-length: 99999999999999999999"),
        post("content-length : 3"),
        post("transfer-encoding: chunked, identity"),
        post("transfer-encoding: identity"),
        post("transfer-encoding: gzip, chunked"),
        post("transfer-encoding: xchunked"),
        post("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        post("transfer-encoding : chunked"),
        post("transfer-encoding: chunked\r\ntransfer-encoding: x"),
        post("transfer-encoding: \u{b}chunked"),
        post("transfer-encoding:\r\n chunked"),
        post("x: 1\r\n folded"),
        post("x: 1\rcontent-length: 3"),
        post("x: 1\0"),
        post("x\r\n: 1"),
        post(" x: 1"),
        post("host: b"),
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        get("/ HTTP/1.1"),
        get("/ HTTP/1.1\r\nhost: a b"),
        get("/ HTTP/1.1\r\nhost: a/b"),
        get("/ HTTP/1.1\r\nhost: user@a"),
        get("/ HTTP/1.1\r\nhost: a, b"),
        get("/ HTTP/1.1\r\nhost: "),
        get("/ HTTP/1.1 \r\nhost: a"),
        get("/ HTTP/1.1\r\n\r\nhost: a"),
        get("/ HTTP/2.0\r\nhost: a"),
        get("/x y HTTP/1.1\r\nhost: a"),
        get("x HTTP/1.1\r\nhost: a"),
        get("ftp://a/ HTTP/1.1\r\nhost: a"),
        get("http://user@a/ HTTP/1.1\r\nhost: a"),
        get("/a/../b HTTP/1.1\r\nhost: a"),
        get("/a/%2e%2e/b HTTP/1.1\r\nhost: a"),
        get("\t/ HTTP/1.1\r\nhost: a"),
        "G@T / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let answer = rig.raw(format!("{request}{HIDDEN}")).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.starts_with("HTTP/1.1 400"), "{request:?} gave {first:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?} gave {answer:?}");
        assert_eq!(*record.lock().unwrap(), "", "{request:?}");
    }
    let connect = rig.raw("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n").await;
    assert!(connect.starts_with("HTTP/1.1 501"), "{connect}");
    assert_eq!(*record.lock().unwrap(), "");
}

#[tokio::test]
async fn a_length_besides_chunks_is_dropped_and_the_connection_closed() {
    let (server, record) = recording().await;
    let rig = Rig::before(server.address).await;
    let body = format!("0\r\n\r\n{HIDDEN}");
    for lines in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: Chunked\r\ncontent-length: 40",
    ] {
        let answer = rig.raw(format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n{body}")).await;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
        let seen = std::mem::take(&mut *record.lock().unwrap());
        assert!(!seen.contains("hidden") && !seen.contains("content-length"), "{seen}");
        assert_eq!(seen.matches("transfer-encoding: chunked").count(), 1, "{seen}");
    }
}

#[tokio::test]
async fn bad_chunks_end_the_request() {
    for body in [
        "3\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "3 \r\x20\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3;a=\n\r\nabc\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "g\r\n",
    ] {
        let (server, record) = recording().await;
        let rig = Rig::before(server.address).await;
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = rig.raw(format!("{head}{body}{HIDDEN}")).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{body:?} gave {answer:?}");
        until(|| rig.gateway.routes()[0].in_flight == 0).await;
        let seen = record.lock().unwrap().clone();
        assert!(!seen.contains("hidden") && !seen.contains("0\r\n\r\n"), "{body:?} gave {seen:?}");
    }
}

#[tokio::test]
async fn lines_that_end_short_are_made_whole() {
    let (server, record) = recording().await;
    let rig = Rig::before(server.address).await;
    let answer = rig.raw("GET / HTTP/1.1\nhost: a\nx: 1\nconnection: close\n\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = record.lock().unwrap().clone();
    assert_eq!(seen.matches('\n').count(), seen.matches("\r\n").count(), "{seen:?}");
}

#[tokio::test]
async fn a_target_with_a_host_is_for_that_host() {
    let (server, record) = recording().await;
    let rig = Rig::before(server.address).await;
    let request =
        "GET http://example.org:81/x?y HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n";
    let answer = rig.raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = record.lock().unwrap().clone();
    assert!(seen.starts_with("GET /x?y HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("host: example.org:81\r\n") && !seen.contains("other"), "{seen}");
}

#[tokio::test]
async fn requests_in_one_packet_stay_two() {
    let (server, record) = recording().await;
    let rig = Rig::before(server.address).await;
    let mut client = rig.connect().await;
    let requests = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write_all(requests.as_bytes()).await.unwrap();
    for _ in 0..2 {
        soon(read_until(&mut client, "\r\n\r\nok")).await;
    }
    let seen = record.lock().unwrap().clone();
    assert!(seen.find("GET /1 ").unwrap() < seen.find("GET /2 ").unwrap(), "{seen}");
}

#[tokio::test]
async fn what_a_service_sends_after_its_answer_is_nobodys_answer() {
    let server = Server::raw(listeners(&[1]).await.remove(0), async |mut stream| {
        read_until(&mut stream, "\r\n\r\n").await;
        let one = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none";
        stream.write_all(format!("{one}{}", one.replace("one", "two")).as_bytes()).await.unwrap();
        let _ = tokio::io::AsyncReadExt::read_u8(&mut stream).await;
    });
    let rig = Rig::before(server.address).await;
    for _ in 0..3 {
        assert_eq!(rig.get("/").await, (200, "one".to_owned()));
    }
}
