//! `ailtire-build` as it is handed out: optimised, static, and with the manager in it.

use std::path::PathBuf;

use crate::{Outcome, files, manager, process, terminal};

/// The package and the program.
pub(crate) const NAME: &str = "ailtire-build";

/// Builds it, with its C library, so that it runs on every Linux; where it is.
pub(crate) fn build() -> Outcome<PathBuf> {
    manager::build()?;
    terminal::status("Compiling", &format!("{NAME} with optimisation, as one static file"));
    let mut command = process::cargo();
    let folder = files::target().join("static");
    command
        .args(["build", "--package", NAME, "--release", "--target", manager::TARGET])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", manager::flags().join("\u{1f}"));
    process::run(&mut command)?;
    Ok(folder.join(manager::TARGET).join("release").join(NAME))
}
