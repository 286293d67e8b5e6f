//! `status`: what runs.

use std::fmt::Write as _;
use std::time::Duration;

use ailtire::swarm::status::{ServiceCondition, ServiceStatus, StackStatus, Status, TaskStatus};
use ailtire::swarm::{History, Identity};
use ailtire::{Application, Engine};
use clap::Args;
use serde::Serialize;

use super::{DATA_VERSION, DataFormat};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::style::{BAD, FAINT, GOOD, NOTICE, STRONG, styled};
use crate::printer::words::{self, short_digest};
use crate::printer::{Printer, Verbosity};
use crate::{exit, opening};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  ailtire-build status                              stacks, services and tasks
  ailtire-build status --env production --watch     until Ctrl-C
  ailtire-build status --format json | jq '.stacks[].services[] | select(.running < .wanted)'";

/// Show what runs: stacks, services and tasks
///
/// Exits with 1 if a service is not what it is to be.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArguments {
    /// Show it again whenever it changes, until Ctrl-C
    #[arg(short, long)]
    watch: bool,

    /// Form of the status
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: DataFormat,
}

#[derive(Debug, Serialize)]
struct Document<'status> {
    version: u32,
    #[serde(flatten)]
    status: &'status Status,
}

/// Writes the status.
///
/// # Errors
///
/// A [`Failure`] where the engine can't be asked.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: &StatusArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let application = opening::open(global, &ReleaseArguments::default(), printer)?;
    let engine = Engine::connect(&global.endpoint()).await?;
    ailtire::require_swarm(&engine, false).await?;
    if arguments.watch {
        return watch(&application, &engine, arguments.format, printer).await;
    }
    let status = look(&engine, &application.identity()).await?;
    show(&status, arguments.format, printer)?;
    Ok(if is_well(&status) { exit::DONE } else { exit::FAILED })
}

/// What runs, and what was deployed and is not there.
async fn look(engine: &Engine, identity: &Identity) -> Result<Status, Failure> {
    let mut status = ailtire::swarm::status::status(engine, identity).await?;
    if let Some(last) = History::read(engine, identity).await?.last() {
        status.add_missing(&last.desired);
    }
    Ok(status)
}

fn is_well(status: &Status) -> bool {
    let mut services = status.stacks.iter().flat_map(|stack| &stack.services);
    services.all(|service| {
        !matches!(
            service.condition,
            ServiceCondition::Degraded | ServiceCondition::Paused | ServiceCondition::Missing
        )
    })
}

/// Shows the status again whenever it changed, until a signal comes.
async fn watch(
    application: &Application,
    engine: &Engine,
    format: DataFormat,
    printer: &Printer,
) -> Result<u8, Failure> {
    let identity = application.identity();
    let mut looks = tokio::time::interval(LOOK);
    let mut shown = None;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            signal = tokio::signal::ctrl_c() => {
                signal.map_err(|error| Failure::io("listen for", "signals", &error))?;
                return Ok(exit::DONE);
            }
        }
        let status = look(engine, &identity).await?;
        if shown.as_ref() == Some(&status) {
            continue;
        }
        if format == DataFormat::Text && Printer::data_is_shown() {
            // From the top of an empty screen, as `watch` does it.
            printer.data("\u{1b}[H\u{1b}[2J")?;
        }
        show(&status, format, printer)?;
        shown = Some(status);
    }
}

fn show(status: &Status, format: DataFormat, printer: &Printer) -> Result<(), Failure> {
    match format {
        DataFormat::Json => {
            printer.json(&Document { version: DATA_VERSION, status })?;
        }
        DataFormat::Text if status.stacks.is_empty() => {
            printer.data(&format!("nothing of {} is deployed\n", status.identity.root))?;
        }
        DataFormat::Text => {
            let now = words::now();
            let verbose = printer.verbosity() == Verbosity::Verbose;
            let stacks = status.stacks.iter();
            let text: String = stacks.map(|stack| stack_text(stack, now, verbose)).collect();
            printer.data(&text)?;
        }
    }
    Ok(())
}

fn stack_text(stack: &StackStatus, now: u64, verbose: bool) -> String {
    let depth = stack.path.matches('/').count();
    let indent = "  ".repeat(depth);
    let mut text = format!("{indent}{}\n", styled(STRONG, &stack.path));
    for service in &stack.services {
        text.push_str(&service_text(service, &indent, now, verbose));
    }
    text
}

fn service_text(service: &ServiceStatus, indent: &str, now: u64, verbose: bool) -> String {
    let (style, word) = looks(service.condition);
    let count = match service.condition {
        ServiceCondition::Completed => format!("{}", service.completed),
        _ => format!("{}/{}", service.running, service.wanted),
    };
    let age = words::time(&service.updated_at).map(|time| words::ago(now.saturating_sub(time)));
    let mut line = format!(
        "{indent}  {style}{word:<9}{style:#} {count:>5}  {}  {}",
        styled(STRONG, &service.name),
        words::printable(&service.image),
    );
    if let Some(fingerprint) = &service.fingerprint {
        let _ = write!(line, " {FAINT}({}){FAINT:#}", short_digest(fingerprint));
    }
    if let Some(age) = age {
        let _ = write!(line, "  {FAINT}{age}{FAINT:#}");
    }
    if let Some(instance) = &service.manages {
        let _ = write!(line, "  {FAINT}manages{FAINT:#} {}", words::printable(instance));
    }
    line.push('\n');
    if let Some(error) = &service.last_error {
        let _ = writeln!(line, "{indent}      {BAD}{}{BAD:#}", words::printable(error));
    }
    let has_trouble = service.condition != ServiceCondition::Running;
    for task in &service.tasks {
        if verbose || has_trouble && task.desired_state != "shutdown" || task.node_is_down {
            line.push_str(&task_text(task, indent, now));
        }
    }
    line
}

fn task_text(task: &TaskStatus, indent: &str, now: u64) -> String {
    let age = words::time(&task.since).map(|time| words::ago(now.saturating_sub(time)));
    let mut line = format!("{indent}      {}  {}", words::printable(&task.name), task.state);
    if let Some(node) = &task.node {
        let down = if task.node_is_down { " (down)" } else { "" };
        let _ = write!(line, " on {}{down}", words::printable(node));
    }
    if let Some(age) = age {
        let _ = write!(line, "  {age}");
    }
    if let Some(code) = task.exit_code.filter(|code| *code != 0) {
        let _ = write!(line, "  exit code {code}");
    }
    if let Some(error) = &task.error {
        let _ = write!(line, "  {}", words::printable(error));
    }
    format!("{FAINT}{line}{FAINT:#}\n")
}

fn looks(condition: ServiceCondition) -> (anstyle::Style, &'static str) {
    match condition {
        ServiceCondition::Running => (GOOD, "running"),
        ServiceCondition::Completed => (GOOD, "completed"),
        ServiceCondition::Stopped => (GOOD, "stopped"),
        ServiceCondition::Updating => (NOTICE, "updating"),
        ServiceCondition::Degraded => (BAD, "degraded"),
        ServiceCondition::Paused => (BAD, "paused"),
        ServiceCondition::Missing => (BAD, "missing"),
    }
}
