//! What a build takes over from images that a registry has, where none was made from the same inputs.
//!
//! Every image carries, in its configuration, what BuildKit needs to know its layers again. So the
//! engine is told what the references of an image name in the registry now, and the steps that would
//! come out the same are not run: their layers are fetched. It is never more than a shortcut: what
//! can't be had is done without.

use std::collections::HashSet;

use ailtire_terms::reference::split_tag;

use super::Cache;
use super::signed::is_signed;
use crate::build::Run;
use crate::plan::PlannedImage;
use crate::registries::Place;

impl Run<'_> {
    /// The images from which the build of `image` may take steps over.
    pub(crate) async fn importable(&self, image: &PlannedImage) -> Vec<String> {
        // A stack's image is one step, whose files are another one's whenever it is not found.
        let is_stack = self.application.definitions.images[image.definition].is_stack;
        if self.options.no_cache || is_stack || !self.engine.has_buildkit() {
            return Vec::new();
        }
        match self.cache {
            Some(cache) => cache.importable(&image.settings.references).await,
            None => Vec::new(),
        }
    }
}

impl Cache {
    /// What `references` name in their registries, each by its digest: a tag may be moved to what
    /// nobody signed.
    async fn importable(&self, references: &[String]) -> Vec<String> {
        if !self.answers {
            return Vec::new();
        }
        let named = references.iter().map(|reference| self.importable_as(reference));
        let named = futures_util::future::join_all(named).await;
        let mut seen = HashSet::new();
        named.into_iter().flatten().filter(|it| seen.insert(it.clone())).collect()
    }

    async fn importable_as(&self, reference: &str) -> Option<String> {
        let Place { registry, repository, tag } = Place::of(reference)?;
        let digest = self.client.manifest_digest(&registry, &repository, &tag).await.ok()??;
        let trust = &self.options.trust;
        // What this run signs is not to hold what nobody vouches for.
        let own = trust.key.as_ref().map(|key| key.public());
        let keys = if trust.keys.is_empty() { own.as_slice() } else { &trust.keys };
        let place = (&*registry, &*repository);
        if !keys.is_empty() && !is_signed(&self.client, place, &digest, keys).await {
            return None;
        }
        Some(format!("{}@{digest}", split_tag(reference).0))
    }
}
