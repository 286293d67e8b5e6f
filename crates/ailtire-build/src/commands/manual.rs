//! `manual`: manual pages, for packages of this program.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::arguments::Arguments;
use crate::error::Failure;
use crate::exit;

const EXAMPLES: &str = "\
Examples:
  ailtire-build manual ~/.local/share/man/man1";

/// Write the manual pages into a directory
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManualArguments {
    /// The directory, which has to be there
    directory: PathBuf,
}

/// Writes a page for the program, and one for each command.
///
/// # Errors
///
/// A [`Failure`] where they can't be written.
pub(crate) fn run(arguments: &ManualArguments) -> Result<u8, Failure> {
    let directory = &arguments.directory;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(|error| {
        Failure::io("write manual pages to", format_args!("`{}`", directory.display()), &error)
    })?;
    Ok(exit::DONE)
}
