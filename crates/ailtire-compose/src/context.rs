//! Where in an application a stack stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::{NETWORK_NAME_LIMIT, StackDesign, network_name, shorten};

/// What a design is read for: one instance of a stack (format, sections 5 to 7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackContext {
    /// The application instance: `AILTIRE_APPNAME`.
    pub application: String,
    /// The environment: `AILTIRE_ENV`.
    pub environment: String,
    /// The stack's instance: `AILTIRE_STACKNAME`.
    pub instance: String,
    /// The root's instance, then the names of the services that lead to this stack.
    pub path: Vec<String>,
    /// The stack that holds this one; absent for the root.
    pub parent: Option<ParentStack>,
    /// `env` of `deploy.js`: for interpolation, and for every service of the stack.
    pub variables: BTreeMap<String, String>,
    /// `--env KEY=VALUE` of the command line, for interpolation.
    pub command_line: BTreeMap<String, String>,
    /// The process environment, for interpolation.
    pub process: BTreeMap<String, String>,
    /// Images of stacks, as [`ailtire_terms::reference::canonical`] has them: a service with one
    /// of them runs that stack, even if it does not say so.
    pub stack_images: BTreeSet<String>,
    /// Whether an invalid image reference is replaced by the suggested one (`--fix-tags`).
    pub fix_tags: bool,
    /// What the design is read for.
    pub purpose: Purpose,
}

/// What a design is read for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To deploy it without a manager: its entry service publishes the stack's ports.
    #[default]
    Deployment,
    /// To be run by its manager, which is the gateway and publishes the ports itself.
    Management,
    /// To go into a stack image, which is the same wherever the stack runs: as for
    /// [`Purpose::Management`], and the format's own variables but `AILTIRE_ENV` stay variables.
    Image,
}

/// The stack that holds another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParentStack {
    /// Its instance: `AILTIRE_PARENT`.
    pub instance: String,
    /// Its family network, which is also that of the other stack's manager:
    /// `AILTIRE_PARENT_NETWORK`.
    pub family_network: String,
}

impl StackContext {
    /// The name of the stack's family network: `<application>_<path joined by _>_family`, as short
    /// as the engine wants it.
    pub fn family_network(&self) -> String {
        let name = format!("{}_{}_family", self.application, self.path.join("_"));
        shorten(&name, NETWORK_NAME_LIMIT)
    }

    /// The name of the family network as `design` has it: a compose file may define it itself.
    pub fn family_network_in(&self, design: &StackDesign) -> String {
        let own = ["children", "family"].into_iter().find_map(|key| {
            let network = design.networks.get(key)?;
            Some(network_name(&self.instance, key, Some(network)))
        });
        own.unwrap_or_else(|| self.family_network())
    }
}
