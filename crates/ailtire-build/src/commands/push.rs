//! `push`: brings registries up to date with fresh images.

use std::sync::Arc;

use ailtire::{Access, Application, Engine};
use clap::Args;

use super::build::exit_code;
use super::events::{EventArguments, reported};
use super::plan::SelectionArguments;
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::opening;
use crate::printer::{Printer, Reporter};

const EXAMPLES: &str = "\
Examples:
  ailtire-build push --repo registry.example/team          what was built with the same `--repo`
  ailtire-build push web --repo registry.example/team      one image
  ailtire-build build --repo registry.example/team --push  build first

What the registry has is not sent again. Credentials are Docker's: `docker login registry.example`.";

/// Push fresh images to the registry in their names
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PushArguments {
    /// Packages (key, short name or directory), images (name or tag), or globs of these; none: all
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,

    /// Take in the packages below the selected ones
    #[arg(short, long)]
    recursive: bool,

    #[command(flatten)]
    release: ReleaseArguments,

    #[command(flatten)]
    events: EventArguments,
}

/// Pushes.
///
/// # Errors
///
/// A [`Failure`] where the run could not do its work, or was cancelled.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: PushArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let reporter = arguments.events.reporter(printer);
    let result = push(global, &arguments, &reporter).await;
    reported(&arguments.events, &reporter, result)
}

async fn push(
    global: &GlobalArguments,
    arguments: &PushArguments,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen(reporter)?;
    let endpoint = global.endpoint();
    let engine = tokio::spawn(async move { Engine::connect(&endpoint).await });
    let mut options = global.open_options(&arguments.release, Access::Read)?;
    options.deployments = true;
    let sink = Arc::clone(reporter);
    let opened = tokio::task::spawn_blocking(move || Application::open(&options, &*sink));
    let application = interrupt.or_cancelled(opened).await?.map_err(Failure::gave_up)??;
    reporter.set_root(application.root().to_owned());
    opening::tell(&application, &**reporter);
    opening::require_sound(&application)?;
    let selection = SelectionArguments {
        selectors: arguments.selectors.clone(),
        recursive: arguments.recursive,
        ..SelectionArguments::default()
    };
    let options = selection.options(&application)?;
    let engine = interrupt.or_cancelled(engine).await?.map_err(Failure::gave_up)??;
    let outcome = application.push(&options, &engine, &**reporter, interrupt.token()).await?;
    if outcome.cancelled {
        return Err(interrupt.failure());
    }
    Ok(exit_code(&outcome))
}
