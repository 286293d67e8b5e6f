//! Where an engine keeps its things.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Tried};

/// A path longer than this, and the sockets of the engine's parts would not fit into the 108 bytes
/// that the kernel has for a socket's path.
const LONGEST_FOLDER: usize = 60;

/// How much of the end of a log is shown.
const LOG_TAIL: u64 = 4096;

/// The files of one engine.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The folder, absolute.
    pub(crate) folder: PathBuf,
    /// What is there only while the engine runs: socket, pipe, pid file, exec-root.
    pub(crate) run: PathBuf,
}

impl Layout {
    /// The layout of `folder`, which is made if it is not there.
    pub(crate) fn new(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).tried(|| format!("creating {}", folder.display()))?;
        let folder = folder.canonicalize().tried(|| format!("finding {}", folder.display()))?;
        let run = if folder.as_os_str().len() <= LONGEST_FOLDER {
            folder.join("run")
        } else {
            Path::new("/run").join(crate::network::name(&folder))
        };
        Ok(Self { folder, run })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run.join("docker.sock")
    }

    pub(crate) fn lifeline(&self) -> PathBuf {
        self.run.join("lifeline")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.run.join("supervisor.pid")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.run.join("daemon.json")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("dockerd.log")
    }

    /// Opens the log, locked: the lock is held by whoever has the log open, so until the last
    /// process of the engine is gone.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.log();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .tried(|| format!("opening {}", path.display()))?;
        match log.try_lock() {
            Ok(()) => Ok(log),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { folder: self.folder.clone() }),
            Err(TryLockError::Error(error)) => {
                Err(error).tried(|| format!("locking {}", path.display()))
            }
        }
    }

    /// Waits until the last process of a killed engine is gone.
    pub(crate) fn wait_for_lock(&self) -> Result<(), Error> {
        let path = self.log();
        File::open(&path).and_then(|log| log.lock()).tried(|| format!("locking {}", path.display()))
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(self.log()).and_then(|mut log| {
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
            log.read_to_end(&mut text)
        });
        match read {
            Ok(_) => String::from_utf8_lossy(&text).trim().to_owned(),
            Err(error) => format!("(no log: {error})"),
        }
    }

    /// Makes the folder of a running engine, open to its owner only, with a configuration that
    /// says nothing: the engine would read the machine's own otherwise.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        remove_folder(&self.run)?;
        for folder in [&self.run, &self.data()] {
            fs::create_dir_all(folder).tried(|| format!("creating {}", folder.display()))?;
        }
        fs::set_permissions(&self.run, Permissions::from_mode(0o700))
            .and_then(|()| File::create(self.config())?.write_all(b"{}"))
            .tried(|| format!("preparing {}", self.run.display()))
    }
}

/// Removes a folder with all it has; one that is not there is fine.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).tried(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}
