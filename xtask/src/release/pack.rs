//! What a release hands out: an archive with the program and all that belongs to it, its checksum, and
//! each crate packaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::NAME;
use crate::tidy::workspace::Workspace;
use crate::{Outcome, files, manager, process, program};

/// What was made.
pub(super) struct Packed {
    folder: PathBuf,
    archive: String,
    /// Bytes of the archive and of the program.
    sizes: [u64; 2],
    crates: usize,
}

impl Packed {
    pub(super) fn text(&self) -> String {
        let [archive, program] = self.sizes.map(crate::table::bytes);
        let folder = self.folder.strip_prefix(files::root()).unwrap_or(&self.folder).display();
        format!(
            "{folder}/{} ({archive}; the program is {program})\n{folder}/SHA256SUMS\n\
             {} crates can be packaged",
            self.archive, self.crates
        )
    }
}

/// Makes it of the tree as it is, which has this version.
pub(super) fn pack(version: &str) -> Outcome<Packed> {
    let program = program::build()?;
    check(&program, version)?;
    let name = format!("{NAME}-{version}-{}-linux", std::env::consts::ARCH);
    let release = files::target().join("release-files");
    let folder = release.join(&name);
    files::remove_folder(&release)?;
    fill(&folder, &program)?;
    let archive = archive(&release, &name)?;
    let crates = package()?;
    let size = |path: &Path| fs::metadata(path).map(|data| data.len());
    let sizes = [size(&release.join(&archive))?, size(&program)?];
    Ok(Packed { folder: release, archive, sizes, crates })
}

/// Checks that the program runs where nothing else is, is of this version, and has the manager.
fn check(program: &Path, version: &str) -> Outcome {
    let alone = tempfile::tempdir()?;
    fs::copy(program, alone.path().join(NAME))?;
    let mut command = Command::new("unshare");
    command.arg("--map-root-user").arg("--root").arg(alone.path());
    let said = process::output(command.arg(format!("/{NAME}")).arg("--version"))?;
    if said.split_whitespace().nth(1) != Some(version) {
        return Err(format!("the program calls itself `{}`, not {version}", said.trim()).into());
    }
    if holds(&fs::read(program)?, &fs::read(manager::place())?) {
        Ok(())
    } else {
        Err("the program has not got the manager in it, and could build no stack image".into())
    }
}

fn holds(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len().max(1)).any(|window| window == part)
}

/// Puts the program into a folder, with what belongs to it.
fn fill(folder: &Path, program: &Path) -> Outcome {
    fs::create_dir_all(folder.join("man"))?;
    fs::copy(program, folder.join(NAME))?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(files::root().join(file), folder.join(file))?;
    }
    // Under the names by which shells find them.
    for (shell, name) in
        [("bash", NAME.to_owned()), ("zsh", format!("_{NAME}")), ("fish", format!("{NAME}.fish"))]
    {
        let text = process::output(Command::new(program).args(["completions", shell]))?;
        let path = folder.join("completions").join(shell).join(name);
        files::write(&path, text.as_bytes())?;
    }
    process::run(Command::new(program).arg("manual").arg(folder.join("man")))
}

/// Makes the archive `NAME.tar.gz` of the folder `name` in `release`, and `SHA256SUMS`; its name. The same
/// files give the same archive, whoever makes it, and when.
fn archive(release: &Path, name: &str) -> Outcome<String> {
    let archive = format!("{name}.tar.gz");
    let mut tar = Command::new("tar");
    tar.current_dir(release)
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"])
        .args(["--mode=u=rwX,go=rX", "--use-compress-program=gzip --no-name"])
        .args(["-cf", &archive, name]);
    process::run(&mut tar)?;
    let sums = process::output(Command::new("sha256sum").arg(&archive).current_dir(release))?;
    files::write(&release.join("SHA256SUMS"), sums.as_bytes())?;
    Ok(archive)
}

/// Packages every crate that can be published, which tells what is missing in any of them; how many.
fn package() -> Outcome<usize> {
    let workspace = Workspace::load()?;
    let mut command = process::cargo();
    command.args(["package", "--quiet", "--allow-dirty", "--no-verify"]);
    for name in workspace.publishable() {
        command.args(["--package", name]);
    }
    process::run(&mut command)?;
    Ok(workspace.publishable().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_archive_with_a_checksum_that_can_be_checked() {
        let packed = ["one", "two"].map(|_| {
            let folder = tempfile::tempdir().unwrap();
            for (path, text) in [("it/b", "b"), ("it/a/c", "c")] {
                files::write(&folder.path().join(path), text.as_bytes()).unwrap();
            }
            let archive = archive(folder.path(), "it").unwrap();
            let mut check = Command::new("sha256sum");
            check.current_dir(folder.path()).args(["--check", "SHA256SUMS"]);
            assert_eq!(process::output(&mut check).unwrap(), "it.tar.gz: OK\n");
            fs::read(folder.path().join(archive)).unwrap()
        });
        assert!(packed[0] == packed[1]);
    }

    #[test]
    fn a_program_without_its_part_is_told() {
        assert!(holds(b"a program with a part in it", b"a part"));
        assert!(!holds(b"a program", b"a part"));
    }
}
