//! `cargo xtask manager`: the program inside stack images, as one static file.
//!
//! Images of it are `FROM scratch`, so it brings its C library along. Its bytes are an input of every
//! stack image: the same source gives the same bytes wherever it is built, as far as paths go.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::{Outcome, files, process, terminal};

/// What it is built for: the platform of this machine, with a C library that is linked in.
pub(crate) const TARGET: &str = concat!(env!("HOST_ARCHITECTURE"), "-unknown-linux-gnu");

/// The package and the program.
pub(crate) const NAME: &str = "ailtire-manager";

/// Where `ailtire-build`'s build script looks for it, as `.cargo/config.toml` says: wherever Cargo
/// itself builds.
pub(crate) fn place() -> PathBuf {
    files::root().join("target/manager").join(NAME)
}

/// Builds it, and puts it in its [`place`].
pub(crate) fn build() -> Outcome {
    let folder = files::target().join("manager");
    let mut command = process::cargo();
    command
        .args(["build", "--package", NAME, "--profile", "manager", "--target", TARGET])
        .arg("--target-dir")
        .arg(folder.join("build"))
        .env("CARGO_ENCODED_RUSTFLAGS", [flags(), small()].concat().join("\u{1f}"));
    process::run(&mut command)?;
    let built = folder.join("build").join(TARGET).join("manager").join(NAME);
    let program = place();
    replace(&built, &program)?;
    let size = fs::metadata(&program)?.len();
    terminal::status("Built", &format!("{NAME}, {} kB", size / 1000));
    Ok(())
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
fn replace(from: &Path, to: &Path) -> Outcome {
    let permissions = fs::metadata(from)?.permissions();
    let content = fs::read(from)?;
    if !fs::read(to).is_ok_and(|old| old == content) {
        files::write(to, &content)?;
    }
    // They may be from before: the content alone says nothing of them.
    if fs::metadata(to)?.permissions() != permissions {
        fs::set_permissions(to, permissions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_in_its_place_can_be_run_and_is_not_touched_twice() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "sub/to"].map(|name| folder.path().join(name));
        files::write(&from, b"program").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o755)).unwrap();
        let state = || {
            let data = fs::metadata(&to).unwrap();
            (data.permissions().mode() & 0o777, data.modified().unwrap())
        };
        replace(&from, &to).unwrap();
        let first = state();
        assert_eq!(first.0, 0o755);
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(state(), first);
        files::write(&from, b"another").unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"another");
    }

    #[test]
    fn its_place_is_the_one_that_the_configuration_names() {
        let text = fs::read_to_string(files::root().join(".cargo/config.toml")).unwrap();
        let place = place();
        let named = place.strip_prefix(files::root()).unwrap().display().to_string();
        assert!(text.contains(&format!("value = \"{named}\", relative = true")), "{text}");
    }
}
