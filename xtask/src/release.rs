//! `cargo xtask release`: a release of this project.
//!
//! Version and changelog are written, everything is built from them, and only then there are a
//! commit and a tag, which nobody else sees until they are pushed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::tidy::workspace::Workspace;
use crate::{Outcome, checks, files, manager, process, terminal};

const PROGRAM: &str = "ailtire-build";
const UNRELEASED: &str = "## Unreleased\n";

/// What is released.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The version, like `0.2.0`
    version: String,
    /// Build everything from the tree as it is, under this version; change nothing, no commit
    #[arg(long)]
    dry_run: bool,
    /// Leave `cargo xtask test` out, where it has just run
    #[arg(long)]
    skip_tests: bool,
}

/// Releases.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let version = &arguments.version;
    let tag = format!("v{version}");
    require_free(&tag)?;
    let plan = Plan::new(version)?;
    if arguments.dry_run {
        return build(version);
    }
    require_clean()?;
    if !arguments.skip_tests {
        checks::run()?;
    }
    plan.write()?;
    let released = build(version).and_then(|()| commit(version, &tag));
    if released.is_err() {
        process::run(&mut git(&["checkout", "--quiet", "HEAD", "--", "."]))?;
        terminal::status("Restored", "the files are as they were");
    }
    released?;
    terminal::status(
        "Released",
        &format!("{tag}; to publish it: git push --atomic origin HEAD {tag}"),
    );
    Ok(())
}

/// The two files that a release changes.
struct Plan {
    manifest: String,
    changelog: String,
}

impl Plan {
    fn new(version: &str) -> Outcome<Self> {
        let manifest = fs::read_to_string(files::root().join("Cargo.toml"))?;
        let old = manifest
            .split_once("[workspace.package]")
            .and_then(|(_, rest)| rest.split_once("version = \"")?.1.split_once('"'))
            .map(|(old, _)| old.to_owned())
            .ok_or("the workspace has no version")?;
        // Crates of the workspace name each other's version, too.
        let of = |version: &str| format!("version = \"{version}\"");
        let lines = manifest.lines().map(|line| {
            let is_ours = line.starts_with("version = ") || line.contains("path = \"crates/");
            if is_ours { line.replace(&of(&old), &of(version)) } else { line.to_owned() }
        });
        let manifest: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
        let changelog = fs::read_to_string(files::root().join("CHANGELOG.md"))?;
        let (before, after) =
            changelog.split_once(UNRELEASED).ok_or("the changelog has no section `Unreleased`")?;
        if after.trim_start().starts_with("## ") || after.trim().is_empty() {
            return Err("nothing stands below `Unreleased` in the changelog".into());
        }
        let date = process::output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
        let changelog = format!("{before}{UNRELEASED}\n## {version} - {}\n{after}", date.trim());
        Ok(Self { manifest, changelog })
    }

    fn write(&self) -> Outcome {
        files::write(&files::root().join("Cargo.toml"), self.manifest.as_bytes())?;
        files::write(&files::root().join("CHANGELOG.md"), self.changelog.as_bytes())?;
        // The lock file names the versions of the workspace's crates.
        process::run(process::cargo().args(["update", "--quiet", "--workspace"]))
    }
}

/// What is handed out: one archive with the program, completions and manual pages, its checksum, and
/// each crate packaged.
fn build(version: &str) -> Outcome {
    manager::build()?;
    let program = static_program()?;
    let name = format!("{PROGRAM}-{version}-{}-linux", std::env::consts::ARCH);
    let release = files::target().join("release-files");
    let folder = release.join(&name);
    files::remove_folder(&release)?;
    fs::create_dir_all(folder.join("man"))?;
    fs::copy(&program, folder.join(PROGRAM))?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(files::root().join(file), folder.join(file))?;
    }
    for shell in ["bash", "zsh", "fish"] {
        let text = process::output(Command::new(&program).args(["completions", shell]))?;
        files::write(&folder.join("completions").join(shell), text.as_bytes())?;
    }
    process::run(Command::new(&program).arg("manual").arg(folder.join("man")))?;
    let archive = format!("{name}.tar.gz");
    // The same files give the same archive, whoever makes it, and when.
    let mut tar = Command::new("tar");
    tar.current_dir(&release)
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"])
        .args(["-czf", &archive, &name]);
    process::run(&mut tar)?;
    let sums = process::output(Command::new("sha256sum").arg(&archive).current_dir(&release))?;
    files::write(&release.join("SHA256SUMS"), sums.as_bytes())?;
    package()?;
    let size = fs::metadata(release.join(&archive))?.len();
    terminal::status("Packed", &format!("{} ({} kB)", shown(&release.join(archive)), size / 1000));
    Ok(())
}

/// The program with its C library, so that it runs on every Linux.
fn static_program() -> Outcome<PathBuf> {
    let mut command = process::cargo();
    let folder = files::target().join("static");
    command
        .args(["build", "--package", PROGRAM, "--release", "--target", manager::TARGET])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", manager::flags().join("\u{1f}"));
    process::run(&mut command)?;
    Ok(folder.join(manager::TARGET).join("release").join(PROGRAM))
}

/// Packages every crate that can be published, which tells what is missing in any of them.
fn package() -> Outcome {
    let workspace = Workspace::load()?;
    let mut command = process::cargo();
    command.args(["package", "--quiet", "--allow-dirty", "--no-verify"]);
    for name in workspace.publishable() {
        command.args(["--package", name]);
    }
    process::run(&mut command)
}

fn commit(version: &str, tag: &str) -> Outcome {
    let message = format!("Release {version}");
    let files = ["Cargo.toml", "Cargo.lock", "CHANGELOG.md"];
    process::run(git(&["commit", "--quiet", "--message", &message, "--"]).args(files))?;
    process::run(&mut git(&["tag", "--annotate", "--message", &message, tag]))
}

fn require_clean() -> Outcome {
    let changed = process::output(&mut git(&["status", "--porcelain"]))?;
    if changed.is_empty() {
        Ok(())
    } else {
        Err(format!("the tree is not clean:\n{changed}").into())
    }
}

fn require_free(tag: &str) -> Outcome {
    let tags = process::output(&mut git(&["tag", "--list", tag]))?;
    if tags.is_empty() { Ok(()) } else { Err(format!("the tag `{tag}` exists").into()) }
}

fn git(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(files::root()).args(arguments);
    command
}

fn shown(path: &Path) -> String {
    path.strip_prefix(files::root()).unwrap_or(path).display().to_string()
}
