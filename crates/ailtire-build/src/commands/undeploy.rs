//! `undeploy`: removes stacks, and waits until nothing of them is left.

use std::sync::Arc;
use std::time::Duration;

use ailtire::{Engine, UndeployOptions};
use ailtire_events::Diagnostic;
use clap::Args;

use super::deploy::{StackArguments, duration};
use super::events::{EventArguments, reported};
use crate::arguments::{GlobalArguments, ReleaseArguments, operator};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::printer::{Printer, Reporter};
use crate::{exit, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build undeploy                            the whole application
  ailtire-build undeploy MyPackage --recursive      one package's stack and those below it
  ailtire-build undeploy --env test --volumes       with what the volumes hold";

/// Remove stacks in reverse order, and wait until their containers and networks are gone
///
/// Without PACKAGE, everything that was deployed of the application in this environment goes, with
/// its history; the definitions need not have it any more.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UndeployArguments {
    #[command(flatten)]
    stacks: StackArguments,

    #[command(flatten)]
    removal: RemovalArguments,
}

/// How to remove.
#[derive(Debug, Args)]
pub(crate) struct RemovalArguments {
    /// Remove named volumes too, and what they hold
    #[arg(long)]
    volumes: bool,

    /// How long a service may take to be gone (`90s`, `5m`)
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    #[command(flatten)]
    events: EventArguments,
}

/// Removes.
///
/// # Errors
///
/// A [`Failure`] where the engine can't be used, or something could not be removed.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: UndeployArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    remove(global, &arguments.stacks, &arguments.removal, printer).await
}

/// Removes the stacks, or the whole application where none is named.
///
/// # Errors
///
/// A [`Failure`] where the engine can't be used, or something could not be removed.
pub(crate) async fn remove(
    global: &GlobalArguments,
    stacks: &StackArguments,
    removal: &RemovalArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let reporter = removal.events.reporter(printer);
    let result = undeploy(global, stacks, removal, printer, &reporter).await;
    reported(&removal.events, &reporter, result)
}

async fn undeploy(
    global: &GlobalArguments,
    stacks: &StackArguments,
    removal: &RemovalArguments,
    printer: &Printer,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen(reporter)?;
    let release = ReleaseArguments::default();
    // What runs is removed whatever became of its definitions, but a package is found by them.
    let (identity, instances) = if stacks.packages.is_empty() {
        (opening::open(global, &release, printer)?.identity(), None)
    } else {
        let application = opening::with_stacks(global, &release, printer)?;
        let deployment = opening::deployment(&application, stacks, &**reporter)?;
        (application.identity(), Some(deployment.instances()))
    };
    let engine = interrupt.or_cancelled(Engine::connect(&global.endpoint())).await??;
    ailtire::require_swarm(&engine, false).await?;
    let options = UndeployOptions {
        by: operator(),
        instances,
        volumes: removal.volumes,
        timeout: removal.timeout,
    };
    let removed =
        ailtire::undeploy(&identity, &options, &engine, &**reporter, interrupt.token()).await?;
    if removed.cancelled {
        return Err(interrupt
            .failure_with("cancelled; what was removed stays so")
            .hint("run the same command again to remove the rest"));
    }
    if removed.failures.is_empty() {
        return Ok(exit::DONE);
    }
    let findings = removed.failures.into_iter();
    let findings = findings.map(|failure| Diagnostic::error("not-removed", failure));
    Err(Failure::undone(findings.collect()))
}
