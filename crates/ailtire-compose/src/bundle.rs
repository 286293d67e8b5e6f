//! What a stack image holds: paths and formats that its builder and the manager inside agree on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The format of [`Bundle`]; raised when an older manager could misread it.
pub const BUNDLE_FORMAT: u32 = 1;

/// The directory of a stack image that holds what the paths below name.
pub const BUNDLE_DIRECTORY: &str = "stack";

/// The stack's design, a compose file: relative to [`BUNDLE_DIRECTORY`].
pub const BUNDLE_DESIGN: &str = "compose.yaml";

/// [`Bundle`] as JSON: relative to [`BUNDLE_DIRECTORY`].
pub const BUNDLE_FILE: &str = "stack.json";

/// [`BundledImages`] as JSON: relative to [`BUNDLE_DIRECTORY`].
pub const BUNDLE_IMAGES: &str = "images.json";

/// Where a stack image has the manager: its entry point.
pub const MANAGER_PROGRAM: &str = "ailtire-manager";

/// What a stack image says of its stack, besides the design.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// [`BUNDLE_FORMAT`].
    pub format: u32,
    /// The stack's name.
    pub name: String,
    /// Key of the package whose stack it is.
    pub package: String,
    /// The application's own name: the instance where nothing else is said.
    pub application: String,
    /// The environment that the design was read for.
    pub environment: String,
    /// Version of the application, where it was built for a release.
    pub version: Option<String>,
}

/// The images of the application that a stack runs, by the reference in its design: exactly those
/// that were built with it.
pub type BundledImages = BTreeMap<String, BundledImage>;

/// An image as it was when the stack image was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledImage {
    /// Its id in the engine that built it.
    pub id: String,
    /// Fingerprint of its inputs.
    pub fingerprint: String,
}
