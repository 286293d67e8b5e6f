//! Many packages: finding out that nothing changed, and the first fingerprint.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use private_engine::PrivateEngine;
use walkdir::WalkDir;

use super::measure::{alone, command, median, nothing, peak_memory, quietly, times};
use super::{Row, STATE};
use crate::pass::Build;
use crate::{Outcome, files, process, table, terminal};

/// Measures on the application in `folder`, with an engine of its own in `engine`.
pub(super) fn measure(program: &Path, folder: &Path, engine: &Path) -> Outcome<Vec<Row>> {
    let engine = PrivateEngine::start(engine)?;
    let rows = measure_on(program, folder, engine.host())?;
    engine.stop()?;
    Ok(rows)
}

fn measure_on(program: &Path, folder: &Path, host: &str) -> Outcome<Vec<Row>> {
    let ours = |chore: &str| {
        let mut command = command(program, host);
        command.arg(chore).arg("--app").arg(folder);
        command
    };
    let mut rows = Vec::new();
    terminal::status("Measuring", "the first fingerprint");
    private_engine::need("b3sum", "b3sum")?;
    let state = folder.join(STATE);
    let forget = || Ok(files::remove_folder(&state)?);
    let first = median(forget, || quietly(&mut ours("plan")))?;
    forget()?;
    let memory = peak_memory(&ours("plan"))?;
    forget()?;
    let sums = median(nothing, || b3sum(folder))?;
    rows.push(times(
        "first fingerprint (`plan`)",
        first,
        "`b3sum` of the same files",
        sums,
        "≤ 1.3",
    ));
    rows.push(alone("its peak memory", table::bytes(memory), "≤ 150 MB"));

    terminal::status("Building", "every image once");
    let build = Build {
        program: program.to_owned(),
        application: folder.to_owned(),
        host: host.to_owned(),
        variables: Vec::new(),
        arguments: Vec::new(),
    };
    let pass = build.done("first build")?;
    let sent = table::bytes(pass.bytes_sent());
    let taken = format!("{} in {}, {sent} sent", pass.built(), table::time(pass.time()));
    rows.push(alone("first build of all images", taken, ""));

    terminal::status("Measuring", "a build with nothing changed");
    let unchanged = median(nothing, || quietly(&mut ours("build")))?;
    let memory = peak_memory(&ours("build"))?;
    let walk = median(nothing, || walk(folder))?;
    rows.push(times(
        "nothing changed (`build`)",
        unchanged,
        "walk, one `lstat` a file",
        walk,
        "≤ 1.0",
    ));
    rows.push(times("", unchanged, "`git status`", git_status(folder)?, ""));
    rows.push(alone("its peak memory", table::bytes(memory), "≤ 150 MB"));
    Ok(rows)
}

/// The bare minimum: every entry of the source tree in turn, with one `lstat` each.
fn walk(folder: &Path) -> Outcome {
    let mut bytes = 0;
    let sources = WalkDir::new(folder).into_iter();
    for entry in sources.filter_entry(|entry| entry.file_name() != STATE) {
        bytes += entry?.metadata()?.len();
    }
    // What is computed from every entry can't be left out by the compiler.
    if std::hint::black_box(bytes) > 0 { Ok(()) } else { Err("an empty application".into()) }
}

fn b3sum(folder: &Path) -> Outcome {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "find . -type f -print0 | xargs -0 b3sum"]);
    quietly(shell.current_dir(folder))
}

fn git_status(folder: &Path) -> Outcome<Duration> {
    private_engine::need("git", "git")?;
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(folder).args(arguments);
        git
    };
    process::output(&mut git(&["init", "--quiet"]))?;
    process::output(&mut git(&["add", "--all"]))?;
    median(nothing, || quietly(&mut git(&["status", "--porcelain"])))
}
