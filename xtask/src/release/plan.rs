//! What a release writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use semver::Version;

use crate::{Outcome, files, process};

const UNRELEASED: &str = "## Unreleased\n";

/// The files that a release changes, from the root of the repository.
pub(super) const FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "CHANGELOG.md"];

/// The next release.
pub(super) struct Plan {
    /// The version in the workspace.
    pub(super) old: String,
    /// The version that is released.
    pub(super) version: String,
    /// The tag of git.
    pub(super) tag: String,
    manifest: String,
    /// The changelog's section, without its heading.
    section: String,
    changelog: String,
}

impl Plan {
    /// Plans the release of the workspace in `folder`.
    pub(super) fn new(folder: &Path, version: &str) -> Outcome<Self> {
        let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
        let (old, manifest) = with_version(&manifest, version)?;
        let changelog = fs::read_to_string(folder.join("CHANGELOG.md"))?;
        let date = process::output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
        let (section, changelog) = with_release(&changelog, version, date.trim())?;
        let tag = format!("v{version}");
        Ok(Self { old, version: version.to_owned(), tag, manifest, section, changelog })
    }

    /// What will be done.
    pub(super) fn text(&self) -> String {
        let section = self.section.replace('\n', "\n  ");
        format!(
            "{} → {}\nwrite {}:\n  {section}\nmake the archive and the crates\ncommit and tag {}",
            self.old,
            self.version,
            FILES.join(", "),
            self.tag
        )
    }

    /// Writes the files.
    pub(super) fn write(&self, folder: &Path) -> Outcome {
        files::write(&folder.join("Cargo.toml"), self.manifest.as_bytes())?;
        files::write(&folder.join("CHANGELOG.md"), self.changelog.as_bytes())?;
        // The lock file names the versions of the workspace's crates; all others stay.
        let mut update = process::cargo();
        update.current_dir(folder);
        process::run(update.args(["update", "--quiet", "--offline", "--workspace"]))
    }
}

/// The workspace's version, and its manifest with another one. Crates of the workspace name each
/// other's version, too.
fn with_version(manifest: &str, version: &str) -> Outcome<(String, String)> {
    let old = manifest
        .split_once("[workspace.package]")
        .and_then(|(_, rest)| rest.split_once("version = \"")?.1.split_once('"'))
        .map(|(old, _)| old)
        .ok_or("the workspace has no version")?;
    let parsed = |text: &str| {
        Version::parse(text).map_err(|error| format!("`{text}` is no version: {error}"))
    };
    // The first release is of the version that is there.
    if parsed(version)? < parsed(old)? {
        return Err(format!("`{version}` comes before `{old}`, the workspace's version").into());
    }
    let of = |version: &str| format!("version = \"{version}\"");
    let lines = manifest.lines().map(|line| {
        let is_ours = line.starts_with("version = ") || line.contains("path = \"crates/");
        if is_ours { line.replace(&of(old), &of(version)) } else { line.to_owned() }
    });
    Ok((old.to_owned(), lines.flat_map(|line| [line, "\n".to_owned()]).collect()))
}

/// What stands below `Unreleased`, and the changelog with that as the section of `version`.
fn with_release(changelog: &str, version: &str, date: &str) -> Outcome<(String, String)> {
    let (before, after) =
        changelog.split_once(UNRELEASED).ok_or("the changelog has no section `Unreleased`")?;
    let section = after.split("\n## ").next().unwrap_or_default().trim();
    if section.is_empty() || section.starts_with("## ") {
        return Err("nothing stands below `Unreleased` in the changelog".into());
    }
    let changelog = format!("{before}{UNRELEASED}\n## {version} - {date}\n{after}");
    Ok((section.to_owned(), changelog))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str =
        "# Changelog\n\n## Unreleased\n\n### Added\n\n- One.\n\n## 0.1.0 - d\n\n- Zero.\n";

    #[test]
    fn the_section_below_unreleased_becomes_that_of_the_version() {
        let (section, changelog) = with_release(CHANGELOG, "0.2.0", "2030-01-02").unwrap();
        assert_eq!(section, "### Added\n\n- One.");
        assert_eq!(
            changelog,
            "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2030-01-02\n\n### Added\n\n- One.\n\n\
             ## 0.1.0 - d\n\n- Zero.\n"
        );
        assert!(with_release(&changelog, "0.3.0", "").is_err(), "nothing is new");
        assert!(with_release("# Changelog\n", "0.3.0", "").is_err());
        assert!(with_release("## Unreleased\n", "0.3.0", "").is_err());
    }

    #[test]
    fn a_version_is_one_and_does_not_go_back() {
        let manifest = "[workspace.package]\nversion = \"0.2.0\"\n";
        for version in ["0.1.9", "0.2.0-rc.1", "1", "v1.0.0", ""] {
            assert!(with_version(manifest, version).is_err(), "{version}");
        }
        for version in ["0.2.0", "0.2.1-rc.1", "1.0.0"] {
            let (old, new) = with_version(manifest, version).unwrap();
            assert_eq!(old, "0.2.0");
            assert_eq!(new, format!("[workspace.package]\nversion = \"{version}\"\n"));
        }
        assert!(with_version("[workspace]\n", "1.0.0").is_err());
    }

    #[test]
    fn this_project_can_be_released() {
        let plan = Plan::new(&files::root(), "99.0.0").unwrap();
        let ours = plan.manifest.lines().filter(|line| line.contains("path = \"crates/"));
        assert!(ours.clone().count() > 10);
        let missed: Vec<_> = ours.filter(|line| !line.contains("version = \"99.0.0\"")).collect();
        assert!(missed.is_empty(), "{missed:?}");
    }
}
