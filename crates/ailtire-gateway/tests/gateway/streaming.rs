//! Bodies flow, in both directions, and stop where they are stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use ailtire_gateway::{BodyError, GatewayOptions, Limits};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Collected, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::common::{
    Client, Rig, Server, answer, get, listeners, loopback, read_until, route, soon, until,
};

type Parts = mpsc::Receiver<Frame<Bytes>>;

fn stream(parts: Parts) -> impl hyper::body::Body<Data = Bytes, Error = BodyError> + Send + Unpin {
    let parts = futures_util::stream::unfold(parts, async |mut parts| {
        let part = parts.recv().await?;
        Some((Ok(part), parts))
    });
    StreamBody::new(Box::pin(parts))
}

fn part(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let confirm = Arc::new(Notify::new());
    let next = Arc::clone(&confirm);
    let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream| {
        let next = Arc::clone(&next);
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for number in 0..3 {
                // The next event comes when the client has the one before.
                stream.write_all(format!("data: {number}\n\n").as_bytes()).await.unwrap();
                next.notified().await;
            }
        }
    });
    let rig = Rig::before(server.address).await;
    let mut response = rig.send(get("/")).await;
    for number in 0..3 {
        let frame = soon(response.body_mut().frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("data: {number}\n\n"));
        confirm.notify_one();
    }
    assert!(soon(response.body_mut().frame()).await.is_none());
}

#[tokio::test]
async fn both_directions_flow_at_once() {
    for is_multiplexed in [false, true] {
        // Answers each part of the request as it comes.
        let server = Server::start(|request| async {
            let body = request
                .into_body()
                .map_frame(|frame| frame.map_data(|data| Bytes::from(data.to_ascii_uppercase())));
            Response::new(body.map_err(Into::into).boxed())
        })
        .await;
        let rig = Rig::before(server.address).await;
        let (sender, parts) = mpsc::channel(1);
        let request = Request::post(format!("http://{}/", rig.address))
            .header("host", rig.address.to_string())
            .body(stream(parts))
            .unwrap();
        let mut client = if is_multiplexed {
            Client::http2(rig.address).await
        } else {
            Client::http1(rig.address).await
        };
        sender.send(part("one")).await.unwrap();
        let mut response = soon(client.send(request)).await;
        for (next, now) in [("two", "ONE"), ("three", "TWO")] {
            let frame = soon(response.body_mut().frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), now);
            sender.send(part(next)).await.unwrap();
        }
        drop(sender);
        let rest = soon(response.into_body().collect()).await.unwrap();
        assert_eq!(rest.to_bytes(), "THREE");
    }
}

/// How much a writer gets rid of before it has to wait; it goes on until nothing moves.
async fn stops_at(count: &AtomicU64) -> u64 {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    ticks.tick().await;
    loop {
        let before = count.load(SeqCst);
        ticks.tick().await;
        if count.load(SeqCst) == before && before > 0 {
            return before;
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_stops_the_service() {
    const ALL: u64 = 64 * 1024 * 1024;
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {ALL}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let part = vec![7; 64 * 1024];
            while counter.load(SeqCst) < ALL {
                stream.write_all(&part).await.unwrap();
                counter.fetch_add(part.len() as u64, SeqCst);
            }
        }
    });
    let rig = Rig::before(server.address).await;
    let mut client = rig.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let stopped = soon(stops_at(&written)).await;
    // The rest is in the buffers of four sockets, which the system makes as large as it likes.
    assert!(stopped < ALL / 2, "{stopped} bytes were taken from the service");
    let mut answer = Vec::new();
    soon(client.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.len() as u64 > ALL && answer.ends_with(&[7; 1000]));
}

#[tokio::test]
async fn a_service_that_reads_slowly_stops_the_client() {
    const ALL: usize = 64 * 1024 * 1024;
    let go_on = CancellationToken::new();
    let gone_on = go_on.clone();
    let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream| {
        let gone_on = gone_on.clone();
        async move {
            let head = read_until(&mut stream, "\r\n\r\n").await;
            assert!(head.contains(&format!("content-length: {ALL}\r\n")), "{head}");
            gone_on.cancelled().await;
            let mut buffer = vec![0; 64 * 1024];
            let mut count = 0;
            while count < ALL {
                count += stream.read(&mut buffer).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    });
    let rig = Rig::before(server.address).await;
    let written = Arc::new(AtomicU64::new(0));
    let (mut reader, mut writer) = rig.connect().await.into_split();
    let counter = Arc::clone(&written);
    tokio::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {ALL}\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        let part = vec![7; 64 * 1024];
        for _ in 0..ALL / part.len() {
            writer.write_all(&part).await.unwrap();
            counter.fetch_add(part.len() as u64, SeqCst);
        }
        // Who closes now would have gone away.
        std::future::pending::<()>().await;
    });
    let stopped = soon(stops_at(&written)).await;
    assert!(stopped < ALL as u64 / 2, "{stopped} bytes were taken from the client");
    go_on.cancel();
    let mut answer = vec![0; 12];
    soon(reader.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
}

/// A server that says when it has a request, and when the connection ended before it had all.
async fn watched(answer: &'static str) -> (Server, Arc<Notify>, Arc<Notify>) {
    let (asked, seen) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asking, noticed) = (Arc::clone(&asked), Arc::clone(&seen));
    let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream| {
        let (asking, noticed) = (Arc::clone(&asking), Arc::clone(&noticed));
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            asking.notify_one();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            noticed.notify_one();
        }
    });
    (server, asked, seen)
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_its_body_is_missed_by_the_service() {
    let (server, asked, seen) = watched("").await;
    let rig = Rig::before(server.address).await;
    let mut client = rig.connect().await;
    let begin = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nbegin";
    client.write_all(begin.as_bytes()).await.unwrap();
    soon(asked.notified()).await;
    drop(client);
    soon(seen.notified()).await;
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_its_answer_is_missed_by_the_service() {
    let (server, asked, seen) = watched("").await;
    let rig = Rig::before(server.address).await;
    // Closing one half counts as going away.
    let mut client = rig.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    soon(asked.notified()).await;
    client.shutdown().await.unwrap();
    soon(seen.notified()).await;
    let mut rest = Vec::new();
    let _ = soon(client.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());

    let (server, _, seen) = watched("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin").await;
    let rig = Rig::before(server.address).await;
    let mut response = rig.send(get("/")).await;
    soon(response.body_mut().frame()).await.unwrap().unwrap();
    drop(response);
    soon(seen.notified()).await;
    until(|| rig.gateway.routes()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_stream_taken_back_over_http2_is_missed_by_the_service() {
    let (server, asked, seen) = watched("").await;
    let rig = Rig::before(server.address).await;
    let mut client = Client::http2(rig.address).await;
    let request = Request::get(format!("http://{}/", rig.address)).body(Full::<Bytes>::default());
    let answered = client.try_send(request.unwrap());
    tokio::select! {
        _ = answered => panic!("nobody answers"),
        () = soon(asked.notified()) => {}
    }
    soon(seen.notified()).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_complete() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nbegin\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let rig = Rig::before(server.address).await;
        let first = (Client::http1(rig.address).await, get("/"));
        let target = format!("http://{}/", rig.address);
        let second = Request::get(target).body(Full::<Bytes>::default()).unwrap();
        for (mut client, request) in [first, (Client::http2(rig.address).await, second)] {
            // Perhaps so soon that there is not even a head.
            if let Ok(response) = soon(client.try_send(request)).await {
                assert!(soon(response.into_body().collect()).await.is_err(), "{head}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_stops_is_given_up() {
    let (server, _, seen) = watched("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin").await;
    let options = GatewayOptions { body_pause: Duration::from_millis(50), ..Default::default() };
    let routes = vec![route("/", "web", server.address.port())];
    let tasks: [(&str, &[_]); 1] = [("web", &[loopback(1)])];
    let rig = Rig::with(options, Limits::default(), None, routes, &tasks).await;
    let response = rig.send(get("/")).await;
    assert!(soon(response.into_body().collect()).await.is_err());
    soon(seen.notified()).await;
}

#[tokio::test]
async fn an_upload_may_take_longer_than_an_answer() {
    let server = Server::start(|request| async {
        answer(request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default())
    })
    .await;
    let mut quick = route("/", "web", server.address.port());
    quick.timeout = Some(Duration::from_millis(400));
    let rig = Rig::start(vec![quick], &[("web", &[loopback(1)])]).await;
    let (sender, parts) = mpsc::channel(1);
    let request = Request::post("/").header("host", "a").body(stream(parts)).unwrap();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..8 {
            ticks.tick().await;
            sender.send(part("x")).await.unwrap();
        }
    });
    let mut client = Client::http1(rig.address).await;
    let response = soon(client.send(request)).await;
    assert_eq!(crate::common::text(response).await, (200, "xxxxxxxx".to_owned()));

    // A client that stops sending is told that it was too slow, and not that the service was.
    let (sender, parts) = mpsc::channel(1);
    let request = Request::post("/").header("host", "a").body(stream(parts)).unwrap();
    sender.send(part("x")).await.unwrap();
    let mut client = Client::http1(rig.address).await;
    assert_eq!(soon(client.send(request)).await.status(), 408);
}

#[tokio::test]
async fn an_early_answer_to_an_upload_arrives() {
    let server = Server::raw(listeners(&[1]).await.remove(0), async |mut stream| {
        read_until(&mut stream, "\r\n\r\n").await;
        let answer = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno";
        stream.write_all(answer.as_bytes()).await.unwrap();
        // The rest is not read, but the connection stays until the gateway has seen the answer.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let rig = Rig::before(server.address).await;
    let mut client = rig.connect().await;
    let begin = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nbegin";
    client.write_all(begin.as_bytes()).await.unwrap();
    let answer = read_until(&mut client, "no").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}
