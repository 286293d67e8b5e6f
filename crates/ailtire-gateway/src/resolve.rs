//! From services to the addresses of their tasks.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

/// Finds the addresses of a service's tasks that can take requests just now.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `service`; none where it has no task. Asked for each request, so it
    /// should know most answers already.
    fn resolve<'a>(&'a self, service: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// How long an answer counts. A task that is gone by then costs one more try, not a request.
const FRESH: Duration = Duration::from_secs(1);

/// Asks the names that Docker gives to services: `tasks.<service>` for the addresses of its tasks,
/// or the service's own name where nothing has the first, as in a stack without Swarm.
#[derive(Debug, Default)]
pub struct DnsResolver {
    known: Mutex<HashMap<Box<str>, Known>>,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl DnsResolver {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn known(&self, service: &str) -> Option<Vec<IpAddr>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.get(service).filter(|entry| entry.until > Instant::now())?;
        Some(entry.addresses.clone())
    }

    async fn ask(&self, service: &str) -> io::Result<Vec<IpAddr>> {
        if let Some(addresses) = self.known(service) {
            return Ok(addresses);
        }
        let mut addresses = look_up(&format!("tasks.{service}")).await;
        if addresses.is_empty() {
            addresses = look_up(service).await;
        }
        let entry = Known { addresses: addresses.clone(), until: Instant::now() + FRESH };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(service.into(), entry);
        Ok(addresses)
    }
}

impl Resolve for DnsResolver {
    fn resolve<'a>(&'a self, service: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(self.ask(service))
    }
}

/// A name that nobody knows and one that can't be looked up are the same to a request.
async fn look_up(name: &str) -> Vec<IpAddr> {
    let Ok(found) = tokio::net::lookup_host((name, 0)).await else { return Vec::new() };
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_without_tasks_is_asked_for_by_its_own_name() {
        let resolver = DnsResolver::new();
        let addresses = resolver.resolve("localhost").await.unwrap();
        assert!(addresses.iter().any(IpAddr::is_loopback), "{addresses:?}");
        assert_eq!(resolver.known("localhost"), Some(addresses));
        assert!(resolver.resolve("nobody.invalid").await.unwrap().is_empty());
    }
}
