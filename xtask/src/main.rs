//! The chores of this repository, as `cargo xtask CHORE`.

mod bench;
mod checks;
mod demo;
mod engine;
mod files;
mod manager;
mod pass;
mod process;
mod program;
mod release;
mod release_myapp;
mod suites;
mod table;
mod terminal;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a chore gives; its error is worded for the person at the terminal.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The chores of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build the example application three times and show what each time takes.
    Demo,
    /// Run every check: format, clippy, tidy, docs, unit tests, and tests that need an engine.
    Test,
    /// Build the program inside stack images, which `ailtire-build` carries from then on.
    Manager,
    /// Check what the compiler does not: sizes, words, links, and who depends on whom.
    Tidy,
    /// Measure against the bare minimum, `git`, `b3sum`, `docker`, Node and `nginx`.
    Bench(bench::Arguments),
    /// Release this project: version, changelog, static program, archive, crates, commit and tag.
    Release(release::Arguments),
    /// Release a copy of `fixtures/myapp` with the library, as an application's own chore would.
    ReleaseMyapp(release_myapp::Arguments),
    /// Start, stop or show a Docker engine under `target/`.
    Engine {
        #[command(subcommand)]
        action: engine::Action,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Demo => demo::run(),
        Chore::Test => checks::run(),
        Chore::Manager => manager::build(),
        Chore::Tidy => tidy::run(),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Release(arguments) => release::run(&arguments),
        Chore::ReleaseMyapp(arguments) => release_myapp::run(&arguments),
        Chore::Engine { action } => engine::run(&action),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
