//! `release`: version, changelog, images, tag.

use std::fmt::Write as _;
use std::sync::Arc;

use ailtire::{
    Access, Application, BuildOptions, Bump, Engine, ReleaseOptions, ReleasePlan, ReleaseRun,
};
use ailtire_events::NullSink;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::build::exit_code;
use super::events::{EventArguments, reported};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::exit;
use crate::interrupt::Interrupt;
use crate::opening;
use crate::printer::style::{FAINT, STRONG, styled};
use crate::printer::{Printer, Reporter};

const EXAMPLES: &str = "\
Examples:
  ailtire-build release --bump minor --repo registry.example/team --dry-run
  ailtire-build release --bump minor --repo registry.example/team --env prod
  ailtire-build release --to 2.0.0-rc.1 --no-push --no-git-push    images, commit and tag stay here

The working tree has to be clean. The section of the changelog is what stands below `Unreleased`, or
else the subjects of the commits since the last release.";

/// Raise the version, write the changelog, build all images, tag and push
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct ReleaseCommandArguments {
    /// Which number of the version in package.json to raise
    #[arg(long, value_name = "NUMBER", required_unless_present = "to", conflicts_with = "to")]
    bump: Option<Number>,

    /// Release this version
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,

    /// What goes before the version in the tag of git
    #[arg(long, value_name = "PREFIX", default_value = "v")]
    tag_prefix: String,

    /// Remote that commit and tag are pushed to; without it, that of the branch
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    remote: Option<String>,

    /// Keep commit and tag in this repository
    #[arg(long, conflicts_with = "remote")]
    no_git_push: bool,

    /// Keep the images in the engine
    #[arg(long)]
    no_push: bool,

    /// How many images may be built at once; 0: as many as there are processors
    #[arg(short, long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    jobs: usize,

    /// Fetch base images from elsewhere again first
    #[arg(long)]
    pull: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    events: EventArguments,
}

/// A number of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Number {
    /// The third one
    Patch,
    /// The second one
    Minor,
    /// The first one
    Major,
}

impl ReleaseCommandArguments {
    fn options(&self) -> ReleaseOptions {
        let bump = match (self.bump, &self.to) {
            (_, Some(version)) => Bump::To(version.clone()),
            (Some(Number::Major), None) => Bump::Major,
            (Some(Number::Minor), None) => Bump::Minor,
            (Some(Number::Patch) | None, None) => Bump::Patch,
        };
        ReleaseOptions {
            bump,
            tag_prefix: self.tag_prefix.clone(),
            remote: self.remote.clone(),
            push_commit: !self.no_git_push,
            push_images: !self.no_push,
        }
    }
}

/// Releases.
///
/// # Errors
///
/// A [`Failure`] where something is not as a release needs it, or could not be done.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: ReleaseCommandArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    if arguments.dry_run {
        return dry_run(global, &arguments, printer);
    }
    let reporter = arguments.events.reporter(printer);
    let result = release(global, &arguments, &reporter).await;
    reported(&arguments.events, &reporter, result)
}

async fn release(
    global: &GlobalArguments,
    arguments: &ReleaseCommandArguments,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen(reporter)?;
    let engine = Engine::connect(&global.endpoint()).await?;
    let open = global.open_options(&ReleaseArguments::default(), Access::Read)?;
    let build =
        BuildOptions { jobs: arguments.jobs, pull: arguments.pull, ..BuildOptions::default() };
    let run = ReleaseRun {
        open: &open,
        build,
        engine: &engine,
        sink: &**reporter,
        cancel: interrupt.token(),
    };
    let released = ailtire::release(&arguments.options(), run).await?;
    if released.is_complete {
        let version = styled(STRONG, &released.plan.new);
        reporter.say(&format!("    Released {version}\n"));
        return Ok(exit::DONE);
    }
    if released.outcome.cancelled {
        return Err(interrupt.failure());
    }
    reporter.say("nothing was released, and the files are as they were\n");
    Ok(exit_code(&released.outcome).max(exit::FAILED))
}

fn dry_run(
    global: &GlobalArguments,
    arguments: &ReleaseCommandArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let mut open = global.open_options(&ReleaseArguments::default(), Access::Read)?;
    let application = Application::open(&open, &NullSink)?;
    let plan = ReleasePlan::new(application.root(), &arguments.options())?;
    open.version = Some(plan.new.clone());
    open.deployments = true;
    let application = Application::open(&open, &NullSink)?;
    printer.diagnostics(application.diagnostics());
    opening::require_sound(&application)?;
    printer.data(&text(&plan, &application, arguments))?;
    Ok(exit::DONE)
}

fn text(
    plan: &ReleasePlan,
    application: &Application,
    arguments: &ReleaseCommandArguments,
) -> String {
    let mut text = format!("{} → {}\n", plan.old, styled(STRONG, &plan.new));
    let files: Vec<String> = plan.files().map(|path| path.display().to_string()).collect();
    let _ = writeln!(text, "write {}:", files.join(", "));
    for line in plan.changelog.lines() {
        let _ = writeln!(text, "  {FAINT}{line}{FAINT:#}");
    }
    let verb = if arguments.no_push { "build" } else { "build and push" };
    let _ = writeln!(text, "{verb}:");
    for image in &application.definitions().images {
        let _ = writeln!(text, "  {}", image.references.join(", "));
    }
    let _ = writeln!(text, "commit and tag {} on {}", styled(STRONG, &plan.tag), plan.branch);
    if let Some(command) = plan.push_command() {
        let _ = writeln!(text, "{command}");
    }
    text
}
