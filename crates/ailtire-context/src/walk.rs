//! From source directories and rules to the list of what is in a context.

use ailtire_events::{Diagnostic, Location};
use ailtire_tree::{EntryKind, Listing, Tree};

use crate::ignore::Matched;
use crate::layers::{Found, Layers, Node};
use crate::rule::{LeftOut, Rule, Rules, unreadable};

/// One entry of a context, its content not looked at yet.
pub(crate) struct Candidate<'tree> {
    /// Path in the context.
    pub(crate) path: Box<str>,
    /// Where it comes from; `None` for a directory that only exists in the context.
    pub(crate) found: Option<Found<'tree>>,
}

/// What a walk came to.
#[derive(Default)]
pub(crate) struct Walked<'tree> {
    /// In the order of a context.
    pub(crate) candidates: Vec<Candidate<'tree>>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) errors: Vec<Diagnostic>,
}

/// Lists everything in `layers` that `rules` let in.
pub(crate) fn walk<'tree>(
    tree: &'tree Tree,
    rules: &Rules,
    layers: &Layers<'tree>,
) -> Walked<'tree> {
    let mut walk = Walk { tree, rules, path: String::new(), walked: Walked::default() };
    walk.directory(layers, &Matched::default());
    walk.walked
}

struct Walk<'run, 'tree> {
    tree: &'tree Tree,
    rules: &'run Rules,
    /// Path in the context of what is at hand.
    path: String,
    walked: Walked<'tree>,
}

impl<'tree> Walk<'_, 'tree> {
    /// Takes in the content of one directory of the context; `above` is what matched it.
    fn directory(&mut self, layers: &Layers<'tree>, above: &Matched) {
        // Nearly every directory is a plain one: no map is needed to merge it with nothing.
        if let Some(directory) = layers.single() {
            match self.tree.list(directory) {
                Err(error) => self.walked.errors.push(unreadable(error)),
                Ok(listing) => {
                    self.unusable_names(directory.path(), listing, above);
                    for entry in &listing.entries {
                        let node = Node::of(Found { directory, entry });
                        self.named(entry.name(), &node, above);
                    }
                }
            }
            return;
        }
        for directory in &layers.directories {
            if let Ok(listing) = self.tree.list(directory) {
                self.unusable_names(directory.path(), listing, above);
            }
        }
        let errors = &mut self.walked.errors;
        let nodes = layers.merge(self.tree, |error| errors.push(unreadable(error)));
        for (name, node) in &nodes {
            self.named(name, node, above);
        }
    }

    fn named(&mut self, name: &str, node: &Node<'tree>, above: &Matched) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('/');
        }
        self.path.push_str(name);
        match node {
            Node::Other(found) => self.other(*found, name, above),
            Node::Directory(own, layers) => self.subdirectory(*own, layers, name, above),
        }
        self.path.truncate(length);
    }

    fn subdirectory(
        &mut self,
        own: Option<Found<'tree>>,
        layers: &Layers<'tree>,
        name: &str,
        above: &Matched,
    ) {
        let verdict = self.rules.directory(name, &self.path, above);
        if verdict.enter {
            self.walked.candidates.push(Candidate { path: self.path.as_str().into(), found: own });
            let (candidates, left_out) = (self.walked.candidates.len(), self.walked.left_out.len());
            self.directory(layers, &verdict.matched);
            // A directory that is left out is there for the sake of what an exception brings back.
            if verdict.rule.is_none() || self.walked.candidates.len() > candidates {
                return;
            }
            self.walked.candidates.pop();
            self.walked.left_out.truncate(left_out);
        }
        if let Some(rule) = verdict.rule {
            self.walked.left_out.push(LeftOut { path: self.path.clone(), rule });
        }
    }

    fn other(&mut self, found: Found<'tree>, name: &str, above: &Matched) {
        let rule = self.rules.by_name(name, &self.path, above).or_else(|| {
            let kind = found.entry.kind();
            if kind == EntryKind::Symlink || (kind == EntryKind::File && !self.rules.has_secrets())
            {
                return None;
            }
            let source = found.directory.child_path(found.entry.name());
            let rule = self.rules.by_kind(kind, &source)?;
            self.walked.warnings.push(warning(&rule, &source));
            Some(rule)
        });
        if let Some(rule) = rule {
            self.walked.left_out.push(LeftOut { path: self.path.clone(), rule });
        } else {
            let path = self.path.as_str().into();
            self.walked.candidates.push(Candidate { path, found: Some(found) });
        }
    }

    /// Names that are not UTF-8 can't be in a context: an error unless they are left out anyhow.
    fn unusable_names(&mut self, directory: &str, listing: &Listing, above: &Matched) {
        for name in &listing.unusable {
            let name = name.to_string_lossy();
            let path = if self.path.is_empty() {
                name.clone().into_owned()
            } else {
                format!("{}/{name}", self.path)
            };
            if self.rules.by_name(&name, &path, above).is_some() {
                continue;
            }
            let source = if directory.is_empty() { String::new() } else { format!("{directory}/") };
            let message = format!("the name of `{source}{name}` is not UTF-8");
            self.walked.errors.push(
                Diagnostic::error("name-not-utf8", message)
                    .at(Location::file(format!("{source}{name}")))
                    .help("rename it, or leave it out of the context with a `.dockerignore`"),
            );
        }
    }
}

fn warning(rule: &Rule, source: &str) -> Diagnostic {
    let at = Location::file(source);
    let (code, what, help) = if let Rule::Secret { id } = rule {
        let help = format!("read it with `RUN --mount=type=secret,id={id}`; or");
        ("secret-in-context", "it holds a build secret", help)
    } else {
        ("special-file", "it is a socket, a FIFO or a device", String::new())
    };
    let help = format!("{help} name it in a `.dockerignore` to silence this");
    Diagnostic::warning(code, format!("`{source}` is left out of the context: {what}"))
        .at(at)
        .help(help.trim_start())
}
