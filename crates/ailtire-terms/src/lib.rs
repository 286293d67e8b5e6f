//! What definitions, designs and the engine have in common: image references, exported data with
//! its places, names that suggest secrets, near misses.
//!
//! It reads nothing and talks to nobody, so that the program inside stack images can use it without
//! what evaluates definitions.

mod design;
mod near;
pub mod reference;
mod secret;
mod value;

pub use design::DesignSource;
pub use near::{did_you_mean, nearest};
pub use secret::suggests_secret;
pub use value::{Node, Position, Value};
