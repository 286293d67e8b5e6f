//! The variables that a design may name, first source that has one wins.

use std::collections::BTreeMap;

use ailtire_terms::suggests_secret;

use crate::template::Later;
use crate::{Purpose, StackContext, symbol};

/// Looks variables up in the sources of format, section 5.
#[derive(Debug)]
pub(crate) struct Variables {
    sources: Vec<BTreeMap<String, String>>,
    /// Whether some of them stay variables.
    is_for_image: bool,
}

/// How many sources are written down with the stack: what they say is the same everywhere.
const WRITTEN_DOWN: usize = 2;

impl Variables {
    /// The variables of the format, the context's, the command line's, the process' and those of
    /// the `.env` beside the file.
    pub(crate) fn new(context: &StackContext, dot_env: BTreeMap<String, String>) -> Self {
        let sources = vec![
            format_variables(context),
            context.variables.clone(),
            context.command_line.clone(),
            context.process.clone(),
            dot_env,
        ];
        Self { sources, is_for_image: context.purpose == Purpose::Image }
    }

    /// What is known of the variable `name`, where it is to stay a variable.
    pub(crate) fn later(&self, name: &str) -> Option<Later> {
        if !self.is_for_image {
            return None;
        }
        let of_format = OF_INSTANCE.iter().find(|(known, _)| *known == name);
        if let Some((_, later)) = of_format {
            return Some(*later);
        }
        let written_down =
            || self.sources.iter().take(WRITTEN_DOWN).any(|source| source.contains_key(name));
        (suggests_secret(name) && !written_down()).then_some(Later::Secret)
    }

    /// The value of the variable `name`, or the symbol for it; none of a secret.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        match self.later(name) {
            None => self.get(name).map(str::to_owned),
            Some(Later::Secret) => None,
            Some(Later::Filled | Later::PerhapsEmpty) => Some(symbol::variable(name)),
        }
    }

    /// The value of the variable `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.sources.iter().find_map(|source| source.get(name)).map(String::as_str)
    }

    /// The value of the variable `name`, or the symbol for it.
    pub(crate) fn value_or_symbol(&self, name: &str) -> Option<String> {
        match self.later(name) {
            None => self.get(name).map(str::to_owned),
            Some(_) => Some(symbol::variable(name)),
        }
    }

    /// The names of all variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().flat_map(BTreeMap::keys).map(String::as_str)
    }
}

/// The host name of a stack's manager on its family network.
pub(crate) const MANAGER_ALIAS: &str = "admin";

/// The name of a stack's family network where its design defines none, for interpolation only.
pub(crate) const FAMILY_NETWORK: &str = "AILTIRE_FAMILY_NETWORK";

/// Variables of the format that differ from one instance of a stack to another.
const OF_INSTANCE: [(&str, Later); 7] = [
    ("AILTIRE_APPNAME", Later::Filled),
    ("APPNAME", Later::Filled),
    ("AILTIRE_STACKNAME", Later::Filled),
    (FAMILY_NETWORK, Later::Filled),
    ("AILTIRE_PARENT", Later::PerhapsEmpty),
    ("AILTIRE_PARENTHOST", Later::PerhapsEmpty),
    ("AILTIRE_PARENT_NETWORK", Later::PerhapsEmpty),
];

/// Variables that are there for interpolation only.
pub(crate) const NOT_FOR_SERVICES: [&str; 2] = ["APPNAME", FAMILY_NETWORK];

/// The variables of format, section 7, as a plain service of the stack has them, but for
/// `AILTIRE_SERVICENAME`; and [`NOT_FOR_SERVICES`].
pub(crate) fn format_variables(context: &StackContext) -> BTreeMap<String, String> {
    let parent = context.parent.as_ref();
    let of_parent = |value: &str| if parent.is_some() { value.to_owned() } else { String::new() };
    [
        ("AILTIRE_APPNAME", context.application.clone()),
        ("APPNAME", context.application.clone()),
        (FAMILY_NETWORK, context.family_network()),
        ("AILTIRE_ENV", context.environment.clone()),
        ("AILTIRE_STACKNAME", context.instance.clone()),
        ("AILTIRE_PARENT", parent.map(|parent| parent.instance.clone()).unwrap_or_default()),
        ("AILTIRE_PARENTHOST", of_parent(MANAGER_ALIAS)),
        (
            "AILTIRE_PARENT_NETWORK",
            parent.map(|parent| parent.family_network.clone()).unwrap_or_default(),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
