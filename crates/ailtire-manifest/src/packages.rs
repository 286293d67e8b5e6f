//! What `index.js` says of a package.

use ailtire_events::{Diagnostic, Location};
use ailtire_tree::{Tree, file_name};

use crate::cache::Outcome;
use crate::discover::Found;
use crate::fields::{Definition, Fields};
use crate::lookup::{LookupError, PackageNames, package_key};
use crate::model::Package;
use ailtire_terms::did_you_mean;

/// A package, and what it wants to be deployed before it.
pub(crate) struct Described {
    pub(crate) package: Package,
    depends: Vec<(String, Location)>,
}

/// Reads what the `index.js` of `found` exports.
pub(crate) fn describe(
    tree: &Tree,
    found: &Found,
    outcome: Option<&Outcome>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Described {
    let fallback = directory_name(tree, found);
    let mut described = Described {
        package: Package {
            key: package_key(&fallback),
            name: fallback,
            short_name: None,
            directory: found.directory.clone(),
            deploy_directory: found.deploy_directory.clone(),
            index_file: found.index_file.clone(),
            parent: found.parent,
            depends: Vec::new(),
            deployment: None,
        },
        depends: Vec::new(),
    };
    if let Some((index_file, outcome)) = found.index_file.as_deref().zip(outcome) {
        read_index(&mut described, index_file, outcome, diagnostics);
    }
    described
}

fn read_index(
    described: &mut Described,
    index_file: &str,
    outcome: &Outcome,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let definition = Definition::new(index_file, outcome);
    let Some(mut fields) = definition.export(diagnostics) else { return };
    let package = &mut described.package;
    match fields.text("name", diagnostics) {
        Some(name) if !package_key(&name).is_empty() => {
            package.key = package_key(&name);
            package.name = name;
        }
        Some(_) => diagnostics.push(
            Diagnostic::error("empty-name", "a package needs a name that is not empty")
                .at(fields.location("name")),
        ),
        // Another type of value has its error already.
        None if fields.has("name") => {}
        None => diagnostics.push(
            Diagnostic::warning(
                "package-without-name",
                format!(
                    "the package has no `name`, and is named `{}` after its directory",
                    package.name
                ),
            )
            .at(definition.location(fields.position()))
            .help("add `name: '…'`"),
        ),
    }
    package.short_name = fields.text("shortname", diagnostics).filter(|name| !name.is_empty());
    described.depends = read_depends(&mut fields, diagnostics);
}

fn read_depends(
    fields: &mut Fields<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(String, Location)> {
    fields.texts("depends", diagnostics)
}

/// The directory's name: for the root it depends on the machine, so it is only the last resort.
fn directory_name(tree: &Tree, found: &Found) -> String {
    let is_top = found.parent.is_none();
    let name = if is_top {
        tree.root().file_name().map(|name| name.to_string_lossy().into_owned())
    } else {
        Some(file_name(&found.directory).to_owned())
    };
    name.filter(|name| !package_key(name).is_empty()).unwrap_or_else(|| "app".to_owned())
}

/// Resolves what the packages depend on.
pub(crate) fn link(described: Vec<Described>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Package> {
    let (mut packages, wanted): (Vec<Package>, Vec<Vec<(String, Location)>>) =
        described.into_iter().map(|described| (described.package, described.depends)).unzip();
    if wanted.iter().all(Vec::is_empty) {
        return packages;
    }
    let mut places: Vec<Vec<Location>> = vec![Vec::new(); packages.len()];
    let mut depends: Vec<Vec<usize>> = vec![Vec::new(); packages.len()];
    let names = PackageNames::new(&packages);
    for (index, references) in wanted.into_iter().enumerate() {
        for (reference, location) in references {
            match names.resolve(&reference) {
                Ok(package) if depends[index].contains(&package) => {}
                Ok(package) => {
                    depends[index].push(package);
                    places[index].push(location);
                }
                Err(error) => diagnostics.push(lookup_diagnostic(&error, &packages).at(location)),
            }
        }
    }
    for cycle in cycles(&depends) {
        let names: Vec<&str> = cycle.iter().map(|index| packages[*index].key.as_str()).collect();
        let (from, to) = (cycle[0], cycle[1]);
        let place = depends[from].iter().position(|package| *package == to);
        let mut diagnostic = Diagnostic::error(
            "dependency-cycle",
            format!("packages depend on each other in a circle: {}", names.join(" → ")),
        )
        .help("take one of these out of its package's `depends`");
        if let Some(place) = place {
            diagnostic = diagnostic.at(places[from][place].clone());
        }
        diagnostics.push(diagnostic);
    }
    for (package, depends) in packages.iter_mut().zip(depends) {
        package.depends = depends;
    }
    packages
}

/// The finding for a name that means no package.
pub(crate) fn lookup_diagnostic(error: &LookupError, packages: &[Package]) -> Diagnostic {
    match error {
        LookupError::Unknown { near, .. } => {
            let mut diagnostic = Diagnostic::error("unknown-package", error.to_string());
            diagnostic.help = did_you_mean(near);
            diagnostic
        }
        LookupError::Ambiguous { candidates, .. } => {
            let mut diagnostic = Diagnostic::error("ambiguous-package", error.to_string())
                .help("write the key of the one that is meant, or its directory's path");
            for candidate in candidates {
                let package = &packages[*candidate];
                diagnostic =
                    diagnostic.detail(format!("`{}` in `{}`", package.key, package.directory));
            }
            diagnostic
        }
    }
}

/// One cycle for each edge that closes one, starting and ending with the same index.
fn cycles(depends: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    let mut finished = vec![false; depends.len()];
    for start in 0..depends.len() {
        // The way from `start`: each package, and how many of its edges were followed.
        let mut way: Vec<(usize, usize)> = Vec::new();
        if !finished[start] {
            way.push((start, 0));
        }
        while let Some((package, followed)) = way.last_mut() {
            let package = *package;
            let Some(next) = depends[package].get(*followed).copied() else {
                finished[package] = true;
                way.pop();
                continue;
            };
            *followed += 1;
            if let Some(position) = way.iter().position(|(on_way, _)| *on_way == next) {
                let mut cycle: Vec<usize> =
                    way[position..].iter().map(|(index, _)| *index).collect();
                cycle.push(next);
                found.push(cycle);
            } else if !finished[next] {
                way.push((next, 0));
            }
        }
    }
    found
}
