//! Ending without cutting anybody off.

use std::sync::Arc;
use std::time::Duration;

use ailtire_gateway::{GatewayOptions, Limits};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::common::{
    Client, Rig, Server, answer, get, listeners, loopback, read_until, route, soon, text, until,
};

/// A server that answers when it is told to.
async fn slow() -> (Server, Arc<Notify>) {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let server = Server::start(move |_| {
        let released = Arc::clone(&released);
        async move {
            released.notified().await;
            answer("at last")
        }
    })
    .await;
    (server, release)
}

#[tokio::test]
async fn requests_under_way_are_answered_and_no_new_ones_accepted() {
    let (server, release) = slow().await;
    let mut rig = Rig::before(server.address).await;
    let mut idle = rig.connect().await;
    let mut used = rig.connect().await;
    used.write_all(b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut used, "\r\n\r\n").await;
    let mut client = Client::http1(rig.address).await;
    let mut multiplexed = Client::http2(rig.address).await;
    let first = tokio::spawn(async move { client.send(get("/")).await });
    let second = tokio::spawn(async move {
        let request = Request::get("http://a/").body(Full::<Bytes>::default()).unwrap();
        let response = multiplexed.send(request).await;
        (response, multiplexed)
    });
    until(|| rig.gateway.routes()[0].in_flight == 2).await;
    rig.shutdown.cancel();
    // Who has nothing under way is let go, and nobody new gets in.
    assert_eq!(soon(idle.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(soon(used.read(&mut [0])).await.unwrap(), 0);
    let address = rig.address;
    until(|| std::net::TcpStream::connect(address).is_err()).await;
    assert!(!rig.served.is_finished());
    release.notify_one();
    release.notify_waiters();
    let answered = tokio::spawn(async move {
        let first = soon(first).await.unwrap();
        assert_eq!(first.headers()["connection"], "close");
        assert_eq!(text(first).await, (200, "at last".to_owned()));
        let (second, mut client) = soon(second).await.unwrap();
        assert_eq!(text(second).await, (200, "at last".to_owned()));
        let request = Request::get("http://a/").body(Full::<Bytes>::default()).unwrap();
        assert!(soon(client.try_send(request)).await.is_err());
    });
    until(|| {
        release.notify_one();
        answered.is_finished()
    })
    .await;
    answered.await.unwrap();
    soon(&mut rig.served).await.unwrap();
}

#[tokio::test]
async fn who_takes_too_long_is_cut_off() {
    let (server, _release) = slow().await;
    let limits = Limits { drain: Duration::from_millis(50), ..Default::default() };
    let routes = vec![route("/", "web", server.address.port())];
    let tasks: [(&str, &[_]); 1] = [("web", &[loopback(1)])];
    let rig = Rig::with(GatewayOptions::default(), limits, None, routes, &tasks).await;
    let mut client = rig.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until(|| rig.gateway.routes()[0].in_flight == 1).await;
    rig.shutdown.cancel();
    assert_eq!(soon(client.read(&mut [0])).await.unwrap_or(0), 0);
    soon(rig.served).await.unwrap();
    assert_eq!(rig.gateway.routes()[0].in_flight, 0);
}

#[tokio::test]
async fn web_sockets_stay_until_the_last_request_is_answered() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream: TcpStream| {
        let released = Arc::clone(&released);
        async move {
            let head = read_until(&mut stream, "\r\n\r\n").await;
            if head.contains("websocket") {
                let answer = "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            } else {
                released.notified().await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    let rig = Rig::before(server.address).await;
    let mut socket = rig.connect().await;
    let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    read_until(&mut socket, "\r\n\r\n").await;
    let mut client = rig.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until(|| rig.gateway.routes()[0].in_flight == 1).await;
    rig.shutdown.cancel();
    let address = rig.address;
    until(|| std::net::TcpStream::connect(address).is_err()).await;
    socket.write_all(b"still here").await.unwrap();
    read_until(&mut socket, "still here").await;
    release.notify_one();
    read_until(&mut client, "\r\n\r\nx").await;
    assert_eq!(soon(socket.read(&mut [0])).await.unwrap_or(0), 0);
    soon(rig.served).await.unwrap();
}
