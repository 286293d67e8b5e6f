//! `history`: what was deployed when.

use std::fmt::Write as _;

use ailtire::Engine;
use ailtire::swarm::{Deed, Entry, History};
use ailtire_events::FieldChange;
use clap::Args;
use serde::Serialize;

use super::{DATA_VERSION, DataFormat};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::style::{FAINT, NOTICE, STRONG, styled};
use crate::printer::words::{self, count, short_digest};
use crate::printer::{Printer, Verbosity};
use crate::{exit, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build history                        the last deployments, newest first
  ailtire-build history --env production -v    with every service that was changed, and why
  ailtire-build history --format json | jq '.deployments[0].services'";

/// Show what was deployed when, by whom, and in which version
///
/// The history is kept in the swarm: every operator's machine sees the same one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HistoryArguments {
    /// Form of the history
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: DataFormat,
}

#[derive(Debug, Serialize)]
struct Document<'history> {
    version: u32,
    /// Newest first.
    deployments: Vec<Shown<'history>>,
}

#[derive(Debug, Serialize)]
struct Shown<'history> {
    number: u64,
    /// Milliseconds since the Unix epoch.
    at: u64,
    by: &'history str,
    what: Deed,
    /// Whether everything of it ran; a cancelled run is not finished.
    finished: bool,
    application_version: Option<&'history str>,
    services: Vec<ShownService<'history>>,
}

#[derive(Debug, Serialize)]
struct ShownService<'history> {
    stack: &'history str,
    service: &'history str,
    image: &'history str,
    /// What really ran: a digest or an id.
    runs: &'history str,
    fingerprint: Option<&'history str>,
    /// Why it was changed; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'history [FieldChange]>,
}

/// Writes the history.
///
/// # Errors
///
/// A [`Failure`] where the engine can't be asked.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: &HistoryArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let application = opening::open(global, &ReleaseArguments::default(), printer)?;
    let engine = Engine::connect(&global.endpoint()).await?;
    ailtire::require_swarm(&engine, false).await?;
    let identity = application.identity();
    let history = History::read(&engine, &identity).await?;
    for (number, why) in history.damaged() {
        printer.status(&format!(
            "{NOTICE}warning{NOTICE:#}: the entry {number} can't be read: {}\n",
            words::printable(why)
        ));
    }
    let entries: Vec<Shown<'_>> = history.entries().iter().rev().map(shown).collect();
    match arguments.format {
        DataFormat::Json => {
            printer.pretty_json(&Document { version: DATA_VERSION, deployments: entries })?;
        }
        DataFormat::Text if entries.is_empty() => {
            printer.data(&format!("nothing of {} was deployed\n", identity.root))?;
        }
        DataFormat::Text => {
            let verbose = printer.verbosity() == Verbosity::Verbose;
            let now = words::now();
            let text: String = entries.iter().map(|entry| text(entry, now, verbose)).collect();
            printer.data(&text)?;
        }
    }
    Ok(exit::DONE)
}

fn shown(entry: &Entry) -> Shown<'_> {
    let services = entry.desired.stacks.iter().flat_map(|stack| {
        stack.services.iter().map(move |service| ShownService {
            stack: &stack.path,
            service: &service.name,
            image: &service.image,
            runs: &service.spec.task_template.container_spec.image,
            fingerprint: service.fingerprint.as_deref(),
            changes: entry.changes.get(&service.spec.name).map(Vec::as_slice),
        })
    });
    Shown {
        number: entry.number,
        at: entry.at,
        by: &entry.by,
        what: entry.what,
        finished: !entry.unfinished,
        application_version: entry.desired.version.as_deref(),
        services: services.collect(),
    }
}

fn text(entry: &Shown<'_>, now: u64, verbose: bool) -> String {
    let changed = entry.services.iter().filter(|service| service.changes.is_some()).count();
    let what = match entry.what {
        Deed::Deploy => String::new(),
        Deed::Rollback { to } => format!(" back to {to}"),
    };
    let version = entry.application_version.map(|version| format!("  version {version}"));
    let unfinished =
        if entry.finished { String::new() } else { format!("  {NOTICE}unfinished{NOTICE:#}") };
    let mut text = format!(
        "{}{what}  {}  by {}{}  {} of {} changed{unfinished}\n",
        styled(STRONG, &format!("{:>4}", entry.number)),
        words::ago(now.saturating_sub(entry.at)),
        words::printable(entry.by),
        words::printable(&version.unwrap_or_default()),
        changed,
        count(entry.services.len(), "service"),
    );
    for service in entry.services.iter().filter(|_| verbose) {
        let runs = service.fingerprint.unwrap_or(service.runs);
        let _ = writeln!(
            text,
            "        {}/{}  {FAINT}{} ({}){FAINT:#}",
            words::printable(service.stack),
            words::printable(service.service),
            words::printable(service.image),
            short_digest(runs),
        );
        for change in service.changes.into_iter().flatten() {
            let _ = writeln!(text, "          {}", words::printable(&change.to_string()));
        }
    }
    text
}
