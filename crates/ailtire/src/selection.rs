//! Which images the command line speaks of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ailtire_events::Diagnostic;
use ailtire_manifest::{LookupError, Package, resolve_package};
use ailtire_terms::{did_you_mean, nearest};
use globset::GlobBuilder;

use crate::Application;

/// Selectors, as they are on the command line.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Packages (key, short name or directory), images (name or reference), or globs of these.
    /// None: the whole application.
    pub selectors: Vec<String>,
    /// Whether a selected package takes in the packages below it.
    pub recursive: bool,
    /// The directory that relative directories start from.
    pub working_directory: PathBuf,
}

impl Application {
    /// Indices of the selected images, in the order of the definitions.
    ///
    /// # Errors
    ///
    /// A diagnostic for each selector that selects nothing.
    pub fn select(&self, selection: &Selection) -> Result<Vec<usize>, Vec<Diagnostic>> {
        if selection.selectors.is_empty() {
            return Ok((0..self.definitions.images.len()).collect());
        }
        let mut selected = BTreeSet::new();
        let mut errors = Vec::new();
        for selector in &selection.selectors {
            match self.select_one(selector, selection) {
                Ok(images) => selected.extend(images),
                Err(error) => errors.push(*error),
            }
        }
        if errors.is_empty() { Ok(selected.into_iter().collect()) } else { Err(errors) }
    }

    fn select_one(
        &self,
        selector: &str,
        selection: &Selection,
    ) -> Result<Vec<usize>, Box<Diagnostic>> {
        if selector.contains(['*', '?', '[', '{']) {
            return self.select_glob(selector, selection.recursive);
        }
        let named = self.definitions.images_named(selector);
        let images: Vec<_> = named.map(|(index, _)| index).collect();
        match self.package_named(selector, &selection.working_directory) {
            Ok(package) => {
                let below = self.images_of(&[package], selection.recursive);
                if images.is_empty() && below.is_empty() {
                    return Err(Box::new(self.without_images(
                        package,
                        selector,
                        selection.recursive,
                    )));
                }
                Ok(images.into_iter().chain(below).collect())
            }
            Err(_) if !images.is_empty() => Ok(images),
            Err(error) => Err(Box::new(self.unknown(selector, &error))),
        }
    }

    /// The package that `selector` names: by its directory, from `working_directory` or from the
    /// root, by any of its names, or by that of its stack.
    ///
    /// # Errors
    ///
    /// A diagnostic where it names none, or more than one.
    pub fn select_package(
        &self,
        selector: &str,
        working_directory: &Path,
    ) -> Result<usize, Box<Diagnostic>> {
        let packages = &self.definitions.packages;
        let error = match self.package_named(selector, working_directory) {
            Ok(package) => return Ok(package),
            Err(error) => error,
        };
        let stack_name = |package: &Package| {
            package.deployment.as_ref().is_some_and(|deployment| {
                deployment.name == selector || deployment.references.iter().any(|r| r == selector)
            })
        };
        match (&error, packages.iter().position(stack_name)) {
            (LookupError::Unknown { .. }, Some(package)) => Ok(package),
            (LookupError::Unknown { near, .. }, None) => {
                let names = packages.iter().filter_map(|package| package.deployment.as_ref());
                let is_key = |name: &str| packages.iter().any(|p| p.key.eq_ignore_ascii_case(name));
                let names = names.map(|deployment| deployment.name.as_str());
                let names = names.filter(|name| !is_key(name));
                let near = nearest(selector, names.chain(near.iter().map(String::as_str)));
                let mut diagnostic = Diagnostic::error("nothing-selected", error.to_string());
                diagnostic.help = did_you_mean(&near)
                    .or_else(|| Some("`ailtire-build graph` lists packages and images".to_owned()));
                Err(Box::new(diagnostic))
            }
            (LookupError::Ambiguous { .. }, _) => Err(Box::new(self.unknown(selector, &error))),
        }
    }

    fn unknown(&self, selector: &str, error: &LookupError) -> Diagnostic {
        let (near, message) = match error {
            LookupError::Ambiguous { candidates, .. } => {
                return self.ambiguous(candidates, error);
            }
            LookupError::Unknown { near, .. } => {
                (near, format!("nothing is called `{selector}`: no package, no image"))
            }
        };
        let known = self.definitions.images.iter().map(|image| image.name.as_str());
        let near = nearest(selector, known.chain(near.iter().map(String::as_str)));
        let listed = || "`ailtire-build graph` lists packages and images".to_owned();
        Diagnostic::error("nothing-selected", message)
            .help(did_you_mean(&near).unwrap_or_else(listed))
    }

    fn without_images(&self, package: usize, selector: &str, recursive: bool) -> Diagnostic {
        let message = format!("the package `{selector}` defines no image");
        let error = Diagnostic::error("nothing-selected", message);
        if !recursive && !self.images_of(&[package], true).is_empty() {
            return error.help("packages below it do: add `--recursive`");
        }
        error.help("images are defined in its `deploy/build.js`")
    }

    /// The package that `name` means: by its directory, or by one of its names.
    fn package_named(&self, name: &str, working_directory: &Path) -> Result<usize, LookupError> {
        match self.package_at(name, working_directory) {
            Some(package) => Ok(package),
            None => resolve_package(&self.definitions.packages, name),
        }
    }

    fn ambiguous(&self, candidates: &[usize], error: &LookupError) -> Diagnostic {
        let packages = &self.definitions.packages;
        let places = candidates.iter().map(|&index| packages[index].directory.clone());
        let help = format!("name one of them by its directory: {}", quoted(places));
        Diagnostic::error("ambiguous-selector", error.to_string()).help(help)
    }

    /// The package whose directory is `selector`, from the working directory or from the root.
    /// The root itself stands for the top package, wherever that has its directory.
    fn package_at(&self, selector: &str, working_directory: &Path) -> Option<usize> {
        let from_here = std::fs::canonicalize(working_directory.join(selector)).ok();
        let from_root = std::fs::canonicalize(self.root().join(selector)).ok();
        let packages = &self.definitions.packages;
        [from_here, from_root].into_iter().flatten().find_map(|path| {
            let path = path.strip_prefix(self.root()).ok()?.to_str()?.to_owned();
            packages.iter().position(|package| {
                package.directory == path
                    || package.deploy_directory.as_ref() == Some(&path)
                    || path.is_empty() && package.parent.is_none()
            })
        })
    }

    fn images_of(&self, packages: &[usize], recursive: bool) -> Vec<usize> {
        let is_selected = |package: usize| {
            packages.contains(&package)
                || recursive
                    && packages.iter().any(|&above| self.definitions.is_within(package, above))
        };
        let images = self.definitions.images.iter().enumerate();
        images.filter(|(_, image)| is_selected(image.package)).map(|(index, _)| index).collect()
    }

    fn select_glob(&self, selector: &str, recursive: bool) -> Result<Vec<usize>, Box<Diagnostic>> {
        let glob =
            GlobBuilder::new(selector).literal_separator(false).build().map_err(|error| {
                let message = format!("`{selector}` is no glob: {}", error.kind());
                Box::new(Diagnostic::error("invalid-glob", message).help(
                    "`*` stands for any text, `?` for one character, `[ab]` for one of these",
                ))
            })?;
        let glob = glob.compile_matcher();
        let packages = self.definitions.packages.iter().enumerate();
        let packages: Vec<_> = packages
            .filter(|(_, package)| {
                glob.is_match(&package.key)
                    || glob.is_match(&package.directory)
                    || package.short_name.as_ref().is_some_and(|name| glob.is_match(name))
            })
            .map(|(index, _)| index)
            .collect();
        let mut selected: BTreeSet<_> = self.images_of(&packages, recursive).into_iter().collect();
        for (index, image) in self.definitions.images.iter().enumerate() {
            let matches = |reference: &String| {
                // `app-*` is meant to find `app-web:latest` too.
                let without_tag = reference.rsplit_once(':').map_or(&**reference, |(name, _)| name);
                glob.is_match(reference) || glob.is_match(without_tag)
            };
            if glob.is_match(&image.name) || image.references.iter().any(matches) {
                selected.insert(index);
            }
        }
        if selected.is_empty() {
            let message = format!("no package and no image matches `{selector}`");
            return Err(Box::new(
                Diagnostic::error("nothing-selected", message)
                    .help("`ailtire-build graph` lists packages and images"),
            ));
        }
        Ok(selected.into_iter().collect())
    }
}

/// The names in backticks, with "or" between them.
fn quoted(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(" or ")
}
