//! Where a design comes from.

use serde::{Deserialize, Serialize};

use crate::Node;

/// What a stack is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesignSource {
    /// A compose file.
    Compose {
        /// Its path, relative to the application root.
        path: String,
    },
    /// A `services.js`.
    Services {
        /// Its path, relative to the application root.
        path: String,
        /// What it exports.
        exported: Node,
    },
}
