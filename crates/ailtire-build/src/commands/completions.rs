//! `completions`: for the shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::error::Failure;
use crate::exit;
use crate::printer::Printer;

const EXAMPLES: &str = "\
Examples:
  ailtire-build completions bash > ~/.local/share/bash-completion/completions/ailtire-build
  ailtire-build completions zsh > ~/.zfunc/_ailtire-build
  ailtire-build completions fish > ~/.config/fish/completions/ailtire-build.fish";

/// Write completions for a shell to standard output
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Writes the completions.
///
/// # Errors
///
/// A [`Failure`] where standard output can't be written.
pub(crate) fn run(arguments: &CompletionsArguments, printer: &Printer) -> Result<u8, Failure> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut text);
    printer.data(&String::from_utf8_lossy(&text))?;
    Ok(exit::DONE)
}
