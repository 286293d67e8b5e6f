//! What is needed besides the tree to decode a design.
//!
//! By then the tree's variables are replaced, and the format's networks (`children`, `siblings`, …)
//! are networks like any other, with definitions at top level. Besides Compose's own keys a tree
//! may have, whatever it comes from: `x-ailtire-routes` (a list of mappings with the fields of
//! [`crate::Route`]; `timeout` as Compose writes durations) and `x-ailtire-ports` (a list of ports)
//! at top level, and `x-ailtire-stack: true` in a service of `type: 'stack'`.

use ailtire_tree::Tree;

use crate::StackContext;
use crate::variables::Variables;

/// The surroundings of a design.
pub(crate) struct Reader<'read> {
    /// The application's files.
    pub(crate) tree: &'read Tree,
    /// Directory of the design, relative to the application root: what its paths are relative to.
    pub(crate) directory: &'read str,
    /// What it is read for.
    pub(crate) context: &'read StackContext,
    /// The variables that it may name.
    pub(crate) variables: &'read Variables,
}
