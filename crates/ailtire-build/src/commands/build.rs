//! `build`: brings images up to date.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ailtire::{BuildOptions, BuiltReference, CacheOptions, Engine, Outcome};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::events::{EventArguments, reported};
use super::plan::SelectionArguments;
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::printer::{Printer, Reporter};
use crate::{exit, files, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build build                              the whole application
  ailtire-build build MyPackage 'web-*' -j 4       a package, and images by a glob
  ailtire-build build --env production --version 1.4.0 --repo registry.example/shop
  ailtire-build build --env NODE_ENV=test          with a build argument
  ailtire-build build --repo registry.example/team --push
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

    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "metadata_file")]
    dry_run: bool,

    #[command(flatten)]
    events: EventArguments,

    /// Write a JSON object here: reference → image id and fingerprint of all that is up to date
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

/// Where what other machines built is looked up.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct CacheArguments {
    /// Look up images by their inputs before building, and share what is built
    #[arg(long, value_name = "WHERE", env = "AILTIRE_CACHE", default_value = "none")]
    cache: CacheKind,

    /// Only look up: share nothing
    #[arg(long)]
    cache_read_only: bool,

    /// Fail where the registry can't be asked, instead of building
    #[arg(long)]
    cache_required: bool,

    /// Have the engine fetch the images that the registry has
    #[arg(long)]
    load: bool,
}

/// Where images are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CacheKind {
    /// Nowhere
    #[default]
    None,
    /// In the registry that `--repo` names
    Registry,
}

impl CacheArguments {
    /// How a registry is used, if one is.
    fn options(self) -> Option<CacheOptions> {
        (self.cache == CacheKind::Registry).then_some(CacheOptions {
            read_only: self.cache_read_only,
            required: self.cache_required,
            load: self.load,
        })
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
    reported(&reporter, result)
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
    let application =
        opening::to_write(global, &arguments.release, true, Arc::clone(reporter), &interrupt)
            .await?;
    reporter.set_root(application.root().to_owned());
    opening::tell(&application, &**reporter);
    opening::require_sound(&application)?;
    let options = BuildOptions {
        plan: arguments.selection.options(&application)?,
        jobs: arguments.jobs,
        keep_going: arguments.keep_going,
        no_cache: arguments.no_cache,
        pull: arguments.pull,
        push: arguments.push,
        cache: arguments.cache.options(),
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
