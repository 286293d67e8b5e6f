//! Dockerfile facts, ignore rules and virtual build contexts.

mod model;

pub use model::{Base, BaseKind, BuildContext, Content, ContextEntry, Dockerfile};
