//! The variables that a design may name, first source that has one wins.

use std::collections::BTreeMap;

use crate::StackContext;

/// Looks variables up in the sources of format, section 5.
#[derive(Debug)]
pub(crate) struct Variables {
    sources: Vec<BTreeMap<String, String>>,
}

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
        Self { sources }
    }

    /// The value of the variable `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.sources.iter().find_map(|source| source.get(name)).map(String::as_str)
    }

    /// The names of all variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().flat_map(BTreeMap::keys).map(String::as_str)
    }
}

/// The host name of a stack's manager on its family network.
pub(crate) const MANAGER_ALIAS: &str = "admin";

/// The variables of format, section 7, as a plain service of the stack has them, but for
/// `AILTIRE_SERVICENAME`; and `APPNAME`.
pub(crate) fn format_variables(context: &StackContext) -> BTreeMap<String, String> {
    let parent = context.parent.as_ref();
    let of_parent = |value: &str| if parent.is_some() { value.to_owned() } else { String::new() };
    [
        ("AILTIRE_APPNAME", context.application.clone()),
        ("APPNAME", context.application.clone()),
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
