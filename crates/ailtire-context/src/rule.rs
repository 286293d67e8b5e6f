//! Why something is not in a build context.

use std::collections::BTreeMap;
use std::fmt;

use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::{ImageDefinition, SecretSource};
use ailtire_tree::{EntryKind, ReadError, Resolved, Tree};

use crate::ignore::{IgnorePatterns, Matched};

/// The tool's own state directory: in no context, whatever the patterns say.
const STATE_DIRECTORY: &str = ".ailtire";

/// What left a path out of a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A pattern of an ignore file.
    Pattern {
        /// The ignore file, relative to the application root.
        file: String,
        /// Line of the pattern, counted from 1.
        line: u32,
        /// The pattern as it is written.
        pattern: String,
    },
    /// The name starts with a dot, and there is no ignore file.
    DotName,
    /// It is called `node_modules`, and there is no ignore file.
    NodeModules,
    /// It is the tool's own state.
    StateDirectory,
    /// It holds a build secret.
    Secret {
        /// The secret's identifier.
        id: String,
    },
    /// It is a socket, a FIFO or a device.
    SpecialFile,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern { file, line, pattern } => {
                write!(formatter, "{file}:{line}: `{pattern}`")
            }
            Self::DotName => formatter.write_str("name starts with a dot, and no ignore file"),
            Self::NodeModules => formatter.write_str("`node_modules`, and no ignore file"),
            Self::StateDirectory => formatter.write_str("state of the build tool"),
            Self::Secret { id } => write!(formatter, "source of the build secret `{id}`"),
            Self::SpecialFile => formatter.write_str("neither file, directory nor link"),
        }
    }
}

/// Something that is not in a build context though it is where the context comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Path that it would have in the context; of a directory, that of the directory alone.
    pub path: String,
    /// What left it out.
    pub rule: Rule,
}

/// The rules for one image's context.
pub(crate) struct Rules {
    /// The ignore file, relative to the application root; without one, names decide.
    ignore: Option<(String, IgnorePatterns)>,
    /// Source path → identifier.
    secrets: BTreeMap<String, String>,
}

impl Rules {
    /// The rules for `image`, whose context's own directory is `directory`.
    ///
    /// # Errors
    ///
    /// The ignore file can't be read, or has patterns that are not valid.
    pub(crate) fn read(
        tree: &Tree,
        image: &ImageDefinition,
        directory: &str,
    ) -> Result<Self, Vec<Diagnostic>> {
        let beside = format!("{}.dockerignore", image.dockerfile);
        let within = match directory {
            "" => ".dockerignore".to_owned(),
            directory => format!("{directory}/.dockerignore"),
        };
        let mut ignore = None;
        for path in [beside, within] {
            if let Some(text) = ignore_file(tree, &path).map_err(|error| vec![*error])? {
                ignore = Some((parse(&path, &text)?, path));
                break;
            }
        }
        let ignore = ignore.map(|(patterns, path)| (path, patterns));
        Ok(Self { ignore, secrets: secrets(tree, image) })
    }

    /// The rule that leaves out what is called `name`, at `path` in the context; `above` is what
    /// matched its directory.
    pub(crate) fn by_name(&self, name: &str, path: &str, above: &Matched) -> Option<Rule> {
        if let Some(rule) = self.fixed(name) {
            return Some(rule);
        }
        let (file, patterns) = self.ignore.as_ref()?;
        patterns.decide(path, above).map(|pattern| rule_of(file, pattern))
    }

    /// The same for a directory, with what matched it.
    pub(crate) fn directory(&self, name: &str, path: &str, above: &Matched) -> Verdict {
        if let Some(rule) = self.fixed(name) {
            return Verdict { rule: Some(rule), matched: Matched::default(), enter: false };
        }
        let Some((file, patterns)) = &self.ignore else {
            return Verdict { rule: None, matched: Matched::default(), enter: true };
        };
        let (decisive, matched) = patterns.below(path, above);
        let enter = decisive.is_none() || patterns.may_return_below(path);
        Verdict { rule: decisive.map(|pattern| rule_of(file, pattern)), matched, enter }
    }

    /// The rule that leaves out what is of `kind` and stands at `source`.
    pub(crate) fn by_kind(&self, kind: EntryKind, source: &str) -> Option<Rule> {
        match kind {
            EntryKind::Special => Some(Rule::SpecialFile),
            EntryKind::File => self.secrets.get(source).map(|id| Rule::Secret { id: id.clone() }),
            EntryKind::Directory | EntryKind::Symlink => None,
        }
    }

    /// Whether [`by_kind`](Self::by_kind) needs to be asked about regular files.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    fn fixed(&self, name: &str) -> Option<Rule> {
        match name {
            STATE_DIRECTORY => Some(Rule::StateDirectory),
            _ if self.ignore.is_some() => None,
            "node_modules" => Some(Rule::NodeModules),
            _ if name.starts_with('.') => Some(Rule::DotName),
            _ => None,
        }
    }
}

/// What the rules say of a directory.
pub(crate) struct Verdict {
    /// The rule that leaves it out.
    pub(crate) rule: Option<Rule>,
    /// What matched it, for what lies below.
    pub(crate) matched: Matched,
    /// Whether something below it may be in the context.
    pub(crate) enter: bool,
}

fn rule_of(file: &str, pattern: &crate::ignore::Pattern) -> Rule {
    Rule::Pattern { file: file.to_owned(), line: pattern.line(), pattern: pattern.to_string() }
}

/// The text of the ignore file at `path`, if there is one.
fn ignore_file(tree: &Tree, path: &str) -> Result<Option<String>, Box<Diagnostic>> {
    let error = |error: ReadError| Box::new(unreadable(&error));
    let resolved = tree.resolve(path).map_err(error)?;
    if resolved == Resolved::Missing && tree.find(path).is_none() {
        return Ok(None);
    }
    let Resolved::Inside(inside) = resolved else {
        let message =
            format!("the ignore file `{path}` leads out of the application or to nothing");
        return Err(Diagnostic::error("ignore-file-missing", message)
            .at(Location::file(path))
            .into());
    };
    let content = tree.read(&inside).map_err(error)?;
    String::from_utf8(content).map(Some).map_err(|_| {
        let message = format!("the ignore file `{path}` is not UTF-8");
        Diagnostic::error("ignore-file-not-utf8", message)
            .at(Location::file(path))
            .help("save it as UTF-8")
            .into()
    })
}

fn parse(path: &str, text: &str) -> Result<IgnorePatterns, Vec<Diagnostic>> {
    IgnorePatterns::parse(text).map_err(|errors| {
        let diagnostics = errors.iter().map(|error| {
            Diagnostic::error("ignore-pattern", error.to_string())
                .at(Location::in_text(path, text, error.line, None))
        });
        diagnostics.collect()
    })
}

/// The files that hold secrets, under the path that is written and the one it leads to.
fn secrets(tree: &Tree, image: &ImageDefinition) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (id, secret) in &image.secrets {
        let SecretSource::File(path) = secret else { continue };
        if let Ok(Resolved::Inside(inside)) = tree.resolve(path) {
            files.insert(inside, id.clone());
        }
        files.insert(path.clone(), id.clone());
    }
    files
}

/// An error for something that can't be read.
pub(crate) fn unreadable(error: &ReadError) -> Diagnostic {
    Diagnostic::error("unreadable", error.to_string())
        .at(Location::file(&error.path))
        .help("make it readable, or leave it out of the context with a `.dockerignore`")
}
