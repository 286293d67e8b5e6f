//! A gateway by itself, for measures: `gateway LISTEN PORT ADDRESS...` hands everything on to the
//! tasks at these addresses and this port. It prints where it listens, and drains at end of input.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ailtire_gateway::{Gateway, GatewayOptions, Limits, Resolve, Route, serve};
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

struct Fixed(Vec<IpAddr>);

impl Resolve for Fixed {
    fn resolve<'a>(&'a self, _service: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("arguments: LISTEN PORT ADDRESS...");
    let (listen, port) = (next()?, next()?.parse()?);
    let addresses = arguments.map(|address| address.parse()).collect::<Result<Vec<IpAddr>, _>>()?;
    let gateway = Gateway::new(GatewayOptions::default(), Arc::new(Fixed(addresses)));
    gateway.set_routes(vec![Route {
        prefix: "/".to_owned(),
        service: "backend".to_owned(),
        path: "/".to_owned(),
        port,
        timeout: None,
        retries: None,
    }]);
    let workers = std::env::var("WORKERS").ok().and_then(|count| count.parse().ok()).unwrap_or(2);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(run(&listen, gateway))
}

async fn run(listen: &str, gateway: Gateway) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await?;
    let mut output = io::stdout();
    writeln!(output, "{}", listener.local_addr()?)?;
    output.flush()?;
    let shutdown = CancellationToken::new();
    let asked = shutdown.clone();
    std::thread::spawn(move || {
        // Whoever started this says that it is over by going away.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        asked.cancel();
    });
    // Idle connections are to be counted, not closed.
    let limits = Limits { head_time: Duration::from_mins(10), ..Limits::default() };
    serve(listener, None, Arc::new(gateway), limits, shutdown).await;
    Ok(())
}
