//! Rules for the crates: what they are called, that they say what they are, who uses whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Finding;
use crate::{Outcome, process};

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Which of our crates a crate may use. Data moves down the page once; no stage uses a later one,
/// and planning reaches no engine because nothing above `ailtire-docker` knows it.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("ailtire-events", &[]),
    ("ailtire-terms", &[]),
    ("ailtire-tree", &["ailtire-events"]),
    ("ailtire-manifest", &["ailtire-events", "ailtire-terms", "ailtire-tree"]),
    ("ailtire-context", &["ailtire-events", "ailtire-terms", "ailtire-tree", "ailtire-manifest"]),
    (
        "ailtire-fingerprint",
        &["ailtire-events", "ailtire-terms", "ailtire-tree", "ailtire-manifest", "ailtire-context"],
    ),
    ("ailtire-connect", &[]),
    (
        "ailtire-docker",
        &["ailtire-connect", "ailtire-events", "ailtire-terms", "ailtire-tree", "ailtire-context"],
    ),
    ("ailtire-compose", &["ailtire-events", "ailtire-terms", "ailtire-tree"]),
    ("ailtire-registry", &["ailtire-connect"]),
    ("ailtire-attest", &[]),
    ("ailtire-swarm", &["ailtire-events", "ailtire-terms", "ailtire-compose", "ailtire-docker"]),
    ("ailtire-gateway", &[]),
    (
        "ailtire-manager",
        &[
            "ailtire-events",
            "ailtire-terms",
            "ailtire-tree",
            "ailtire-docker",
            "ailtire-compose",
            "ailtire-swarm",
            "ailtire-gateway",
        ],
    ),
    (
        "ailtire",
        &[
            "ailtire-events",
            "ailtire-terms",
            "ailtire-tree",
            "ailtire-manifest",
            "ailtire-context",
            "ailtire-fingerprint",
            "ailtire-docker",
            "ailtire-registry",
            "ailtire-attest",
            "ailtire-compose",
            "ailtire-swarm",
        ],
    ),
    ("ailtire-build", &["ailtire", "ailtire-events"]),
    ("private-engine", &[]),
    ("xtask", &["ailtire-events", "private-engine"]),
];

/// The crates of this repository, as Cargo sees them.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    description: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
    publish: Option<Vec<String>>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// Absent for what the crate itself uses, not only its tests or its build script.
    kind: Option<String>,
}

impl Workspace {
    /// Asks Cargo.
    pub(crate) fn load() -> Outcome<Self> {
        let mut command = process::cargo();
        command.args(["metadata", "--format-version=1", "--no-deps"]);
        Ok(serde_json::from_str(&process::output(&mut command)?)?)
    }

    /// The names of the crates that have a feature.
    pub(crate) fn with_feature(&self, feature: &str) -> impl Iterator<Item = &str> {
        let packages = self.packages.iter();
        packages.filter(move |it| it.features.contains_key(feature)).map(|it| it.name.as_str())
    }

    /// The names of all programs of tests beside a crate's own code, each once.
    pub(crate) fn test_programs(&self) -> BTreeSet<&str> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        let programs = targets.filter(|target| target.kind.iter().any(|kind| kind == "test"));
        programs.map(|target| target.name.as_str()).collect()
    }

    /// The names of the crates that are published.
    pub(crate) fn publishable(&self) -> impl Iterator<Item = &str> {
        // `publish = false` is an empty list of registries there.
        let packages = self.packages.iter().filter(|it| it.publish.is_none());
        packages.map(|it| it.name.as_str())
    }

    /// What is not as agreed about the crates.
    pub(super) fn findings(&self, root: &Path) -> Vec<Finding> {
        let architecture = fs::read_to_string(root.join(ARCHITECTURE)).unwrap_or_default();
        let check = |package| check_package(package, root, &architecture);
        self.packages.iter().flat_map(check).collect()
    }
}

fn check_package(package: &Package, root: &Path, architecture: &str) -> Vec<Finding> {
    let manifest = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path);
    let name = &package.name;
    let mut findings = Vec::new();
    let mut find = |file: &Path, message: String| findings.push(Finding::new(file, 1, message));
    let folder = manifest.parent().and_then(Path::file_name);
    if folder.is_none_or(|folder| folder != name.as_str()) {
        find(manifest, format!("the folder of `{name}` has another name"));
    }
    if package.description.as_ref().is_none_or(|text| text.trim().is_empty()) {
        find(manifest, format!("`{name}` has no description"));
    }
    if !architecture.contains(&format!("`{name}`")) {
        find(Path::new(ARCHITECTURE), format!("does not name `{name}`"));
    }
    match ALLOWED.iter().find(|(allowed, _)| allowed == name) {
        None => find(manifest, format!("`{name}` is not among the crates that tidy knows")),
        Some((_, allowed)) => {
            let ours = |used: &&Dependency| ALLOWED.iter().any(|(ours, _)| *ours == used.name);
            let used = package.dependencies.iter().filter(ours).filter(|used| used.kind.is_none());
            for Dependency { name: used, .. } in used.filter(|used| !allowed.contains(&&*used.name))
            {
                find(manifest, format!("`{name}` may not use `{used}`"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, folder: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        };
        Package {
            name: name.into(),
            description: Some("Does it".into()),
            manifest_path: Path::new("/root/crates").join(folder).join("Cargo.toml"),
            dependencies: dependencies.iter().map(dependency).collect(),
            publish: None,
            features: BTreeMap::new(),
            targets: Vec::new(),
        }
    }

    fn messages(package: &Package) -> Vec<String> {
        let architecture = "`ailtire-tree` and `ailtire-events`";
        let findings = check_package(package, Path::new("/root"), architecture);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_crate_as_agreed_has_no_finding() {
        let dependencies = [("ailtire-events", None), ("serde", None), ("ailtire", Some("dev"))];
        assert!(messages(&package("ailtire-tree", "ailtire-tree", &dependencies)).is_empty());
    }

    #[test]
    fn a_stage_that_uses_a_later_one_is_found() {
        let found = messages(&package("ailtire-tree", "ailtire-tree", &[("ailtire-docker", None)]));
        assert_eq!(
            found,
            ["crates/ailtire-tree/Cargo.toml:1: `ailtire-tree` may not use `ailtire-docker`"]
        );
    }

    #[test]
    fn name_description_and_architecture_are_checked() {
        let mut odd = package("ailtire-other", "other", &[]);
        odd.description = None;
        assert_eq!(
            messages(&odd),
            [
                "crates/other/Cargo.toml:1: the folder of `ailtire-other` has another name",
                "crates/other/Cargo.toml:1: `ailtire-other` has no description",
                "ARCHITECTURE.md:1: does not name `ailtire-other`",
                "crates/other/Cargo.toml:1: `ailtire-other` is not among the crates that tidy knows",
            ]
        );
    }
}
