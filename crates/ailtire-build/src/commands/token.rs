//! `token`: what opens the interface of an application's managers.

use ailtire::Engine;
use ailtire::swarm::token::{Token, TokenError};
use clap::Args;

use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::style::{GOOD, status};
use crate::printer::{Printer, words};
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
/// the node anyway.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenArguments {
    /// Give the managers a new one, of `AILTIRE_TOKEN` or a random one; no other service restarts
    #[arg(long)]
    rotate: bool,
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
    printer: &Printer,
) -> Result<u8, Failure> {
    let identity = opening::open(global, &ReleaseArguments::default(), printer)?.identity();
    let chosen = if arguments.rotate { chosen()? } else { None };
    let engine = Engine::connect(&global.endpoint()).await?;
    ailtire::require_swarm(&engine, false).await?;
    let token = if arguments.rotate {
        let (token, managers) = ailtire::rotate_token(&engine, &identity, chosen).await?;
        let managers = words::count(managers, "manager");
        printer.status(&status("Rotated", GOOD, &format!("the token of {managers}")));
        token.reveal().to_owned()
    } else {
        ailtire::read_token(&engine, &identity).await?
    };
    printer.data(&format!("{token}\n"))?;
    Ok(exit::DONE)
}
