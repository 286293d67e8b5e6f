//! What every command does first: read the application, find what the command line speaks of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ailtire::{
    Access, Application, Definitions, Deployment, EventKind, ImageStore, OpenOptions, Plan,
    PlanOptions, Records, Selection,
};
use ailtire_events::{EventSink, NullSink};

use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::commands::deploy::StackArguments;
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::printer::{Printer, Reporter};

/// How many names a hint lists.
const NAMES: usize = 5;

/// Reads the application to look at it, and tells what is wrong with its definitions.
///
/// # Errors
///
/// A [`Failure`] where there is none, or its definitions can't be used.
pub(crate) fn open(
    global: &GlobalArguments,
    release: &ReleaseArguments,
    printer: &Printer,
) -> Result<Application, Failure> {
    look(&global.open_options(release, Access::Read)?, printer)
}

/// Reads the application and its stacks to look at them.
///
/// # Errors
///
/// A [`Failure`] where there is none, or its definitions can't be used.
pub(crate) fn with_stacks(
    global: &GlobalArguments,
    release: &ReleaseArguments,
    printer: &Printer,
) -> Result<Application, Failure> {
    let mut options = global.open_options(release, Access::Read)?;
    options.deployments = true;
    look(&options, printer)
}

fn look(options: &OpenOptions, printer: &Printer) -> Result<Application, Failure> {
    let application = Application::open(options, &NullSink)?;
    printer.diagnostics(application.diagnostics());
    require_sound(&application)?;
    Ok(application)
}

/// Opens the application to write its state; waits for another run unless a signal comes.
/// `deployments` is whether its stacks are read too.
///
/// # Errors
///
/// A [`Failure`] where there is none, its state can't be used, or the run was cancelled.
pub(crate) async fn to_write(
    global: &GlobalArguments,
    release: &ReleaseArguments,
    deployments: bool,
    reporter: Arc<Reporter>,
    interrupt: &Interrupt,
) -> Result<Application, Failure> {
    let mut options = global.open_options(release, Access::Write)?;
    options.deployments = deployments;
    let opening = tokio::task::spawn_blocking(move || Application::open(&options, &*reporter));
    Ok(interrupt.or_cancelled(opening).await?.map_err(Failure::gave_up)??)
}

/// The same for what builds and deploys: stacks are read too, findings are told, and the definitions
/// have to be sound.
///
/// # Errors
///
/// As [`to_write`], and a [`Failure`] that counts the errors of the definitions.
pub(crate) async fn to_work(
    global: &GlobalArguments,
    release: &ReleaseArguments,
    reporter: &Arc<Reporter>,
    interrupt: &Interrupt,
) -> Result<Application, Failure> {
    let application = to_write(global, release, true, Arc::clone(reporter), interrupt).await?;
    reporter.set_root(application.root().to_owned());
    tell(&application, &**reporter);
    require_sound(&application)?;
    Ok(application)
}

/// The stacks that the command line speaks of; findings about their designs go to `sink`.
///
/// # Errors
///
/// A [`Failure`] where a name means no stack, or the stacks can't be used.
pub(crate) fn deployment(
    application: &Application,
    stacks: &StackArguments,
    sink: &dyn EventSink,
) -> Result<Deployment, Failure> {
    let deployment = application
        .deployment(&stacks.packages, stacks.recursive, Path::new("."))
        .map_err(ailtire::Error::Definitions)?;
    for diagnostic in deployment.diagnostics() {
        sink.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
    }
    Ok(deployment)
}

/// Ends the command where the definitions can't be used, which the user was told already.
///
/// # Errors
///
/// A [`Failure`] that counts the errors.
pub(crate) fn require_sound(application: &Application) -> Result<(), Failure> {
    application.require_sound().map_err(|_| Failure::definitions(application.diagnostics()))
}

/// The images that the command line speaks of.
///
/// # Errors
///
/// A [`Failure`] with a finding for each word that names nothing.
pub(crate) fn select(
    application: &Application,
    selectors: &[String],
    recursive: bool,
) -> Result<Vec<usize>, Failure> {
    let selection = Selection {
        selectors: selectors.to_vec(),
        recursive,
        working_directory: PathBuf::from("."),
    };
    application.select(&selection).map_err(Failure::findings)
}

/// The one image that `selector` speaks of.
///
/// # Errors
///
/// A [`Failure`] where it names nothing, or more than one image.
pub(crate) fn select_one(application: &Application, selector: &str) -> Result<usize, Failure> {
    let selected = select(application, &[selector.to_owned()], false)?;
    match selected[..] {
        [image] => Ok(image),
        _ => Err(ambiguous(application.definitions(), selector, &selected)),
    }
}

fn ambiguous(definitions: &Definitions, selector: &str, selected: &[usize]) -> Failure {
    let references = selected.iter().take(NAMES);
    let mut names: Vec<_> =
        references.map(|&image| format!("`{}`", definitions.images[image].reference())).collect();
    if selected.len() > NAMES {
        names.push(format!("{} more", selected.len() - NAMES));
    }
    Failure::usage(format!("`{selector}` names {} images, not one", selected.len()))
        .hint(format!("choose among {}", names.join(", ")))
}

/// Plans with what was recorded for the engine at `endpoint`.
///
/// # Errors
///
/// A [`Failure`] where the records, contexts or Dockerfiles can't be used.
pub(crate) fn plan(
    application: &Application,
    options: &PlanOptions,
    endpoint: &str,
    store: Option<&ImageStore>,
    printer: &Printer,
) -> Result<(Plan, Records), Failure> {
    let records = application.state().records(endpoint).map_err(ailtire::Error::from)?;
    printer.diagnostics(records.damage().as_ref());
    let planned = application.plan(options, &records, store);
    let plan = planned.map_err(ailtire::Error::Definitions)?;
    printer.diagnostics(&plan.diagnostics);
    // What was read need not be read again by the next run.
    application.save()?;
    Ok((plan, records))
}

/// Has a sink take what was found while the application was opened.
pub(crate) fn tell(application: &Application, sink: &dyn EventSink) {
    for diagnostic in application.diagnostics() {
        sink.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
    }
}
