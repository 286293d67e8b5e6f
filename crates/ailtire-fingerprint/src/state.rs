//! The state directory `.ailtire/`: the only place in the source tree that is written to.
//!
//! ```text
//! .ailtire/
//!   CACHEDIR.TAG  .gitignore     so that backups and git leave it alone
//!   version                      of this layout
//!   lock                         held by the run that writes; says who that is
//!   stat-index                   digests of files that did not change (ailtire-tree)
//!   definitions                  results of evaluated definitions (ailtire-manifest)
//!   logs/                        logs of builds
//!   engines/<digest>/            what is known of one engine:
//!     records.jsonl  inputs/
//! ```
//!
//! All of it may be deleted at any time; the next run finds everything out again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use ailtire_events::Diagnostic;
use fs4::{FileExt, TryLockError};

use crate::records::{Records, engine_folder, file_stem};

/// What the names of files begin with that are not complete yet, written with the lock held.
const TEMPORARY: &str = ".tmp";

/// The same without the lock: another run may be writing one just now.
const TEMPORARY_UNLOCKED: &str = ".new";

/// Version of the layout.
const VERSION: &str = "1\n";

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This directory holds what ailtire-build remembers; it can be deleted at any time.\n\
# For information about cache directory tags, see https://bford.info/cachedir/\n";

/// Why the state directory can't be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{path}`: {source}")]
pub struct StateError {
    action: &'static str,
    path: String,
    source: io::Error,
}

impl StateError {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self { action, path, source }
    }
}

/// The right to write the state directory; given back when dropped, also by a kill.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The state directory of an application.
#[derive(Debug, Clone)]
pub struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// Name of the directory below the application root.
    pub const NAME: &'static str = ".ailtire";

    /// File with the digests of files that did not change.
    pub const STAT_INDEX: &'static str = "stat-index";

    /// File with the results of evaluated definitions.
    pub const DEFINITIONS: &'static str = "definitions";

    /// The state directory of the application at `root`. Nothing is touched yet.
    pub fn of(root: &Path) -> Self {
        Self { path: root.join(Self::NAME) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory where it is missing, and waits for the right to write it.
    ///
    /// `waiting` is called once, with what the other run says of itself, if there is one.
    ///
    /// # Errors
    ///
    /// [`StateError`] where the directory can't be made or locked.
    pub fn lock(&self, waiting: impl FnOnce(&str)) -> Result<Lock, StateError> {
        self.create()?;
        let mut file = self.open_lock()?;
        match FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who it is only makes the message better.
                let _ = file.read_to_string(&mut holder);
                waiting(holder.trim());
                FileExt::lock(&file).map_err(StateError::new("lock", &self.path))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(StateError::new("lock", &self.path)(error));
            }
        }
        sign(&mut file).map_err(StateError::new("write the lock in", &self.path))?;
        Ok(Lock { _file: file })
    }

    /// The right to write where nobody else has it now; `None` also where nothing can be written.
    pub fn try_lock(&self) -> Option<Lock> {
        self.create().ok()?;
        let mut file = self.open_lock().ok()?;
        FileExt::try_lock(&file).ok()?;
        sign(&mut file).ok()?;
        Some(Lock { _file: file })
    }

    fn open_lock(&self) -> Result<File, StateError> {
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        options.open(&path).map_err(StateError::new("open", &path))
    }

    /// What is in the way where the directory should be; nothing is remembered then.
    pub fn obstacle(&self) -> Option<Diagnostic> {
        let is_there = fs::symlink_metadata(&self.path).is_ok();
        (is_there && !self.path.is_dir()).then(|| {
            let name = Self::NAME;
            let message = format!("`{name}` is not a directory, so nothing can be remembered");
            Diagnostic::warning("damaged-state", message)
                .help(format!("remove `{name}`: images can't be built without the state"))
        })
    }

    fn create(&self) -> Result<(), StateError> {
        if self.obstacle().is_some() {
            return Err(StateError::new("use", &self.path)(ErrorKind::NotADirectory.into()));
        }
        fs::create_dir_all(&self.path).map_err(StateError::new("create", &self.path))?;
        for (name, content) in [("CACHEDIR.TAG", TAG), (".gitignore", "*\n")] {
            let path = self.path.join(name);
            if !path.exists() {
                replace_through(TEMPORARY_UNLOCKED, &path, content.as_bytes())
                    .map_err(StateError::new("write", &path))?;
            }
        }
        Ok(())
    }

    /// Whether the directory is there, with this program's layout.
    pub fn is_current(&self) -> bool {
        matches!(self.read("version"), Ok(Some(version)) if version == VERSION.as_bytes())
    }

    /// Looks whether the layout is this program's; one of another version is emptied.
    ///
    /// Call it with the lock held. The diagnostic says what was found.
    ///
    /// # Errors
    ///
    /// [`StateError`] where the directory can't be read or written.
    pub fn ensure_version(&self, _lock: &Lock) -> Result<Option<Diagnostic>, StateError> {
        let path = self.path.join("version");
        let found = match read_if_there(&path) {
            // Not this program's doing: as good as another version's.
            Err(error) if error.kind() == ErrorKind::IsADirectory => Some(Vec::new()),
            found => found.map_err(StateError::new("read", &path))?,
        };
        if found.as_deref() == Some(VERSION.as_bytes()) {
            return Ok(None);
        }
        // Without a version the directory is new, or was deleted while this program wrote into it.
        if found.is_some() {
            self.remove_contents()?;
        }
        replace(&path, VERSION.as_bytes()).map_err(StateError::new("write", &path))?;
        Ok(found.map(|_| {
            let name = Self::NAME;
            Diagnostic::warning(
                "foreign-state",
                format!("the state in `{name}` was written by another version of this program"),
            )
            .help("nothing is lost: every image is looked at anew")
        }))
    }

    /// Removes everything but the lock, as if nothing had ever been built.
    ///
    /// # Errors
    ///
    /// [`StateError`] where something can't be removed.
    pub fn clear(&self, _lock: &Lock) -> Result<(), StateError> {
        self.remove_contents()?;
        let path = self.path.join("version");
        replace(&path, VERSION.as_bytes()).map_err(StateError::new("write", &path))
    }

    fn remove_contents(&self) -> Result<(), StateError> {
        for name in ["logs", "engines", Self::STAT_INDEX, Self::DEFINITIONS, "version"] {
            let path = self.path.join(name);
            remove(&path).map_err(StateError::new("remove", &path))?;
        }
        // What a killed run was writing.
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                remove(&entry.path()).map_err(StateError::new("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Reads the file `name`; `None` where it is not there.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it can't be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.path.join(name);
        read_if_there(&path).map_err(StateError::new("read", &path))
    }

    /// Replaces the file `name` as a whole: a reader sees the old or the new content.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it can't be written.
    pub fn write(&self, _lock: &Lock, name: &str, content: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        replace(&path, content).map_err(StateError::new("write", &path))
    }

    /// Where the log of the last build of `image` is kept.
    fn log_file(&self, image: &str) -> PathBuf {
        self.path.join("logs").join(format!("{}.log", file_stem(image)))
    }

    /// Keeps the log of the last build of `image`.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it can't be written.
    pub fn write_log(&self, image: &str, log: &[u8]) -> Result<(), StateError> {
        let path = self.log_file(image);
        replace(&path, log).map_err(StateError::new("write", &path))
    }

    /// The records of images in the engine at `endpoint`.
    ///
    /// # Errors
    ///
    /// [`StateError`] where they can't be read.
    pub fn records(&self, endpoint: &str) -> Result<Records, StateError> {
        let folder = engine_folder(&self.path, endpoint);
        Records::open(folder.clone()).map_err(StateError::new("read the records in", &folder))
    }
}

/// Writes into the lock file who holds it.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let arguments: Vec<_> = std::env::args().skip(1).take(1).collect();
    writeln!(file, "process {} ({})", std::process::id(), arguments.join(" "))
}

/// The content of the file at `path`; `None` where there is none.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file beside `path` and renames it into place.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_through(TEMPORARY, path, content)
}

fn replace_through(prefix: &str, path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Anew each time: the state may be deleted while a run goes on.
    fs::create_dir_all(folder)?;
    // The names of temporary files are of no use in a message.
    let plain = |error: io::Error| io::Error::from(error.kind());
    let mut file = tempfile::Builder::new().prefix(prefix).tempfile_in(folder).map_err(plain)?;
    file.write_all(content).map_err(plain)?;
    if path.is_dir() {
        // Nothing of ours: a file that could not be read is made anew, whatever it is.
        fs::remove_dir_all(path)?;
    }
    file.persist(path)?;
    Ok(())
}

/// Appends `line` to the file at `path` in one write.
pub(crate) fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).open(path)?.write_all(line)
}

/// Removes what is at `path`, whatever it is; nothing may be there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if is_missing(&error) => Ok(()),
        other => other,
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
