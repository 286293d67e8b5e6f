//! `cargo xtask release`: a release of this project.
//!
//! Version and changelog are written, everything is built from them, and only then there are a
//! commit and a tag, which nobody else sees until they are pushed.

mod pack;
mod plan;
mod repository;

use clap::Args;

use crate::{Outcome, checks, files, terminal};
use plan::{FILES, Plan};
use repository::Repository;

/// What is released.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The version, like `0.2.0`
    version: String,
    /// Say what would be done, and make the archive and the crates of the tree as it is
    #[arg(long)]
    dry_run: bool,
    /// Leave `cargo xtask test` out, where it has just run
    #[arg(long)]
    skip_tests: bool,
}

/// Releases.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let repository = Repository::new(files::root());
    let plan = Plan::new(repository.folder(), &arguments.version)?;
    repository.require_free(&plan.tag)?;
    if arguments.dry_run {
        terminal::line(&plan.text());
        let packed = pack::pack(&plan.old)?;
        terminal::line(&packed.text());
        return Ok(());
    }
    repository.require_clean()?;
    if !arguments.skip_tests {
        checks::run()?;
    }
    let packed = written(&repository, &plan, || pack::pack(&plan.version))?;
    terminal::line(&packed.text());
    terminal::status("Released", &format!("{}, which nobody else sees yet", plan.tag));
    let tag = &plan.tag;
    terminal::line(&format!(
        "To publish it:\n  git push --atomic origin HEAD {tag}\n  cargo publish --workspace\n\
         To take it back:\n  git tag --delete {tag} && git reset --hard HEAD^"
    ));
    Ok(())
}

/// Writes the release's files, makes what is handed out of them, commits and tags. Where one of that
/// fails, the repository is as it was.
fn written<T>(
    repository: &Repository,
    plan: &Plan,
    make: impl FnOnce() -> Outcome<T>,
) -> Outcome<T> {
    let head = repository.head()?;
    let back = format!("git reset --soft {head} && git checkout {head} -- {}", FILES.join(" "));
    terminal::status("Writing", &format!("{}; if this is cut short: {back}", FILES.join(", ")));
    let done = plan.write(repository.folder()).and_then(|()| make()).and_then(|result| {
        repository.commit(&plan.version, &plan.tag)?;
        Ok(result)
    });
    done.map_err(|error| match repository.restore(&head) {
        Ok(()) => format!("{error}\nnothing was released, and the files are as they were").into(),
        Err(why) => format!("{error}\nthe files are not as they were ({why}): {back}").into(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::process;

    /// A workspace of one crate in a repository.
    fn project() -> (tempfile::TempDir, Repository) {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            files::write(&folder.path().join(path), text.as_bytes()).unwrap();
        };
        put(
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/one\"]\nresolver = \"3\"\n\n\
             [workspace.package]\nversion = \"0.1.0\"\n\n[workspace.dependencies]\n\
             one = { path = \"crates/one\", version = \"0.1.0\" }\nother = { version = \"0.1.0\" }\n",
        );
        put("crates/one/Cargo.toml", "[package]\nname = \"one\"\nversion.workspace = true\n");
        put("crates/one/src/lib.rs", "");
        put("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n- More of it.\n");
        let repository = Repository::new(folder.path().to_owned());
        let git = |arguments: &[&str]| process::run(&mut repository.git(arguments)).unwrap();
        process::run(process::cargo().current_dir(folder.path()).args([
            "generate-lockfile",
            "--offline",
            "--quiet",
        ]))
        .unwrap();
        git(&["init", "--quiet"]);
        git(&["config", "user.name", "t"]);
        git(&["config", "user.email", "t@t"]);
        git(&["config", "core.hooksPath", "hooks"]);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "all"]);
        (folder, repository)
    }

    fn state(folder: &Path, repository: &Repository) -> Vec<String> {
        let asked = [&["status", "--porcelain"][..], &["show-ref"], &["ls-files", "--stage"]];
        let said = asked.map(|it| process::output(&mut repository.git(it)).unwrap());
        let read = FILES.map(|name| fs::read_to_string(folder.join(name)).unwrap());
        said.into_iter().chain(read).collect()
    }

    #[test]
    fn a_release_is_a_commit_and_a_tag_of_three_files() {
        let (folder, repository) = project();
        let plan = Plan::new(folder.path(), "0.2.0").unwrap();
        let seen = written(&repository, &plan, || {
            Ok(fs::read_to_string(folder.path().join("CHANGELOG.md"))?)
        });
        assert!(seen.unwrap().contains("## Unreleased\n\n## 0.2.0 - 2"));
        repository.require_clean().unwrap();
        assert!(repository.require_free("v0.2.0").is_err());
        let shown = process::output(&mut repository.git(&["show", "--format=%s", "v0.2.0^{}"]));
        let shown = shown.unwrap();
        for words in ["Release 0.2.0", "+version = \"0.2.0\"", "+one = { path = \"crates/one\", v"]
        {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        assert!(!shown.contains("+other"), "{shown}");
        let lock = fs::read_to_string(folder.path().join("Cargo.lock")).unwrap();
        assert!(lock.contains("version = \"0.2.0\""), "{lock}");
    }

    #[test]
    fn a_release_that_fails_anywhere_leaves_everything_as_it_was() {
        let (folder, repository) = project();
        let before = state(folder.path(), &repository);
        let plan = Plan::new(folder.path(), "0.2.0").unwrap();
        let fails = |make: fn() -> Outcome, words: &str| {
            let error = written(&repository, &plan, make).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("as they were"), "{error}");
            assert_eq!(state(folder.path(), &repository), before, "{words}");
        };
        fails(|| Err("no compiler".into()), "no compiler");
        // A tag of that name that came up while everything was built.
        process::run(&mut repository.git(&["update-ref", "refs/tags/v0.2.0/x", "HEAD"])).unwrap();
        let before = state(folder.path(), &repository);
        let error = written(&repository, &plan, || Ok(())).unwrap_err().to_string();
        assert!(error.contains("git tag"), "{error}");
        assert_eq!(state(folder.path(), &repository), before);
        let hook = folder.path().join("hooks/pre-commit");
        files::write(&hook, b"#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let before = state(folder.path(), &repository);
        assert!(written(&repository, &plan, || Ok(())).is_err());
        assert_eq!(state(folder.path(), &repository), before);
    }
}
