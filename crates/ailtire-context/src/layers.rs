//! Several source directories laid over one another, one directory of the context at a time.

use std::collections::BTreeMap;

use ailtire_tree::{Directory, Entry, ReadError, Tree};

/// A name of a source directory, with that directory.
#[derive(Clone, Copy)]
pub(crate) struct Found<'tree> {
    pub(crate) directory: &'tree Directory,
    pub(crate) entry: &'tree Entry,
}

/// Something that is placed in the context at a path of its own.
#[derive(Clone)]
pub(crate) struct Placed<'tree> {
    /// What remains of that path, seen from the directory at hand; never empty.
    pub(crate) rest: String,
    pub(crate) what: Source<'tree>,
}

/// What is placed.
#[derive(Clone, Copy)]
pub(crate) enum Source<'tree> {
    /// A whole directory, with its entry unless it is the root of the tree.
    Directory(&'tree Directory, Option<Found<'tree>>),
    /// Anything else.
    Other(Found<'tree>),
}

/// The source directories that make up one directory of the context; later ones win.
#[derive(Clone, Default)]
pub(crate) struct Layers<'tree> {
    pub(crate) directories: Vec<&'tree Directory>,
    pub(crate) placed: Vec<Placed<'tree>>,
}

/// What a name of the context stands for.
pub(crate) enum Node<'tree> {
    Other(Found<'tree>),
    /// A directory; its own entry decides its mode, where it has one.
    Directory(Option<Found<'tree>>, Layers<'tree>),
}

impl<'tree> Node<'tree> {
    /// What `found` is by itself.
    pub(crate) fn of(found: Found<'tree>) -> Self {
        match found.entry.directory() {
            None => Self::Other(found),
            Some(directory) => {
                let layers = Layers { directories: vec![directory], placed: Vec::new() };
                Self::Directory(Some(found), layers)
            }
        }
    }

    /// Lays a directory over this: merged with a directory, in the place of anything else.
    fn cover(self, own: Option<Found<'tree>>, above: Layers<'tree>) -> Self {
        let Self::Directory(below, mut layers) = self else { return Self::Directory(own, above) };
        layers.directories.extend(above.directories);
        layers.placed.extend(above.placed);
        Self::Directory(own.or(below), layers)
    }
}

impl<'tree> Layers<'tree> {
    /// The directory itself, where this is a single one and nothing is placed below it.
    pub(crate) fn single(&self) -> Option<&'tree Directory> {
        match self.directories.as_slice() {
            [directory] if self.placed.is_empty() => Some(directory),
            _ => None,
        }
    }

    /// All names, sorted by their bytes.
    ///
    /// Directories that can't be listed are handed to `fail`.
    pub(crate) fn merge(
        &self,
        tree: &'tree Tree,
        mut fail: impl FnMut(&'tree ReadError),
    ) -> BTreeMap<String, Node<'tree>> {
        let mut nodes: BTreeMap<String, Node<'tree>> = BTreeMap::new();
        for directory in &self.directories {
            let listing = match tree.list(directory) {
                Ok(listing) => listing,
                Err(error) => {
                    fail(error);
                    continue;
                }
            };
            for entry in &listing.entries {
                put(&mut nodes, entry.name(), Node::of(Found { directory, entry }));
            }
        }
        for Placed { rest, what } in &self.placed {
            let (name, node) = match (rest.split_once('/'), *what) {
                (Some((name, rest)), what) => {
                    let placed = vec![Placed { rest: rest.to_owned(), what }];
                    (name, Node::Directory(None, Layers { directories: Vec::new(), placed }))
                }
                (None, Source::Directory(directory, own)) => {
                    let layers = Layers { directories: vec![directory], placed: Vec::new() };
                    (rest.as_str(), Node::Directory(own, layers))
                }
                (None, Source::Other(found)) => (rest.as_str(), Node::Other(found)),
            };
            put(&mut nodes, name, node);
        }
        nodes
    }
}

fn put<'tree>(nodes: &mut BTreeMap<String, Node<'tree>>, name: &str, above: Node<'tree>) {
    let node = match (nodes.remove(name), above) {
        (Some(below), Node::Directory(own, layers)) => below.cover(own, layers),
        (_, above) => above,
    };
    nodes.insert(name.to_owned(), node);
}
