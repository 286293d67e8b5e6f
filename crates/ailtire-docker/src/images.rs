//! The images that an engine has.

use std::collections::{HashMap, HashSet};

use ailtire_terms::reference::canonical;
use bollard::models::ImageSummary;

/// The images of an engine at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageStore {
    /// Ids by reference in canonical form (`docker.io/library/debian:latest`,
    /// `docker.io/library/debian@sha256:…`).
    pub by_reference: HashMap<String, String>,
    /// Their ids, also of those without a reference.
    pub ids: HashSet<String>,
}

impl ImageStore {
    /// The id of the image that `reference` names, however it is written; also an image id.
    pub fn id_of(&self, reference: &str) -> Option<&str> {
        if let Some(id) = self.ids.get(reference) {
            return Some(id);
        }
        self.by_reference.get(&canonical(reference)).map(String::as_str)
    }

    /// Whether there is an image with this id.
    pub fn contains_id(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(crate) fn from_summaries(summaries: Vec<ImageSummary>) -> Self {
        let mut store = Self::default();
        for image in summaries {
            // Engines list `<none>` for what has no name or no tag.
            let named = |reference: &&String| !reference.contains("<none>");
            for reference in image.repo_tags.iter().chain(&image.repo_digests).filter(named) {
                store.by_reference.insert(canonical(reference), image.id.clone());
            }
            store.ids.insert(image.id);
        }
        store
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_every_spelling() {
        let store = ImageStore::from_summaries(vec![
            ImageSummary {
                id: "sha256:a".to_owned(),
                repo_tags: vec!["debian:latest".to_owned()],
                repo_digests: vec!["debian@sha256:d".to_owned()],
                ..ImageSummary::default()
            },
            ImageSummary {
                id: "sha256:b".to_owned(),
                repo_tags: vec!["<none>:<none>".to_owned()],
                repo_digests: vec!["<none>@<none>".to_owned()],
                ..ImageSummary::default()
            },
        ]);
        for reference in [
            "debian",
            "debian:latest",
            "docker.io/library/debian",
            "debian@sha256:d",
            "debian:12@sha256:d",
            "sha256:a",
        ] {
            assert_eq!(store.id_of(reference), Some("sha256:a"), "{reference}");
        }
        assert_eq!(store.id_of("debian:12"), None);
        assert!(store.contains_id("sha256:b"));
        assert_eq!(store.by_reference.len(), 2);
    }
}
