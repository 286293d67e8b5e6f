//! Requests over several tasks, some of which fail.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use ailtire_gateway::{GatewayOptions, Limits};
use http::{Method, Request};
use http_body_util::Full;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::common::{
    Client, Rig, Server, answer, get, listeners, loopback, read_until, route, soon, text, until,
};

const NUMBERS: [u8; 3] = [1, 2, 3];

/// A task that says its number.
fn numbered(listener: TcpListener, number: usize) -> Server {
    Server::http(listener, move |_| async move { answer(number.to_string()) })
}

async fn three() -> (Vec<Server>, Rig) {
    let all = listeners(&NUMBERS).await.into_iter().enumerate();
    let servers: Vec<Server> = all.map(|(number, it)| numbered(it, number)).collect();
    let addresses = NUMBERS.map(loopback);
    let routes = vec![route("/", "web", servers[0].address.port())];
    let rig = Rig::start(routes, &[("web", &addresses)]).await;
    (servers, rig)
}

/// How often each task answered.
async fn answers(rig: &Rig, count: usize) -> [usize; 3] {
    let mut numbers = [0; 3];
    for _ in 0..count {
        let (status, body) = rig.get("/").await;
        assert_eq!(status, 200, "{body}");
        numbers[body.parse::<usize>().unwrap()] += 1;
    }
    numbers
}

fn metric(rig: &Rig, name: &str) -> String {
    let metrics = rig.gateway.metrics();
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_task_has_its_share() {
    let (_servers, rig) = three().await;
    assert_eq!(answers(&rig, 9).await, [3, 3, 3]);
    rig.set_tasks("web", &[loopback(3)]);
    assert_eq!(answers(&rig, 3).await, [0, 0, 3]);
}

#[tokio::test]
async fn a_slow_task_gets_fewer_requests() {
    let (entered, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut all = listeners(&[1, 2]).await;
    let port = all[0].local_addr().unwrap().port();
    let fast = numbered(all.remove(0), 0);
    let (entering, released) = (Arc::clone(&entered), Arc::clone(&release));
    let slow = Server::http(all.remove(0), move |_| {
        let (entering, released) = (Arc::clone(&entering), Arc::clone(&released));
        async move {
            entering.fetch_add(1, SeqCst);
            released.notified().await;
            answer("1")
        }
    });
    let addresses: [IpAddr; 2] = [loopback(1), loopback(2)];
    let rig = Arc::new(Rig::start(vec![route("/", "web", port)], &[("web", &addresses)]).await);
    rig.set_tasks("web", &addresses[1..]);
    let waiting = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.get("/").await }
    });
    until(|| entered.load(SeqCst) == 1).await;
    rig.set_tasks("web", &addresses);
    // While one request waits there, all others go where nothing waits.
    assert_eq!(answers(&rig, 10).await, [10, 0, 0]);
    release.notify_one();
    assert_eq!(soon(waiting).await.unwrap().1, "1");
    drop((fast, slow));
}

#[tokio::test]
async fn a_task_that_is_gone_gets_nothing_until_it_is_back() {
    let (mut servers, rig) = three().await;
    let gone = servers.remove(1);
    let address = gone.address;
    drop(gone);
    until(|| std::net::TcpStream::connect(address).is_err()).await;
    // Nobody sees that a task is gone: who came to it first went on to the next.
    let [first, second, third] = answers(&rig, 30).await;
    assert_eq!((first + third, second), (30, 0));
    assert_eq!(metric(&rig, "ailtire_gateway_connect_failures_total"), "1");
    assert_eq!(metric(&rig, "ailtire_gateway_ejections_total"), "1");

    let back = numbered(TcpListener::bind(address).await.unwrap(), 1);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    soon(async {
        while rig.get("/").await.1 != "1" {
            ticks.tick().await;
        }
    })
    .await;
    assert_eq!(answers(&rig, 9).await, [3, 3, 3]);
    drop((back, servers));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_killed_under_load_loses_no_request_that_can_be_retried() {
    let (servers, rig) = three().await;
    let done = Arc::new(AtomicUsize::new(0));
    let clients = (0..16).map(|_| {
        let (address, done) = (rig.address, Arc::clone(&done));
        tokio::spawn(async move {
            let mut client = Client::http1(address).await;
            let mut lost = 0;
            for _ in 0..250 {
                let (status, _) = text(soon(client.send(get("/"))).await).await;
                lost += usize::from(status != 200);
                done.fetch_add(1, SeqCst);
            }
            lost
        })
    });
    let clients: Vec<_> = clients.collect();
    until(|| done.load(SeqCst) > 500).await;
    servers[1].kill();
    until(|| done.load(SeqCst) > 1500).await;
    servers[2].kill();
    let mut lost = 0;
    for client in clients {
        lost += soon(client).await.unwrap();
    }
    println!("2 of 3 tasks killed: {lost} of {} requests lost", done.load(SeqCst));
    assert_eq!((lost, done.load(SeqCst)), (0, 4000));
}

/// A server that closes each connection when it has the head of a request, and counts them.
fn hangs_up(listener: TcpListener) -> (Server, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let server = Server::raw(listener, move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            counter.fetch_add(1, SeqCst);
        }
    });
    (server, count)
}

#[tokio::test]
async fn what_got_no_answer_is_tried_again_where_that_changes_nothing() {
    let mut all = listeners(&[1, 2]).await;
    let port = all[0].local_addr().unwrap().port();
    let (_bad, hung_up) = hangs_up(all.remove(0));
    let _good = numbered(all.remove(0), 1);
    let rig = Rig::start(vec![route("/", "web", port)], &[("web", &[loopback(1)])]).await;
    let ask = async |method: Method| {
        let before = hung_up.load(SeqCst);
        let request = Request::builder().method(method).uri("/").header("host", "a");
        let response = rig.send(request.body(Full::default()).unwrap()).await;
        (response.status().as_u16(), hung_up.load(SeqCst) - before)
    };
    // The only task is asked once more.
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        assert_eq!(ask(method).await, (502, 2));
    }
    for method in [Method::POST, Method::PATCH] {
        assert_eq!(ask(method).await, (502, 1));
    }
    rig.set_tasks("web", &[loopback(1), loopback(2)]);
    for _ in 0..4 {
        let (status, hung_up) = ask(Method::GET).await;
        assert!(status == 200 && hung_up <= 1);
    }
    assert_ne!(metric(&rig, "ailtire_gateway_retries_total"), "0");

    let mut none = route("/", "web", port);
    none.retries = Some(0);
    rig.gateway.set_routes(vec![none]);
    rig.set_tasks("web", &[loopback(1)]);
    assert_eq!(ask(Method::GET).await, (502, 1));
}

#[tokio::test]
async fn a_body_that_was_begun_is_not_sent_twice() {
    let (server, count) = hangs_up(listeners(&[1]).await.remove(0));
    let rig = Rig::before(server.address).await;
    let request = Request::put("/").header("host", "a").body(Full::from(vec![0; 100_000]));
    assert_eq!(rig.send(request.unwrap()).await.status(), 502);
    assert_eq!(count.load(SeqCst), 1);
}

#[tokio::test]
async fn what_could_not_be_connected_is_tried_elsewhere_whatever_it_is() {
    let mut all = listeners(&[1, 2]).await;
    let port = all[0].local_addr().unwrap().port();
    drop(all.remove(0));
    let _good = numbered(all.remove(0), 1);
    let tasks: [(&str, &[IpAddr]); 1] = [("web", &[loopback(1), loopback(2)])];
    let rig = Rig::start(vec![route("/", "web", port)], &tasks).await;
    for _ in 0..4 {
        let request = Request::post("/").header("host", "a").body(Full::from("body")).unwrap();
        assert_eq!(rig.send(request).await.status(), 200);
    }
}

#[tokio::test]
async fn connections_are_used_again_and_replaced_when_the_server_closed_them() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream| {
        counter.fetch_add(1, SeqCst);
        async move {
            for _ in 0..3 {
                read_until(&mut stream, "\r\n\r\n").await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    let rig = Rig::before(server.address).await;
    for _ in 0..9 {
        // Without a side effect or with one: what was closed before is not used.
        let request = Request::post("/").header("host", "a").body(Full::default()).unwrap();
        assert_eq!(rig.send(request).await.status(), 200);
    }
    assert_eq!(connections.load(SeqCst), 3);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let seen = Arc::new(Notify::new());
    let noticed = Arc::clone(&seen);
    let server = Server::raw(listeners(&[1]).await.remove(0), move |mut stream| {
        let noticed = Arc::clone(&noticed);
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            // Nothing more comes, and then the gateway closes.
            assert_eq!(tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await.unwrap(), 0);
            noticed.notify_one();
        }
    });
    let mut slow = route("/", "web", server.address.port());
    slow.timeout = Some(Duration::from_millis(50));
    let rig = Rig::start(vec![slow], &[("web", &[loopback(1)])]).await;
    let reason = "the service `web` did not answer in time\n";
    assert_eq!(rig.get("/").await, (504, reason.to_owned()));
    soon(seen.notified()).await;
}

#[tokio::test]
async fn a_task_that_does_not_accept_in_time_is_passed_over() {
    // A socket with a full queue: the system answers nobody who wants to connect.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((loopback(1), 0).into()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address))
            .await
    {
        queue.push(stream);
    }
    let good = TcpListener::bind((loopback(2), address.port())).await.unwrap();
    let _good = numbered(good, 1);
    let options =
        GatewayOptions { connect_timeout: Duration::from_millis(100), ..Default::default() };
    let tasks: [(&str, &[IpAddr]); 1] = [("web", &[loopback(1)])];
    let routes = vec![route("/", "web", address.port())];
    let rig = Rig::with(options, Limits::default(), None, routes, &tasks).await;
    let reason = "the service `web` does not accept connections in time\n";
    assert_eq!(rig.get("/").await, (504, reason.to_owned()));
    rig.set_tasks("web", &[loopback(1), loopback(2)]);
    assert_eq!(answers(&rig, 3).await, [0, 3, 0]);
}
