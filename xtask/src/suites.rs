//! Runs all tests: compiled once, then in two lanes at once, since most of them wait for engines
//! most of the time.

use std::io::{self, Seek};
use std::process::Command;
use std::thread;

use private_engine::{BaseImage, PrivateEngine, base_image};

use crate::tidy::workspace::Workspace;
use crate::{Outcome, files, process};

/// Tells the tests that need an engine where theirs is.
const TEST_HOST: &str = "AILTIRE_TEST_DOCKER_HOST";

/// The feature of a crate that turns on its tests that need an engine.
const ENGINE_TESTS: &str = "engine-tests";

/// The test programs, by name, that take about as long as all others together.
const LONG: &str = "engine";

/// What turns on every test there is.
pub(crate) fn features(workspace: &Workspace) -> impl Iterator<Item = String> {
    let names = workspace.with_feature(ENGINE_TESTS);
    names.map(|name| format!("--features={name}/{ENGINE_TESTS}"))
}

/// Cargo, knowing nothing of the user's own engine.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = process::without_engine(process::cargo());
    command.args(arguments).env_remove(TEST_HOST);
    command
}

/// Runs them all. What the second lane prints comes when the first is done.
pub(crate) fn run(workspace: &Workspace) -> Outcome {
    process::run(test(workspace).arg("--no-run"))?;
    let mut longest = test(workspace);
    longest.args(["--test", LONG]);
    let mut others = test(workspace);
    others.args(["--lib", "--bins"]);
    for name in workspace.test_programs().into_iter().filter(|name| *name != LONG) {
        others.args(["--test", name]);
    }
    let mut examples = test(workspace);
    examples.arg("--doc");
    let engines = [start("test-engine")?, start("test-engine-2")?];
    let mut printed = tempfile::tempfile()?;
    for command in [&mut others, &mut examples] {
        command.stdout(printed.try_clone()?).stderr(printed.try_clone()?);
    }
    let outcomes = thread::scope(|scope| {
        let second = scope.spawn(|| run_all([others, examples], &engines[1]));
        let first = run_all([longest], &engines[0]);
        [first, second.join().unwrap_or_else(|_| Err("the second lane panicked".to_owned()))]
    });
    printed.rewind()?;
    io::copy(&mut printed, &mut io::stdout())?;
    for engine in engines {
        engine.stop()?;
    }
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n  ").into()) }
}

fn test(workspace: &Workspace) -> Command {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    command.args(features(workspace));
    command
}

/// A swarm of one with a base image, for one lane.
fn start(folder: &str) -> Outcome<PrivateEngine> {
    let engine = PrivateEngine::start(&files::target().join(folder))?;
    engine.init_swarm()?;
    base_image(&engine.client(), BaseImage::Busybox, &files::base_images())?;
    Ok(engine)
}

/// Runs every command, whatever became of those before it, and says which failed.
fn run_all<const COUNT: usize>(
    commands: [Command; COUNT],
    engine: &PrivateEngine,
) -> Result<(), String> {
    let run = |mut command: Command| process::run(command.env(TEST_HOST, engine.host()));
    let failures = commands.into_iter().filter_map(|command| run(command).err());
    let failures: Vec<String> = failures.map(|error| error.to_string()).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n  ")) }
}
