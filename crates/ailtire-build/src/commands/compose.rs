//! `compose`: the design of a stack as a compose file.

use std::path::{Path, PathBuf};

use ailtire::{Application, StackTree};
use clap::Args;

use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::Printer;
use crate::{exit, files, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build compose                          the application's own stack
  ailtire-build compose MyPackage --env local    a package's, as it runs in the application
  ailtire-build compose -o stack.yaml            into a file, for `docker stack deploy -c`";

/// Print the design of a stack as a compose file
///
/// Variables are replaced, short forms written out, networks and variables of the format added.
/// What is in secrets is never printed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ComposeArguments {
    /// The package (key, short name, directory or name of its stack); without it, the top package
    package: Option<String>,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    release: ReleaseArguments,
}

/// Writes the compose file.
///
/// # Errors
///
/// A [`Failure`] where there is no such stack, or its design can't be used.
pub(crate) fn run(
    global: &GlobalArguments,
    arguments: &ComposeArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let application = opening::with_stacks(global, &arguments.release, printer)?;
    let (tree, chosen) = choose(&application, arguments.package.as_deref())?;
    printer.diagnostics(&tree.diagnostics);
    application.save()?;
    let text = ailtire::to_yaml(&tree.stacks[chosen].design);
    match arguments.output.as_deref().filter(|file| *file != Path::new("-")) {
        Some(file) => files::replace(file, |out| out.write_all(text.as_bytes()))?,
        None => printer.data(&text)?,
    }
    Ok(exit::DONE)
}

/// The stack that is meant, in its tree: as it runs in the application, where it does.
fn choose(application: &Application, package: Option<&str>) -> Result<(StackTree, usize), Failure> {
    let package = package.map(|selector| application.select_package(selector, Path::new(".")));
    let package = package.transpose().map_err(|error| Failure::findings(vec![*error]))?;
    let read = |root| application.stacks(root).map_err(ailtire::Error::Definitions);
    let tree = read(None);
    let Some(package) = package else { return only_root(application, tree?) };
    // What else is deployed matters little where it has nothing.
    let none_is_deployed = application.definitions().packages[package].deployment.is_none();
    let tree = if none_is_deployed { read(Some(package))? } else { tree? };
    if let Some(chosen) = tree.of_package(package) {
        return Ok((tree, chosen));
    }
    Ok((read(Some(package))?, 0))
}

fn only_root(application: &Application, tree: StackTree) -> Result<(StackTree, usize), Failure> {
    let definitions = application.definitions();
    let is_top = |root: &usize| definitions.packages[tree.stacks[*root].package].parent.is_none();
    let roots: Vec<usize> = tree.roots().collect();
    let root = roots.iter().copied().find(is_top).or((roots.len() == 1).then_some(0));
    if let Some(root) = root {
        return Ok((tree, root));
    }
    let keys = roots.iter().map(|&root| &definitions.packages[tree.stacks[root].package]);
    let keys: Vec<String> = keys.map(|package| format!("`{}`", package.key)).collect();
    Err(Failure::usage("the top package has no stack, and others have several")
        .hint(format!("name one of {}", keys.join(", "))))
}
