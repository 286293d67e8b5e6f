//! `cargo xtask test`: everything that has to hold before a change lands.
//!
//! Every step runs, whatever became of those before it: one run tells all that is wrong.

use std::time::{Duration, Instant};

use crate::tidy::workspace::Workspace;
use crate::{Outcome, manager, process, suites, table, terminal, tidy};

/// One step: its verb and what it does, as status lines have them.
struct Step {
    verb: &'static str,
    what: &'static str,
    run: fn(&Workspace) -> Outcome,
}

const STEPS: [Step; 6] = [
    Step { verb: "Building", what: "the manager that stack images hold", run: build_manager },
    Step { verb: "Formatting", what: "rustfmt finds nothing to change", run: check_format },
    Step { verb: "Tidying", what: "sizes, words, links, dependencies", run: check_tidiness },
    Step { verb: "Linting", what: "clippy has no warning", run: check_lints },
    Step { verb: "Documenting", what: "rustdoc has no warning", run: check_documentation },
    Step { verb: "Testing", what: "everything, on private engines", run: suites::run },
];

struct Done {
    step: &'static Step,
    failure: Option<String>,
    time: Duration,
}

/// Runs all steps.
pub(crate) fn run() -> Outcome {
    let workspace = Workspace::load()?;
    let done: Vec<Done> = STEPS.iter().map(|step| perform(step, &workspace)).collect();
    for Done { step, failure, time } in &done {
        let verb = if failure.is_some() { "FAILED" } else { "Passed" };
        terminal::status(verb, &format!("{} ({})", step.what, table::time(*time)));
    }
    let failures: Vec<String> = done
        .iter()
        .filter_map(|done| Some(format!("\n  {}: {}", done.step.what, done.failure.as_ref()?)))
        .collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} steps failed{}", failures.len(), done.len(), failures.concat()).into())
}

fn perform(step: &'static Step, workspace: &Workspace) -> Done {
    terminal::status(step.verb, step.what);
    let begin = Instant::now();
    let failure = (step.run)(workspace).err().map(|error| error.to_string());
    Done { step, failure, time: begin.elapsed() }
}

fn build_manager(_: &Workspace) -> Outcome {
    manager::build()
}

fn check_format(_: &Workspace) -> Outcome {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))
}

fn check_tidiness(_: &Workspace) -> Outcome {
    tidy::run()
}

fn check_lints(workspace: &Workspace) -> Outcome {
    const DENY: [&str; 3] = ["--", "--deny", "warnings"];
    let mut command = suites::cargo(&["clippy", "--workspace", "--all-targets"]);
    command.args(suites::features(workspace));
    let all = process::run(command.args(DENY));
    // By itself it leaves features out that others have turned on for it in the workspace.
    let manager = process::run(suites::cargo(&["clippy", "--package", manager::NAME]).args(DENY));
    all.and(manager)
}

fn check_documentation(_: &Workspace) -> Outcome {
    let mut command = suites::cargo(&["doc", "--workspace", "--no-deps"]);
    process::run(command.env("RUSTDOCFLAGS", "--deny warnings"))
}
