//! Settings of a gateway.

use std::time::Duration;

/// How the gateway behaves where a route says nothing.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// How long a task may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long an answer's head may take; with a body that is still being sent, since its last part.
    pub answer_timeout: Duration,
    /// How long an answer's body may pause. Generous, for the sake of events that come seldom.
    pub body_pause: Duration,
    /// How often a request without side effects that got no answer is tried again.
    pub retries: u32,
    /// How long a connection to a task is kept for another request. Shorter than what servers
    /// usually grant (Node: 5 s), so that seldom one is used that its server is about to close.
    pub keep_alive: Duration,
    /// How many connections to one task are kept while nothing goes over them.
    pub idle_connections: usize,
    /// Whether `Forwarded`, `X-Forwarded-*` and `Via` of requests are kept and continued, which is
    /// right behind another gateway. Where clients are strangers they can claim anything by these,
    /// and they are to be replaced instead.
    pub trusts_forwarded: bool,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_mins(1),
            body_pause: Duration::from_mins(15),
            retries: 1,
            keep_alive: Duration::from_secs(4),
            idle_connections: 64,
            trusts_forwarded: true,
        }
    }
}
