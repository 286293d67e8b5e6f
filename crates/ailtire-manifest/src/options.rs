//! What the command line says about reading definitions.

use std::collections::BTreeMap;
use std::time::Duration;

/// The environment where the command line names none.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// How the definitions are to be read.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The chosen environment; `default` where none was chosen.
    pub environment: String,
    /// Variables of the command line (`--env KEY=VALUE`): build arguments of every image that win
    /// over the definition's, and laid over `process_environment`.
    pub variables: BTreeMap<String, String>,
    /// Name of this instance of the application (`--name`).
    pub name: Option<String>,
    /// What every image reference starts with (`--repo`), without the slash.
    pub repository: Option<String>,
    /// An extra tag of every image (`--version`).
    pub version: Option<String>,
    /// Whether an invalid image reference is replaced by the suggested one (`--fix-tags`).
    pub fix_tags: bool,
    /// What `process.env` shows to definitions.
    pub process_environment: BTreeMap<String, String>,
    /// Whether `deploy.js` and the designs of stacks are read too.
    pub deployments: bool,
    /// What one evaluation may take.
    pub limits: Limits,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            environment: DEFAULT_ENVIRONMENT.to_owned(),
            variables: BTreeMap::new(),
            name: None,
            repository: None,
            version: None,
            fix_tags: false,
            process_environment: BTreeMap::new(),
            deployments: false,
            limits: Limits::default(),
        }
    }
}

/// What the evaluation of one definition may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time.
    pub time: Duration,
    /// Memory in bytes.
    pub memory: usize,
}

impl Default for Limits {
    /// 2 seconds, 64 MiB.
    fn default() -> Self {
        Self { time: Duration::from_secs(2), memory: 64 * 1024 * 1024 }
    }
}
