//! What happened, as plain serialisable data.
//!
//! Every other crate reports through the types of this one: a [`Diagnostic`] says what is wrong
//! with the definitions, a [`DirtyReason`] why an image is rebuilt, an [`Event`] what a run does.
//! Terminal, JSON and library users all derive what they show from the same values. Nothing here
//! prints, reads a file or knows a terminal.

mod deployment;
mod diagnostic;
mod event;
mod reason;

pub use deployment::{
    DeploymentSummary, FieldChange, ObjectAction, ObjectKind, ServiceFailure, ServiceState,
    TaskCounts,
};
pub use diagnostic::{Diagnostic, Location, Related, Severity};
pub use event::{
    BuildFailure, Event, EventKind, EventSink, LogStream, NullSink, PushFailure, ReleaseStep,
    StepState, Summary,
};
pub use reason::{Change, DirtyReason};
