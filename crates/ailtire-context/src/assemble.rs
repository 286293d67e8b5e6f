//! Putting a build context together.

use std::collections::HashSet;
use std::sync::Arc;

use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::{Application, ImageDefinition, Modes};
use ailtire_tree::{Digest, Directory, EntryKind, Resolved, Tree};
use rayon::prelude::*;

use crate::layers::{Found, Layers, Placed, Source};
use crate::model::{BuildContext, Content, ContextEntry, Dockerfile};
use crate::rule::{LeftOut, Rules, unreadable};
use crate::version;
use crate::walk::{Candidate, Walked, walk};

/// From how many entries on a context is worth more than one thread.
const PARALLEL_ENTRIES: usize = 512;

/// Bytes of content from which a context is worth more than one thread.
const PARALLEL_BYTES: u64 = 4 * 1024 * 1024;

/// The build context of `image`, with its Dockerfile.
///
/// # Errors
///
/// Everything that keeps the context from being complete: a Dockerfile or an ignore file that
/// can't be understood, files that can't be read, names that no context can hold.
pub fn assemble(
    tree: &Tree,
    application: &Application,
    image: &ImageDefinition,
) -> Result<BuildContext, Vec<Diagnostic>> {
    match crate::dockerfile(tree, image, &|_| None) {
        Ok(dockerfile) => assemble_with(tree, application, image, dockerfile),
        Err(mut errors) => {
            // The context may have errors of its own, which are wanted in the same run.
            errors
                .extend(walk_image(tree, application, image).map_or_else(|it| it, |it| it.errors));
            Err(errors)
        }
    }
}

/// The same for an image whose Dockerfile was read already.
///
/// # Errors
///
/// As [`assemble`], but for the Dockerfile.
pub fn assemble_with(
    tree: &Tree,
    application: &Application,
    image: &ImageDefinition,
    dockerfile: Dockerfile,
) -> Result<BuildContext, Vec<Diagnostic>> {
    let walked = walk_image(tree, application, image)?;
    let measure = Measure { tree, application, modes: image.modes };
    let bytes: u64 = walked.candidates.iter().map(Candidate::expected_bytes).sum();
    let parallel = walked.candidates.len() >= PARALLEL_ENTRIES || bytes >= PARALLEL_BYTES;
    let measured: Vec<_> = if parallel {
        walked.candidates.into_par_iter().map(|candidate| measure.entry(candidate)).collect()
    } else {
        walked.candidates.into_iter().map(|candidate| measure.entry(candidate)).collect()
    };
    let mut entries = Vec::with_capacity(measured.len());
    let (mut errors, mut diagnostics) = (walked.errors, walked.warnings);
    for result in measured {
        match result {
            Ok((entry, warning)) => {
                entries.push(entry);
                diagnostics.extend(warning.map(|warning| *warning));
            }
            Err(error) => errors.push(*error),
        }
    }
    if errors.is_empty() {
        let diagnostics = unique(diagnostics);
        Ok(BuildContext { entries, dockerfile, diagnostics })
    } else {
        Err(unique(errors))
    }
}

/// Each finding once: a file may be in a context several times.
fn unique(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    diagnostics.retain(|diagnostic| seen.insert(diagnostic.clone()));
    diagnostics
}

/// What is not in the context of `image` though it is where the context comes from, in the order
/// of the context. A directory that is left out as a whole is one row.
///
/// # Errors
///
/// An ignore file that can't be understood, directories that can't be listed.
pub fn left_out(
    tree: &Tree,
    application: &Application,
    image: &ImageDefinition,
) -> Result<Vec<LeftOut>, Vec<Diagnostic>> {
    let walked = walk_image(tree, application, image)?;
    if walked.errors.is_empty() { Ok(walked.left_out) } else { Err(unique(walked.errors)) }
}

fn walk_image<'tree>(
    tree: &'tree Tree,
    application: &Application,
    image: &ImageDefinition,
) -> Result<Walked<'tree>, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let directory =
        resolved_directory(tree, &image.directory, image).map_err(|error| errors.push(*error)).ok();
    let rules = Rules::read(tree, image, directory.map_or(&image.directory, Directory::path))
        .map_err(|problems| errors.extend(problems))
        .ok();
    let placed = placed(tree, application, image, directory)
        .map_err(|problems| errors.extend(problems))
        .ok();
    match (directory, rules, placed) {
        (Some(directory), Some(rules), Some(placed)) => {
            Ok(walk(tree, &rules, &Layers { directories: vec![directory], placed }))
        }
        _ => Err(errors),
    }
}

fn resolved_directory<'tree>(
    tree: &'tree Tree,
    path: &str,
    image: &ImageDefinition,
) -> Result<&'tree Directory, Box<Diagnostic>> {
    if let Some(directory) = tree.directory(path) {
        return Ok(directory);
    }
    let resolved = tree.resolve(path).map_err(|error| Box::new(unreadable(&error)))?;
    let directory = match resolved {
        Resolved::Inside(inside) => tree.directory(&inside),
        Resolved::Outside(_) | Resolved::Missing => None,
    };
    directory.ok_or_else(|| {
        let message = format!("`{path}` is no directory of the application");
        Diagnostic::error("context-directory", message).at(image.location.clone()).into()
    })
}

/// What is placed over the content of `directory`, later ones winning.
fn placed<'tree>(
    tree: &'tree Tree,
    application: &Application,
    image: &ImageDefinition,
    directory: Option<&Directory>,
) -> Result<Vec<Placed<'tree>>, Vec<Diagnostic>> {
    let mut placed = Vec::new();
    let mut errors = Vec::new();
    if !image.packages.is_empty() {
        placed.extend(top_index(tree, application, directory));
    }
    for package in &image.packages {
        match place_package(tree, application, image, package) {
            Ok(package) => placed.push(package),
            Err(error) => errors.push(*error),
        }
    }
    let within = [Some(image.directory.as_str()), directory.map(Directory::path)];
    if !within.into_iter().flatten().any(|directory| is_below(&image.dockerfile, directory))
        && let Ok(Resolved::Inside(path)) = tree.resolve(&image.dockerfile)
        && let Some(found) = find(tree, &path)
    {
        placed.push(Placed { rest: "Dockerfile".to_owned(), what: Source::Other(found) });
    }
    if errors.is_empty() { Ok(placed) } else { Err(errors) }
}

/// Whether `path` is below `directory`.
pub(crate) fn is_below(path: &str, directory: &str) -> bool {
    if directory.is_empty() {
        return !path.starts_with("../");
    }
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// The top package's `index.js`, unless the context has one.
fn top_index<'tree>(
    tree: &'tree Tree,
    application: &Application,
    directory: Option<&Directory>,
) -> Option<Placed<'tree>> {
    const PLACE: &str = "api/index.js";
    if directory.is_some_and(|directory| tree.find(&directory.child_path(PLACE)).is_some()) {
        return None;
    }
    let top = application.packages.iter().find(|package| package.parent.is_none())?;
    let found = find(tree, top.index_file.as_ref()?)?;
    Some(Placed { rest: PLACE.to_owned(), what: Source::Other(found) })
}

fn place_package<'tree>(
    tree: &'tree Tree,
    application: &Application,
    image: &ImageDefinition,
    package: &ailtire_manifest::PlacedPackage,
) -> Result<Placed<'tree>, Box<Diagnostic>> {
    let written = &package.written;
    if matches!(written.as_str(), "" | "." | "..") || written.contains(['/', '\0']) {
        let message = format!("the package name `{written}` can't be the name of a directory");
        return Err(Diagnostic::error("package-name", message)
            .at(image.location.clone())
            .help("name the package by its short name or its directory")
            .into());
    }
    let Some(definition) = application.packages.get(package.package) else {
        let message = format!("the package `{written}` is not in the application");
        return Err(Diagnostic::error("unknown-package", message)
            .at(image.location.clone())
            .into());
    };
    let directory = resolved_directory(tree, &definition.directory, image)?;
    let own = find(tree, directory.path());
    let what = Source::Directory(directory, own);
    Ok(Placed { rest: format!("api/{written}"), what })
}

fn find<'tree>(tree: &'tree Tree, path: &str) -> Option<Found<'tree>> {
    if path.is_empty() {
        return None;
    }
    tree.find(path).map(|(directory, entry)| Found { directory, entry })
}

impl Candidate<'_> {
    fn expected_bytes(&self) -> u64 {
        self.found
            .filter(|found| found.entry.kind() == EntryKind::File)
            .map_or(0, |found| found.entry.stat().size)
    }
}

/// Looks at the content of what is in a context.
struct Measure<'run> {
    tree: &'run Tree,
    application: &'run Application,
    modes: Modes,
}

type Measured = Result<(ContextEntry, Option<Box<Diagnostic>>), Box<Diagnostic>>;

impl Measure<'_> {
    fn entry(&self, candidate: Candidate<'_>) -> Measured {
        let Candidate { path, found } = candidate;
        let Some(found) = found else {
            return Ok((ContextEntry { path, mode: 0o755, content: Content::Directory }, None));
        };
        let source = || found.directory.child_path(found.entry.name());
        match found.entry.kind() {
            EntryKind::Directory => {
                let mode = self.mode(found.entry.stat().mode, true);
                Ok((ContextEntry { path, mode, content: Content::Directory }, None))
            }
            EntryKind::Symlink => {
                let target = self.tree.link_target(found.directory, found.entry);
                let target = target.map_err(|error| Box::new(unreadable(&error)))?.into_boxed_str();
                let warning = self.link_warning(&source(), &target);
                Ok((
                    ContextEntry { path, mode: 0o777, content: Content::Symlink { target } },
                    warning,
                ))
            }
            EntryKind::File | EntryKind::Special => {
                let measured = self.tree.measured(found.directory, found.entry);
                let (stat, digest) = measured.map_err(|error| Box::new(unreadable(&error)))?;
                let mode = self.mode(stat.mode, stat.is_executable());
                let content = match &self.application.release_version {
                    Some(version) if &*path == "package.json" => {
                        self.versioned(&source(), version)?
                    }
                    _ => {
                        let source = source().into_boxed_str();
                        Content::File { source, size: stat.size, digest }
                    }
                };
                Ok((ContextEntry { path, mode, content }, None))
            }
        }
    }

    fn mode(&self, actual: u32, executable: bool) -> u32 {
        match self.modes {
            Modes::Preserve => actual & 0o7777,
            Modes::Canonical if executable => 0o755,
            Modes::Canonical => 0o644,
        }
    }

    fn versioned(&self, source: &str, version: &str) -> Result<Content, Box<Diagnostic>> {
        let content = self.tree.read(source).map_err(|error| Box::new(unreadable(&error)))?;
        let bytes = version::with_version(&content, version).map_err(|problem| {
            let text = String::from_utf8_lossy(&content);
            let location = Location::in_text(source, &text, problem.line, problem.column);
            let message = format!("the version can't be put into `{source}`: {}", problem.message);
            let error = Diagnostic::error("package-json", message).at(location);
            Box::new(error.help("make it a valid JSON object"))
        })?;
        let digest = Digest::of(&bytes);
        Ok(Content::Generated { bytes: Arc::from(bytes), digest })
    }

    fn link_warning(&self, source: &str, target: &str) -> Option<Box<Diagnostic>> {
        let warning = match self.tree.resolve(source) {
            Ok(Resolved::Inside(_) | Resolved::Missing) => return None,
            Ok(Resolved::Outside(_)) => {
                let message =
                    format!("the link `{source}` leads out of the application, to `{target}`");
                Diagnostic::warning("link-leads-outside", message).help(
                    "it is kept as a link, and dangles unless the image itself has its target",
                )
            }
            Err(error) => Diagnostic::warning("link-unusable", error.to_string()),
        };
        Some(warning.at(Location::file(source)).into())
    }
}
