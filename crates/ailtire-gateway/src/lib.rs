//! The HTTP gateway of a stack.
//!
//! A [`Gateway`] hands requests on to the services of a stack: the longest prefix of its routes
//! wins, the prefix is replaced, and the request goes to one of the tasks that the service has
//! just now. [`serve`] accepts connections (HTTP/1.1 and HTTP/2, with or without TLS) and gives
//! each request to a handler, which is the gateway or something in front of it.

mod answer;
mod check;
mod connection;
mod exchange;
mod gateway;
mod headers;
mod held;
mod metrics;
mod options;
mod protocol;
mod request_body;
mod resolve;
mod response_body;
mod routes;
mod server;
mod socket;
mod tasks;
mod tls;
mod tunnel;

pub use gateway::{Gateway, RouteReport};
pub use options::GatewayOptions;
pub use resolve::{DnsResolver, Resolve};
pub use server::{Handle, Limits, Peer, serve};
pub use tls::{TlsError, tls_acceptor};
pub use tokio_rustls::TlsAcceptor;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use serde::{Deserialize, Serialize};

/// The error of a body that broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of what the gateway answers: streamed, never buffered.
pub type Body = BoxBody<Bytes, BodyError>;

/// A route: requests under `prefix` go to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Begins with a slash.
    pub prefix: String,
    /// The service's short name.
    pub service: String,
    /// What replaces the prefix; begins with a slash.
    pub path: String,
    /// The service's port.
    pub port: u16,
    /// How long a request may take until the head of its answer is there.
    pub timeout: Option<Duration>,
    /// How often a request without side effects that got no answer is tried again.
    pub retries: Option<u32>,
}
