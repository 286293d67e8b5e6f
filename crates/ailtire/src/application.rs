//! Opening an application: lock, walk, evaluate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ailtire_events::{Diagnostic, EventKind, EventSink};
use ailtire_fingerprint::{Lock, StateDirectory, StateError};
use ailtire_manifest::{
    Application as Definitions, DEFAULT_ENVIRONMENT, EvaluationCache, Limits, LoadOptions,
};
use ailtire_tree::{StatIndex, Tree, Work};

use crate::Error;
use crate::stack_images::{ManagerProgram, StackImages};

/// What a run wants to do with an application's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Only look. What was found out on the way is kept if nobody else is writing.
    #[default]
    Read,
    /// Build: waits until no other run does.
    Write,
}

/// How to open an application.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Where to look for the application: upward from here, or exactly here.
    pub directory: PathBuf,
    /// Whether `directory` is the application root itself (`--app`).
    pub exact: bool,
    /// The chosen environment; absent: `default`.
    pub environment: Option<String>,
    /// Variables of the command line (`--env KEY=VALUE`).
    pub variables: BTreeMap<String, String>,
    /// Name of the instance (`--name`).
    pub name: Option<String>,
    /// Repository that goes before every tag (`--repo`).
    pub repository: Option<String>,
    /// Version (`--version`).
    pub version: Option<String>,
    /// Whether invalid tags are replaced by the suggested ones.
    pub fix_tags: bool,
    /// Directories outside the application root that definitions may use.
    pub allow_outside: Vec<PathBuf>,
    /// What definitions see as `process.env`.
    pub process_environment: BTreeMap<String, String>,
    /// Whether stacks are read too.
    pub deployments: bool,
    /// The program in stack images; without it none can be built.
    pub manager: Option<ManagerProgram>,
    /// What the run wants to do.
    pub access: Access,
}

/// An application whose definitions have been read; clones share what was read.
#[derive(Debug, Clone)]
pub struct Application {
    pub(crate) tree: Arc<Tree>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) state: StateDirectory,
    pub(crate) lock: Option<Arc<Lock>>,
    pub(crate) load_options: LoadOptions,
    /// Whether the environment was chosen, or is the one that is taken where none is.
    pub(crate) environment_is_chosen: bool,
    /// The program in stack images.
    pub(crate) manager: Option<ManagerProgram>,
    /// What stack images are made of, once somebody asked.
    pub(crate) stack_images: Arc<OnceLock<StackImages>>,
    access: Access,
    cache: Arc<EvaluationCache>,
    environments: BTreeSet<String>,
    diagnostics: Vec<Diagnostic>,
}

impl Application {
    /// Finds and reads an application. Broken definitions are no error here: they are in
    /// [`Application::diagnostics`].
    ///
    /// # Errors
    ///
    /// [`Error`] where there is no application, or its state can't be used.
    pub fn open(options: &OpenOptions, sink: &dyn EventSink) -> Result<Self, Error> {
        let root = find(options)?;
        for path in &options.allow_outside {
            let outside = |source| Error::Outside { path: path.clone(), source };
            require_directory(path).map_err(outside)?;
        }
        let state = StateDirectory::of(&root);
        let mut diagnostics: Vec<_> = state.obstacle().into_iter().collect();
        let lock = match options.access {
            Access::Write => Some(state.lock(|holder| {
                sink.emit(EventKind::WaitingForLock { holder: holder.to_owned() });
            })?),
            // Looking must not empty the state of another version, nor make one where none is.
            Access::Read => state.is_current().then(|| state.try_lock()).flatten(),
        };
        if let Some(lock) = &lock {
            diagnostics.extend(state.ensure_version(lock)?);
        }
        let index =
            read_or_report(&state, StateDirectory::STAT_INDEX, StatIndex::decode, &mut diagnostics);
        let cache = read_or_report(
            &state,
            StateDirectory::DEFINITIONS,
            |bytes| EvaluationCache::decode(&bytes),
            &mut diagnostics,
        );
        let tree = Tree::open_with_outside(&root, &options.allow_outside, index)
            .map_err(|source| Error::Io { action: "read", path: root, source })?;
        // What starts with a dot and `node_modules` is listed only where a context asks for it.
        tree.prefetch(&|name| !name.starts_with('.') && name != "node_modules");
        let load_options = load_options(options);
        let loaded = ailtire_manifest::load(&tree, &load_options, &cache);
        diagnostics.extend(loaded.diagnostics);
        Ok(Self {
            tree: Arc::new(tree),
            definitions: Arc::new(loaded.application),
            state,
            lock: lock.map(Arc::new),
            load_options,
            environment_is_chosen: options.environment.is_some(),
            manager: options.manager.clone(),
            stack_images: Arc::default(),
            access: options.access,
            cache: Arc::new(cache),
            environments: loaded.environments,
            diagnostics,
        })
    }

    /// The same application, read for another environment; the source tree is not walked again.
    #[must_use]
    pub fn in_environment(&self, environment: &str) -> Self {
        let mut load_options = self.load_options.clone();
        environment.clone_into(&mut load_options.environment);
        let loaded = ailtire_manifest::load(&self.tree, &load_options, &self.cache);
        Self {
            definitions: Arc::new(loaded.application),
            load_options,
            environment_is_chosen: false,
            environments: loaded.environments,
            diagnostics: loaded.diagnostics,
            stack_images: Arc::default(),
            ..self.clone()
        }
    }

    /// The absolute path of the application root.
    pub fn root(&self) -> &Path {
        self.tree.root()
    }

    /// What the definitions come to.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Everything that was found while reading the definitions, errors too.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Every environment that the definitions name.
    pub fn environments(&self) -> &BTreeSet<String> {
        &self.environments
    }

    /// Where the state is kept.
    pub fn state(&self) -> &StateDirectory {
        &self.state
    }

    /// Directories listed and files read so far.
    pub fn work(&self) -> Work {
        self.tree.work()
    }

    /// The definitions' errors, as an error.
    ///
    /// # Errors
    ///
    /// [`Error::Definitions`] where there is at least one.
    pub fn require_sound(&self) -> Result<(), Error> {
        if self.diagnostics.iter().any(Diagnostic::is_error) {
            let errors = self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
            return Err(Error::Definitions(errors.cloned().collect()));
        }
        Ok(())
    }

    /// The same application without the lock of its state: others may build from now on.
    #[must_use]
    pub fn unlocked(mut self) -> Self {
        self.lock = None;
        self
    }

    /// Keeps what was found out about files and definitions, so that the next run need not.
    ///
    /// Nothing is wrong where a run that only looks can't keep it, be it that another run has the
    /// lock or that the disk is full.
    ///
    /// # Errors
    ///
    /// [`Error::State`] where it can't be written.
    pub fn save(&self) -> Result<(), Error> {
        let Some(lock) = &self.lock else { return Ok(()) };
        match self.write_caches(lock) {
            Err(_) if self.access == Access::Read => Ok(()),
            written => Ok(written?),
        }
    }

    fn write_caches(&self, lock: &Lock) -> Result<(), StateError> {
        if let Some(index) = self.tree.updated_index() {
            self.state.write(lock, StateDirectory::STAT_INDEX, &index)?;
        }
        if let Some(cache) = self.cache.updated() {
            self.state.write(lock, StateDirectory::DEFINITIONS, &cache)?;
        }
        Ok(())
    }
}

fn find(options: &OpenOptions) -> Result<PathBuf, Error> {
    let directory = &options.directory;
    let opened = require_directory(directory).and_then(|()| std::fs::canonicalize(directory));
    let directory =
        opened.map_err(|source| Error::Io { action: "open", path: directory.clone(), source })?;
    if options.exact {
        return Ok(directory);
    }
    ailtire_manifest::find_root(&directory).ok_or(Error::NoApplication { searched: directory })
}

fn require_directory(path: &Path) -> std::io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        return Ok(());
    }
    Err(std::io::ErrorKind::NotADirectory.into())
}

fn load_options(options: &OpenOptions) -> LoadOptions {
    let environment = options.environment.clone();
    LoadOptions {
        environment: environment.unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()),
        variables: options.variables.clone(),
        name: options.name.clone(),
        repository: options.repository.clone(),
        version: options.version.clone(),
        fix_tags: options.fix_tags,
        process_environment: options.process_environment.clone(),
        deployments: options.deployments,
        limits: Limits::default(),
    }
}

/// Reads a state file; one that can't be used is reported and taken as empty.
fn read_or_report<T: Default, E: std::fmt::Display>(
    state: &StateDirectory,
    name: &str,
    decode: impl FnOnce(Vec<u8>) -> Result<T, E>,
    diagnostics: &mut Vec<Diagnostic>,
) -> T {
    let why = match state.read(name) {
        Ok(None) => return T::default(),
        Ok(Some(bytes)) => match decode(bytes) {
            Ok(value) => return value,
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let path = format!("{}/{name}", StateDirectory::NAME);
    diagnostics.push(
        Diagnostic::warning("damaged-state", format!("`{path}` can't be used: {why}"))
            .help("nothing is lost: what it held is found out anew"),
    );
    T::default()
}
