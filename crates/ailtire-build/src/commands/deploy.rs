//! `deploy`: brings stacks to what the definitions say, and knows that they run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ailtire::{
    Application, BuildOptions, BuiltReference, CacheOptions, DeployOptions, Deployment, Engine,
    EventSink, OnFailure, PlanOptions, ResolveImage,
};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::cache::CacheArguments;
use super::events::{EventArguments, reported};
use super::outcome::conclude;
use super::plan_deploy;
use crate::arguments::{GlobalArguments, ReleaseArguments, operator};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::printer::{Printer, Reporter};
use crate::{exit, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build deploy                                 the whole application, built where needed
  ailtire-build deploy --env production --version 1.4.0 --repo registry.example/shop
  ailtire-build deploy MyPackage --recursive           one package's stack and those below it
  ailtire-build deploy --repo registry.example/shop --cache registry
  ailtire-build deploy --no-build --prune              only what is built; remove what is no more
  ailtire-build plan --deploy --out plan.json && ailtire-build deploy --plan plan.json";

/// Deploy stacks in order, and wait until they run
///
/// Builds what is not fresh, changes only what differs, waits until every service runs and is
/// healthy, and takes everything back if one does not.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct DeployArguments {
    #[command(flatten)]
    stacks: StackArguments,

    #[command(flatten)]
    release: ReleaseArguments,

    #[command(flatten)]
    changes: ChangeArguments,

    /// Refuse to deploy images that are neither fresh nor found, instead of building them
    #[arg(long)]
    no_build: bool,

    /// How many images may be built at once; 0: as many as there are processors
    #[arg(short, long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    jobs: usize,

    #[command(flatten)]
    cache: CacheArguments,

    /// How long a service may take to run and be healthy (`90s`, `5m`)
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Do not wait for services on which no other one depends
    #[arg(short, long)]
    detach: bool,

    /// What to do when a service does not run
    #[arg(long, value_name = "WHAT", default_value = "rollback")]
    on_failure: WhenFailed,

    /// Send the credentials of registries to the nodes
    #[arg(long)]
    with_registry_auth: bool,

    /// Make the engine a swarm of one node if it is in none
    #[arg(long)]
    init_swarm: bool,

    /// Apply this saved plan, and refuse if anything has changed since
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["packages", "recursive", "prune", "adopt", "resolve_image"])]
    plan: Option<PathBuf>,

    #[command(flatten)]
    events: EventArguments,
}

/// Which stacks.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StackArguments {
    /// Packages (key, short name or directory) whose stacks are meant; none: the whole application
    #[arg(value_name = "PACKAGE")]
    pub(crate) packages: Vec<String>,

    /// Take in the stacks below the selected ones
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

/// What a deployment and its plan have in common.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChangeArguments {
    /// Remove what the definitions do not have any more
    #[arg(long)]
    pub(crate) prune: bool,

    /// Take over stacks of the same name that somebody else deployed
    #[arg(long)]
    pub(crate) adopt: bool,

    /// When to ask registries which image a reference means
    #[arg(long, value_name = "WHEN", default_value = "always")]
    pub(crate) resolve_image: Resolve,
}

impl ChangeArguments {
    /// What a plan is made with.
    pub(crate) fn options(&self) -> DeployOptions {
        DeployOptions {
            resolve: self.resolve_image.into(),
            prune: self.prune,
            adopt: self.adopt,
            ..DeployOptions::default()
        }
    }
}

/// When to ask registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Resolve {
    /// For every image
    #[default]
    Always,
    /// For images whose reference is not what already runs
    Changed,
    /// Not at all: references go to the engine as they are
    Never,
}

impl From<Resolve> for ResolveImage {
    fn from(resolve: Resolve) -> Self {
        match resolve {
            Resolve::Always => Self::Always,
            Resolve::Changed => Self::Changed,
            Resolve::Never => Self::Never,
        }
    }
}

/// What to do when a service does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenFailed {
    /// Take everything that was changed back to what it was
    Rollback,
    /// Leave everything as it is then
    Stop,
    /// Go on with services that do not depend on it
    Continue,
}

impl From<WhenFailed> for OnFailure {
    fn from(when: WhenFailed) -> Self {
        match when {
            WhenFailed::Rollback => Self::Rollback,
            WhenFailed::Stop => Self::Stop,
            WhenFailed::Continue => Self::Continue,
        }
    }
}

/// Reads `90`, `90s`, `5m` or `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write a number and `s`, `m` or `h`, such as `90s`".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write a number first, such as `90s`")?;
    number.checked_mul(factor).map(Duration::from_secs).ok_or_else(|| "that is too long".to_owned())
}

/// Deploys.
///
/// # Errors
///
/// A [`Failure`] where something could not be deployed, or the run was cancelled.
pub(crate) async fn run(
    global: &GlobalArguments,
    arguments: DeployArguments,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let reporter = arguments.events.reporter(printer);
    let result = deploy(global, &arguments, &reporter).await;
    reported(&arguments.events, &reporter, result)
}

async fn deploy(
    global: &GlobalArguments,
    arguments: &DeployArguments,
    reporter: &Arc<Reporter>,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen(reporter)?;
    let saved = arguments.plan.as_deref().map(plan_deploy::read).transpose()?;
    let (stacks, changes) = match &saved {
        Some(saved) => saved.arguments(),
        None => (arguments.stacks.clone(), arguments.changes.clone()),
    };
    let endpoint = global.endpoint();
    let engine = tokio::spawn(async move { Engine::connect(&endpoint).await });
    let application = opening::to_work(global, &arguments.release, reporter, &interrupt).await?;
    let deployment = opening::deployment(&application, &stacks, &**reporter)?;
    let engine = interrupt.or_cancelled(engine).await?.map_err(Failure::gave_up)??;
    let swarm = ailtire::require_swarm(&engine, arguments.init_swarm);
    interrupt.or_cancelled(swarm).await??;
    // Before anything is built for nothing.
    ailtire::require_no_managers(&engine, &application.identity()).await?;
    let forbidden = arguments.no_build || arguments.plan.is_some();
    let cache = arguments.cache.options(&**reporter)?;
    let building = Building { forbidden, jobs: arguments.jobs, cache };
    let built =
        bring_up_to_date(building, &application, &deployment, &engine, reporter, &interrupt)
            .await?;
    // Whoever builds now must not wait until everything runs.
    let application = application.unlocked();
    let options = DeployOptions {
        by: operator(),
        timeout: arguments.timeout,
        detach: arguments.detach,
        on_failure: arguments.on_failure.into(),
        with_registry_auth: arguments.with_registry_auth,
        expected: saved.map(|saved| saved.changes),
        ..changes.options()
    };
    let deploying =
        application.deploy(&deployment, &built, &options, &engine, &**reporter, interrupt.token());
    let outcome = deploying.await?;
    conclude(outcome, &interrupt, reporter)
}

/// Whether and how images are built before they run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Building {
    /// Whether those that are neither fresh nor found are refused.
    pub(crate) forbidden: bool,
    /// How many may be built at once; 0: as many as there are processors.
    pub(crate) jobs: usize,
    /// Where those that are not fresh are looked up.
    pub(crate) cache: Option<CacheOptions>,
}

/// The images of the deployment as they are when everything that can be built is.
///
/// # Errors
///
/// A [`Failure`] where one can't be built, or the run was cancelled.
pub(crate) async fn bring_up_to_date(
    building: Building,
    application: &Application,
    deployment: &Deployment,
    engine: &Engine,
    reporter: &Arc<Reporter>,
    interrupt: &Interrupt,
) -> Result<std::collections::BTreeMap<String, BuiltReference>, Failure> {
    let images = deployment.images(application);
    if images.is_empty() {
        return Ok(std::collections::BTreeMap::new());
    }
    let options = BuildOptions {
        plan: PlanOptions { images, ..PlanOptions::default() },
        jobs: building.jobs,
        cache: building.cache,
        ..BuildOptions::default()
    };
    let sink: &dyn EventSink = &**reporter;
    if building.forbidden {
        let fresh = application.require_fresh(&options.plan, options.cache, engine, sink);
        return Ok(interrupt.or_cancelled(fresh).await??);
    }
    let outcome = application.build(&options, engine, sink, interrupt.token()).await?;
    if outcome.cancelled {
        return Err(interrupt.failure());
    }
    if outcome.engine_is_gone {
        return Err(Failure::silent(exit::ENGINE));
    }
    if outcome.summary.failed + outcome.summary.skipped > 0 {
        return Err(Failure::failed("nothing was deployed, because an image could not be built"));
    }
    if outcome.summary.push_failed > 0 {
        return Err(Failure::failed("nothing was deployed, because an image could not be shared"));
    }
    Ok(outcome.references)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("1h"), Ok(Duration::from_hours(1)));
        for wrong in ["", "m", "1d", "-1s", "1.5m", "99999999999999999999", "18446744073709551615h"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
