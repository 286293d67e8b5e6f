//! What every command does first: read the application, find what the command line speaks of.

use std::path::PathBuf;

use ailtire::{
    Access, Application, Definitions, ImageStore, Plan, PlanOptions, Records, Selection,
};
use ailtire_events::{EventSink, NullSink};

use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::Printer;

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
    let options = global.open_options(release, Access::Read)?;
    let application = Application::open(&options, &NullSink)?;
    printer.diagnostics(application.diagnostics());
    require_sound(&application)?;
    Ok(application)
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
        sink.emit(ailtire::EventKind::Diagnostic { diagnostic: diagnostic.clone() });
    }
}
