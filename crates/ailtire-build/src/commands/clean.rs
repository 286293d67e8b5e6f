//! `clean`: forgets what was built.

use std::sync::Arc;

use ailtire::{CleanReport, Engine};
use clap::Args;

use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::printer::style::{GOOD, NOTICE, status};
use crate::printer::{MessageFormat, Printer, Progress, Reporter};
use crate::{exit, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build clean             forget what was built; the next build looks at everything anew
  ailtire-build clean --images    remove the application's images from the engine, too";

/// Drop the state in `.ailtire/`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CleanArguments {
    /// Also remove the images that were built from the engine
    #[arg(long)]
    images: bool,
}

/// Cleans.
///
/// # Errors
///
/// A [`Failure`] where the state or the engine can't be used.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: CleanArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let reporter = Arc::new(Reporter::new(printer, MessageFormat::Human, Progress::Plain));
    let interrupt = Interrupt::listen(&reporter)?;
    // Broken definitions are no reason to keep what was built from them: nobody is told of them.
    let application = opening::to_write(
        global,
        &ReleaseArguments::default(),
        false,
        Arc::clone(&reporter),
        &interrupt,
    )
    .await?;
    let engine = if arguments.images {
        Some(interrupt.or_cancelled(Engine::connect(&global.endpoint())).await??)
    } else {
        None
    };
    let report = interrupt.or_cancelled(application.clean(engine.as_ref())).await??;
    if global.verbosity() > crate::printer::Verbosity::Quiet {
        printer.status(&text(&report));
    }
    Ok(if report.kept.is_empty() { exit::DONE } else { exit::FAILED })
}

fn text(report: &CleanReport) -> String {
    let removed = report.removed.iter().map(|reference| status("Removed", GOOD, reference));
    let kept = report
        .kept
        .iter()
        .map(|(reference, why)| status("Kept", NOTICE, &format!("{reference} because {why}")));
    let state = status("Cleaned", GOOD, "the state: the next build looks at everything anew");
    removed.chain(kept).chain([state]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_says_why() {
        let report = CleanReport {
            removed: vec!["a:latest".into()],
            kept: vec![("b:latest".into(), "a container uses it".into())],
        };
        snapbox::assert_data_eq!(
            anstream::adapter::strip_str(&text(&report)).to_string(),
            snapbox::str![[r#"
     Removed a:latest
        Kept b:latest because a container uses it
     Cleaned the state: the next build looks at everything anew

"#]]
        );
    }
}
