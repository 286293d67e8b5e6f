//! `token`: what opens the interface of an application's managers.

use std::sync::Arc;
use std::time::Duration;

use ailtire::swarm::token::{Token, TokenError};
use ailtire::{Engine, Rotation};
use clap::Args;

use super::deploy::duration;
use super::events::{EventArguments, reported};
use super::outcome::conclude;
use crate::arguments::{GlobalArguments, ReleaseArguments, operator};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::printer::style::{GOOD, status};
use crate::printer::{Printer, Reporter, words};
use crate::{exit, opening};

/// The variable with a token of somebody's own choice.
pub(crate) const VARIABLE: &str = "AILTIRE_TOKEN";

const EXAMPLES: &str = "\
Examples:
  ailtire-build token                                   to log in at /_admin/
  curl -H \"Authorization: Bearer $(ailtire-build token)\" http://localhost/_admin/status
  ailtire-build token --rotate                          a new one: the one before opens nothing more
  AILTIRE_TOKEN=\"$(pwgen 40 1)\" ailtire-build token --rotate";

/// Show the token that opens the interface of the application's managers
///
/// It is read in a manager's container, on the engine that runs it: whoever may do that is root of
/// the node anyway. `--rotate` ends when all managers have the new one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenArguments {
    /// Give the managers a new one, of `AILTIRE_TOKEN` or a random one; no other service restarts
    #[arg(long)]
    rotate: bool,

    /// How long a manager may take to run with the new one (`90s`, `5m`)
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, requires = "rotate")]
    timeout: Duration,
}

/// The token that the environment chooses, if it does.
///
/// # Errors
///
/// A [`Failure`] where it can't be one.
pub(crate) fn chosen() -> Result<Option<Token>, Failure> {
    match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => Ok(Some(Token::chosen(&text).map_err(unusable)?)),
        _ => Ok(None),
    }
}

fn unusable(error: TokenError) -> Failure {
    Failure::usage(format!("`{VARIABLE}` can't be used: {error}"))
        .hint(format!("leave `{VARIABLE}` out for a random one"))
}

/// Shows or changes the token.
///
/// # Errors
///
/// A [`Failure`] where there are no managers, or the engine can't be used.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: &TokenArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    if arguments.rotate {
        let events = EventArguments::default();
        let reporter = events.reporter(printer);
        let result = rotate(global, arguments, printer, &reporter).await;
        return reported(&events, &reporter, result);
    }
    let identity = opening::open(global, &ReleaseArguments::default(), printer)?.identity();
    let engine = Engine::connect(&global.endpoint()).await?;
    ailtire::require_swarm(&engine, false).await?;
    let token = ailtire::read_token(&engine, &identity).await?;
    printer.data(&format!("{token}\n"))?;
    Ok(exit::DONE)
}

async fn rotate(
    global: &GlobalArguments,
    arguments: &TokenArguments,
    printer: &Printer,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen(reporter)?;
    let identity = opening::open(global, &ReleaseArguments::default(), printer)?.identity();
    let chosen = chosen()?;
    let engine = interrupt.or_cancelled(Engine::connect(&global.endpoint())).await??;
    ailtire::require_swarm(&engine, false).await?;
    let how = (&*operator(), arguments.timeout);
    let sink = &**reporter;
    let rotation =
        ailtire::rotate_token(&engine, &identity, chosen, how, sink, interrupt.token()).await?;
    let Some(Rotation { token, outcome }) = rotation else {
        return Err(interrupt.failure_with("cancelled: the token stays as it was"));
    };
    // It is the token from now on, whatever became of the managers.
    printer.data(&format!("{}\n", token.reveal()))?;
    if outcome.error.is_none() {
        let managers = words::count(outcome.services.len(), "manager");
        reporter.say(&status("Rotated", GOOD, &format!("the token of {managers}")));
    }
    conclude(outcome, &interrupt, reporter)
}
