//! The program: its arguments, and what serves while it lives.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ailtire_gateway::{DnsResolver, Gateway, GatewayOptions, Limits, serve};
use ailtire_swarm::manager::TLS_PORT;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin::Front;
use crate::auth::Token;
use crate::bundle::Content;
use crate::client::Ask;
use crate::life::{self, End};
use crate::settings::Settings;
use crate::state::{Manager, gateway_route};
use crate::{client, deploy, log, place, tls, whoami};

/// More threads than this do not make a gateway faster, and each has a stack.
const THREADS: usize = 4;

/// Commands of the interface that may wait.
const COMMANDS: usize = 16;

const USAGE: &str = "\
Manages a stack: deploys, serves, watches and removes it.

Usage: ailtire-manager [--stack DIRECTORY] [--listen ADDRESS]
       ailtire-manager healthy|token

  healthy      exits with 0 where the manager of this container is ready
  token        prints the application's token
  --stack      the directory with the stack's design (/stack)
  --listen     the address to listen on (0.0.0.0:3000)
  --version    prints the version
  --help       prints this

Everything else is told by variables: AILTIRE_APPNAME, AILTIRE_ENV, AILTIRE_STACKNAME, AILTIRE_PARENT,
AILTIRE_ADMIN (off: no interface), AILTIRE_LOG (error, warn, info, debug), AILTIRE_TIMEOUT (seconds that a
service may take), AILTIRE_TRUST_FORWARDED (on: X-Forwarded-For is believed), AILTIRE_REMOVE_ON_STOP (1:
SIGTERM removes the stack), DOCKER_HOST.
";

/// Runs the program with the arguments and variables of the process; its exit code.
pub fn main() -> ExitCode {
    log::start();
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let settings = Settings::from_variables(variables);
    let word = arguments.first().filter(|it| !it.starts_with("--stack") && !it.starts_with("--l"));
    let word = word.cloned().inspect(|_| drop(arguments.remove(0)));
    let settings = match settings.with_arguments(arguments) {
        Ok(settings) => settings,
        Err(error) => return complain(&error, "`ailtire-manager --help` lists what there is"),
    };
    match word.as_deref() {
        None => run(settings),
        Some("healthy") => healthy(&settings),
        Some("token") => token(&settings),
        Some("--version" | "-V") => {
            print(&format!("ailtire-manager {}\n", env!("CARGO_PKG_VERSION")))
        }
        Some("--help" | "-h" | "help") => print(USAGE),
        Some(other) => complain(
            &format!("`{other}` is no command of this program"),
            "`ailtire-manager --help` lists what there is",
        ),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(error: &str, hint: &str) -> ExitCode {
    // Nobody is left to be told where standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "error: {error}\nhint: {hint}");
    ExitCode::FAILURE
}

/// The container's health check.
fn healthy(settings: &Settings) -> ExitCode {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let address = SocketAddr::from(([127, 0, 0, 1], settings.listen.port()));
    let ask = Ask {
        address,
        method: Method::GET,
        path: "/healthz?ready",
        token: None,
        body: None,
        within: client::TIMEOUT,
    };
    match runtime.block_on(ask.send()) {
        Ok((StatusCode::OK, _)) => ExitCode::SUCCESS,
        Ok((_, body)) => {
            complain(String::from_utf8_lossy(&body).trim(), "the manager's log says more")
        }
        Err(why) => complain(&why, "the manager does not run"),
    }
}

fn token(settings: &Settings) -> ExitCode {
    match Token::read(&settings.token_file) {
        Ok(Some(token)) => print(&format!("{}\n", token.expose())),
        Ok(None) => complain(
            "this manager has no token yet",
            "its log says what it waits for; run this inside the manager's container",
        ),
        Err(error) => complain(&error.to_string(), "make another secret of it"),
    }
}

fn run(settings: Settings) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(serve_stack(settings));
            end(runtime);
            served
        }
        Err(error) => Err(format!("no threads could be started: {error}")),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(&error, json!({}));
            ExitCode::FAILURE
        }
    }
}

/// What still runs has nothing more to do: look-ups of names, for one.
fn end(runtime: Runtime) {
    runtime.shutdown_timeout(Duration::from_millis(100));
}

/// Listens, and lives until somebody ends it.
async fn serve_stack(settings: Settings) -> Result<(), String> {
    let signals = signals().map_err(|error| format!("signals can't be heard: {error}"))?;
    let content = Content::load(&settings.bundle).map_err(|error| error.to_string())?;
    let tls = tls::acceptor(&settings.tls)?;
    let listen = settings.listen;
    let bind = async |address: SocketAddr| {
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| format!("{address} can't be listened on: {error}"))
    };
    let listener = bind(listen).await?;
    let options =
        GatewayOptions { trusts_forwarded: settings.trusts_forwarded, ..GatewayOptions::default() };
    let gateway = Gateway::new(options, Arc::new(DnsResolver::new()));
    let (sender, commands) = mpsc::channel(COMMANDS);
    let manager = Arc::new(Manager::new(settings, content, gateway, sender));
    serve_routes_at_once(&manager);
    let front = Arc::new(Front::new(Arc::clone(&manager)));
    let (stop, drain) = (CancellationToken::new(), CancellationToken::new());
    let mut servers =
        vec![tokio::spawn(serve(listener, None, front.clone(), Limits::default(), drain.clone()))];
    if let Some(tls) = tls {
        let listener = bind(SocketAddr::new(listen.ip(), TLS_PORT)).await?;
        let served = serve(listener, Some(tls), front, Limits::default(), drain.clone());
        servers.push(tokio::spawn(served));
    }
    let fields = json!({
        "after_ms": log::since_start(), "address": listen.to_string(),
        "routes": manager.routes().len(),
    });
    log::info("ready to route", fields);
    let listening = tokio::spawn(stop_on(signals, stop.clone()));
    let end = life::live(Arc::clone(&manager), commands, stop).await;
    listening.abort();
    log::info("stopping", json!({ "stack_stays": end == End::Told }));
    manager.closing.cancel();
    drain.cancel();
    for server in servers {
        // One that panicked is drained, too.
        let _ = server.await;
    }
    Ok(())
}

/// The table of routes is in the design, which needs no engine to be read.
fn serve_routes_at_once(manager: &Manager) {
    let own = whoami::Own::default();
    let place = place::Place::find(&manager.settings, &manager.content.bundle, own);
    let context = place.context(&manager.settings, BTreeMap::new());
    // What is wrong with the design is said when it is deployed.
    if let Ok(design) = deploy::read(manager, &manager.content.design, &context) {
        manager.set_routes(design.routes.iter().map(gateway_route).collect());
        manager.state().design = Some(Arc::new(design));
    }
}

fn signals() -> std::io::Result<[Signal; 2]> {
    Ok([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?])
}

async fn stop_on([mut terminate, mut interrupt]: [Signal; 2], stop: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
    // The process ends by itself from here on; another signal changes nothing.
    std::future::pending::<()>().await;
}
