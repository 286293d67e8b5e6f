//! `cargo xtask release-myapp`: the library at work, in `xtask/examples/release-myapp.rs`, on a copy of
//! `fixtures/myapp` with a repository, an engine and a registry of its own.
//!
//! It is a program of its own so that the chores don't have to compile the library before they can
//! say that it does not compile.

use std::path::Path;
use std::process::Command;

use clap::{Args, ValueEnum};
use private_engine::{BaseImage, PrivateEngine, Registry, base_image, machine_address};
use serde_json::Value;

use crate::demo::PUBLIC_BASES;
use crate::{Outcome, files, manager, process, terminal};

/// What is released.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which number of the version to raise
    #[arg(long, value_enum, default_value = "minor")]
    bump: Number,
    /// Say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// A number of a version.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Number {
    Patch,
    Minor,
    Major,
}

/// Releases.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    manager::build()?;
    terminal::status("Compiling", "xtask/examples/release-myapp.rs");
    let compile = ["build", "--package", "xtask", "--example", "release-myapp"];
    process::run(process::cargo().args(compile))?;
    let folder = tempfile::tempdir()?;
    let application = folder.path().join("myapp");
    terminal::status("Starting", "a private engine and a registry");
    let engine = PrivateEngine::start(&files::target().join("release-myapp"))?;
    let client = engine.client();
    let base = base_image(&client, BaseImage::Runtime, &files::base_images())?;
    for (_, public) in PUBLIC_BASES {
        let (name, tag) = public.split_once(':').unwrap_or((public, "latest"));
        let path = format!("/images/{base}/tag?repo={name}&tag={tag}");
        client.post_json(&path, &Value::Null)?.accepted(&path)?;
    }
    let registry = Registry::start_at(machine_address(engine.address()), None)?;
    let images = format!("{}/team", registry.address());
    repository(&application, &folder.path().join("origin"))?;

    let number = arguments.bump.to_possible_value();
    let number = number.as_ref().map_or("minor", |number| number.get_name());
    let program = files::target().join("debug/examples/release-myapp");
    let mut release = process::without_engine(Command::new(program));
    release.env("DOCKER_HOST", engine.host()).arg(&application);
    release.arg(&images).arg(manager::place()).arg(number);
    release.args(arguments.dry_run.then_some("--dry-run"));
    let released = process::run(&mut release);
    if released.is_ok() && !arguments.dry_run {
        show(&application, &registry)?;
    }
    engine.stop()?;
    released
}

/// Makes a repository of a copy of the example, with another one as its remote.
fn repository(application: &Path, origin: &Path) -> Outcome {
    files::copy_folder(&files::root().join("fixtures/myapp"), application)?;
    let origin = origin.display().to_string();
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["config", "user.name", "myapp"],
        &["config", "user.email", "myapp@localhost"],
        &["init", "--quiet", "--bare", &origin],
        &["remote", "add", "origin", &origin],
        &["add", "--all"],
        &["commit", "--quiet", "--message", "feat: the example"],
        &["push", "--quiet", "--set-upstream", "origin", "main"],
    ] {
        process::run(&mut git(application, arguments))?;
    }
    Ok(())
}

fn git(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments);
    command
}

/// What the remote and the registry have now.
fn show(application: &Path, registry: &Registry) -> Outcome {
    terminal::line("\nat the remote:");
    terminal::line(&process::output(&mut git(application, &["ls-remote", "origin"]))?);
    terminal::line("in the registry:");
    let manifests = registry.data().join("repositories/team");
    for image in std::fs::read_dir(manifests)? {
        let image = image?;
        let mut tags = Vec::new();
        for tag in std::fs::read_dir(image.path().join("_manifests/tags"))? {
            tags.push(tag?.file_name().to_string_lossy().into_owned());
        }
        tags.sort();
        let name = image.file_name();
        terminal::line(&format!("team/{}: {}", name.to_string_lossy(), tags.join(", ")));
    }
    Ok(())
}
