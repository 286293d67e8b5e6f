//! Counters, in Prometheus' text form.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::routes::Entry;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many there are just now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn enter(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One more of a gauge for as long as this lives.
#[derive(Debug)]
pub(crate) struct Entered(&'static Gauge);

impl Entered {
    pub(crate) fn new(gauge: &'static Gauge) -> Self {
        gauge.enter();
        Self(gauge)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Connections that [`crate::serve`] accepted and that are still there.
pub(crate) static OPEN_CONNECTIONS: Gauge = Gauge::new();
/// Those of them that became something else than HTTP.
pub(crate) static UPGRADED_CONNECTIONS: Gauge = Gauge::new();

/// Upper bounds, in milliseconds, of what durations are sorted into.
const BOUNDS: [u64; 11] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000];

/// What one route has seen.
#[derive(Debug, Default)]
pub(crate) struct RouteCounters {
    /// Requests by the first digit of their status.
    classes: [Counter; 5],
    pub(crate) in_flight: Gauge,
    buckets: [Counter; BOUNDS.len()],
    microseconds: AtomicU64,
    pub(crate) retries: Counter,
}

impl RouteCounters {
    fn finish(&self, status: StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.classes.get(class) {
            counter.add();
        }
        let bucket = BOUNDS.iter().position(|bound| duration <= Duration::from_millis(*bound));
        if let Some(counter) = bucket.and_then(|bucket| self.buckets.get(bucket)) {
            counter.add();
        }
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Relaxed);
        self.in_flight.leave();
    }

    pub(crate) fn requests(&self) -> u64 {
        self.classes.iter().map(Counter::value).sum()
    }

    pub(crate) fn server_errors(&self) -> u64 {
        self.classes[4].value()
    }
}

/// A request on its way, until the last byte of its answer is gone.
#[derive(Debug)]
pub(crate) struct Observation {
    entry: std::sync::Arc<Entry>,
    begin: Instant,
    /// What is counted; a client that went away before there was an answer has none.
    pub(crate) status: StatusCode,
}

impl Observation {
    pub(crate) fn begin(entry: &std::sync::Arc<Entry>) -> Self {
        entry.counters.in_flight.enter();
        let status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
        Self { entry: std::sync::Arc::clone(entry), begin: Instant::now(), status }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.entry.counters.finish(self.status, self.begin.elapsed());
    }
}

/// What all routes have in common.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) unrouted: Counter,
    pub(crate) connect_failures: Counter,
    pub(crate) ejections: Counter,
}

/// Everything in Prometheus' text form.
pub(crate) fn text<'a>(
    counters: &Counters,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) -> String {
    let mut text = String::new();
    // Writing into a string can't fail.
    let _ = write_all(&mut text, counters, entries);
    text
}

fn write_all<'a>(
    text: &mut String,
    counters: &Counters,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) -> fmt::Result {
    let name = "ailtire_gateway_requests_total";
    head(text, name, "counter", "Requests, by route and class of status.")?;
    for entry in entries.clone() {
        for (index, counter) in entry.counters.classes.iter().enumerate() {
            let (labels, class) = (Labels(entry), index + 1);
            writeln!(text, "{name}{{{labels},status=\"{class}xx\"}} {}", counter.value())?;
        }
    }
    let name = "ailtire_gateway_requests_in_flight";
    head(text, name, "gauge", "Requests whose answer is not complete.")?;
    for entry in entries.clone() {
        writeln!(text, "{name}{{{}}} {}", Labels(entry), entry.counters.in_flight.value())?;
    }
    let name = "ailtire_gateway_retries_total";
    head(text, name, "counter", "Requests that were sent once more.")?;
    for entry in entries.clone() {
        writeln!(text, "{name}{{{}}} {}", Labels(entry), entry.counters.retries.value())?;
    }
    let name = "ailtire_gateway_request_duration_seconds";
    head(text, name, "histogram", "From a request's head to the end of its answer.")?;
    for entry in entries {
        write_histogram(text, name, entry)?;
    }
    for (name, kind, help, value) in [
        ("unrouted_total", "counter", "Requests without a route.", counters.unrouted.value()),
        (
            "connect_failures_total",
            "counter",
            "Connections that tasks did not accept.",
            counters.connect_failures.value(),
        ),
        (
            "ejections_total",
            "counter",
            "Times that a task got no requests for a while.",
            counters.ejections.value(),
        ),
        ("connections_open", "gauge", "Connections of clients.", OPEN_CONNECTIONS.value()),
        (
            "connections_upgraded",
            "gauge",
            "Connections that became web sockets.",
            UPGRADED_CONNECTIONS.value(),
        ),
    ] {
        let name = format!("ailtire_gateway_{name}");
        head(text, &name, kind, help)?;
        writeln!(text, "{name} {value}")?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Prometheus' numbers are floats.
fn write_histogram(text: &mut String, name: &str, entry: &Entry) -> fmt::Result {
    let (labels, counters) = (Labels(entry), &entry.counters);
    let mut count = 0;
    for (bound, counter) in BOUNDS.iter().zip(&counters.buckets) {
        count += counter.value();
        let bound = *bound as f64 / 1e3;
        writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
    }
    let all = counters.requests();
    writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}")?;
    let sum = counters.microseconds.load(Relaxed) as f64 / 1e6;
    writeln!(text, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {all}")
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// The labels that name a route.
struct Labels<'a>(&'a Entry);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let route = &self.0.route;
        let (prefix, service) = (escape(&route.prefix), escape(&route.service));
        write!(formatter, "route=\"{prefix}\",service=\"{service}\"")
    }
}
