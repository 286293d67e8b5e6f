//! `check`: everything that can be found without an engine.

use ailtire::{Access, Application};
use ailtire_events::{Diagnostic, NullSink, Severity};
use clap::Args;

use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::exit;
use crate::printer::style::{BAD, GOOD, NOTICE, status};
use crate::printer::words::count;
use crate::printer::{MessageFormat, Printer, Verbosity};

const EXAMPLES: &str = "\
Examples:
  ailtire-build check                          every definition, for every environment
  ailtire-build check --message-format json    one finding a line, for editors and pipelines";

/// Report everything that is wrong with the definitions, for every environment
///
/// Exits with 2 if anything is an error; warnings do not fail.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    release: ReleaseArguments,

    /// Form of the findings
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    message_format: MessageFormat,
}

/// Writes the findings.
///
/// # Errors
///
/// A [`Failure`] where there is no application.
pub(crate) fn run(
    global: &GlobalArguments,
    arguments: &CheckArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let mut options = global.open_options(&arguments.release, Access::Read)?;
    options.deployments = true;
    let application = Application::open(&options, &NullSink)?;
    let found = ailtire::check(&application);
    let errors = found.iter().filter(|finding| finding.is_error()).count();
    match arguments.message_format {
        MessageFormat::Human => printer.diagnostics(&found),
        MessageFormat::Json => {
            for finding in &found {
                printer.json(finding)?;
            }
        }
    }
    if arguments.message_format == MessageFormat::Human && printer.verbosity() > Verbosity::Quiet {
        printer.status(&summary(&application, &found));
    }
    application.save()?;
    Ok(if errors == 0 { exit::DONE } else { exit::UNUSABLE })
}

/// What was looked at, and how many findings there are.
fn summary(application: &Application, found: &[Diagnostic]) -> String {
    let definitions = application.definitions();
    let of = |severity| found.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let (verb, style) = match (errors, warnings) {
        (0, 0) => ("ok", GOOD),
        (0, _) => ("ok", NOTICE),
        _ => ("failed", BAD),
    };
    let text = format!(
        "{}, {}: {}, {}",
        count(definitions.packages.len(), "package"),
        count(definitions.images.len(), "image"),
        count(errors, "error"),
        count(warnings, "warning")
    );
    status(verb, style, &text)
}
