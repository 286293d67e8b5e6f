//! `affected`: the images that a change touches.

use std::fmt::Write as _;
use std::sync::Arc;

use ailtire::{Access, Action, Affected, Application, PlanOptions, PlannedImage};
use ailtire_events::{DirtyReason, NullSink};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::DATA_VERSION;
use super::plan::SelectionArguments;
use super::reasons::{WordedReason, lines, worded};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::style::{FAINT, NOTICE, STRONG, styled};
use crate::printer::{Printer, Verbosity};
use crate::{exit, opening};

/// How many reasons of an image are listed without `--verbose`.
const REASONS: usize = 3;

/// Goes before each reason.
const INDENT: &str = "          ";

/// How many digits of a commit people read.
const SHORT: usize = 12;

const EXAMPLES: &str = "\
Examples:
  ailtire-build affected --since origin/main            what a branch touches, and why
  ailtire-build affected --since HEAD MyPackage -r      what is not committed, of some packages
  ailtire-build affected --since v1.4.0 --format json | jq -r '.images[].image'
  ailtire-build affected --since origin/main --format matrix    for a matrix of jobs in CI
  ailtire-build build --since origin/main               build just these";

/// Show which images a change since a revision of git touches, and why
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AffectedArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    #[command(flatten)]
    release: ReleaseArguments,

    /// Commit, branch or tag to compare with; its files are written to a temporary directory
    #[arg(long, value_name = "REVISION")]
    since: String,

    /// Form of the list
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: ListFormat,
}

/// The form of a list of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum ListFormat {
    /// For people
    #[default]
    Text,
    /// For programs: stable, with a version
    Json,
    /// One line of JSON, as `strategy.matrix` of GitHub Actions takes it
    Matrix,
}

/// Writes the list.
///
/// # Errors
///
/// A [`Failure`] where the revision can't be had, or the application can't be planned.
pub(crate) fn run(
    global: &GlobalArguments,
    arguments: &AffectedArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let AffectedArguments { selection, release, since, format } = arguments;
    let application = opening::open(global, release, printer)?;
    let options = selection.options(&application)?;
    let affected = since_revision(global, release, &application, &options, since)?;
    printer.diagnostics(&affected.plan.diagnostics);
    printer.diagnostics(&affected.diagnostics);
    match format {
        ListFormat::Text => printer.data(&text(&affected, since, printer.verbosity()))?,
        ListFormat::Json => printer.pretty_json(&document(&affected, since, &application))?,
        ListFormat::Matrix => {
            let images = document(&affected, since, &application).images;
            let include: Vec<_> = images
                .iter()
                .map(|it| serde_json::json!({ "image": it.image, "package": it.package }))
                .collect();
            printer.data(&format!("{}\n", serde_json::json!({ "include": include })))?;
        }
    }
    Ok(exit::DONE)
}

/// What of `options` is affected since `revision`.
///
/// # Errors
///
/// A [`Failure`] where the revision can't be had, or the application can't be planned.
pub(super) fn since_revision(
    global: &GlobalArguments,
    release: &ReleaseArguments,
    application: &Application,
    options: &PlanOptions,
    revision: &str,
) -> Result<Affected, Failure> {
    let open = global.open_options(release, Access::Read)?;
    Ok(application.affected_since(revision, options, &open, &NullSink)?)
}

fn affected_images(affected: &Affected) -> impl Iterator<Item = &PlannedImage> {
    affected.plan.images.iter().filter(|image| image.action != Action::Fresh)
}

fn text(affected: &Affected, since: &str, verbosity: Verbosity) -> String {
    let most = if verbosity == Verbosity::Verbose { usize::MAX - 1 } else { REASONS };
    let mut text = String::new();
    for image in affected_images(affected) {
        let _ = writeln!(text, "{NOTICE}affected{NOTICE:#}  {}", styled(STRONG, &image.reference));
        let reasons = match image.action.reasons() {
            [DirtyReason::NeverBuilt] => format!("{INDENT}because it is new\n"),
            reasons => lines(reasons, INDENT, most),
        };
        text.extend(reasons.lines().map(|line| format!("{FAINT}{line}{FAINT:#}\n")));
    }
    for reference in &affected.removed {
        let _ = writeln!(text, "{NOTICE}removed{NOTICE:#}   {}", styled(STRONG, reference));
    }
    let all = affected.plan.images.len();
    let count = affected.images().count();
    let commit = affected.commit.get(..SHORT).unwrap_or(&affected.commit);
    let _ = writeln!(text, "{count} of {all} images affected since {since} ({commit})");
    text
}

#[derive(Debug, Serialize)]
struct Document<'run> {
    version: u32,
    application: &'run str,
    environment: &'run str,
    since: &'run str,
    commit: &'run str,
    images: Vec<Image<'run>>,
    removed: &'run [String],
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "`image` is what events call it, too")]
struct Image<'run> {
    image: &'run str,
    references: &'run [String],
    package: &'run str,
    fingerprint: String,
    reasons: Vec<WordedReason<'run>>,
}

fn document<'run>(
    affected: &'run Affected,
    since: &'run str,
    application: &'run Application,
) -> Document<'run> {
    let definitions = application.definitions();
    let images = affected_images(affected).map(|image| {
        let definition = &definitions.images[image.definition];
        Image {
            image: &image.reference,
            references: &definition.references,
            package: &definitions.packages[definition.package].key,
            fingerprint: image.fingerprint.to_string(),
            reasons: worded(image.action.reasons()),
        }
    });
    Document {
        version: DATA_VERSION,
        application: &definitions.name,
        environment: &definitions.environment,
        since,
        commit: &affected.commit,
        images: images.collect(),
        removed: &affected.removed,
    }
}
