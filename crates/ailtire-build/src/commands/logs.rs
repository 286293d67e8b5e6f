//! `logs`: what a service writes.

use ailtire::swarm::logs::{LogOptions, TaskLine, logs};
use ailtire::swarm::status::{ServiceStatus, status};
use ailtire::{Application, Engine};
use ailtire_events::LogStream;
use clap::Args;
use futures_util::StreamExt;

use super::deploy::duration;
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::Printer;
use crate::printer::style::{BUSY, FAINT, NOTICE};
use crate::printer::words;
use crate::{exit, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build logs web                       everything that the tasks of a service wrote
  ailtire-build logs mypackage/web --tail 20 --follow
  ailtire-build logs web --since 10m --timestamps --env production";

/// Show what a service writes, with the names of its tasks
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArguments {
    /// Service: its short name, with its stack before it where several have that name, or its full
    /// name
    service: String,

    /// Go on with what is written from now on, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Only the last lines of each task
    #[arg(short = 'n', long, value_name = "NUMBER")]
    tail: Option<u64>,

    /// Only what was written since then (`90s`, `10m`, `2h`)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<std::time::Duration>,

    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
}

/// Writes the lines.
///
/// # Errors
///
/// A [`Failure`] where there is no such service, or the engine can't be asked.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: &LogsArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let application = opening::open(global, &ReleaseArguments::default(), printer)?;
    let engine = Engine::connect(&global.endpoint()).await?;
    ailtire::require_swarm(&engine, false).await?;
    let service = find(&application, &engine, &arguments.service).await?;
    let now = words::now() / 1000;
    let options = LogOptions {
        follow: arguments.follow,
        tail: arguments.tail,
        since: arguments.since.map(|since| now.saturating_sub(since.as_secs())),
    };
    let mut lines = logs(&engine, &service.id, &service.full_name, service.tty, &options).await?;
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            signal = tokio::signal::ctrl_c() => {
                signal.map_err(|error| Failure::io("listen for", "signals", &error))?;
                return Ok(exit::DONE);
            }
        };
        let Some(line) = line else { return Ok(exit::DONE) };
        printer.data(&text(&line?, arguments.timestamps))?;
    }
}

fn text(line: &TaskLine, timestamps: bool) -> String {
    let style = if line.stream == LogStream::Stderr { NOTICE } else { BUSY };
    let task = words::printable(&line.task);
    let time = if timestamps { format!("{FAINT}{}{FAINT:#} ", line.time) } else { String::new() };
    let written = words::plain_log(&line.text);
    format!("{style}{task}{style:#} | {time}{}\n", written.trim_end_matches('\n'))
}

/// The service that runs and that `name` means.
///
/// # Errors
///
/// A [`Failure`] where there is none, or there are several.
pub(super) async fn find(
    application: &Application,
    engine: &Engine,
    name: &str,
) -> Result<ServiceStatus, Failure> {
    let identity = application.identity();
    let running = status(engine, &identity).await?;
    let services = running.stacks.iter().flat_map(|stack| {
        stack
            .services
            .iter()
            .map(move |service| (format!("{}/{}", stack.path, service.name), service))
    });
    let services: Vec<(String, &ServiceStatus)> = services.collect();
    let is_meant = |path: &str, service: &ServiceStatus| {
        service.name == name
            || service.full_name == name
            || path == name
            || path.strip_suffix(name).is_some_and(|before| before.ends_with('/'))
    };
    let meant: Vec<_> = services.iter().filter(|(path, it)| is_meant(path, it)).collect();
    match meant[..] {
        [(_, service)] => Ok((*service).clone()),
        [] => {
            let known = services.iter().map(|(_, service)| service.name.as_str());
            let near = ailtire::nearest(name, known);
            let failure = Failure::usage(format!("no service `{name}` of {} runs", identity.root));
            Err(failure.hint(ailtire::did_you_mean(&near).unwrap_or_else(|| {
                "`ailtire-build status` lists what runs; `--env` names another environment"
                    .to_owned()
            })))
        }
        _ => {
            let paths: Vec<_> = meant.iter().map(|(path, _)| format!("`{path}`")).collect();
            Err(Failure::usage(format!("`{name}` names {} services, not one", meant.len()))
                .hint(format!("choose among {}", paths.join(", "))))
        }
    }
}
