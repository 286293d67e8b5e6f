//! Dockerfile facts, ignore rules and virtual build contexts.
//!
//! [`dockerfile`] tells what an image is built from; [`assemble`] lists everything that its build
//! gets to see, as a [`BuildContext`]: paths, modes and digests, nothing copied. What was left out
//! of it, and why, comes from [`left_out`].

mod archive;
mod assemble;
mod content;
mod dockerfile;
mod ignore;
mod layers;
mod model;
mod rule;
mod version;
mod walk;

pub use assemble::{assemble, assemble_with, left_out};
pub use content::{ContentError, ContentReader};
pub use dockerfile::{OwnName, WrittenInstruction, dockerfile, instructions};
pub use model::{Base, BaseKind, BuildContext, Content, ContextEntry, Dockerfile};
pub use rule::{LeftOut, Rule};
pub use version::{Problem as VersionProblem, with_version};
