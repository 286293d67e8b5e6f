//! A manager without a stack: the real page and the real access control, with a made-up report,
//! and actions that are only written down.
//!
//! It has the manager of a stack inside, too, below `/cart`, as a gateway would show it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ailtire_events::LogStream;
use ailtire_gateway::{Body, Handle, Limits, Peer};
use ailtire_manager::auth::{Access, Caller, Denial, Session, Token, Visit};
use ailtire_manager::page::{self, Action, Form, LogPage, Notice, PageContext};
use ailtire_manager::report::StackReport;
use ailtire_swarm::logs::TaskLine;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The token of every stand-in.
pub(crate) const TOKEN: &str = "a-token-that-nobody-guesses";

/// When the made-up report was true, in seconds since 1970.
const WRITTEN: i64 = 1_800_000_000;

/// A stand-in that listens.
pub(crate) struct StandIn {
    address: SocketAddr,
    state: Arc<State>,
    _stop: DropGuard,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    access: Access,
    report: Mutex<StackReport>,
    /// What was done, as lines.
    done: Mutex<Vec<String>>,
    /// Counts changes; open streams end when there is none any more.
    changes: Mutex<Option<watch::Sender<u64>>>,
    lines: Mutex<Vec<TaskLine>>,
    followers: Mutex<Vec<mpsc::Sender<TaskLine>>>,
}

impl StandIn {
    /// Starts one, with the report of `report.json`.
    pub(crate) fn start() -> Self {
        Self::with_report(sample())
    }

    /// Starts one with another report.
    pub(crate) fn with_report(report: StackReport) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let state = Arc::new(State {
            access: Access::new(&Token::parse(TOKEN).unwrap()),
            report: Mutex::new(report),
            done: Mutex::default(),
            changes: Mutex::new(Some(watch::Sender::new(0))),
            lines: Mutex::default(),
            followers: Mutex::default(),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let handler = Arc::new(Handler(Arc::clone(&state)));
        runtime.spawn(ailtire_gateway::serve(
            listener,
            None,
            handler,
            Limits::default(),
            stop.clone(),
        ));
        Self { address, state, _stop: stop.drop_guard(), _runtime: runtime }
    }

    /// The address of `path`.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Changes the report, and says that it changed.
    pub(crate) fn change(&self, change: impl FnOnce(&mut StackReport)) {
        change(&mut self.state.report.lock().unwrap());
        if let Some(changes) = &*self.state.changes.lock().unwrap() {
            changes.send_modify(|count| *count += 1);
        }
    }

    /// Ends the streams of events; from now on, there is none.
    pub(crate) fn end_events(&self) {
        *self.state.changes.lock().unwrap() = None;
    }

    /// Writes a line of `web`.
    pub(crate) fn write_line(&self, stream: LogStream, text: &str) {
        let line = TaskLine {
            task: "web.1".to_owned(),
            stream,
            time: "2027-01-15T07:59:18.123456789Z".to_owned(),
            text: text.to_owned(),
        };
        self.state.lines.lock().unwrap().push(line.clone());
        let mut followers = self.state.followers.lock().unwrap();
        followers.retain(|follower| follower.try_send(line.clone()).is_ok());
    }

    /// How many follow the log.
    pub(crate) fn followers(&self) -> usize {
        let mut followers = self.state.followers.lock().unwrap();
        followers.retain(|follower| !follower.is_closed());
        followers.len()
    }

    /// What was done since it was asked last.
    pub(crate) fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.state.done.lock().unwrap())
    }
}

/// The report of `report.json`, as if it were written now.
pub(crate) fn sample() -> StackReport {
    let mut report: Value = serde_json::from_str(include_str!("report.json")).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    shift(&mut report, now - WRITTEN);
    serde_json::from_value(report).unwrap()
}

fn shift(value: &mut Value, seconds: i64) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| shift(value, seconds)),
        Value::Array(values) => values.iter_mut().for_each(|value| shift(value, seconds)),
        Value::String(text) => {
            if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
                *text = (time + chrono::Duration::seconds(seconds)).to_rfc3339();
            }
        }
        Value::Number(number) => {
            if let Some(time) = number.as_i64().filter(|number| *number > WRITTEN) {
                *value = (time + seconds * 1000).into();
            }
        }
        _ => {}
    }
}

struct Handler(Arc<State>);

impl Handle for Handler {
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> futures_util::future::BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let path = head.uri.path_and_query().unwrap().to_string();
            let inside = path.strip_prefix("/cart");
            if inside.is_some() {
                let prefix = HeaderValue::from_static("/cart");
                head.headers.insert("x-forwarded-prefix", prefix);
            }
            let asked = Asked {
                path: inside.unwrap_or(&path).to_owned(),
                is_inside: inside.is_some(),
                request: Request::from_parts(head, ()),
                body,
                peer,
            };
            self.0.answer(&asked)
        })
    }
}

/// A request to one of the managers.
struct Asked {
    /// As the manager sees it.
    path: String,
    is_inside: bool,
    request: Request<()>,
    body: Bytes,
    peer: Peer,
}

impl Asked {
    /// The path below `/_admin/`, and the query.
    fn target(&self) -> (&str, Form) {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        (path.strip_prefix("/_admin").unwrap_or_default(), Form::parse(query.as_bytes()))
    }

    fn wants_html(&self) -> bool {
        let accept = self.request.headers().get(header::ACCEPT);
        accept.is_some_and(|accept| accept.to_str().unwrap().contains("text/html"))
    }
}

impl State {
    fn answer(&self, asked: &Asked) -> Response<Body> {
        let visit = Visit::of(&asked.request, asked.peer);
        let (name, query) = asked.target();
        let Some(name) = name.strip_prefix('/') else {
            return redirect("_admin/");
        };
        let asset = page::asset(name);
        if let Some(asset) = asset.filter(|asset| asset.is_open) {
            return file(asset);
        }
        if asked.request.method() == Method::POST && name == "login" {
            return self.log_in(asked, &visit);
        }
        let caller = match self.access.identify(&visit) {
            Ok(caller) => caller,
            Err(denial) => return refuse(asked, denial),
        };
        let Caller::Browser(session) = &caller else { unreachable!("only browsers come here") };
        if let Some(asset) = asset {
            return file(asset);
        }
        if asked.request.method() == Method::POST {
            let form = Form::parse(&asked.body);
            return match self.access.allow_change(&caller, &visit, form.csrf()) {
                Ok(()) => self.act(asked, name, &form, session, &visit),
                Err(denial) => html(
                    denial.status(),
                    page::problem(
                        denial.status(),
                        &denial.to_string(),
                        &PageContext::new(Some(session)),
                    ),
                ),
            };
        }
        self.show(asked, name, &query, session)
    }

    fn log_in(&self, asked: &Asked, visit: &Visit<'_>) -> Response<Body> {
        let form = Form::parse(&asked.body);
        let next = page::next_page(form.get("next").unwrap_or_default());
        match self.access.log_in(visit, form.get("token").unwrap_or_default()) {
            Ok(session) => {
                let mut response = redirect(next);
                let prefixes = page::prefixes(Some(&self.report_of(asked)), &visit.prefix());
                let prefixes = prefixes.iter().map(String::as_str);
                for cookie in session.cookies(prefixes, visit.is_secure()) {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
                response
            }
            Err(denial) => {
                let context = PageContext::new(None);
                html(
                    denial.status(),
                    page::login(&format!("/_admin/{next}"), Some(denial), &context),
                )
            }
        }
    }

    fn report_of(&self, asked: &Asked) -> StackReport {
        let report = self.report.lock().unwrap();
        if asked.is_inside {
            return report.children[0].report.as_deref().unwrap().clone();
        }
        report.clone()
    }

    fn show(&self, asked: &Asked, name: &str, query: &Form, session: &Session) -> Response<Body> {
        let report = self.report_of(asked);
        let notice = Notice::of(query);
        let context = PageContext { notice: notice.as_ref(), ..PageContext::new(Some(session)) };
        match name {
            "" | "view" => html(StatusCode::OK, page::overview(&report, &context)),
            "confirm" => {
                let action = Action::of(query);
                match action.and_then(|action| page::confirm(&report, &action, &context)) {
                    Some(page) => html(StatusCode::OK, page),
                    None => html(
                        StatusCode::NOT_FOUND,
                        page::problem(StatusCode::NOT_FOUND, "no such service", &context),
                    ),
                }
            }
            "log" if asked.wants_html() => {
                let service = query.get("name").unwrap_or_default();
                let tail = query.get("tail").and_then(|tail| tail.parse().ok());
                let lines = self.lines.lock().unwrap().clone();
                let tail = tail.unwrap_or(page::DEFAULT_TAIL);
                let page = LogPage { service, tail, lines: &lines, error: None };
                html(StatusCode::OK, page::logs(&report, &page, &context))
            }
            "log" => self.follow(),
            "events" => self.events(),
            _ => html(
                StatusCode::NOT_FOUND,
                page::problem(StatusCode::NOT_FOUND, "no such page", &context),
            ),
        }
    }

    fn act(
        &self,
        asked: &Asked,
        name: &str,
        form: &Form,
        session: &Session,
        visit: &Visit<'_>,
    ) -> Response<Body> {
        let report = self.report_of(asked);
        if name == "logout" {
            self.access.log_out(session, visit);
            let mut response = redirect("view");
            for cookie in Session::removal([&*visit.prefix()], visit.is_secure()) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            return response;
        }
        let service = form.get("name").map(str::to_owned);
        let action = match name {
            "scale" => Action::Scale { name: service.unwrap() },
            "redeploy" => Action::Redeploy { name: service },
            "shutdown" => Action::Shutdown,
            other => unreachable!("there is no button for {other}"),
        };
        let context = PageContext::new(Some(session));
        if !action.is_confirmed(form, &report) {
            let status = StatusCode::BAD_REQUEST;
            return html(status, page::problem(status, "that is not its name", &context));
        }
        let details = [form.get("name"), form.get("replicas")].into_iter().flatten();
        let words: Vec<&str> =
            [report.instance.as_str(), name].into_iter().chain(details).collect();
        self.done.lock().unwrap().push(words.join(" "));
        match action {
            Action::Shutdown => html(StatusCode::OK, page::farewell(&report)),
            action if asked.wants_html() => redirect(&action.next_page()),
            _ => json_answer(&json!({ "api": 1 })),
        }
    }

    fn events(&self) -> Response<Body> {
        let Some(mut changes) = self.changes.lock().unwrap().as_ref().map(watch::Sender::subscribe)
        else {
            return html(StatusCode::NOT_FOUND, String::new());
        };
        let (sender, receiver) = mpsc::channel(8);
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                if sender.send("event: change\ndata: {}\n\n".to_owned()).await.is_err() {
                    return;
                }
            }
        });
        stream("text/event-stream", receiver)
    }

    fn follow(&self) -> Response<Body> {
        let (follower, mut lines) = mpsc::channel::<TaskLine>(64);
        self.followers.lock().unwrap().push(follower);
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            loop {
                let line = tokio::select! {
                    () = sender.closed() => return,
                    line = lines.recv() => line,
                };
                let Some(TaskLine { task, stream, time, text }) = line else { return };
                let line = json!({ "task": task, "stream": stream, "time": time, "text": text });
                if sender.send(format!("{line}\n")).await.is_err() {
                    return;
                }
            }
        });
        stream("application/x-ndjson", receiver)
    }
}

/// The login form for browsers, with the status that says no.
fn refuse(asked: &Asked, denial: Denial) -> Response<Body> {
    if asked.wants_html() {
        let form = page::login(&asked.path, Some(denial), &PageContext::new(None));
        return html(denial.status(), form);
    }
    let mut response = json_answer(&json!({ "api": 1, "error": denial.to_string() }));
    *response.status_mut() = denial.status();
    response
}

fn html(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    for (name, value) in page::HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn json_answer(value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn redirect(target: &str) -> Response<Body> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(target).unwrap());
    response
}

fn file(asset: page::Asset) -> Response<Body> {
    let mut response = Response::new(whole(asset.content));
    let kind = HeaderValue::from_static(asset.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn whole(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never: Infallible| match never {}).boxed()
}

fn stream(kind: &'static str, receiver: mpsc::Receiver<String>) -> Response<Body> {
    use tokio_stream::StreamExt;
    let frames = ReceiverStream::new(receiver).map(|text| Ok(Frame::data(Bytes::from(text))));
    let mut response = Response::new(StreamBody::new(frames).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
