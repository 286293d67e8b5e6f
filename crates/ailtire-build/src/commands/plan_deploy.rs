//! `plan --deploy`: what `deploy` would change, against what runs now.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ailtire::swarm::{Changes, ObjectChange, Orphan, ServiceChange, StackChanges};
use ailtire::{DeploymentPlan, Engine};
use ailtire_events::{ObjectAction, ObjectKind};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::cache::LookupArguments;
use super::deploy::{ChangeArguments, StackArguments};
use super::{DATA_VERSION, DataFormat};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::style::{BAD, FAINT, GOOD, NOTICE, STRONG, styled};
use crate::printer::words::{count, printable};
use crate::printer::{MessageFormat, Printer, Progress, Reporter, Verbosity};
use crate::{exit, files, opening};

/// Says of a file that it is a saved plan.
const KIND: &str = "ailtire-build deployment plan";

/// What `plan --deploy` takes beyond what `plan` does.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlanDeployArguments {
    /// Show what `deploy` would change, against what runs now
    #[arg(long)]
    pub(crate) deploy: bool,

    /// Save the plan here, for `deploy --plan FILE`; every image has to be built by then
    #[arg(long, value_name = "FILE", requires = "deploy")]
    out: Option<PathBuf>,

    /// With `--deploy`, as for `deploy`: remove what the definitions do not have any more
    #[arg(long, requires = "deploy")]
    prune: bool,

    /// With `--deploy`, as for `deploy`: take over stacks that somebody else deployed
    #[arg(long, requires = "deploy")]
    adopt: bool,

    /// With `--deploy`, as for `deploy`: when to ask registries which image a reference means
    #[arg(long, value_name = "WHEN", default_value = "always", requires = "deploy")]
    resolve_image: super::deploy::Resolve,

    #[command(flatten, next_help_heading = "With `--deploy`, as for `deploy`")]
    cache: LookupArguments,
}

/// A plan in a file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedPlan {
    kind: String,
    version: u32,
    /// Stacks that it is about; none: all.
    pub(crate) packages: Vec<String>,
    /// Whether it takes in stacks that run in those.
    pub(crate) recursive: bool,
    /// Whether it removes what is not wanted any more.
    pub(crate) prune: bool,
    /// Whether it takes over stacks of others.
    pub(crate) adopt: bool,
    /// When registries are asked.
    pub(crate) resolve_image: super::deploy::Resolve,
    /// What it changes.
    pub(crate) changes: Changes,
}

impl SavedPlan {
    /// What it was made with.
    pub(crate) fn arguments(&self) -> (StackArguments, ChangeArguments) {
        let stacks = StackArguments { packages: self.packages.clone(), recursive: self.recursive };
        let Self { prune, adopt, resolve_image, .. } = *self;
        (stacks, ChangeArguments { prune, adopt, resolve_image })
    }
}

#[derive(Debug, Serialize)]
struct Document<'plan> {
    version: u32,
    /// Images that `deploy` would build first.
    to_build: &'plan [String],
    #[serde(flatten)]
    changes: &'plan Changes,
}

/// Writes the plan.
///
/// # Errors
///
/// A [`Failure`] where the application can't be deployed like this, or the engine can't be asked.
pub(crate) async fn run(
    global: &GlobalArguments,
    release: &ReleaseArguments,
    stacks: StackArguments,
    arguments: &PlanDeployArguments,
    format: DataFormat,
    printer: &Arc<Printer>,
) -> Result<u8, Failure> {
    let application = opening::with_stacks(global, release, printer)?;
    let reporter = Reporter::new(printer, MessageFormat::Human, Progress::Plain);
    let deployment = opening::deployment(&application, &stacks, &reporter)?;
    let engine = Engine::connect(&global.endpoint()).await?;
    ailtire::require_swarm(&engine, false).await?;
    let changes = ChangeArguments {
        prune: arguments.prune,
        adopt: arguments.adopt,
        resolve_image: arguments.resolve_image,
    };
    let options = changes.options();
    let cache = arguments.cache.options()?;
    let plan = application.plan_deployment(&deployment, &options, cache, &engine, &reporter);
    let plan = plan.await?;
    application.save()?;
    printer.diagnostics(&plan.changes.warnings);
    if let Some(file) = &arguments.out {
        save(file, stacks, &changes, &plan)?;
    }
    let document =
        Document { version: DATA_VERSION, to_build: &plan.to_build, changes: &plan.changes };
    match format {
        DataFormat::Json => printer.pretty_json(&document)?,
        DataFormat::Text => printer.data(&text(&plan, printer.verbosity()))?,
    }
    Ok(exit::DONE)
}

fn save(
    file: &Path,
    stacks: StackArguments,
    changes: &ChangeArguments,
    plan: &DeploymentPlan,
) -> Result<(), Failure> {
    if !plan.to_build.is_empty() {
        let message = format!("the plan cannot be saved: {} not built yet", are(&plan.to_build));
        return Err(Failure::failed(message).hint("`ailtire-build build` first"));
    }
    let saved = SavedPlan {
        kind: KIND.to_owned(),
        version: DATA_VERSION,
        packages: stacks.packages,
        recursive: stacks.recursive,
        prune: changes.prune,
        adopt: changes.adopt,
        resolve_image: changes.resolve_image,
        changes: plan.changes.clone(),
    };
    files::replace(file, |out| {
        serde_json::to_writer_pretty(&mut *out, &saved)?;
        std::io::Write::write_all(out, b"\n")
    })
}

fn are(images: &[String]) -> String {
    match images {
        [image] => format!("`{image}` is"),
        _ => format!("{} are", count(images.len(), "image")),
    }
}

/// Reads a saved plan.
///
/// # Errors
///
/// A [`Failure`] where the file can't be read, or holds no plan.
pub(crate) fn read(file: &Path) -> Result<SavedPlan, Failure> {
    let shown = format!("`{}`", file.display());
    let text = std::fs::read(file).map_err(|error| Failure::io("read", &shown, &error))?;
    let saved: Result<SavedPlan, _> = serde_json::from_slice(&text);
    match saved {
        Ok(saved) if saved.kind == KIND && saved.version == DATA_VERSION => Ok(saved),
        _ => Err(Failure::usage(format!("{shown} is no plan that this program saved"))
            .hint("`ailtire-build plan --deploy --out FILE` saves one")),
    }
}

fn text(plan: &DeploymentPlan, verbosity: Verbosity) -> String {
    let mut text = String::new();
    for image in &plan.to_build {
        let _ = writeln!(text, "{NOTICE}{:<9}{NOTICE:#}  image {}", "build", printable(image));
    }
    for stack in &plan.changes.stacks {
        text.push_str(&stack_text(stack, verbosity));
    }
    for orphan in &plan.changes.orphans {
        let (style, word) = if orphan.removed { (BAD, "remove") } else { (FAINT, "not wanted") };
        let _ = writeln!(text, "{style}{word:<9}{style:#}  {}", orphan_name(orphan));
    }
    let services = || plan.changes.services().map(|(_, service)| service);
    let number =
        |action| services().filter(|service: &&ServiceChange| service.action == action).count();
    let restarts = services().filter(|service| service.restarts).count();
    let removed = plan.changes.orphans.iter();
    let removed =
        removed.filter(|orphan| orphan.removed && orphan.kind == ObjectKind::Service).count();
    let _ = writeln!(
        text,
        "{} to create, {} to update ({restarts} with new tasks), {removed} to remove, {} untouched",
        number(ObjectAction::Created),
        number(ObjectAction::Updated),
        number(ObjectAction::Untouched),
    );
    text
}

/// `network shop_old`, and for a service its stack and its short name.
fn orphan_name(orphan: &Orphan) -> String {
    let Orphan { namespace, path, kind, name, .. } = orphan;
    if *kind != ObjectKind::Service {
        return format!("{kind} {}", printable(name));
    }
    let short = name.strip_prefix(&format!("{namespace}_")).unwrap_or(name);
    styled(STRONG, &format!("{path}/{short}"))
}

fn stack_text(stack: &StackChanges, verbosity: Verbosity) -> String {
    let mut text = String::new();
    for object in &stack.objects {
        if object.action != ObjectAction::Untouched || verbosity == Verbosity::Verbose {
            let ObjectChange { kind, name, action, changes } = object;
            text.push_str(&line(*action, &format!("{kind} {}", printable(name)), ""));
            for change in changes {
                let _ =
                    writeln!(text, "           {FAINT}{}{FAINT:#}", printable(&change.to_string()));
            }
        }
    }
    for service in &stack.services {
        let note = match service {
            ServiceChange { recreate: true, .. } => "  (removed and made again)",
            ServiceChange { action: ObjectAction::Updated, restarts: false, .. } => {
                "  (tasks go on)"
            }
            ServiceChange { adopted: true, .. } => "  (taken over)",
            ServiceChange { drift: true, .. } => "  (was changed by hand)",
            _ => "",
        };
        let name = format!("{}/{}", stack.path, service.name);
        text.push_str(&line(service.action, &styled(STRONG, &name), note));
        for change in &service.changes {
            let style = if change.restarts { NOTICE } else { FAINT };
            let words = change.to_string();
            let _ = writeln!(text, "           {style}{}{style:#}", printable(&words));
        }
    }
    text
}

fn line(action: ObjectAction, name: &str, note: &str) -> String {
    let (style, word) = match action {
        ObjectAction::Created => (NOTICE, "create"),
        ObjectAction::Updated => (NOTICE, "update"),
        ObjectAction::Removed => (BAD, "remove"),
        ObjectAction::Untouched => (GOOD, "untouched"),
    };
    format!("{style}{word:<9}{style:#}  {name}{note}\n")
}
