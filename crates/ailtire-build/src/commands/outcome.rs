//! How a deployment, a way back or a removal ends.

use ailtire::swarm::{ApplyError, Outcome, ServiceEnd};

use crate::error::Failure;
use crate::exit;
use crate::interrupt::Interrupt;
use crate::printer::style::{NOTICE, status};
use crate::printer::{Reporter, progress_words};

/// The exit code; what was not told yet is told by the failure.
///
/// # Errors
///
/// A [`Failure`] where not everything was done.
pub(super) fn conclude(
    outcome: Outcome,
    interrupt: &Interrupt,
    reporter: &Reporter,
) -> Result<u8, Failure> {
    let Some(error) = outcome.error else { return Ok(exit::DONE) };
    let (message, help) = (error.to_string(), error.help());
    let failure = match error {
        ApplyError::Cancelled => {
            tell_states(&outcome.services, reporter);
            interrupt.failure_with(&message)
        }
        ApplyError::Refused(diagnostics) => Failure::findings(diagnostics),
        ApplyError::Engine(error) => error.into(),
        // What failed was told when it did.
        ApplyError::Failed { .. } => return Ok(exit::FAILED),
        _ => Failure::failed(message),
    };
    Err(match help {
        Some(help) => failure.hint(help),
        None => failure,
    })
}

/// Says in what state the services are that were waited for.
fn tell_states(services: &[ailtire::swarm::ServiceOutcome], reporter: &Reporter) {
    for service in services {
        let words = match &service.end {
            ServiceEnd::Interrupted { last: Some((state, tasks)) } => {
                progress_words(*state, *tasks)
            }
            ServiceEnd::Interrupted { last: None } => "not known".to_owned(),
            ServiceEnd::Skipped { .. } => "not begun".to_owned(),
            ServiceEnd::Detached => "not waited for".to_owned(),
            ServiceEnd::Converged { .. } | ServiceEnd::Failed(_) => continue,
        };
        let text = format!("{}/{}: {words}", service.stack, service.service);
        reporter.say(&status("Left", NOTICE, &text));
    }
}
