//! Which directories are packages.

use ailtire_events::{Diagnostic, Location};
use ailtire_tree::{Directory, Entry, EntryKind, Listing, ReadError, Resolved, Tree};

/// Directories of these names are never packages and never looked into for packages.
const NEVER_PACKAGES: [&str; 15] = [
    "actors",
    "docs",
    "doc",
    "deploy",
    "handlers",
    "interface",
    "models",
    "usecases",
    "workflows",
    "physical",
    "assets",
    "views",
    "templates",
    "test",
    "node_modules",
];

/// Where the top package and its deployment strategy may be.
const API: &str = "api";
const INDEX: &str = "index.js";
const DEPLOY: &str = "deploy";

/// Whether a directory called `name` is neither a package nor looked into for packages.
pub(crate) fn is_never_package(name: &str) -> bool {
    name.starts_with('.') || NEVER_PACKAGES.contains(&name)
}

/// A directory that is a package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) directory: String,
    pub(crate) index_file: Option<String>,
    pub(crate) deploy_directory: Option<String>,
    /// Its `build.js`.
    pub(crate) build_file: Option<String>,
    /// Its `deploy.js`, where stacks are asked for.
    pub(crate) deploy_file: Option<String>,
    /// Index of the package that holds it.
    pub(crate) parent: Option<usize>,
}

/// All packages of the application, parents first, and what is odd about them; with `deployments`
/// also where their stacks are defined.
pub(crate) fn discover(tree: &Tree, deployments: bool) -> (Vec<Found>, Vec<Diagnostic>) {
    let mut search = Search { tree, deployments, packages: Vec::new(), diagnostics: Vec::new() };
    if let Some(top) = search.top() {
        search.below(top);
    }
    search.finish()
}

struct Search<'tree> {
    tree: &'tree Tree,
    deployments: bool,
    packages: Vec<Found>,
    diagnostics: Vec<Diagnostic>,
}

impl<'tree> Search<'tree> {
    /// Adds the top package; the directory to look for packages below.
    fn top(&mut self) -> Option<&'tree Directory> {
        let root = self.tree.top();
        let listing = self.list(root)?;
        let api = listing.get(API).and_then(Entry::directory);
        let api_listing = api.and_then(|api| self.list(api));
        let own_deploy = self.deploy_of(root, listing);
        let api_deploy =
            api.zip(api_listing).and_then(|(api, listing)| self.deploy_of(api, listing));
        let api_index = api.zip(api_listing).and_then(|(api, listing)| self.index_of(api, listing));
        let (directory, index_file) = match (api, api_index) {
            (Some(api), Some(index)) => (api, Some(index)),
            _ => match (self.index_of(root, listing), api) {
                (Some(index), _) => (root, Some(index)),
                // Packages below `api/` are the application's, even where their parent is missing.
                (None, Some(api)) => (api, None),
                (None, None) => (root, None),
            },
        };
        if let (Some(own), Some(other)) = (&own_deploy, &api_deploy) {
            self.diagnostics.push(
                Diagnostic::warning(
                    "two-deploy-directories",
                    format!("`{other}` is ignored, because `{own}` is there as well"),
                )
                .at(Location::file(other))
                .help(format!("keep one of them; `{own}` is the one that counts")),
            );
        }
        let deploy = own_deploy.or(api_deploy);
        self.add(directory.path(), index_file, deploy, None);
        Some(directory)
    }

    /// Adds all packages below `top`, which holds the top package.
    fn below(&mut self, top: &'tree Directory) {
        let mut pending: Vec<(&Directory, usize)> = vec![(top, 0)];
        while let Some((directory, owner)) = pending.pop() {
            let Some(listing) = self.list(directory) else { continue };
            let own = if std::ptr::eq(directory, top) {
                owner
            } else {
                self.package_at(directory, listing, owner).unwrap_or(owner)
            };
            let children = listing.entries.iter().rev();
            pending.extend(
                children
                    .filter(|entry| !is_never_package(entry.name()))
                    .filter_map(|entry| Some((entry.directory()?, own))),
            );
        }
    }

    /// Adds the package in `directory`, where there is one; its index.
    fn package_at(
        &mut self,
        directory: &Directory,
        listing: &Listing,
        parent: usize,
    ) -> Option<usize> {
        let index_file = self.index_of(directory, listing);
        let deploy = self.deploy_of(directory, listing);
        // `api/deploy` beside the root's own `index.js` belongs to the top package.
        let is_api = directory.path() == API;
        if index_file.is_none() && (deploy.is_none() || is_api) {
            return None;
        }
        self.add(directory.path(), index_file, deploy, Some(parent));
        Some(self.packages.len() - 1)
    }

    fn add(
        &mut self,
        directory: &str,
        index_file: Option<String>,
        deploy_directory: Option<String>,
        parent: Option<usize>,
    ) {
        let build_file = self.strategy_file(deploy_directory.as_deref(), "build.js");
        let deploy_file = if self.deployments {
            self.strategy_file(deploy_directory.as_deref(), "deploy.js")
        } else {
            None
        };
        self.packages.push(Found {
            directory: directory.to_owned(),
            index_file,
            deploy_directory,
            build_file,
            deploy_file,
            parent,
        });
    }

    /// The file `name` of a deployment strategy, where it has one.
    fn strategy_file(&mut self, deploy: Option<&str>, name: &str) -> Option<String> {
        let deploy = self.tree.directory(deploy?)?;
        let listing = self.list(deploy)?;
        self.file_in(deploy, listing, name)
    }

    fn index_of(&mut self, directory: &Directory, listing: &Listing) -> Option<String> {
        self.file_in(directory, listing, INDEX)
    }

    /// The path of the file `name`, where `directory` has it. A link that leads nowhere good is
    /// taken for the file, so that using it says what is wrong.
    fn file_in(&mut self, directory: &Directory, listing: &Listing, name: &str) -> Option<String> {
        let entry = listing.get(name)?;
        let path = directory.child_path(name);
        let is_file = match entry.kind() {
            EntryKind::File => true,
            EntryKind::Symlink => match self.tree.resolve(&path) {
                Ok(Resolved::Inside(real)) => self.tree.is_file(&real),
                Ok(Resolved::Outside(_)) | Err(_) => true,
                Ok(Resolved::Missing) => false,
            },
            EntryKind::Directory | EntryKind::Special => false,
        };
        // Any directory may hold a link of that name; what is in `deploy/` is meant.
        if !is_file && name != INDEX {
            let message = format!("`{path}` is not a file");
            let diagnostic = Diagnostic::error("not-a-file", message).at(Location::file(&*path));
            self.diagnostics.push(diagnostic.help(format!("definitions are read from `{name}`")));
        }
        is_file.then_some(path)
    }

    /// The path of `deploy/`, free of links.
    fn deploy_of(&mut self, directory: &Directory, listing: &Listing) -> Option<String> {
        let entry = listing.get(DEPLOY)?;
        let path = directory.child_path(DEPLOY);
        match entry.kind() {
            EntryKind::Directory => Some(path),
            EntryKind::Symlink => match self.tree.resolve(&path) {
                Ok(Resolved::Inside(real)) if self.tree.directory(&real).is_some() => Some(real),
                Ok(Resolved::Inside(_) | Resolved::Missing) => None,
                Ok(Resolved::Outside(_)) => {
                    let message = format!("`{path}` leads out of the application root");
                    self.diagnostics.push(
                        Diagnostic::error("path-outside", message).at(Location::file(path)).help(
                            "permit the directory with `--allow-outside DIR`, or keep what is \
                             needed in the application",
                        ),
                    );
                    None
                }
                Err(error) => {
                    self.unreadable(&error);
                    None
                }
            },
            EntryKind::File | EntryKind::Special => None,
        }
    }

    fn list(&mut self, directory: &'tree Directory) -> Option<&'tree Listing> {
        match self.tree.list(directory) {
            Ok(listing) => Some(listing),
            Err(error) => {
                self.unreadable(error);
                None
            }
        }
    }

    fn unreadable(&mut self, error: &ReadError) {
        let known = self.diagnostics.iter().any(|diagnostic| {
            diagnostic.location.as_ref().is_some_and(|location| location.file == error.path)
        });
        if !known {
            self.diagnostics.push(
                Diagnostic::error("unreadable-directory", error.to_string())
                    .at(Location::file(&*error.path))
                    .help("packages below it are not known; make the directory readable"),
            );
        }
    }

    /// Says what is missing, and takes back a top package that is none.
    fn finish(mut self) -> (Vec<Found>, Vec<Diagnostic>) {
        let is_alone = self.packages.len() == 1;
        let Some(top) = self.packages.first() else { return (self.packages, self.diagnostics) };
        if top.index_file.is_none() && top.deploy_directory.is_none() && is_alone {
            self.packages.clear();
            self.diagnostics.push(nothing_found(self.tree));
            return (self.packages, self.diagnostics);
        }
        for (index, package) in self.packages.iter().enumerate() {
            let is_whole_application = index == 0 && is_alone && package.directory.is_empty();
            if package.index_file.is_none() && !is_whole_application {
                self.diagnostics.push(without_index(package));
            }
        }
        (self.packages, self.diagnostics)
    }
}

fn nothing_found(tree: &Tree) -> Diagnostic {
    Diagnostic::error(
        "no-application",
        format!("`{}` is no ailtire application", tree.root().display()),
    )
    .detail("looked for `api/index.js`, `index.js`, `deploy/`, `api/deploy/`")
    .detail("looked for directories with an `index.js` or a `deploy/` below")
    .help("name the application's root with `--app DIR`, or create `api/index.js`")
}

fn without_index(package: &Found) -> Diagnostic {
    let index = if package.directory.is_empty() {
        INDEX.to_owned()
    } else {
        format!("{}/{INDEX}", package.directory)
    };
    let place = if package.directory.is_empty() { "." } else { &package.directory };
    Diagnostic::warning(
        "package-without-index",
        format!("the package `{place}` has no `index.js`, and is named after its directory"),
    )
    .at(Location::file(place))
    .help(format!("create `{index}` with `module.exports = {{ name: '…' }}`"))
}
