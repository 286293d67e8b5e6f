//! Reading the compose file that holds every key.

use ailtire_compose::{Read, StackContext, StackDesign};
use ailtire_events::Location;
use ailtire_terms::DesignSource;
use ailtire_tree::{StatIndex, Tree};

/// Where the design stands in its application.
pub(crate) const FILE: &str = "stack.yaml";

/// Reads `text` as the design of an application that has the files it names.
pub(crate) fn read(text: &str) -> Read {
    let root = tempfile::tempdir().unwrap();
    read_in(root.path(), text)
}

/// Reads `text` as a design in the directory `root`.
#[expect(clippy::disallowed_methods, reason = "inputs of a test")]
pub(crate) fn read_in(root: &std::path::Path, text: &str) -> Read {
    let variables = include_str!("../data/every-key.env");
    std::fs::write(root.join("every-key.env"), variables).unwrap();
    std::fs::write(root.join(FILE), text).unwrap();
    let tree = Tree::open(root, StatIndex::default()).unwrap();
    let context = StackContext {
        application: "shop".to_owned(),
        environment: "dev".to_owned(),
        instance: "shop-dev".to_owned(),
        path: vec!["shop-dev".to_owned()],
        ..StackContext::default()
    };
    ailtire_compose::read(&tree, &DesignSource::Compose { path: FILE.to_owned() }, &context)
}

/// The design without what depends on how and where it is written.
pub(crate) fn without_places(mut design: StackDesign) -> StackDesign {
    let nowhere = Location::file("");
    for service in design.services.values_mut() {
        service.location.clone_from(&nowhere);
        service.image_location.clone_from(&nowhere);
        for dependency in service.depends_on.values_mut() {
            dependency.location.clone_from(&nowhere);
        }
        for mount in &mut service.volumes {
            // Each reading has a directory of its own.
            let last = |source: &String| source.rsplit('/').next().unwrap_or_default().to_owned();
            if mount.kind == "bind" {
                mount.source = mount.source.as_ref().map(last);
            }
        }
    }
    design.networks.values_mut().for_each(|network| network.location = None);
    let objects = design.configs.values_mut().chain(design.secrets.values_mut());
    objects.for_each(|object| object.location = None);
    design
}
