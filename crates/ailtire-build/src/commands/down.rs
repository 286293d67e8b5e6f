//! `down`: takes away what `up` brought.

use std::sync::Arc;

use clap::Args;

use super::deploy::StackArguments;
use super::undeploy::{RemovalArguments, remove};
use crate::arguments::GlobalArguments;
use crate::error::Failure;
use crate::printer::Printer;

const EXAMPLES: &str = "\
Examples:
  ailtire-build down                        managers, services, networks, configs and secrets
  ailtire-build down --env test --volumes   with what the volumes hold";

/// Take an application down, and wait until nothing of it is left
///
/// Managers go first, so that none brings back what is being removed; the application's token goes
/// last. What `deploy` brought goes just as well.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DownArguments {
    #[command(flatten)]
    removal: RemovalArguments,
}

/// Removes.
///
/// # Errors
///
/// A [`Failure`] where the engine can't be used, or something could not be removed.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: DownArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    remove(global, &StackArguments::default(), &arguments.removal, printer).await
}
