//! What a build context is: a sorted list, nothing copied.

use std::collections::BTreeSet;
use std::sync::Arc;

use ailtire_events::Diagnostic;
use ailtire_tree::Digest;

/// A virtual build context.
#[derive(Debug, Clone)]
pub struct BuildContext {
    /// Every entry but the root, parents before their children, compared part by part (so that
    /// `/` sorts before every other character), as `BuildKit`'s file sync wants them.
    pub entries: Vec<ContextEntry>,
    /// The Dockerfile.
    pub dockerfile: Dockerfile,
    /// Warnings: links that dangle, special files that were skipped.
    pub diagnostics: Vec<Diagnostic>,
}

/// One entry of a build context. Its owner is always 0:0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextEntry {
    /// Path in the context, `/` between its parts, no slash at either end.
    pub path: Box<str>,
    /// Permission bits (no type bits); 0o777 for symbolic links.
    pub mode: u32,
    /// What it is.
    pub content: Content,
}

/// What an entry of a build context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A symbolic link; `target` as it is written.
    Symlink {
        /// Where it leads.
        target: Box<str>,
    },
    /// A file of the source tree.
    File {
        /// Path relative to the application root.
        source: Box<str>,
        /// Size in bytes of the content that has this digest.
        size: u64,
        /// Digest of its content.
        digest: Digest,
    },
    /// A file that is made, not found.
    Generated {
        /// Its content.
        bytes: Arc<[u8]>,
        /// Digest of its content.
        digest: Digest,
    },
}

/// The Dockerfile of an image, and what it says about other images.
#[derive(Debug, Clone)]
pub struct Dockerfile {
    /// Where it stands, relative to the application root.
    pub source: String,
    /// The text that is built: the file's, and the definition's default command if that applies.
    pub text: Arc<str>,
    /// Digest of `text`.
    pub digest: Digest,
    /// Images that the build of the target reads, each once for each platform, in the order of
    /// their first mention. Names of stages, `scratch`, and references that can't be known before
    /// the build are left out.
    pub bases: Vec<Base>,
    /// Names of the build arguments that can change the build: those that `ARG` declares anywhere,
    /// and those given ones that the engine or a foreign `syntax` frontend reads by itself.
    pub declared_arguments: BTreeSet<String>,
}

/// An image that a Dockerfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The reference after expanding variables, as written otherwise.
    pub reference: String,
    /// Line of the first mention, counted from 1.
    pub line: u32,
    /// Where it is named.
    pub kind: BaseKind,
    /// `--platform` of a `FROM`, expanded.
    pub platform: Option<String>,
}

/// Where a Dockerfile names an image; or, of a stack's image, that the stack runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseKind {
    /// `FROM`.
    From,
    /// `COPY --from=` or `ADD --from=`.
    CopyFrom,
    /// `RUN --mount=from=`.
    MountFrom,
    /// A service of a stack: the stack's image pins it.
    Service,
}

impl BuildContext {
    /// A context of nothing but `files` that are made: path, permission bits and content.
    pub fn generated(dockerfile: Dockerfile, files: Vec<(String, u32, Arc<[u8]>)>) -> Self {
        let mut context = Self { entries: Vec::new(), dockerfile, diagnostics: Vec::new() };
        for (path, mode, bytes) in files {
            let digest = Digest::of(&bytes);
            context.add(&path, mode, Content::Generated { bytes, digest });
        }
        context
    }

    /// Adds an entry, and the directories that it is in.
    pub fn add(&mut self, path: &str, mode: u32, content: Content) {
        let directories = path.match_indices('/').map(|(end, _)| &path[..end]);
        let directories = directories.map(|path| (path, 0o755, Content::Directory));
        for (path, mode, content) in directories.chain([(path, mode, content)]) {
            let entry = ContextEntry { path: path.into(), mode, content };
            let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            match self.entries.binary_search_by_key(&parts(path), |known| parts(&known.path)) {
                Ok(at) => self.entries[at] = entry,
                Err(at) => self.entries.insert(at, entry),
            }
        }
    }

    /// Bytes of content of all its files.
    pub fn total_bytes(&self) -> u64 {
        self.entries.iter().map(ContextEntry::size).sum()
    }
}

impl ContextEntry {
    /// Bytes of its content; 0 for what is no file.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::File { size, .. } => *size,
            Content::Generated { bytes, .. } => bytes.len() as u64,
            Content::Directory | Content::Symlink { .. } => 0,
        }
    }
}
