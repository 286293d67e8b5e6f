//! A small application in a temporary directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ailtire_context::{BuildContext, Content, assemble};
use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::{Application, ImageDefinition, Modes, Package, PlacedPackage};
use ailtire_tree::{StatIndex, Tree};
use tempfile::TempDir;

/// An application with one image, `app`, whose context is `app/`.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) application: Application,
}

impl Fixture {
    /// Files, given as path and content; directories end with a slash.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Self { folder, application: application() };
        for (path, content) in files {
            fixture.write(path, content);
        }
        fixture
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    #[allow(clippy::disallowed_methods)] // A test's own files need no atomic write.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let full = self.root().join(path);
        if path.ends_with('/') {
            fs::create_dir_all(full).unwrap();
            return;
        }
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, content).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.root().join(path)).unwrap();
    }

    pub(crate) fn image(&mut self) -> &mut ImageDefinition {
        &mut self.application.images[0]
    }

    /// A package of its own, placed in the image's context.
    pub(crate) fn place(&mut self, written: &str, directory: &str) {
        let package = self.application.packages.len();
        self.application.packages.push(self::package(written, directory, Some(0)));
        self.image().packages.push(PlacedPackage { written: written.to_owned(), package });
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::open(self.root(), StatIndex::default()).unwrap()
    }

    pub(crate) fn assemble(&self) -> Result<BuildContext, Vec<Diagnostic>> {
        assemble(&self.tree(), &self.application, &self.application.images[0])
    }

    /// The paths in the context; directories end with a slash.
    pub(crate) fn paths(&self) -> Vec<String> {
        paths(&self.assemble().unwrap())
    }
}

pub(crate) fn paths(context: &BuildContext) -> Vec<String> {
    let shown = context.entries.iter().map(|entry| match entry.content {
        Content::Directory => format!("{}/", entry.path),
        _ => entry.path.to_string(),
    });
    shown.collect()
}

fn application() -> Application {
    Application {
        name: "shop".to_owned(),
        instance: "shop".to_owned(),
        version: None,
        release_version: None,
        environment: "default".to_owned(),
        packages: vec![package("Shop", "api", None)],
        images: vec![image()],
    }
}

fn package(name: &str, directory: &str, parent: Option<usize>) -> Package {
    Package {
        key: name.to_owned(),
        name: name.to_owned(),
        short_name: None,
        directory: directory.to_owned(),
        deploy_directory: None,
        index_file: Some(format!("{directory}/index.js")),
        parent,
        depends: Vec::new(),
        deployment: None,
    }
}

fn image() -> ImageDefinition {
    ImageDefinition {
        package: 0,
        name: "app".to_owned(),
        references: vec!["shop:latest".to_owned()],
        directory: "app".to_owned(),
        dockerfile: "app/Dockerfile".to_owned(),
        command: None,
        build_arguments: BTreeMap::new(),
        packages: Vec::new(),
        target: None,
        platforms: Vec::new(),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        modes: Modes::Canonical,
        is_stack: false,
        location: Location::file("deploy/build.js"),
    }
}
