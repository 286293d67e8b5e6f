//! Requests find their service, and arrive there as they should.

use crate::common::{Client, Rig, Server, answer, get, loopback, route, soon, text};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

#[tokio::test]
async fn requests_go_where_their_path_says() {
    let echo = Server::echo().await;
    let port = echo.address.port();
    let routes = vec![route("/", "web", port), route("/doc", "doc", port)];
    let tasks: [(&str, &[_]); 2] = [("web", &[loopback(1)]), ("doc", &[loopback(1)])];
    let rig = Rig::start(routes, &tasks).await;
    for (path, line) in [
        ("/doc", "GET / HTTP/1.1"),
        ("/doc/a%2Fb/?x=%20&y", "GET /a%2Fb/?x=%20&y HTTP/1.1"),
        ("/doc?x", "GET /?x HTTP/1.1"),
        ("/docs", "GET /docs HTTP/1.1"),
        ("/", "GET / HTTP/1.1"),
    ] {
        let (status, body) = rig.get(path).await;
        assert_eq!((status, body.lines().next()), (200, Some(line)), "{path}");
    }
    let reports = rig.gateway.routes();
    let seen: Vec<_> = reports.iter().map(|it| (it.route.prefix.as_str(), it.requests)).collect();
    assert_eq!(seen, [("/doc", 3), ("/", 2)]);

    rig.gateway.set_routes(vec![route("/doc", "doc", port)]);
    assert_eq!(rig.get("/").await, (404, "no route leads there\n".to_owned()));
    assert_eq!(rig.gateway.routes()[0].requests, 3);
}

#[tokio::test]
async fn a_service_learns_who_asked_and_how() {
    let echo = Server::echo().await;
    let port = echo.address.port();
    let rig = Rig::start(vec![route("/doc", "doc", port)], &[("doc", &[loopback(1)])]).await;
    let request = Request::get("/doc/x")
        .header("host", "example.org:8080")
        .header("connection", "close, x-private")
        .header("x-private", "1")
        .header("keep-alive", "timeout=1")
        .header("x-forwarded-for", "203.0.113.7");
    let response = rig.send(request.body(Full::default()).unwrap()).await;
    assert_eq!(response.headers()["via"], "1.1 ailtire");
    let (_, body) = text(response).await;
    for line in [
        "host: example.org:8080",
        "x-forwarded-for: 203.0.113.7, 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: example.org:8080",
        "x-forwarded-prefix: /doc",
        "forwarded: for=127.0.0.1;host=\"example.org:8080\";proto=http",
        "via: 1.1 ailtire",
    ] {
        assert!(body.lines().any(|it| it == line), "{line} is not in {body}");
    }
    for name in ["x-private", "keep-alive", "connection"] {
        assert!(!body.contains(&format!("\n{name}:")), "{name} is in {body}");
    }
}

#[tokio::test]
async fn headers_of_an_answer_for_the_gateway_alone_stay_there() {
    let server = Server::start(|_| async {
        let mut response = answer("x");
        let headers = response.headers_mut();
        headers.insert("connection", "x-private".parse().unwrap());
        headers.insert("x-private", "1".parse().unwrap());
        headers.insert("keep-alive", "timeout=1".parse().unwrap());
        headers.insert("x-public", "1".parse().unwrap());
        response
    })
    .await;
    let rig = Rig::before(server.address).await;
    let response = rig.send(get("/")).await;
    let has = |name| response.headers().contains_key(name);
    assert!(has("x-public") && has("via") && has("date"));
    assert!(!has("x-private") && !has("keep-alive") && !has("connection"));
}

#[tokio::test]
async fn both_protocols_arrive_the_same() {
    let echo = Server::echo().await;
    let rig = Rig::before(echo.address).await;
    let mut client = Client::http2(rig.address).await;
    let request = Request::post(format!("http://{}/x?y", rig.address))
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let response = soon(client.send(request.body(Full::from("body")).unwrap())).await;
    let (status, body) = text(response).await;
    assert_eq!(status, 200);
    let host = format!("host: {}", rig.address);
    for line in ["POST /x?y HTTP/1.1", "cookie: a=1; b=2", &host, "content-length: 4", "body"] {
        assert!(body.lines().any(|it| it == line), "{line} is not in {body}");
    }
}

#[tokio::test]
async fn bodies_of_unknown_length_and_trailers_go_through() {
    let server = Server::start(|request| async {
        let is_chunked = request.headers()["transfer-encoding"] == "chunked";
        let wants = request.headers()["te"] == "trailers";
        let body = request.into_body().collect().await.unwrap();
        let sum = body.trailers().and_then(|trailers| trailers.get("x-sum").cloned());
        let said = format!("{is_chunked} {wants} {sum:?} {:?}", body.to_bytes());
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", "reached".parse().unwrap());
        let frames = [Ok(Frame::data(Bytes::from(said))), Ok(Frame::trailers(trailers))];
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
        http::Response::builder().header("trailer", "x-end").body(body).unwrap()
    })
    .await;
    let rig = Rig::before(server.address).await;
    for is_multiplexed in [false, true] {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "17".parse().unwrap());
        let frames = [Ok(Frame::data(Bytes::from("data"))), Ok(Frame::trailers(trailers))];
        let body = StreamBody::new(futures_util::stream::iter::<
            [Result<_, std::convert::Infallible>; 2],
        >(frames));
        let mut request = Request::post("/").header("te", "trailers").header("trailer", "x-sum");
        let mut client = if is_multiplexed {
            request = request.uri(format!("http://{}/", rig.address));
            Client::http2(rig.address).await
        } else {
            request = request.header("host", "example.org").header("connection", "te");
            Client::http1(rig.address).await
        };
        let response = soon(client.send(request.body(body).unwrap())).await;
        let body = soon(response.into_body().collect()).await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-end"], "reached");
        assert_eq!(body.to_bytes(), "true true Some(\"17\") b\"data\"");
    }
}

#[tokio::test]
async fn a_get_with_a_body_of_unknown_length_keeps_it() {
    let echo = Server::echo().await;
    let rig = Rig::before(echo.address).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\
        \r\n3\r\nabc\r\n0\r\n\r\n";
    let body = rig.raw(request).await;
    assert!(body.contains("\n\nabc\nNone"), "{body}");
}

#[tokio::test]
async fn a_client_that_expects_to_be_asked_for_its_body_is_asked() {
    use tokio::io::AsyncWriteExt;
    let echo = Server::echo().await;
    let rig = Rig::before(echo.address).await;
    let mut stream = rig.connect().await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let asked = crate::common::read_until(&mut stream, "\r\n\r\n").await;
    assert!(asked.starts_with("HTTP/1.1 100"), "{asked}");
    stream.write_all(b"abc").await.unwrap();
    let body = crate::common::read_until(&mut stream, "abc\nNone").await;
    assert!(body.starts_with("HTTP/1.1 200") && !body.contains("expect:"), "{body}");

    rig.set_tasks("web", &[]);
    let refused = rig.raw(head.replace("host: a", "host: a\r\nconnection: close")).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
}

#[tokio::test]
async fn who_can_not_be_answered_learns_why_but_not_where() {
    let routes = vec![route("/down", "down", 1), route("/none", "none", 1)];
    let rig = Rig::start(routes, &[("down", &[loopback(1)])]).await;
    let refused = "the service `down` does not accept connections";
    assert_eq!(rig.get("/down").await, (502, format!("{refused}\n")));
    let nobody = "the service `none` has no task that runs";
    assert_eq!(rig.get("/none").await, (503, format!("{nobody}\n")));

    let mut request = get("/none");
    request.headers_mut().insert("accept", "text/html, application/json;q=0.9".parse().unwrap());
    let response = rig.send(request).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["retry-after"], "1");
    let (_, body) = text(response).await;
    assert_eq!(body, format!("{{\"error\":\"{nobody}\",\"status\":503}}\n"));
}

#[tokio::test]
async fn a_gateway_behind_a_gateway_continues_what_the_first_one_said() {
    let echo = Server::echo().await;
    let port = echo.address.port();
    let inner = Rig::start(vec![route("/doc", "doc", port)], &[("doc", &[loopback(1)])]).await;
    let routes = vec![route("/mypackage", "mypackage", inner.address.port())];
    let outer = Rig::start(routes, &[("mypackage", &[loopback(1)])]).await;
    let (status, body) = outer.get("/mypackage/doc/x").await;
    assert_eq!(status, 200);
    for line in [
        "GET /x HTTP/1.1",
        "host: example.org",
        "x-forwarded-prefix: /mypackage/doc",
        "x-forwarded-for: 127.0.0.1, 127.0.0.1",
        "via: 1.1 ailtire, 1.1 ailtire",
    ] {
        assert!(body.lines().any(|it| it == line), "{line} is not in {body}");
    }
}

#[tokio::test]
async fn routes_that_lead_in_a_circle_end() {
    let rig = Rig::start(Vec::new(), &[("web", &[loopback(1)])]).await;
    rig.gateway.set_routes(vec![route("/", "web", rig.address.port())]);
    assert_eq!(rig.get("/").await, (508, "routes lead in a circle\n".to_owned()));
}

#[tokio::test]
async fn what_happened_is_counted() {
    let echo = Server::echo().await;
    let routes = vec![route("/", "web", echo.address.port()), route("/down", "down", 1)];
    let tasks: [(&str, &[_]); 2] = [("web", &[loopback(1)]), ("down", &[loopback(1)])];
    let rig = Rig::start(routes, &tasks).await;
    rig.get("/").await;
    rig.get("/").await;
    rig.get("/down").await;
    let metrics = rig.gateway.metrics();
    for line in [
        "ailtire_gateway_requests_total{route=\"/\",service=\"web\",status=\"2xx\"} 2",
        "ailtire_gateway_requests_total{route=\"/down\",service=\"down\",status=\"5xx\"} 1",
        "ailtire_gateway_requests_in_flight{route=\"/\",service=\"web\"} 0",
        "ailtire_gateway_request_duration_seconds_count{route=\"/\",service=\"web\"} 2",
        "ailtire_gateway_request_duration_seconds_bucket{route=\"/\",service=\"web\",le=\"+Inf\"} 2",
        "ailtire_gateway_connect_failures_total 1",
        "ailtire_gateway_ejections_total 1",
        "# TYPE ailtire_gateway_connections_open gauge",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn a_count_of_forwards_ends_here_when_it_is_used_up() {
    let echo = Server::echo().await;
    let rig = Rig::before(echo.address).await;
    let ask = |count: &str| {
        let request = Request::options("/").header("host", "a").header("max-forwards", count);
        rig.send(request.body(Full::default()).unwrap())
    };
    assert_eq!(ask("0").await.status(), 204);
    let (_, body) = text(ask("5").await).await;
    assert!(body.contains("max-forwards: 4"), "{body}");
    let asterisk = rig.raw("OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(asterisk.starts_with("HTTP/1.1 204"), "{asterisk}");
}

#[tokio::test]
async fn answers_without_a_body_stay_as_they_are() {
    let server = Server::start(|request| async move {
        let mut response = answer("0123456789");
        if request.uri().path() == "/unchanged" {
            response = answer("");
            *response.status_mut() = http::StatusCode::NOT_MODIFIED;
        }
        response
    })
    .await;
    let rig = Rig::before(server.address).await;
    let mut client = Client::http1(rig.address).await;
    for _ in 0..2 {
        let request = Request::head("/").header("host", "a").body(Full::<Bytes>::default());
        let response = soon(client.send(request.unwrap())).await;
        assert_eq!(response.headers()["content-length"], "10");
        assert_eq!(text(response).await, (200, String::new()));
        let response = soon(client.send(get("/unchanged"))).await;
        assert_eq!(text(response).await, (304, String::new()));
        assert_eq!(text(soon(client.send(get("/"))).await).await.1, "0123456789");
    }
}
