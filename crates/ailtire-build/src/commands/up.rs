//! `up`: brings an application up with managers, and says where it is.

use std::sync::Arc;
use std::time::Duration;

use ailtire::swarm::manager::TLS_PORT;
use ailtire::swarm::spec::PortConfig;
use ailtire::swarm::{Outcome, ServiceEnd};
use ailtire::{CacheOptions, Engine, UpOptions, UpOutcome};
use ailtire_events::{Diagnostic, EventKind, EventSink};
use clap::Args;
use serde::Serialize;

use super::cache::CacheArguments;
use super::deploy::{Building, Resolve, bring_up_to_date, duration};
use super::events::{EventArguments, reported};
use super::outcome::conclude;
use super::{DATA_VERSION, DataFormat, token};
use crate::arguments::{GlobalArguments, ReleaseArguments, operator};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::opening;
use crate::printer::style::{GOOD, NOTICE, status};
use crate::printer::{Printer, Reporter};

const EXAMPLES: &str = "\
Examples:
  ailtire-build up                                     build, start, wait until all of it runs
  ailtire-build up --env dev --init-swarm              on an engine that is in no swarm yet
  ailtire-build up --detach                            the managers go on by themselves
  ailtire-build up --format json | jq -r .address      where it is, for a script
  AILTIRE_TOKEN=\"$(pwgen 40 1)\" ailtire-build up      with a token of your own";

/// Bring an application up: one service starts, and the whole tree of stacks follows
///
/// Builds what is not fresh, stack images too, and runs the manager of the application's own stack.
/// Each manager deploys its stack and the managers of the stacks in it, watches them, and is the
/// gateway in front of them. What runs already as it is to be is left alone, whoever deployed it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct UpArguments {
    #[command(flatten)]
    release: ReleaseArguments,

    /// Refuse to run images that are not fresh, instead of building them
    #[arg(long)]
    no_build: bool,

    /// How many images may be built at once; 0: as many as there are processors
    #[arg(short, long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    jobs: usize,

    #[command(flatten)]
    cache: CacheArguments,

    /// When to ask registries which image a reference means
    #[arg(long, value_name = "WHEN", default_value = "always")]
    resolve_image: Resolve,

    /// How long a service may take to run and be healthy (`90s`, `5m`)
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Do not wait for what the managers do
    #[arg(short, long)]
    detach: bool,

    /// Send the credentials of registries to the nodes
    #[arg(long)]
    with_registry_auth: bool,

    /// Make the engine a swarm of one node if it is in none
    #[arg(long)]
    init_swarm: bool,

    /// Form of what is said of the application that is up
    #[arg(long, value_name = "FORMAT", default_value = "text", conflicts_with = "message_format")]
    format: DataFormat,

    #[command(flatten)]
    events: EventArguments,
}

/// Where an application is.
#[derive(Debug, Serialize)]
struct Document<'up> {
    version: u32,
    instance: &'up str,
    address: Option<String>,
    admin: Option<String>,
    services: Vec<ServiceDocument<'up>>,
}

#[derive(Debug, Serialize)]
struct ServiceDocument<'up> {
    stack: &'up str,
    service: &'up str,
    name: &'up str,
    action: ailtire_events::ObjectAction,
}

/// Brings it up.
///
/// # Errors
///
/// A [`Failure`] where something does not run, or the run was cancelled.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: UpArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let reporter = arguments.events.reporter(printer);
    let result = up(global, &arguments, printer, &reporter).await;
    reported(&arguments.events, &reporter, result)
}

async fn up(
    global: &GlobalArguments,
    arguments: &UpArguments,
    printer: &Printer,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let token = token::chosen()?;
    let interrupt = Interrupt::listen(reporter)?;
    let endpoint = global.endpoint();
    let engine = tokio::spawn(async move { Engine::connect(&endpoint).await });
    let application = opening::to_work(global, &arguments.release, reporter, &interrupt).await?;
    let deployment = application.management().map_err(ailtire::Error::Definitions)?;
    for diagnostic in deployment.diagnostics() {
        reporter.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
    }
    let engine = interrupt.or_cancelled(engine).await?.map_err(Failure::gave_up)??;
    let swarm = ailtire::require_swarm(&engine, arguments.init_swarm);
    interrupt.or_cancelled(swarm).await??;
    let cache = arguments.cache.options(&**reporter)?;
    // What managers run has to be in the engine, which has no credentials for them; and what may not
    // be built is not fetched either.
    let cache = cache.filter(|_| !arguments.no_build);
    let cache = cache.map(|cache| CacheOptions { load: true, ..cache });
    let building = Building { forbidden: arguments.no_build, jobs: arguments.jobs, cache };
    let built =
        bring_up_to_date(building, &application, &deployment, &engine, reporter, &interrupt)
            .await?;
    // Whoever builds now must not wait until everything runs.
    let application = application.unlocked();
    let options = UpOptions {
        by: operator(),
        resolve: arguments.resolve_image.into(),
        timeout: arguments.timeout,
        detach: arguments.detach,
        with_registry_auth: arguments.with_registry_auth,
        token,
    };
    let up = application
        .up(&deployment, &built, &options, &engine, &**reporter, interrupt.token())
        .await?;
    tell_token(&up, reporter);
    let (address, outcome) = (address_of(&engine, &up.ports).await, up.outcome.clone());
    let code = conclude(outcome, &interrupt, reporter)?;
    if up.outcome.error.is_none() {
        tell_address(&up, address, arguments, printer, reporter)?;
    }
    Ok(code)
}

/// Says the token that was made, once: later `token` says it.
fn tell_token(up: &UpOutcome, reporter: &Reporter) {
    if let Some(token) = &up.token {
        let text =
            format!("for the interface, shown again by `ailtire-build token`: {}", token.reveal());
        reporter.say(&status("Token", NOTICE, &text));
    }
}

fn tell_address(
    up: &UpOutcome,
    address: Option<String>,
    arguments: &UpArguments,
    printer: &Printer,
    reporter: &Reporter,
) -> Result<(), Failure> {
    let admin = address.as_ref().map(|address| format!("{address}_admin/"));
    if arguments.format == DataFormat::Json {
        let services = up.outcome.services.iter();
        let services = services.map(|it| ServiceDocument {
            stack: &it.stack,
            service: &it.service,
            name: &it.full_name,
            action: it.action,
        });
        return Ok(printer.json(&Document {
            version: DATA_VERSION,
            instance: &up.instance,
            address,
            admin,
            services: services.collect(),
        })?);
    }
    let instance = &up.instance;
    let how = if is_detached(&up.outcome) { "is on its way up" } else { "is up" };
    let text = if let (Some(address), Some(admin)) = (address, admin) {
        format!("{instance} {how}: {address} (interface at {admin})")
    } else {
        let diagnostic = Diagnostic::note("no-port", "the application publishes no port")
            .help("give its stack one: `interface: { ports: { 80: 3000 } }` in `services.js`");
        reporter.emit(EventKind::Diagnostic { diagnostic });
        format!("{instance} {how}")
    };
    reporter.say(&status("Up", GOOD, &text));
    Ok(())
}

fn is_detached(outcome: &Outcome) -> bool {
    outcome.services.iter().any(|service| service.end == ServiceEnd::Detached)
}

/// Where the ports of the root's manager are reached, as far as this machine can say.
async fn address_of(engine: &Engine, ports: &[PortConfig]) -> Option<String> {
    let is_web = |port: &&PortConfig| port.published_port != 0 && port.protocol != "udp";
    let mut ports: Vec<&PortConfig> = ports.iter().filter(is_web).collect();
    // Nobody's browser has to trust the certificate where there is a port without.
    ports.sort_by_key(|port| (is_tls(port), port.published_port));
    let port = ports.first()?;
    let node = engine.swarm_info().await.map(|info| info.node_address).unwrap_or_default();
    let host = host_of(&engine.describe(), &node);
    let (scheme, usual) = if is_tls(port) { ("https", 443) } else { ("http", 80) };
    Some(match port.published_port {
        port if port == usual => format!("{scheme}://{host}/"),
        other => format!("{scheme}://{host}:{other}/"),
    })
}

fn is_tls(port: &PortConfig) -> bool {
    port.target_port == u32::from(TLS_PORT)
}

/// The host of an engine at `endpoint`, whose node has the address `node` in its swarm.
fn host_of(endpoint: &str, node: &str) -> String {
    let is_here = |host: &str| {
        host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback() || it.is_unspecified())
    };
    let remote = endpoint.split_once("://").filter(|(scheme, _)| *scheme != "unix");
    let host = match remote {
        Some((_, rest)) => {
            let authority = rest.split('/').next().unwrap_or_default();
            let authority = authority.rsplit('@').next().unwrap_or_default();
            match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
                _ => authority,
            }
        }
        None => node,
    };
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() || is_here(host) {
        return "localhost".to_owned();
    }
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_is_the_engines_or_this_machine() {
        for (endpoint, node, host) in [
            ("unix:///var/run/docker.sock", "127.0.0.1", "localhost"),
            ("unix:///var/run/docker.sock", "192.168.1.5", "192.168.1.5"),
            ("unix:///var/run/docker.sock", "", "localhost"),
            ("tcp://docker.example:2376", "10.0.0.1", "docker.example"),
            ("tcp://[2001:db8::1]:2376", "10.0.0.1", "[2001:db8::1]"),
            ("tcp://127.0.0.1:2375", "10.0.0.1", "localhost"),
            ("ssh://me@docker.example", "10.0.0.1", "docker.example"),
            ("ssh://me@docker.example:22/run/docker.sock", "10.0.0.1", "docker.example"),
        ] {
            assert_eq!(host_of(endpoint, node), host, "{endpoint}");
        }
    }
}
