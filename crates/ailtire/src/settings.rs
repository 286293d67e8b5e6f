//! What an image is built with, besides its context.

use ailtire_fingerprint::Settings;
use ailtire_manifest::{Application as Definitions, ImageDefinition};

/// The settings of `image`: what its definition says, and the labels that every image gets.
///
/// No label may depend on the machine, the time or the fingerprint: the same inputs must give the
/// same image, so that images built on it stay fresh. Nor may they depend on the instance: all of
/// them run the same images. A definition's own labels win.
pub(crate) fn settings_of(
    definitions: &Definitions,
    image: &ImageDefinition,
    platforms: &[String],
) -> Settings {
    let package = &definitions.packages[image.package];
    let mut labels = std::collections::BTreeMap::from([
        ("ailtire.application".to_owned(), definitions.name.clone()),
        ("ailtire.package".to_owned(), package.key.clone()),
        ("org.opencontainers.image.title".to_owned(), image.name.clone()),
    ]);
    if let Some(version) = &definitions.release_version {
        labels.insert("org.opencontainers.image.version".to_owned(), version.clone());
    }
    labels.extend(image.labels.clone());
    Settings {
        build_arguments: image.build_arguments.clone(),
        target: image.target.clone(),
        platforms: if platforms.is_empty() { image.platforms.clone() } else { platforms.to_vec() },
        labels,
        secrets: image.secrets.keys().cloned().collect(),
        references: image.references.clone(),
    }
}
