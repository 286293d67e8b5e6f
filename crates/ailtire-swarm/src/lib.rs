//! Stacks on Docker Swarm: specs, differences, order, convergence, undo.
//!
//! A [`Desired`] says what is to run. It is compared with what runs, changed in order, waited for,
//! and brought back to what it was where something fails.

mod convert;
mod desired;
mod digest;
mod history;
mod lock;
pub mod logs;
mod names;
pub mod spec;
pub mod status;

pub use convert::{StackToConvert, convert};
pub use desired::*;
pub use history::{Deed, Entry, History, HistoryError, KEPT};
pub use lock::DeploymentLock;
pub use names::{FILE_NAME_LIMIT, NETWORK_NAME_LIMIT, SERVICE_NAME_LIMIT, shorten};
