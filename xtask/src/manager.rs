//! `cargo xtask manager`: the program inside stack images, as one static file.
//!
//! Images of it are `FROM scratch`, so it brings its C library along. Its bytes are an input of every
//! stack image: the same source gives the same bytes wherever it is built, as far as paths go.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::{Outcome, files, process, terminal};

/// What it is built for: the platform of this machine, with a C library that is linked in.
pub(crate) const TARGET: &str = concat!(env!("HOST_ARCHITECTURE"), "-unknown-linux-gnu");

const NAME: &str = "ailtire-manager";

/// Builds it; where it is then. `ailtire-build`'s build script looks for it there.
pub(crate) fn build() -> Outcome<PathBuf> {
    let folder = files::target().join("manager");
    let mut command = process::cargo();
    command
        .args(["build", "--package", NAME, "--profile", "manager", "--target", TARGET])
        .arg("--target-dir")
        .arg(folder.join("build"))
        .env("CARGO_ENCODED_RUSTFLAGS", [flags(), small()].concat().join("\u{1f}"));
    process::run(&mut command)?;
    let built = folder.join("build").join(TARGET).join("manager").join(NAME);
    let program = folder.join(NAME);
    replace(&built, &program)?;
    let size = fs::metadata(&program)?.len();
    terminal::status("Built", &format!("{NAME}, {} kB", size / 1000));
    Ok(program)
}

/// Flags for a small program: it never unwinds, and functions of the same code are one.
fn small() -> Vec<String> {
    [
        "-C",
        "force-unwind-tables=no",
        "-C",
        "link-arg=-Wl,--icf=all",
        "-C",
        "link-arg=-Wl,-z,pack-relative-relocs",
        "-C",
        "link-arg=-Wl,--no-eh-frame-hdr",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Flags for a static program that names no folder of this machine.
pub(crate) fn flags() -> Vec<String> {
    let mut flags = vec!["-C".to_owned(), "target-feature=+crt-static".to_owned()];
    let mut forget = |path: &Path, name: &str| {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    };
    forget(&files::root(), "ailtire-build");
    let home = || env::home_dir().map(|home| home.join(".cargo"));
    if let Some(cargo) = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home) {
        forget(&cargo, "cargo");
    }
    flags
}

/// Leaves a file alone that is as it should be: what is built with it would be built again.
#[allow(clippy::disallowed_methods, reason = "a chore that is cut short is run again")]
fn replace(from: &Path, to: &Path) -> Outcome {
    let content = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(to, content)?;
    Ok(())
}
