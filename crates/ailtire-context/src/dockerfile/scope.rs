//! Variables that are in scope: before the first `FROM`, and in a stage.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_manifest::ImageDefinition;

use super::expand::{ExpandError, Value, expand};
use super::words::split_words;

/// Variables that the engine sets by itself, and only then knows.
const ENGINE_VARIABLES: &[&str] = &["BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT"];

/// Variables that follow from the platform that is built for.
const TARGET_VARIABLES: &[&str] = &["TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT"];

/// Whether a build argument of this name means something without an `ARG`.
pub(super) fn is_builtin(name: &str) -> bool {
    ENGINE_VARIABLES.contains(&name)
        || TARGET_VARIABLES.contains(&name)
        || matches!(name, "TARGETSTAGE" | "SOURCE_DATE_EPOCH")
        || name.starts_with("BUILDKIT_")
}

/// Variables and what is known of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    variables: BTreeMap<String, Value>,
    /// Names that `ENV` sets: no `ARG` changes them.
    environment: BTreeSet<String>,
}

impl Scope {
    /// The variables before the first `FROM`, none declared yet.
    pub(super) fn global(image: &ImageDefinition) -> Self {
        let mut scope = Self::default();
        for name in ENGINE_VARIABLES.iter().chain(TARGET_VARIABLES) {
            scope.variables.insert((*name).to_owned(), Value::Unknown);
        }
        if let [platform] = image.platforms.as_slice() {
            let mut parts = platform.splitn(3, '/');
            let values = [Some(platform.as_str()), parts.next(), parts.next(), parts.next()];
            for (name, value) in TARGET_VARIABLES.iter().zip(values) {
                let value = Value::Known(value.unwrap_or_default().to_owned());
                scope.variables.insert((*name).to_owned(), value);
            }
        }
        let stage = image.target.clone().unwrap_or_else(|| "default".to_owned());
        scope.variables.insert("TARGETSTAGE".to_owned(), Value::Known(stage));
        for (name, value) in image.build_arguments.iter().filter(|(name, _)| is_builtin(name)) {
            scope.variables.insert(name.clone(), Value::Known(value.clone()));
        }
        scope
    }

    /// What is known of the variable `name`.
    pub(super) fn get(&self, name: &str) -> Value {
        self.variables.get(name).cloned().unwrap_or(Value::Unset)
    }

    /// Takes in the `arguments` of an `ARG`: `given` values win over defaults, and a name without
    /// either takes its value from `outer`.
    ///
    /// # Errors
    ///
    /// [`ExpandError`] for the first word that can't be expanded.
    pub(super) fn declare(
        &mut self,
        arguments: &str,
        escape: char,
        given: &BTreeMap<String, String>,
        outer: Option<&Self>,
    ) -> Result<(), ExpandError> {
        for word in split_words(arguments, escape) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (word, None),
            };
            if self.environment.contains(name) {
                continue;
            }
            let value = match (given.get(name), default) {
                (Some(value), _) => Value::Known(value.clone()),
                (None, Some(default)) => self.expanded(default, escape)?,
                (None, None) => match outer {
                    Some(outer) => outer.get(name),
                    None => self.get(name),
                },
            };
            self.variables.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// Takes in the `arguments` of an `ENV`.
    ///
    /// # Errors
    ///
    /// [`ExpandError`] for the first word that can't be expanded.
    pub(super) fn set(&mut self, arguments: &str, escape: char) -> Result<(), ExpandError> {
        let words = split_words(arguments, escape);
        let is_old_form = words.first().is_some_and(|word| !word.contains('='));
        let pairs: Vec<(&str, &str)> = if is_old_form {
            arguments.split_once(char::is_whitespace).into_iter().collect()
        } else {
            words.iter().filter_map(|word| word.split_once('=')).collect()
        };
        // All values of one `ENV` see the variables as they were before it.
        let mut values = Vec::new();
        for (name, value) in pairs {
            values.push((name.to_owned(), self.expanded(value.trim(), escape)?));
        }
        for (name, value) in values {
            self.environment.insert(name.clone());
            self.variables.insert(name, value);
        }
        Ok(())
    }

    fn expanded(&self, text: &str, escape: char) -> Result<Value, ExpandError> {
        let value = expand(text, escape, &|name| self.get(name))?;
        Ok(value.map_or(Value::Unknown, Value::Known))
    }
}

/// The names that the `arguments` of an `ARG` declare.
pub(super) fn declared_names(arguments: &str, escape: char) -> impl Iterator<Item = &str> {
    let words = split_words(arguments, escape).into_iter();
    words.map(|word| word.split_once('=').map_or(word, |(name, _)| name))
}
