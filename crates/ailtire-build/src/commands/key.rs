//! `key`: keys that sign.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::error::Failure;
use crate::printer::Printer;
use crate::printer::words::printable;
use crate::{exit, keys};

const EXAMPLES: &str = "\
Examples:
  ailtire-build key new                      ailtire.key, and ailtire.key.pub for those who check
  ailtire-build key new --out ci/team.key    elsewhere
  openssl genpkey -algorithm ed25519         makes private keys of the same form";

/// Make keys that sign what is said of images
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeyArguments {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a pair of ed25519 keys: a private one that only you may read, and its public one
    New {
        /// File for the private key; the public one gets the same name with `.pub`
        #[arg(long, value_name = "FILE", default_value = "ailtire.key")]
        out: PathBuf,
    },
}

/// Makes keys.
///
/// # Errors
///
/// A [`Failure`] where they can't be written.
pub(crate) fn run(arguments: &KeyArguments, printer: &Printer) -> Result<u8, Failure> {
    let KeyCommand::New { out } = &arguments.command;
    let (key, public_file) = keys::make(out)?;
    let shown = |path: &PathBuf| printable(&path.display().to_string()).to_string();
    printer.data(&format!(
        "private key  {}\npublic key   {}\nid           {}\n",
        shown(out),
        shown(&public_file),
        key.id()
    ))?;
    Ok(exit::DONE)
}
