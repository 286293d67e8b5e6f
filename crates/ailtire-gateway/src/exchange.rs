//! One request and its answer, over as many tasks as it takes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::answer::Refusal;
use crate::connection::{Connection, Unanswered};
use crate::gateway::Inner;
use crate::request_body::RequestBody;
use crate::routes::Entry;
use crate::tasks::{Lease, Task};

/// The head of an answer, and where its body will come from.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) connection: Box<Connection>,
    pub(crate) lease: Lease,
}

/// A request that looks for an answer.
pub(crate) struct Exchange<'a> {
    gateway: &'a Inner,
    entry: &'a Entry,
    /// Absent only while it is under way for the last time.
    head: Option<Parts>,
    body: RequestBody,
    /// Who got it already.
    tried: Vec<SocketAddr>,
    /// How often it may be sent again after it may have arrived.
    retries: u32,
    /// Whether kept connections are to be left alone, since one of them did not hold.
    wants_fresh: bool,
    failure: Failure,
}

/// What the last try met with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    NoTask,
    NotAccepted,
    TooSlowToAccept,
    NoAnswer,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        gateway: &'a Inner,
        entry: &'a Entry,
        head: Parts,
        body: RequestBody,
    ) -> Self {
        // Only what does the same when it is done twice (RFC 9110, 9.2.2).
        let retries = entry.route.retries.unwrap_or(gateway.options.retries);
        let retries = if head.method.is_idempotent() { retries } else { 0 };
        Self {
            gateway,
            entry,
            head: Some(head),
            body,
            tried: Vec::new(),
            retries,
            wants_fresh: false,
            failure: Failure::NoTask,
        }
    }

    /// Gets an answer's head in the time that the route grants.
    pub(crate) async fn run(mut self) -> Result<Answered, Refusal> {
        let limit = self.entry.route.timeout.unwrap_or(self.gateway.options.answer_timeout);
        let service = &self.entry.route.service;
        let body = self.body.clone();
        // Pinned where it is: moving it would cost more than most of what it does.
        let answer = pin!(self.run_unlimited());
        match within(limit, &body, answer).await {
            Ok(outcome) => outcome,
            Err(Late::Service) => Err(Refusal::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("the service `{service}` did not answer in time"),
            )),
            Err(Late::Client) => {
                let reason = "the rest of the request did not come in time";
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, reason))
            }
        }
    }

    async fn run_unlimited(&mut self) -> Result<Answered, Refusal> {
        loop {
            let Some(task) = self.next_task().await? else { return Err(self.refusal()) };
            let lease = Lease::new(Arc::clone(&task));
            let Some(mut connection) = self.connect(&task).await else {
                self.tried.push(task.address);
                continue;
            };
            let Some(request) = self.request() else { return Err(self.refusal()) };
            match connection.send(request).await {
                Ok(response) => return Ok(Answered { response, connection, lease }),
                Err(Unanswered::Unsent(request)) => {
                    self.failure = Failure::NoAnswer;
                    self.head = Some(request.into_parts().0);
                }
                Err(Unanswered::Lost) => self.lost(connection.is_reused)?,
            }
            self.wants_fresh = connection.is_reused;
            if !connection.is_reused {
                self.tried.push(task.address);
            }
        }
    }

    /// The next task to try: each once, and one that lost a request once more if there is no other.
    async fn next_task(&mut self) -> Result<Option<Arc<Task>>, Refusal> {
        let route = &self.entry.route;
        let resolved = self.gateway.resolver.resolve(&route.service).await;
        let addresses = resolved.map_err(|_| {
            let reason = format!("the service `{}` can't be looked up just now", route.service);
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason)
        })?;
        let tasks = &self.gateway.tasks;
        let task = tasks.choose(&addresses, route.port, &self.tried);
        if task.is_none() && self.failure == Failure::NoAnswer {
            self.tried.clear();
            return Ok(tasks.choose(&addresses, route.port, &[]));
        }
        Ok(task)
    }

    /// A connection to a task, or nothing if it does not accept one: such a task is left alone for a
    /// while.
    async fn connect(&mut self, task: &Task) -> Option<Box<Connection>> {
        let options = &self.gateway.options;
        if !self.wants_fresh
            && let Some(connection) = task.take_idle(options.keep_alive)
        {
            return Some(connection);
        }
        match Connection::open(task.address, options.connect_timeout).await {
            Ok(connection) => {
                task.accepted();
                Some(connection)
            }
            Err(error) => {
                task.refused();
                self.gateway.counters.connect_failures.add();
                self.gateway.counters.ejections.add();
                self.failure = match error.kind() {
                    io::ErrorKind::TimedOut => Failure::TooSlowToAccept,
                    _ => Failure::NotAccepted,
                };
                None
            }
        }
    }

    /// The request, of which a copy is kept as long as it may have to be sent again.
    fn request(&mut self) -> Option<Request<RequestBody>> {
        let head = if self.retries > 0 { self.head.clone() } else { self.head.take() };
        Some(Request::from_parts(head?, self.body.clone()))
    }

    /// The connection ended without an answer. A kept connection may just have been closed for its
    /// age, so that its loss says nothing of the task, and does not count.
    fn lost(&mut self, was_reused: bool) -> Result<(), Refusal> {
        self.failure = Failure::NoAnswer;
        if self.body.has_failed() {
            return Err(Refusal::bad("the request broke off"));
        }
        if self.retries == 0 || self.body.has_begun() {
            return Err(self.refusal());
        }
        if !was_reused {
            self.retries -= 1;
        }
        self.entry.counters.retries.add();
        Ok(())
    }

    fn refusal(&self) -> Refusal {
        let service = &self.entry.route.service;
        let (status, reason) = match self.failure {
            Failure::NoTask => (StatusCode::SERVICE_UNAVAILABLE, "has no task that runs"),
            Failure::NotAccepted => (StatusCode::BAD_GATEWAY, "does not accept connections"),
            Failure::TooSlowToAccept => {
                (StatusCode::GATEWAY_TIMEOUT, "does not accept connections in time")
            }
            Failure::NoAnswer => (StatusCode::BAD_GATEWAY, "gave no valid answer"),
        };
        Refusal::new(status, format!("the service `{service}` {reason}"))
    }
}

/// Who was too slow.
enum Late {
    Service,
    Client,
}

/// Waits for the answer, for so long after the request is complete; while it is not, each part of it
/// that comes buys as much time again.
async fn within<T>(
    limit: Duration,
    body: &RequestBody,
    mut answer: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Late> {
    let mut deadline = Instant::now() + limit;
    loop {
        if let Ok(answer) = timeout_at(deadline, answer.as_mut()).await {
            return Ok(answer);
        }
        let extended = body.last_part().map(|last_part| Instant::from_std(last_part) + limit);
        match extended.filter(|extended| *extended > deadline) {
            Some(extended) => deadline = extended,
            None if body.is_partial() => return Err(Late::Client),
            None => return Err(Late::Service),
        }
    }
}
