//! The definitions of an ailtire application: packages and images.

mod model;

pub use model::{Application, ImageDefinition, Modes, Package, PlacedPackage, SecretSource};
