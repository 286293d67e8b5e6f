//! The command: brings the images of an ailtire application up to date.
//!
//! One file a command below `commands`; everything that is written goes through `printer`, and
//! every exit code is in `exit`.

#![cfg_attr(test, allow(clippy::needless_raw_string_hashes, reason = "snapbox writes them so"))]

mod arguments;
mod commands;
mod error;
mod exit;
mod files;
mod interrupt;
mod keys;
mod manager;
mod opening;
mod printer;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use arguments::{Arguments, Command, GlobalArguments};
use error::Failure;
use printer::Printer;

fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    let printer = Arc::new(Printer::new(global.color, global.verbosity()));
    let code = match run(&global, command, &printer) {
        Ok(code) => code,
        Err(failure) => {
            failure.print(&printer);
            failure.code()
        }
    };
    ExitCode::from(code)
}

fn run(global: &GlobalArguments, command: Command, printer: &Arc<Printer>) -> Result<u8, Failure> {
    use commands::{
        affected, build, check, clean, completions, compose, context, deploy, down, graph, history,
        key, logs, manual, plan, push, release, rollback, status, token, undeploy, up, verify, why,
    };
    match command {
        Command::Build(arguments) => block_on(build::run(global, arguments, printer)),
        Command::Push(arguments) => block_on(push::run(global, arguments, printer)),
        Command::Plan(arguments) => block_on(plan::run(global, arguments, printer)),
        Command::Why(arguments) => block_on(why::run(global, arguments, printer)),
        Command::Deploy(arguments) => block_on(deploy::run(global, *arguments, printer)),
        Command::Up(arguments) => block_on(up::run(global, *arguments, printer)),
        Command::Down(arguments) => block_on(down::run(global, arguments, printer)),
        Command::Token(arguments) => block_on(token::run(global, &arguments, printer)),
        Command::Status(arguments) => block_on(status::run(global, &arguments, printer)),
        Command::Logs(arguments) => block_on(logs::run(global, &arguments, printer)),
        Command::History(arguments) => block_on(history::run(global, &arguments, printer)),
        Command::Rollback(arguments) => block_on(rollback::run(global, arguments, printer)),
        Command::Undeploy(arguments) => block_on(undeploy::run(global, arguments, printer)),
        Command::Affected(arguments) => affected::run(global, &arguments, printer),
        Command::Release(arguments) => block_on(release::run(global, arguments, printer)),
        Command::Graph(arguments) => graph::run(global, &arguments, printer),
        Command::Context(arguments) => context::run(global, &arguments, printer),
        Command::Verify(arguments) => block_on(verify::run(global, &arguments, printer)),
        Command::Key(arguments) => key::run(&arguments, printer),
        Command::Check(arguments) => check::run(global, &arguments, printer),
        Command::Compose(arguments) => compose::run(global, &arguments, printer),
        Command::Clean(arguments) => block_on(clean::run(global, arguments, printer)),
        Command::Manual(arguments) => manual::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments, printer),
    }
}

/// Runs `work` to its end, and leaves behind what still waits, such as for another run's lock.
fn block_on(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start", "the worker threads", &error))?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
