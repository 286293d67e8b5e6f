//! Handing requests on.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::Serialize;

use crate::{Body, Peer, Route};

/// Finds the addresses of a service's tasks that can take requests just now.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `service`; none where it has no task.
    fn resolve<'a>(&'a self, service: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// How the gateway behaves where a route says nothing.
#[derive(Debug, Clone, Default)]
pub struct GatewayOptions {}

/// A route, and what it has seen.
#[derive(Debug, Clone, Serialize)]
pub struct RouteReport {
    /// The route.
    #[serde(flatten)]
    pub route: Route,
}

/// Hands requests on to services.
#[derive(Clone)]
pub struct Gateway {
    routes: Arc<RwLock<Vec<Route>>>,
}

impl Gateway {
    /// A gateway without routes.
    pub fn new(_options: GatewayOptions, _resolver: Arc<dyn Resolve>) -> Self {
        Self { routes: Arc::default() }
    }

    /// Replaces all routes; requests that are under way are not touched.
    pub fn set_routes(&self, routes: Vec<Route>) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// The routes, longest prefix first.
    pub fn routes(&self) -> Vec<RouteReport> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.iter().cloned().map(|route| RouteReport { route }).collect()
    }

    /// Answers a request.
    #[allow(clippy::unused_async, reason = "a stand-in")]
    pub async fn handle(&self, _request: Request<Incoming>, _peer: Peer) -> Response<Body> {
        let body = Full::from("no gateway yet\n").map_err(|never| match never {}).boxed();
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    }

    /// Counters in Prometheus' text form.
    pub fn metrics(&self) -> String {
        String::new()
    }
}
