//! Which package, and which image, a name means.

use std::collections::HashMap;

use ailtire_terms::nearest;
use ailtire_tree::file_name;

use crate::model::{Application, ImageDefinition, Package};
use ailtire_terms::reference::canonical;

/// Why a name means no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No package has this name.
    #[error("there is no package `{reference}`")]
    Unknown {
        /// The name.
        reference: String,
        /// Keys of packages that are called nearly the same, nearest first.
        near: Vec<String>,
    },
    /// More than one package has this name.
    #[error("`{reference}` is the {step} of {} packages", candidates.len())]
    Ambiguous {
        /// The name.
        reference: String,
        /// By which of their names they were found.
        step: &'static str,
        /// Indices of the packages.
        candidates: Vec<usize>,
    },
}

/// The name as definitions refer to it: without white space.
pub(crate) fn package_key(name: &str) -> String {
    name.split_whitespace().collect()
}

/// The index of the package that `reference` means: by key, then by key without regard to case,
/// then by short name, then by directory name, then by the path of its directory.
///
/// # Errors
///
/// [`LookupError`] where no package has this name, or more than one has it at the same step.
pub fn resolve_package(packages: &[Package], reference: &str) -> Result<usize, LookupError> {
    PackageNames::new(packages).resolve(reference)
}

/// One of the steps of [`resolve_package`]: what the name is called, and how to get it.
type Step = (&'static str, fn(&Package) -> Option<String>, fn(&str) -> String);

const STEPS: [Step; 5] = [
    ("key", |package| Some(package.key.clone()), package_key),
    ("key", |package| Some(package.key.to_lowercase()), |name| package_key(name).to_lowercase()),
    ("short name", |package| package.short_name.clone(), str::to_owned),
    ("directory", |package| Some(file_name(&package.directory).to_owned()), str::to_owned),
    (
        "directory",
        |package| Some(package.directory.clone()),
        |name| name.trim_start_matches("./").trim_end_matches('/').to_owned(),
    ),
];

/// The names of all packages, for looking up many references.
pub(crate) struct PackageNames<'packages> {
    packages: &'packages [Package],
    by_step: Vec<HashMap<String, Vec<usize>>>,
}

impl<'packages> PackageNames<'packages> {
    pub(crate) fn new(packages: &'packages [Package]) -> Self {
        let by_step = STEPS
            .iter()
            .map(|(_, name_of, _)| {
                let mut names: HashMap<String, Vec<usize>> = HashMap::new();
                for (index, package) in packages.iter().enumerate() {
                    if let Some(name) = name_of(package).filter(|name| !name.is_empty()) {
                        names.entry(name).or_default().push(index);
                    }
                }
                names
            })
            .collect();
        Self { packages, by_step }
    }

    pub(crate) fn resolve(&self, reference: &str) -> Result<usize, LookupError> {
        for (names, (step, _, written)) in self.by_step.iter().zip(&STEPS) {
            match names.get(&written(reference)).map(Vec::as_slice) {
                None | Some([]) => {}
                Some([index]) => return Ok(*index),
                Some(candidates) => {
                    return Err(LookupError::Ambiguous {
                        reference: reference.to_owned(),
                        step,
                        candidates: candidates.to_vec(),
                    });
                }
            }
        }
        let names = self.packages.iter().flat_map(|package| {
            [Some(package.key.as_str()), package.short_name.as_deref()].into_iter().flatten()
        });
        let near = nearest(reference, names);
        Err(LookupError::Unknown { reference: reference.to_owned(), near })
    }
}

impl Application {
    /// The index of the package that `reference` means; see [`resolve_package`].
    ///
    /// # Errors
    ///
    /// [`LookupError`] where no package has this name, or more than one has it.
    pub fn package(&self, reference: &str) -> Result<usize, LookupError> {
        resolve_package(&self.packages, reference)
    }

    /// All images whose name in `build.js` or one of whose references is `name`; a reference may
    /// be written in any form that means the same.
    pub fn images_named<'name>(
        &'name self,
        name: &'name str,
    ) -> impl Iterator<Item = (usize, &'name ImageDefinition)> {
        let wanted = canonical(name);
        self.images.iter().enumerate().filter(move |(_, image)| {
            image.name == name
                || image.references.iter().any(|reference| canonical(reference) == wanted)
        })
    }

    /// Whether `package` is `ancestor` or lies below it.
    pub fn is_within(&self, package: usize, ancestor: usize) -> bool {
        package_path(&self.packages, package).contains(&ancestor)
    }
}

/// Indices of `package` and the packages that hold it, from the top package down.
pub(crate) fn package_path(packages: &[Package], package: usize) -> Vec<usize> {
    let next = |index: &usize| packages.get(*index).and_then(|package| package.parent);
    let mut path: Vec<usize> = std::iter::successors(Some(package), next).collect();
    path.reverse();
    path
}
