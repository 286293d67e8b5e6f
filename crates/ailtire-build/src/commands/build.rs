//! `build`: brings images up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ailtire::{
    Application, AttestOptions, BuildOptions, BuiltReference, Engine, Outcome, PlanOptions,
};
use ailtire_events::{EventKind, EventSink};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::affected::since_revision;
use super::cache::CacheArguments;
use super::events::{EventArguments, reported};
use super::plan::SelectionArguments;
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::printer::{Printer, Reporter};
use crate::{exit, files, keys, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build build                              the whole application
  ailtire-build build MyPackage 'web-*' -j 4       a package, and images by a glob
  ailtire-build build --env production --version 1.4.0 --repo registry.example/shop
  ailtire-build build --env NODE_ENV=test          with a build argument
  ailtire-build build --repo registry.example/team --push
  ailtire-build build --repo registry.example/team --cache registry \
      --cache-verify team.pub --cache-sign team    only what a known key signed
  ailtire-build build --push --attest sbom,provenance --sign team.key
  ailtire-build build --since origin/main          only what a branch touches
  ailtire-build build --message-format json        one JSON object a line, for programs";

/// Bring images up to date
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct BuildArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    #[command(flatten)]
    release: ReleaseArguments,

    /// Of the selected images, only those that a change since this revision of git touches
    #[arg(long, value_name = "REVISION")]
    since: Option<String>,

    /// How many images may be built at once; 0: as many as there are processors
    #[arg(short, long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    jobs: usize,

    /// Go on with images that do not need a failed one
    #[arg(long)]
    keep_going: bool,

    /// Build the selected images without the engine's cache
    #[arg(long)]
    no_cache: bool,

    /// Fetch base images from elsewhere again first
    #[arg(long)]
    pull: bool,

    /// Push the selected images to the registry in their names, once all is built
    #[arg(long)]
    push: bool,

    #[command(flatten)]
    cache: CacheArguments,

    /// Attach this to the images that are pushed (separated by commas)
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    attest: Vec<AttestKind>,

    /// Sign what is attached with this private key; without it, that of `--cache-sign`
    #[arg(long, value_name = "KEY", requires = "attest")]
    sign: Option<PathBuf>,

    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "metadata_file")]
    dry_run: bool,

    #[command(flatten)]
    events: EventArguments,

    /// Write a JSON object here: reference → image id and fingerprint of all that is up to date
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

/// What is attached to images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AttestKind {
    /// The packages that the context speaks of (SPDX)
    Sbom,
    /// What the image was made from (SLSA)
    Provenance,
}

impl BuildArguments {
    /// What is attached, if something is.
    fn attest(&self, sink: &dyn EventSink) -> Result<Option<AttestOptions>, Failure> {
        if self.attest.is_empty() {
            return Ok(None);
        }
        if !self.push && !self.cache.shares() {
            let message = "`--attest` attaches to images in a registry, and nothing is pushed";
            return Err(Failure::usage(message).hint("add `--push`, or `--cache registry`"));
        }
        let file = self.sign.as_deref().or(self.cache.signing_key());
        Ok(Some(AttestOptions {
            sbom: self.attest.contains(&AttestKind::Sbom),
            provenance: self.attest.contains(&AttestKind::Provenance),
            key: file.map(|file| keys::private(file, sink)).transpose()?,
        }))
    }
}

/// Builds.
///
/// # Errors
///
/// A [`Failure`] where the run could not do its work, or was cancelled.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: BuildArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let reporter = arguments.events.reporter(printer);
    let result = build(global, &arguments, &reporter).await;
    reported(&arguments.events, &reporter, result)
}

async fn build(
    global: &GlobalArguments,
    arguments: &BuildArguments,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen(reporter)?;
    // The engine is looked for while the definitions are read.
    let endpoint = global.endpoint();
    let engine = tokio::spawn(async move { Engine::connect(&endpoint).await });
    let application = opening::to_work(global, &arguments.release, reporter, &interrupt).await?;
    let options = BuildOptions {
        plan: wanted(global, arguments, &application, reporter)?,
        jobs: arguments.jobs,
        keep_going: arguments.keep_going,
        no_cache: arguments.no_cache,
        pull: arguments.pull,
        push: arguments.push,
        cache: arguments.cache.options(&**reporter)?,
        attest: arguments.attest(&**reporter)?,
        dry_run: arguments.dry_run,
    };
    let engine = interrupt.or_cancelled(engine).await?.map_err(Failure::gave_up)??;
    let outcome = application.build(&options, &engine, &**reporter, interrupt.token()).await?;
    if let Some(file) = &arguments.metadata_file {
        write_metadata(file, &outcome)?;
    }
    if outcome.cancelled {
        return Err(interrupt.failure());
    }
    if arguments.dry_run {
        return Ok(exit::DONE);
    }
    Ok(exit_code(&outcome))
}

/// The images that the command line speaks of.
fn wanted(
    global: &GlobalArguments,
    arguments: &BuildArguments,
    application: &Application,
    reporter: &Reporter,
) -> Result<PlanOptions, Failure> {
    let mut options = arguments.selection.options(application)?;
    if let Some(revision) = &arguments.since {
        let affected = since_revision(global, &arguments.release, application, &options, revision)?;
        for diagnostic in &affected.diagnostics {
            reporter.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
        }
        let affected: BTreeSet<usize> = affected.images().collect();
        let forced = options.forced.clone();
        options.images.retain(|image| affected.contains(image) || forced.contains(image));
    }
    Ok(options)
}

/// What the exit code says of a run that was not cancelled.
pub(super) fn exit_code(outcome: &Outcome) -> u8 {
    if outcome.engine_is_gone {
        return exit::ENGINE;
    }
    let summary = &outcome.summary;
    let complete = summary.failed + summary.skipped + summary.push_failed == 0;
    if complete { exit::DONE } else { exit::FAILED }
}

/// What programs get to know of a reference.
#[derive(Serialize)]
struct Metadata<'outcome> {
    #[serde(flatten)]
    built: &'outcome BuiltReference,
    /// The digest that a registry has for it, where one is known to have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'outcome str>,
}

fn write_metadata(file: &Path, outcome: &Outcome) -> Result<(), Failure> {
    let references = outcome.references.iter().map(|(reference, built)| {
        let digest = outcome.digests.get(reference).map(String::as_str);
        (reference, Metadata { built, digest })
    });
    let references: BTreeMap<_, _> = references.collect();
    files::replace(file, |out| {
        serde_json::to_writer_pretty(&mut *out, &references)?;
        out.write_all(b"\n")
    })
}
