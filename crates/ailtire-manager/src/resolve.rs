//! Where the tasks of a service are: Docker's own name server tells.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use ailtire_gateway::Resolve;
use futures_util::future::BoxFuture;

/// Asks for `tasks.<service>`, which has the addresses of tasks that run and are healthy, whatever
/// way the service itself is reached.
pub(crate) struct NameServer;

impl Resolve for NameServer {
    fn resolve<'a>(&'a self, service: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((format!("tasks.{service}"), 0)).await;
            match found {
                Ok(addresses) => {
                    let addresses: BTreeSet<IpAddr> = addresses.map(|it| it.ip()).collect();
                    Ok(addresses.into_iter().collect())
                }
                // A name that is not there is a service without tasks.
                Err(error) if is_unknown(&error) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        })
    }
}

/// The C library's errors have no kind of their own: only their words tell that there is no such
/// name from a name server that does not answer.
fn is_unknown(error: &io::Error) -> bool {
    let text = error.to_string();
    ["Name or service not known", "No address associated"].iter().any(|it| text.contains(it))
}
