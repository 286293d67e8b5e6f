//! `rollback`: back to what ran before, the whole application at once.

use std::sync::Arc;
use std::time::Duration;

use ailtire::{Engine, RollbackOptions};
use clap::Args;

use super::deploy::duration;
use super::events::{EventArguments, reported};
use super::outcome::conclude;
use crate::arguments::{GlobalArguments, ReleaseArguments, operator};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::opening;
use crate::printer::{Printer, Reporter};

const EXAMPLES: &str = "\
Examples:
  ailtire-build rollback                  to the deployment before the last one
  ailtire-build rollback --to 3           to the one that `history` calls 3
  ailtire-build rollback --env production --timeout 10m";

/// Go back to an earlier deployment, the whole application at once
///
/// Services, networks and configs become what they were then; what was added since is removed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RollbackArguments {
    /// Number of the deployment in `history`; without it, the one before the last
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,

    /// How long a service may take to run and be healthy (`90s`, `5m`)
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Send the credentials of registries to the nodes
    #[arg(long)]
    with_registry_auth: bool,

    #[command(flatten)]
    events: EventArguments,
}

/// Goes back.
///
/// # Errors
///
/// A [`Failure`] where there is nothing to go back to, or the engine can't be used.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: RollbackArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let reporter = arguments.events.reporter(printer);
    let result = roll_back(global, &arguments, printer, &reporter).await;
    reported(&arguments.events, &reporter, result)
}

async fn roll_back(
    global: &GlobalArguments,
    arguments: &RollbackArguments,
    printer: &Printer,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen(reporter)?;
    let application = opening::open(global, &ReleaseArguments::default(), printer)?;
    let engine = interrupt.or_cancelled(Engine::connect(&global.endpoint())).await??;
    ailtire::require_swarm(&engine, false).await?;
    let options = RollbackOptions {
        by: operator(),
        to: arguments.to,
        timeout: arguments.timeout,
        with_registry_auth: arguments.with_registry_auth,
    };
    let identity = application.identity();
    let outcome =
        ailtire::roll_back(&identity, &options, &engine, &**reporter, interrupt.token()).await?;
    conclude(outcome, &interrupt, reporter)
}
