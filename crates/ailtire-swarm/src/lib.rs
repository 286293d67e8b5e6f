//! Stacks on Docker Swarm: specs, differences, order, convergence, undo.
//!
//! A [`Desired`] says what is to run. It is compared with what runs, changed in order, waited for,
//! and brought back to what it was where something fails.

mod apply;
mod calls;
mod converge;
mod convert;
mod desired;
mod digest;
mod fields;
mod follow;
mod history;
mod images;
mod lock;
pub mod logs;
pub mod manager;
mod observe;
mod order;
mod plan;
mod remove;
mod root;
pub mod scale;
pub mod spec;
pub mod status;
pub mod token;
mod undo;

pub use apply::{
    ApplyError, ApplyOptions, OnFailure, Outcome, RollbackReport, ServiceEnd, ServiceOutcome, apply,
};
pub use converge::{ContainerStatus, Task, TaskStatus, WaitOptions};
pub use convert::{StackToConvert, certificate, convert, family_network};
pub use desired::*;
pub use follow::{FollowOptions, Followed, follow};
pub use history::{Deed, Entry, History, HistoryError, KEPT};
pub use images::{Lookup, PinnedImage, ResolveImage};
pub use lock::DeploymentLock;
pub use observe::{
    Observed, ObservedFile, ObservedNetwork, ObservedService, ServiceStatus, UpdateStatus, observe,
    observe_all,
};
pub use plan::{Changes, ObjectChange, Orphan, PlanOptions, ServiceChange, StackChanges, plan};
pub use remove::{RemoveOptions, Removed, remove};
pub use root::{Provisions, RootManager, RootService};
