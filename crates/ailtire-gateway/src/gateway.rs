//! Handing requests on.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use http::header::MAX_FORWARDS;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;

use crate::answer::{self, Refusal};
use crate::exchange::{Answered, Exchange};
use crate::headers::{self, Forwarding};
use crate::metrics::{self, Counters, Observation};
use crate::request_body::RequestBody;
use crate::response_body::{Keeping, ResponseBody};
use crate::routes::{Entry, Table};
use crate::tasks::Tasks;
use crate::tunnel::{self, Wish};
use crate::{Body, GatewayOptions, Handle, Peer, Resolve, Route, check};

/// A route, and what it has seen.
#[derive(Debug, Clone, Serialize)]
pub struct RouteReport {
    /// The route.
    #[serde(flatten)]
    pub route: Route,
    /// How many requests it had.
    pub requests: u64,
    /// How many of them failed: those with a status of 500 and above.
    pub failures: u64,
    /// How many are not answered yet.
    pub in_flight: u64,
}

/// Hands requests on to services.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: GatewayOptions,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tasks: Tasks,
    pub(crate) counters: Counters,
    table: RwLock<Arc<Table>>,
}

impl Gateway {
    /// A gateway without routes.
    pub fn new(options: GatewayOptions, resolver: Arc<dyn Resolve>) -> Self {
        Self(Arc::new(Inner {
            options,
            resolver,
            tasks: Tasks::default(),
            counters: Counters::default(),
            table: RwLock::default(),
        }))
    }

    /// Replaces all routes; requests that are under way are not touched. What a route has counted
    /// stays with its prefix and service.
    pub fn set_routes(&self, routes: Vec<Route>) {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        let entries = routes.into_iter().map(|route| {
            let is_same = |old: &&Arc<Entry>| {
                (&old.route.prefix, &old.route.service) == (&route.prefix, &route.service)
            };
            let old = table.entries().iter().find(is_same);
            let counters = old.map(|old| Arc::clone(&old.counters)).unwrap_or_default();
            Entry::new(route, counters)
        });
        let new = Table::new(entries.collect());
        *table = Arc::new(new);
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.0.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The routes, longest prefix first.
    pub fn routes(&self) -> Vec<RouteReport> {
        let table = self.table();
        let report = |entry: &Arc<Entry>| RouteReport {
            route: entry.route.clone(),
            requests: entry.counters.requests(),
            failures: entry.counters.server_errors(),
            in_flight: entry.counters.in_flight.value(),
        };
        table.entries().iter().map(report).collect()
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let as_json = answer::prefers_json(request.headers());
        match self.route(request, peer).await {
            Ok(response) => response,
            Err(refusal) => refusal.answer(as_json),
        }
    }

    /// Counters in Prometheus' text form.
    pub fn metrics(&self) -> String {
        metrics::text(&self.0.counters, self.table().entries().iter().map(AsRef::as_ref))
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Result<Response<Body>, Refusal> {
        let host = check::host(&request)?;
        if request.uri().path() == "*" {
            return Ok(answer::options());
        }
        let Some(entry) = self.table().find(request.uri().path()).map(Arc::clone) else {
            self.0.counters.unrouted.add();
            return Err(Refusal::new(StatusCode::NOT_FOUND, "no route leads there"));
        };
        let mut observation = Observation::begin(&entry);
        let forwarded = self.forward(request, peer, host, &entry).await;
        match forwarded {
            Ok(Forwarded::Answered(Answered { response, connection, lease })) => {
                let options = &self.0.options;
                let keeping = Keeping {
                    idle_connections: options.idle_connections,
                    keep_alive: options.keep_alive,
                    body_pause: options.body_pause,
                };
                let (mut head, body) = response.into_parts();
                observation.status = head.status;
                headers::answer(&mut head.headers);
                head.version = Version::HTTP_11;
                let body = ResponseBody::new(body, connection, lease, observation, keeping);
                Ok(Response::from_parts(head, body.boxed()))
            }
            Ok(Forwarded::Complete(response)) => {
                observation.status = response.status();
                Ok(response)
            }
            Err(refusal) => {
                observation.status = refusal.status;
                Err(refusal)
            }
        }
    }

    async fn forward(
        &self,
        mut request: Request<Incoming>,
        peer: Peer,
        host: Option<HeaderValue>,
        entry: &Entry,
    ) -> Result<Forwarded, Refusal> {
        let service = &entry.route.service;
        let may_go_on = count_forwards(&mut request)?;
        if !may_go_on {
            return Ok(Forwarded::Complete(answer::options()));
        }
        let wish = tunnel::is_wished(&request).then(|| Wish::take(&mut request));
        let (mut head, body) = request.into_parts();
        head.extensions.clear();
        let body = if wish.is_some() { RequestBody::Empty } else { RequestBody::new(body) };
        let original = head.uri.path_and_query().cloned();
        let original = original.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let rewritten = entry.rewrite(&original).ok_or_else(|| Refusal::bad("a bad path"))?;
        head.uri = Uri::from(rewritten);
        let forwarding = Forwarding {
            peer,
            host,
            service,
            hidden_prefix: entry.hidden_prefix(),
            trusts: self.0.options.trusts_forwarded,
            version: head.version,
            is_chunked: body.is_chunked(),
        };
        forwarding.apply(&mut head.headers)?;
        head.version = Version::HTTP_11;
        if let Some(wish) = &wish {
            head.method = Method::GET;
            wish.add_to(&mut head.headers);
        }
        let answered = Exchange::new(&self.0, entry, head, body).run().await?;
        if answered.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Forwarded::Answered(answered));
        }
        let Answered { response, connection, lease } = answered;
        let joined = wish.filter(|wish| wish.is_granted(response.headers())).and_then(|wish| {
            let (mut head, _) = response.into_parts();
            headers::answer(&mut head.headers);
            wish.grant(head.headers, *connection, lease)
        });
        let reason = || format!("the service `{service}` changed the protocol on its own");
        joined
            .map(Forwarded::Complete)
            .ok_or_else(|| Refusal::new(StatusCode::BAD_GATEWAY, reason()))
    }
}

/// What came of a request.
enum Forwarded {
    Answered(Answered),
    /// There is nothing to stream.
    Complete(Response<Body>),
}

/// Counts `Max-Forwards` down, which only these methods have (RFC 9110, 7.6.2); whether the request
/// may go on.
fn count_forwards<B>(request: &mut Request<B>) -> Result<bool, Refusal> {
    if request.method() != Method::OPTIONS && request.method() != Method::TRACE {
        return Ok(true);
    }
    let Some(value) = request.headers_mut().get_mut(MAX_FORWARDS) else { return Ok(true) };
    let count: Option<u32> = value.to_str().ok().and_then(|value| value.parse().ok());
    let count = count.ok_or_else(|| Refusal::bad("`Max-Forwards` is no number"))?;
    let Some(fewer) = count.checked_sub(1) else { return Ok(false) };
    *value = HeaderValue::from(fewer);
    Ok(true)
}

impl Handle for Gateway {
    fn handle(&self, request: Request<Incoming>, peer: Peer) -> BoxFuture<'_, Response<Body>> {
        Box::pin(Self::handle(self, request, peer))
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gateway").field("routes", &self.routes()).finish_non_exhaustive()
    }
}
