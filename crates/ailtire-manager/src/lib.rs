//! The program inside stack images: deploys, serves, watches and removes a stack.

pub mod auth;
pub mod page;
pub mod report;

/// Runs the program with the arguments and variables of the process; its exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
