//! `cargo xtask demo`: the example application, built three times.

mod host;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use private_engine::{BaseImage, Client, Launch, PrivateEngine, base_image};

use crate::pass::{Build, Pass};
use crate::{Outcome, files, manager, process, terminal};

/// The file that the third pass changes, and what it adds. Three services stand on the image that
/// has it.
const CHANGED_FILE: &str = "deploy/base/lib/service.js";
const CHANGED_IMAGE: &str = "myapp-base";
const ADDED_LINE: &str = "// One line more.\n";

/// The build arguments of `fixtures/myapp` for base images, with the public images that they
/// default to.
pub(crate) const PUBLIC_BASES: [(&str, &str); 3] = [
    ("NODE_IMAGE", "node:20-bookworm-slim"),
    ("REDIS_IMAGE", "redis:7-bookworm"),
    ("JEKYLL_IMAGE", "jekyll/jekyll:4.2.2"),
];

/// How long the engine may take to hear of a public image before local ones are made.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(10);

/// Runs the demo; it fails where a pass does not do what it is there to show.
pub(crate) fn run() -> Outcome {
    let program = build_program()?;
    let (host, engine) = find_engine()?;
    let application = files::target().join("demo/myapp");
    files::copy_folder(&files::root().join("fixtures/myapp"), &application)?;
    let variables = base_images(&host)?;
    let setting = Build { program, application, host, variables, arguments: Vec::new() };
    three_passes(&setting)?;
    match engine {
        Some(engine) => engine.stop()?,
        None => terminal::line(&format!(
            "\nThe images are in your engine ({}). To remove them:\n  {} clean --images --app {}",
            setting.host,
            setting.program.display(),
            setting.application.display()
        )),
    }
    Ok(())
}

fn three_passes(setting: &Build) -> Outcome {
    let first = build(setting, "Pass 1: nothing is built yet")?;
    first.expect(first.built() == first.images() && first.images() > 0, "builds every image")?;

    let second = build(setting, "Pass 2: nothing changed")?;
    second.expect(second.fresh() == first.images(), "finds every image fresh")?;
    second.expect(second.bytes_sent() == 0, "sends nothing")?;

    let path = setting.application.join(CHANGED_FILE);
    let changed = fs::read_to_string(&path)? + ADDED_LINE;
    files::write(&path, changed.as_bytes())?;
    let title = format!("Pass 3: one line more in {CHANGED_FILE}, which is in {CHANGED_IMAGE}");
    let third = build(setting, &title)?;
    third.expect(third.has_built(CHANGED_IMAGE), "builds the image that has the file")?;
    let touched = third.built() > 1 && third.built() + third.fresh() == first.images();
    third.expect(touched && third.fresh() > 0, "builds what depends on it, and no other image")
}

/// Builds the command itself.
fn build_program() -> Outcome<PathBuf> {
    // Stack images hold it.
    manager::build()?;
    terminal::status("Compiling", "ailtire-build");
    process::run(process::cargo().args(["build", "--package", "ailtire-build"]))?;
    Ok(files::target().join("debug/ailtire-build"))
}

/// The engine that the user has, or one of our own, which ends with the value.
fn find_engine() -> Outcome<(String, Option<PrivateEngine>)> {
    if let Some(host) = host::find() {
        terminal::status("Using", &format!("the engine at {host}"));
        return Ok((host, None));
    }
    terminal::status("Starting", "a private engine, since none answers");
    let engine = Launch::new(files::target().join("demo/engine")).start()?;
    Ok((engine.host().to_owned(), Some(engine)))
}

/// Makes base images here where the engine can't reach the public ones.
fn base_images(host: &str) -> Outcome<Vec<String>> {
    // A remote engine is left to its own registries: it takes more than a socket to reach it.
    let Some(socket) = host.strip_prefix("unix://") else { return Ok(Vec::new()) };
    let client = Client::new(socket).with_patience(REGISTRY_PATIENCE);
    let known = |image: &str| {
        let answers = |path: String| client.get(&path).is_ok_and(|response| response.status == 200);
        answers(format!("/images/{image}/json")) || answers(format!("/distribution/{image}/json"))
    };
    if PUBLIC_BASES.iter().all(|(_, image)| known(image)) {
        return Ok(Vec::new());
    }
    terminal::status(
        "Making",
        "a base image from Debian packages (the public ones are out of reach)",
    );
    let begin = Instant::now();
    let local = base_image(&Client::new(socket), BaseImage::Runtime, &files::base_images())?;
    terminal::status("Made", &format!("{local} in {}", crate::table::time(begin.elapsed())));
    Ok(PUBLIC_BASES.iter().map(|(variable, _)| format!("{variable}={local}")).collect())
}

/// Runs one build, and prints what it did.
fn build(setting: &Build, title: &str) -> Outcome<Pass> {
    let (pass, status) = setting.run(title)?;
    for line in pass.lines() {
        terminal::line(&line);
    }
    if status.success() { Ok(pass) } else { Err(format!("`{title}` ended with {status}").into()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_fixture_has_what_the_demo_speaks_of() {
        let fixture = files::root().join("fixtures/myapp");
        assert!(fixture.join(CHANGED_FILE).exists());
        let definition = fs::read_to_string(fixture.join("deploy/build.js")).unwrap();
        assert!(definition.contains(CHANGED_IMAGE));
        let folder = fixture.join("deploy");
        for (variable, image) in PUBLIC_BASES {
            let argument = format!("ARG {variable}={image}\n");
            let has = |path: &Path| {
                fs::read_to_string(path.join("Dockerfile"))
                    .is_ok_and(|text| text.contains(&argument))
            };
            let mut folders = fs::read_dir(&folder).unwrap();
            assert!(folders.any(|entry| has(&entry.unwrap().path())), "{argument}");
        }
    }
}
