//! Tells a registry what was built from what.

use ailtire_events::{Diagnostic, EventKind, EventSink};
use ailtire_registry::RegistryError;
use ailtire_tree::Digest;

use super::Cache;
use super::statement::{self, BLOB, Statement};
use crate::plan::PlannedImage;
use crate::registries::Place;

impl Cache {
    /// States that the image with the id `image_id`, which was just pushed, was made from inputs
    /// with this fingerprint; signed, if this run built it. What can't be stated is a warning.
    pub(crate) async fn publish(
        &self,
        image: &PlannedImage,
        fingerprint: Digest,
        image_id: &str,
        digest: &str,
        (was_built, sink): (bool, &dyn EventSink),
    ) {
        let why = match self.state(image, fingerprint, image_id, digest, was_built).await {
            Ok(None) => return,
            Ok(Some(why)) => why,
            Err(error) => error.to_string(),
        };
        let message = format!("other machines will build `{}` again: {why}", image.reference);
        let diagnostic = Diagnostic::warning("cache-not-written", message);
        sink.emit(EventKind::Diagnostic { diagnostic });
    }

    /// Why nothing was stated, if nothing was.
    async fn state(
        &self,
        image: &PlannedImage,
        fingerprint: Digest,
        image_id: &str,
        digest: &str,
        was_built: bool,
    ) -> Result<Option<String>, RegistryError> {
        let Some(Place { registry, repository, .. }) = Place::of(&image.reference) else {
            return Ok(None);
        };
        let pushed = self.client.manifest(&registry, &repository, digest).await?;
        // The tag may have been moved in the engine since the image was built. Engines name an image
        // by its configuration or by its manifest.
        let configured = pushed.as_ref().and_then(statement::image_id);
        let configured = configured.filter(|id| id == image_id || digest == image_id);
        let (Some(image_id), Some(pushed)) = (configured, pushed) else {
            return Ok(Some("the registry has another image than was built".to_owned()));
        };
        let platform = self.platform(image);
        let tag = statement::tag(fingerprint, &platform);
        let statement = Statement { fingerprint, platform, digest: digest.to_owned(), image_id };
        let manifest = statement.manifest();
        // What another machine built, or another run, is not vouched for. And nobody is to find
        // the statement before its signature.
        if let Some(key) = self.options.trust.key.as_ref().filter(|_| was_built) {
            statement.sign(&self.client, (&registry, &repository), &pushed, key).await?;
        }
        let there = self.client.manifest_digest(&registry, &repository, &tag).await?;
        if there.as_ref() != Some(&manifest.digest) {
            self.client.put_blob(&registry, &repository, BLOB).await?;
            self.client.put_manifest(&registry, &repository, &tag, &manifest).await?;
        }
        Ok(None)
    }

    /// Has every reference of `image` name what was found. The first one that can't be set is
    /// given back with why.
    pub(crate) async fn set_references(
        &self,
        position: usize,
        image: &PlannedImage,
    ) -> Result<(), (String, RegistryError)> {
        let Some(hit) = &self.hits[position] else { return Ok(()) };
        let rest = usize::from(hit.first_is_set);
        for reference in image.settings.references.iter().skip(rest) {
            let Some(place) = Place::of(reference) else { continue };
            let Place { registry, repository, tag } = &place;
            let failed = |error| (reference.clone(), error);
            let digest = self.client.manifest_digest(registry, repository, tag).await;
            if digest.map_err(failed)?.as_ref() == Some(&hit.manifest.digest) {
                continue;
            }
            let failed = |error| (reference.clone(), error);
            let set = self.client.put_manifest(registry, repository, tag, &hit.manifest).await;
            set.map_err(failed)?;
        }
        Ok(())
    }
}
