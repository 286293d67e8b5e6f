//! What a stack image holds: paths and formats that its builder and the manager inside agree on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{StackDesign, to_yaml};

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

/// Where a stack image has the files of its design: relative to [`BUNDLE_DIRECTORY`].
const BUNDLE_FILES: &str = "files";

/// A design as it goes into a stack image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundledDesign {
    /// The compose file: [`BUNDLE_DESIGN`].
    pub text: String,
    /// What the files that it names hold, by their path relative to [`BUNDLE_DIRECTORY`].
    pub files: BTreeMap<String, Vec<u8>>,
}

impl BundledDesign {
    /// `design`, which was read with [`crate::Purpose::Image`], and the files of its configs.
    pub fn new(design: &StackDesign) -> Self {
        let mut design = design.clone();
        let mut files = BTreeMap::new();
        for config in design.configs.values_mut() {
            if let (Some(file), Some(data)) = (&mut config.file, &config.data) {
                *file = format!("{BUNDLE_FILES}/{file}");
                files.insert(file.clone(), data.clone());
            }
        }
        Self { text: to_yaml(&design), files }
    }
}

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
