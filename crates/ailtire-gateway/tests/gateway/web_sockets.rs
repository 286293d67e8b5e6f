//! Connections that stop being HTTP.

use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{Client, Rig, Server, listeners, loopback, read_until, route, soon, until};

const UPGRADE: &str = "GET /chat?x HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-version: 13\r\norigin: http://a\r\n\r\n";

/// Changes protocols, greets in the same packet, and sends everything back until the end of it.
async fn echo() -> Server {
    Server::raw(listeners(&[1]).await.remove(0), async |mut stream| {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        for line in ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"] {
            assert!(head.lines().any(|it| it == line), "{line} is not in {head}");
        }
        let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
            upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            sec-websocket-protocol: chat\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        // The end of the one direction is not the end of the other.
        writer.write_all(b"bye").await.unwrap();
    })
}

async fn converse(mut client: TcpStream) {
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for line in ["upgrade: websocket", "connection: upgrade", "sec-websocket-protocol: chat"] {
        assert!(head.lines().any(|it| it == line), "{line} is not in {head}");
    }
    read_until(&mut client, "hello").await;
    for text in ["one", "two"] {
        client.write_all(text.as_bytes()).await.unwrap();
        read_until(&mut client, text).await;
    }
    let (mut reader, mut writer) = client.into_split();
    let sent = vec![7; 3_000_000];
    let expected = [&sent[..], b"bye"].concat();
    let sending = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let ((), read) = soon(async { tokio::join!(sending, reader.read_to_end(&mut received)) }).await;
    read.unwrap();
    assert!(received == expected, "{} bytes came back", received.len());
}

#[tokio::test]
async fn a_web_socket_goes_through() {
    let server = echo().await;
    let rig = Rig::before(server.address).await;
    converse(rig.connect().await).await;
    until(|| rig.gateway.routes()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_web_socket_goes_through_two_gateways() {
    let server = echo().await;
    let inner = Rig::before(server.address).await;
    let routes = vec![route("/mypackage", "mypackage", inner.address.port())];
    let outer = Rig::start(routes, &[("mypackage", &[loopback(1)])]).await;
    let mut client = outer.connect().await;
    let request = UPGRADE.replace("/chat", "/mypackage/chat");
    client.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut client, "hello").await;
    client.write_all(b"through two").await.unwrap();
    read_until(&mut client, "through two").await;
    client.shutdown().await.unwrap();
    read_until(&mut client, "bye").await;
}

#[tokio::test]
async fn a_web_socket_over_http2_becomes_one_over_http1() {
    let server = echo().await;
    let rig = Rig::before(server.address).await;
    let mut client = Client::<Empty<bytes::Bytes>>::http2(rig.address).await;
    // The server says first that it knows this kind of request.
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
    let response = soon(async {
        loop {
            let request = Request::builder()
                .method(Method::CONNECT)
                .version(Version::HTTP_2)
                .uri(format!("http://{}/chat", rig.address))
                .extension(Protocol::from_static("websocket"))
                .header("sec-websocket-version", "13")
                .body(Empty::new())
                .unwrap();
            match client.try_send(request).await {
                Ok(response) => return response,
                Err(_) => ticks.tick().await,
            };
        }
    })
    .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    let mut begin = [0; 5];
    soon(stream.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"hello");
    stream.write_all(b"there").await.unwrap();
    stream.flush().await.unwrap();
    soon(stream.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"there");
}

#[tokio::test]
async fn a_service_may_refuse_a_web_socket() {
    let server = Server::start(|_| async {
        let mut response = crate::common::answer("no");
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    })
    .await;
    let rig = Rig::before(server.address).await;
    let mut client = rig.connect().await;
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let answer = read_until(&mut client, "no").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    // It is HTTP still.
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let answer = read_until(&mut client, "no").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn other_protocols_are_not_changed_to() {
    let echo = Server::echo().await;
    let rig = Rig::before(echo.address).await;
    for protocol in ["h2c", "h2c, websocket", "TLS/1.0", "foo"] {
        let request = Request::get("/")
            .header("host", "a")
            .header("connection", "upgrade, http2-settings")
            .header("upgrade", protocol)
            .header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA");
        let response = rig.send(request.body(Full::default()).unwrap()).await;
        let (status, body) = crate::common::text(response).await;
        assert_eq!(status, 200);
        assert!(!body.contains("upgrade") && !body.contains("http2-settings"), "{body}");
    }
}

#[tokio::test]
async fn a_service_that_changes_protocols_unasked_is_not_believed() {
    let server = Server::raw(listeners(&[1]).await.remove(0), async |mut stream| {
        read_until(&mut stream, "\r\n\r\n").await;
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.read_u8().await.unwrap_err();
    });
    let rig = Rig::before(server.address).await;
    let reason = "the service `web` changed the protocol on its own\n";
    assert_eq!(rig.get("/").await, (502, reason.to_owned()));
}

#[tokio::test]
async fn an_end_that_breaks_off_takes_the_other_with_it() {
    let server = Server::start(|mut request| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move { drop(upgrade.await.unwrap()) });
        let answer = Response::builder().status(101).header("connection", "upgrade");
        let answer = answer.header("upgrade", "websocket");
        answer.body(Empty::new().map_err(|never| match never {}).boxed()).unwrap()
    })
    .await;
    let rig = Rig::before(server.address).await;
    let mut client = rig.connect().await;
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    assert_eq!(soon(client.read(&mut [0])).await.unwrap_or(0), 0);
}
