//! What is needed besides the tree to decode a design.

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
    /// Whether it is a `services.js`; its tree has, besides Compose's keys: `x-ailtire-routes` (a
    /// list of mappings with the fields of [`crate::Route`], `timeout` as Compose writes
    /// durations) and `x-ailtire-ports` (a list of ports in long syntax) at top level, and
    /// `x-ailtire-stack: true` in services of `type: 'stack'`. A compose file may have them too.
    pub(crate) is_services_js: bool,
}
