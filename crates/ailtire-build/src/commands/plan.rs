//! `plan`: what `build` would do, and why.

use std::fmt::Write as _;
use std::sync::Arc;

use ailtire::{Action, Application, Plan, PlanOptions, PlannedImage};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use super::deploy::StackArguments;
use super::plan_deploy::{self, PlanDeployArguments};
use super::reasons::{WordedReason, lines, status_of, worded};
use super::{DATA_VERSION, DataFormat};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::style::{FAINT, GOOD, NOTICE, STRONG, styled};
use crate::printer::{Printer, Verbosity};
use crate::{exit, opening};

/// How many reasons of an image are listed without `--verbose`.
const REASONS: usize = 3;

const EXAMPLES: &str = "\
Examples:
  ailtire-build plan                      the whole application
  ailtire-build plan MyPackage            the images of one package, and what they need
  ailtire-build plan --deploy             what `deploy` would change, against what runs now
  ailtire-build plan --format json | jq '.images[] | select(.status == \"build\").image'";

/// Show what `build` would do and why, without an engine; with `--deploy`, what `deploy` would
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) selection: SelectionArguments,

    #[command(flatten)]
    release: ReleaseArguments,

    #[command(flatten)]
    deploy: PlanDeployArguments,

    /// Form of the plan
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: DataFormat,
}

/// Which images, and how: what `plan` and `build` have in common.
#[derive(Debug, Default, Args)]
pub(crate) struct SelectionArguments {
    /// Packages (key, short name or directory), images (name or tag), or globs of these; none: all
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,

    /// Take in the packages below the selected ones
    #[arg(short, long)]
    pub(crate) recursive: bool,

    /// Build these whatever is recorded (repeatable; a selector)
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) force: Vec<String>,

    /// Platforms, such as `linux/arm64`, instead of those of the definitions
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) platform: Vec<String>,
}

impl SelectionArguments {
    /// What the plan is made for.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where a selector names nothing.
    pub(crate) fn options(&self, application: &Application) -> Result<PlanOptions, Failure> {
        let mut images = opening::select(application, &self.selectors, self.recursive)?;
        let forced = if self.force.is_empty() {
            Vec::new()
        } else {
            opening::select(application, &self.force, self.recursive)?
        };
        // Whoever forces an image wants it built, selected or not.
        if !self.selectors.is_empty() {
            images.extend(
                forced.iter().copied().filter(|image| !images.contains(image)).collect::<Vec<_>>(),
            );
        }
        Ok(PlanOptions { images, forced, platforms: self.platform.clone() })
    }
}

/// Writes the plan.
///
/// # Errors
///
/// A [`Failure`] where the application can't be planned.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: PlanArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let PlanArguments { selection, release, deploy, format } = &arguments;
    if deploy.deploy {
        let stacks = StackArguments {
            packages: selection.selectors.clone(),
            recursive: selection.recursive,
        };
        return plan_deploy::run(global, release, stacks, deploy, *format, printer).await;
    }
    let application = opening::with_stacks(global, release, printer)?;
    let options = selection.options(&application)?;
    let endpoint = global.endpoint().describe()?;
    let (plan, _) = opening::plan(&application, &options, &endpoint, None, printer)?;
    match format {
        DataFormat::Text => printer.data(&text(&plan, printer.verbosity()))?,
        DataFormat::Json => printer.pretty_json(&document(&plan, &application))?,
    }
    Ok(exit::DONE)
}

fn text(plan: &Plan, verbosity: Verbosity) -> String {
    let most = if verbosity == Verbosity::Verbose { usize::MAX - 1 } else { REASONS };
    let mut text = String::new();
    for image in &plan.images {
        let style = if image.action == Action::Fresh { GOOD } else { NOTICE };
        let reference = styled(STRONG, &image.reference);
        let status = status_of(&image.action);
        let _ = writeln!(text, "{style}{status:<5}{style:#}  {reference}");
        let reasons = lines(image.action.reasons(), "       ", most);
        text.extend(reasons.lines().map(|line| format!("{FAINT}{line}{FAINT:#}\n")));
    }
    let count = |wanted: &str| {
        plan.images.iter().filter(|image| status_of(&image.action) == wanted).count()
    };
    let (build, tag, fresh) = (count("build"), count("tag"), count("fresh"));
    let _ = writeln!(text, "{build} to build, {tag} to tag, {fresh} fresh");
    text
}

#[derive(Debug, Serialize)]
struct Document<'plan> {
    version: u32,
    application: &'plan str,
    environment: &'plan str,
    images: Vec<Image<'plan>>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "`image` is what events call it, too")]
struct Image<'plan> {
    image: &'plan str,
    references: &'plan [String],
    package: &'plan str,
    status: &'static str,
    reasons: Vec<WordedReason<'plan>>,
    fingerprint: String,
    bases: Vec<Base<'plan>>,
    definition: String,
    dockerfile: &'plan str,
    context: Context,
}

#[derive(Debug, Serialize)]
struct Base<'plan> {
    reference: &'plan str,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Context {
    entries: usize,
    bytes: u64,
}

fn document<'plan>(plan: &'plan Plan, application: &'plan Application) -> Document<'plan> {
    let definitions = application.definitions();
    Document {
        version: DATA_VERSION,
        application: &definitions.name,
        environment: &definitions.environment,
        images: plan.images.iter().map(|image| image_of(image, application)).collect(),
    }
}

fn image_of<'plan>(planned: &'plan PlannedImage, application: &'plan Application) -> Image<'plan> {
    let definitions = application.definitions();
    let definition = &definitions.images[planned.definition];
    let bases = planned.bases.iter().map(|base| Base {
        reference: &base.reference,
        kind: if base.image.is_some() { "built" } else { "external" },
    });
    let (entries, bytes) = planned.context_size;
    Image {
        image: &planned.reference,
        references: &definition.references,
        package: &definitions.packages[definition.package].key,
        status: status_of(&planned.action),
        reasons: worded(planned.action.reasons()),
        fingerprint: planned.fingerprint.to_string(),
        bases: bases.collect(),
        definition: definition.location.to_string(),
        dockerfile: &definition.dockerfile,
        context: Context { entries, bytes },
    }
}
