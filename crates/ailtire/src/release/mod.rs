//! A release: version, changelog, images, tag, one after the other.
//!
//! Everything that can be checked is checked before anything is written. What is written is taken
//! back where a later step fails, until the first image or commit is public; from there on the error
//! says how to go on and how to go back.

mod changelog;
mod run;
mod version;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ailtire_context::with_version;

use crate::{Error, git};

pub use run::{ReleaseRun, Released, release};
pub use version::Bump;

const PACKAGE: &str = "package.json";
const CHANGELOG: &str = "CHANGELOG.md";

/// What is released, and where to.
#[derive(Debug, Clone)]
pub struct ReleaseOptions {
    /// The version.
    pub bump: Bump,
    /// What goes before the version in the tag of git.
    pub tag_prefix: String,
    /// The remote that commit and tag are pushed to; absent: that of the branch, if it has one.
    pub remote: Option<String>,
    /// Whether commit and tag are pushed.
    pub push_commit: bool,
    /// Whether images are pushed.
    pub push_images: bool,
}

impl Default for ReleaseOptions {
    /// The next patch, tagged `v…`, all of it pushed.
    fn default() -> Self {
        Self {
            bump: Bump::Patch,
            tag_prefix: "v".to_owned(),
            remote: None,
            push_commit: true,
            push_images: true,
        }
    }
}

/// What a release will do.
#[derive(Debug, Clone)]
pub struct ReleasePlan {
    /// The version in `package.json`.
    pub old: String,
    /// The version that is released.
    pub new: String,
    /// The tag of git.
    pub tag: String,
    /// The branch that is released.
    pub branch: String,
    /// The remote that commit and tag go to.
    pub remote: Option<String>,
    /// The changelog's section, without its heading.
    pub changelog: String,
    files: Vec<PlannedFile>,
    top: PathBuf,
    /// The commit that is released.
    head: String,
}

#[derive(Debug, Clone)]
struct PlannedFile {
    path: PathBuf,
    old: Option<Vec<u8>>,
    new: Vec<u8>,
}

impl ReleasePlan {
    /// Plans the release of the application at `root`, and checks all that can be checked before:
    /// a clean tree, a branch, a version that comes later, a tag that is not taken here or at the
    /// remote.
    ///
    /// # Errors
    ///
    /// [`Error::Repository`] where something of that is not so, [`Error::Io`] where files or git
    /// can't be used.
    pub fn new(root: &Path, options: &ReleaseOptions) -> Result<Self, Error> {
        let top = git::top(root)?;
        require_clean(&top)?;
        let branch = branch(&top)?;
        let (old, package) = package(root)?;
        let new = options.bump.after(&old)?;
        let tag = format!("{}{new}", options.tag_prefix);
        let remote = if options.push_commit {
            options.remote.clone().or_else(|| remote_of(&top, &branch))
        } else {
            None
        };
        require_free(&top, &tag, remote.as_deref())?;
        let head = read(&top, &["rev-parse", "HEAD"])?;
        let subjects = subjects(&top, root, &options.tag_prefix)?;
        let path = root.join(CHANGELOG);
        let old_changelog = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Io { action: "read", path, source }),
        };
        let text = old_changelog.clone().unwrap_or_default();
        let changelog = changelog::body(&text, &subjects);
        let whole = changelog::with_release(&text, &new, &today(), &changelog);
        let new_package = with_version(&package, &new).map_err(|problem| {
            let message = format!("{PACKAGE} can't carry the version: {}", problem.message);
            Error::Repository { message, help: "make it a valid JSON object".to_owned() }
        })?;
        let files = vec![
            PlannedFile { path: root.join(PACKAGE), old: Some(package), new: new_package },
            PlannedFile {
                path,
                old: old_changelog.map(String::into_bytes),
                new: whole.into_bytes(),
            },
        ];
        Ok(Self { old, new, tag, branch, remote, changelog, files, top, head })
    }

    /// The files that are written, from the root of the repository.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.strip_prefix(&self.top).unwrap_or(&file.path))
    }

    /// Writes the version and the changelog.
    fn write(&self) -> Result<(), Error> {
        for file in &self.files {
            replace(&file.path, Some(&file.new))?;
        }
        Ok(())
    }

    /// Brings back what [`ReleasePlan::write`] replaced.
    fn restore(&self) -> Result<(), Error> {
        for file in &self.files {
            replace(&file.path, file.old.as_deref())?;
        }
        Ok(())
    }

    /// Commits and tags; where either fails, there is neither.
    fn commit(&self) -> Result<(), Error> {
        let message = format!("Release {}", self.new);
        let mut commit = git::command(&self.top);
        let mut add = git::command(&self.top);
        // A changelog that is new is not known to git yet.
        add.args(["add", "--"]).args(self.files());
        commit.args(["commit", "--quiet", "--message", &message, "--"]).args(self.files());
        let committed = git::done(&mut add).and_then(|_| git::done(&mut commit));
        committed.map_err(|error| self.undone("commit", &error))?;
        let mut tag = git::command(&self.top);
        tag.args(["tag", "--annotate", "--message", &message, "--", &self.tag]);
        git::done(&mut tag).map(drop).map_err(|error| self.undone("tag", &error))
    }

    /// Takes back what was committed, in the index too; the files are for [`ReleasePlan::restore`].
    fn undone(&self, what: &str, error: &std::io::Error) -> Error {
        let mut reset = git::command(&self.top);
        // One that fails leaves a commit, which is then part of what is to be seen in git.
        let _ = git::done(reset.args(["reset", "--quiet", "--mixed", &self.head]));
        Error::Repository {
            message: format!("the release can't be put into git ({what}): {error}"),
            help: "nothing was released, and the files are as they were".to_owned(),
        }
    }

    /// Pushes commit and tag, both or neither.
    fn push(&self) -> std::io::Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        git::done(git::command(&self.top).args(self.push_arguments(remote))).map(drop)
    }

    fn push_arguments(&self, remote: &str) -> Vec<String> {
        let head = format!("HEAD:refs/heads/{}", self.branch);
        let tag = format!("refs/tags/{}", self.tag);
        ["push", "--quiet", "--atomic", remote, &head, &tag].map(str::to_owned).to_vec()
    }

    /// The command that makes commit and tag public, as a person types it.
    pub fn push_command(&self) -> Option<String> {
        let remote = self.remote.as_ref()?;
        Some(format!("git push --atomic {remote} HEAD:{} {}", self.branch, self.tag))
    }

    /// The commands that take commit and tag back, while they are not public.
    pub fn undo_command(&self) -> String {
        let commit = self.head.get(..12).unwrap_or(&self.head);
        format!("git tag --delete {} && git reset --hard {commit}", self.tag)
    }
}

fn require_clean(top: &Path) -> Result<(), Error> {
    let changed = read(top, &["status", "--porcelain"])?;
    if changed.is_empty() {
        return Ok(());
    }
    let files: Vec<&str> =
        changed.lines().take(5).map(|line| line.get(3..).unwrap_or(line)).collect();
    let more = changed.lines().count() - files.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Err(Error::Repository {
        message: format!("the tree is not clean: {}{more}", files.join(", ")),
        help: "commit what belongs to the release, and put the rest away (`git stash`)".to_owned(),
    })
}

fn branch(top: &Path) -> Result<String, Error> {
    let name = git::require(top, &["symbolic-ref", "--quiet", "--short", "HEAD"], || {
        let help = "`git switch` to the branch that is to be released";
        ("no branch is checked out".to_owned(), help)
    });
    Ok(git::line(&name?))
}

fn package(root: &Path) -> Result<(String, Vec<u8>), Error> {
    let path = root.join(PACKAGE);
    let missing = |what: &str| Error::Repository {
        message: format!("`{}` {what}", path.display()),
        help: "a release raises the version there: begin with `{ \"version\": \"0.0.0\" }`"
            .to_owned(),
    };
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing("is not there"));
        }
        Err(source) => return Err(Error::Io { action: "read", path, source }),
    };
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    let json: serde_json::Value =
        serde_json::from_slice(text).map_err(|error| missing(&format!("is no JSON: {error}")))?;
    let version = json["version"].as_str().ok_or_else(|| missing("has no version"))?;
    Ok((version.to_owned(), content))
}

/// The remote that the branch follows, else `origin` where there is one.
fn remote_of(top: &Path, branch: &str) -> Option<String> {
    let setting = format!("branch.{branch}.remote");
    let followed = read(top, &["config", "--get", &setting]).ok().filter(|name| !name.is_empty());
    followed.or_else(|| {
        let remotes = read(top, &["remote"]).ok()?;
        remotes.lines().find(|name| *name == "origin").map(str::to_owned)
    })
}

fn require_free(top: &Path, tag: &str, remote: Option<&str>) -> Result<(), Error> {
    let taken = |place: &str| Error::Repository {
        message: format!("the tag `{tag}` exists {place}"),
        help: "choose another version with `--to`, or raise a higher number".to_owned(),
    };
    let name = format!("refs/tags/{tag}");
    git::require(top, &["check-ref-format", &name], || {
        (format!("`{tag}` can't be the name of a tag"), "choose another `--tag-prefix`")
    })?;
    if read(top, &["rev-parse", "--verify", "--quiet", &name]).is_ok() {
        return Err(taken("already"));
    }
    let Some(remote) = remote else { return Ok(()) };
    let found = git::require(top, &["ls-remote", "--tags", "--", remote, &name], || {
        let help = "name another with `--remote`, or keep commit and tag here with `--no-git-push`";
        (format!("the remote `{remote}` can't be asked"), help)
    })?;
    if found.is_empty() { Ok(()) } else { Err(taken(&format!("at `{remote}`"))) }
}

/// Subjects of the commits since the last release that touch the application, newest first.
fn subjects(top: &Path, root: &Path, tag_prefix: &str) -> Result<Vec<String>, Error> {
    let pattern = format!("{tag_prefix}[0-9]*");
    let last = read(top, &["describe", "--tags", "--abbrev=0", "--match", &pattern]).ok();
    let range = last.map_or("HEAD".to_owned(), |tag| format!("refs/tags/{tag}..HEAD"));
    let inside = root.strip_prefix(top).unwrap_or(Path::new(""));
    let inside = Path::new(".").join(inside);
    let inside = inside.to_string_lossy();
    let log = read(top, &["log", "--no-merges", "--format=%s", &range, "--", &inside])?;
    Ok(log.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

fn read(top: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = git::done(git::command(top).args(arguments));
    let output = output.map_err(|source| Error::Io {
        action: "run `git` in",
        path: top.to_owned(),
        source,
    })?;
    Ok(git::line(&output))
}

fn replace(path: &Path, content: Option<&[u8]>) -> Result<(), Error> {
    let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let Some(content) = content else {
        return match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        use std::io::Write as _;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        // As the file that it replaces, or as any new one of a source tree.
        let permissions = std::fs::metadata(path).map(|it| it.permissions());
        let permissions =
            permissions.unwrap_or_else(|_| std::os::unix::fs::PermissionsExt::from_mode(0o644));
        file.as_file().set_permissions(permissions)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(failed)
}

/// Today's date, in UTC.
fn today() -> String {
    let now = chrono::DateTime::<chrono::Utc>::from(SystemTime::now());
    now.format("%Y-%m-%d").to_string()
}
