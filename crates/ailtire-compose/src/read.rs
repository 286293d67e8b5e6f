//! From a design on disk to [`Read`].

use std::collections::BTreeMap;

use ailtire_events::{Diagnostic, Location};
use ailtire_terms::DesignSource;
use ailtire_tree::{Resolved, Tree, join, parent};

use crate::document::{Node, Position};
use crate::findings::Findings;
use crate::reader::Reader;
use crate::variables::Variables;
use crate::{
    Read, StackContext, StackDesign, complete, decode, dotenv, interpolate, networks, services,
    yaml,
};

/// See [`crate::read`].
pub(crate) fn read(tree: &Tree, source: &DesignSource, context: &StackContext) -> Read {
    let (DesignSource::Compose { path } | DesignSource::Services { path, .. }) = source;
    let text = match text(tree, path) {
        Ok(text) => text,
        Err(diagnostic) => return Read { design: None, diagnostics: vec![*diagnostic] },
    };
    let mut findings = Findings::new(path.as_str(), &text);
    let design = design(tree, source, context, &text, &mut findings);
    let design = design.filter(|_| !findings.has_errors());
    Read { design, diagnostics: findings.into_diagnostics() }
}

/// See [`crate::read_text`].
pub(crate) fn read_text(tree: &Tree, path: &str, text: &str, context: &StackContext) -> Read {
    let source = DesignSource::Compose { path: path.to_owned() };
    let mut findings = Findings::new(path, text);
    let design = design(tree, &source, context, text, &mut findings);
    let design = design.filter(|_| !findings.has_errors());
    Read { design, diagnostics: findings.into_diagnostics() }
}

fn design(
    tree: &Tree,
    source: &DesignSource,
    context: &StackContext,
    text: &str,
    findings: &mut Findings,
) -> Option<StackDesign> {
    let (DesignSource::Compose { path } | DesignSource::Services { path, .. }) = source;
    let directory = parent(path);
    let variables = Variables::new(context, dot_env(tree, directory, context, findings));
    let mut root: Node;
    let is_services_js = match source {
        DesignSource::Compose { .. } => {
            root = yaml::parse(text, findings)?;
            interpolate::interpolate(&mut root, &variables, findings);
            false
        }
        DesignSource::Services { exported, .. } => {
            root = services::tree(exported);
            interpolate::interpolate(&mut root, &variables, findings);
            root = services::to_compose(root, findings)?;
            true
        }
    };
    networks::complete(&mut root, context, is_services_js, findings);
    let reader = Reader { tree, directory, context, variables: &variables };
    let mut design = decode::decode(&root, &reader, findings)?;
    complete::complete(&mut design, context, findings);
    Some(design)
}

/// The text of the file at `path`.
fn text(tree: &Tree, path: &str) -> Result<String, Box<Diagnostic>> {
    let unreadable = |message: String| {
        Box::new(Diagnostic::error("unreadable-file", message).at(Location::file(path)))
    };
    let content = match tree.resolve(path) {
        Ok(Resolved::Inside(inside)) => tree.read(&inside),
        _ => tree.read(path),
    };
    let content = content
        .map_err(|error| unreadable(format!("`{path}` can't be read: {}", error.message)))?;
    String::from_utf8(content).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let before = String::from_utf8_lossy(valid);
        let line = u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX);
        let mut location = Location::file(path);
        location.line = Some(line);
        let message = format!("`{path}` is not UTF-8");
        let diagnostic = Diagnostic::error("not-utf-8", message).at(location);
        Box::new(diagnostic.help("save it with the encoding UTF-8"))
    })
}

/// The variables of the `.env` beside the design, if there is one.
fn dot_env(
    tree: &Tree,
    directory: &str,
    context: &StackContext,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let Ok(path) = join(directory, ".env") else { return BTreeMap::new() };
    if tree.find(&path).is_none() {
        return BTreeMap::new();
    }
    let text = match text(tree, &path) {
        Ok(text) => text,
        Err(diagnostic) => {
            findings.add(*diagnostic);
            return BTreeMap::new();
        }
    };
    let known = Variables::new(context, BTreeMap::new());
    let (assignments, mistakes) = dotenv::parse(&text, &|name| known.value_or_symbol(name));
    for mistake in mistakes {
        let Position { line, column, length } = mistake.position;
        let location = Location::in_text(&path, &text, line, Some(column)).with_length(length);
        findings.add(Diagnostic::error("invalid-env-file", mistake.message).at(location));
    }
    // A name alone says nothing: it would stand for what the process environment has.
    let with_value = |line: dotenv::Assignment| Some((line.name, line.value?));
    assignments.into_iter().filter_map(with_value).collect()
}
