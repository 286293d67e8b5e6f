//! Programs that Debian has, installed where they are missing.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Tried};

/// Asked by Debian's packages before they start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// Sees to it that a program is there, by installing its Debian package if it is missing.
///
/// # Errors
/// The program is missing and this is not root on a Debian or Ubuntu that can install it.
pub fn need(name: &'static str, package: &'static str) -> Result<(), Error> {
    need_all(&[Program { name, package }])
}

/// Sees to it that a file is there, by installing the Debian package that has it.
pub(crate) fn need_file(file: &str, package: &'static str) -> Result<(), Error> {
    if Path::new(file).exists() { Ok(()) } else { install(&[package]) }
}

/// Installs the packages of those `programs` that are neither on the path nor in a system folder.
pub(crate) fn need_all(programs: &[Program]) -> Result<(), Error> {
    let missing: Vec<Program> =
        programs.iter().copied().filter(|program| find(program.name).is_none()).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    if !rustix::process::geteuid().is_root() || find("apt-get").is_none() {
        return Err(Error::Missing { program: first.name, package: first.package });
    }
    let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    install(&packages)?;
    match missing.iter().find(|program| find(program.name).is_none()) {
        Some(program) => Err(Error::Missing { program: program.name, package: program.package }),
        None => Ok(()),
    }
}

/// Where a program is: on the path, or where Debian keeps root's programs.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Runs a command and gives its standard output.
pub(crate) fn output<I, S>(program: &str, arguments: I) -> Result<String, Error>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.args(arguments).stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive");
    let done = command.output();
    let failed = |output: String| Error::Command { command: format!("{command:?}"), output };
    match done {
        Ok(done) if done.status.success() => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        Ok(done) => Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn install(packages: &[&str]) -> Result<(), Error> {
    let _no_services = ServicesStayStopped::new()?;
    let options = ["-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    let arguments = || ["install"].into_iter().chain(options).chain(packages.iter().copied());
    // The lists of a fresh machine are missing, those of an old one name versions that are gone.
    if output("apt-get", arguments()).is_err() {
        output("apt-get", ["update", "-q"])?;
        output("apt-get", arguments())?;
    }
    Ok(())
}

/// While it lives, no package starts a service when it is installed.
struct ServicesStayStopped {
    earlier: Option<(Vec<u8>, fs::Permissions)>,
}

impl ServicesStayStopped {
    fn new() -> Result<Self, Error> {
        let earlier = match (fs::read(POLICY), fs::metadata(POLICY)) {
            (Ok(text), Ok(metadata)) => Some((text, metadata.permissions())),
            _ => None,
        };
        let guard = Self { earlier };
        Self::put(b"#!/bin/sh\nexit 101\n", fs::Permissions::from_mode(0o755))
            .tried(|| format!("writing {POLICY}"))?;
        Ok(guard)
    }

    fn put(text: &[u8], permissions: fs::Permissions) -> std::io::Result<()> {
        let mut file = fs::File::create(POLICY)?;
        std::io::Write::write_all(&mut file, text)?;
        file.set_permissions(permissions)
    }
}

impl Drop for ServicesStayStopped {
    fn drop(&mut self) {
        // A policy that can't be put back only keeps services from starting; nothing to add here.
        let _ = match self.earlier.take() {
            Some((text, permissions)) => Self::put(&text, permissions),
            None => fs::remove_file(POLICY),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
        assert!(need("sh", "dash").is_ok());
    }

    #[test]
    fn a_command_that_fails_shows_what_it_said() {
        let error = output("sh", ["-c", "echo no luck >&2; exit 3"]).unwrap_err();
        assert!(error.to_string().ends_with("failed: no luck"), "{error}");
        assert_eq!(output("echo", ["luck"]).unwrap(), "luck\n");
    }
}
