//! Attaches what is said of images to those that a run pushed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ailtire_attest::{
    Envelope, Material, PROVENANCE, Provenance, SPDX, SigningKey, Statement, Subject,
    bill_of_materials,
};
use ailtire_events::{Diagnostic, EventKind, PushFailure};
use ailtire_registry::{Artifact, Client};
use futures_util::StreamExt;

use super::inputs::{Inputs, context_of, parameters};
use super::{ENVELOPE, IN_TOTO, PREDICATE_TYPE};
use crate::build::Run;
use crate::plan::PlannedImage;
use crate::push::PushJob;
use crate::registries::{self, Place};
use crate::{Error, Outcome};

/// How many images are worked on at once: each reads its whole context.
const AT_ONCE: usize = 4;

/// What is to be said of images that are pushed.
#[derive(Debug, Clone, Default)]
pub struct AttestOptions {
    /// Which packages their contexts speak of.
    pub sbom: bool,
    /// What they were made from.
    pub provenance: bool,
    /// Signs it.
    pub key: Option<Arc<SigningKey>>,
}

impl Run<'_> {
    /// Attaches what was asked for to the images of `jobs` that were pushed. What can't be attached
    /// counts as a failed push.
    ///
    /// # Errors
    ///
    /// [`Error`] where the engine can't be used.
    pub(crate) async fn attest(
        &self,
        jobs: &[(usize, PushJob)],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Some(options) = &self.options.attest else { return Ok(()) };
        let setup = self.engine.registry_setup().await?;
        let references = jobs.iter().flat_map(|(_, job)| &job.references);
        let client = registries::client(references, self.engine, &setup, None).await;
        let pushed = jobs.iter().filter_map(|(position, job)| {
            let reference = job.references.first()?;
            Some((*position, reference, outcome.digests.get(reference)?.clone()))
        });
        let client = &client;
        let work =
            futures_util::stream::iter(pushed).map(|(position, reference, digest)| async move {
                let attested =
                    self.one_attested(options, client, position, reference, digest).await;
                let Err(why) = attested else { return 0 };
                let message = format!("nothing could be attached to it: {why}");
                let failure = PushFailure { message, help: None };
                let (image, reference) = (reference.clone(), reference.clone());
                self.sink.emit(EventKind::PushFailed { image, reference, failure });
                1
            });
        let failed: Vec<usize> = work.buffer_unordered(AT_ONCE).collect().await;
        outcome.summary.push_failed += failed.iter().sum::<usize>();
        Ok(())
    }

    async fn one_attested(
        &self,
        options: &AttestOptions,
        client: &Client,
        position: usize,
        reference: &str,
        digest: String,
    ) -> Result<(), String> {
        let Some(Place { registry, repository, .. }) = Place::of(reference) else { return Ok(()) };
        let image = &self.plan.images[position];
        let context = match &image.context {
            Some(context) => Arc::clone(context),
            None => Arc::new(context_of(self.application, image.definition).map_err(worded)?),
        };
        let (listed, root) = (Arc::clone(&context), self.application.root().to_owned());
        let inputs = tokio::task::spawn_blocking(move || Inputs::read(&listed, &root)).await;
        let inputs = inputs.map_err(|error| error.to_string())?;
        let inputs = inputs.map_err(|error| error.to_string())?;
        let mut artifacts = Vec::new();
        if options.sbom {
            let created = self.created(image);
            let version = env!("CARGO_PKG_VERSION");
            let subject = Subject { name: reference, digest: &digest, created: &created, version };
            let (document, unread) = bill_of_materials(&subject, &inputs.package_files);
            self.tell_unread(reference, &unread);
            artifacts
                .push(artifact(&Statement::about(reference, &digest, SPDX, document), options));
        }
        if options.provenance {
            let ready = self.ready[position].get();
            let provenance = Provenance {
                parameters: parameters(
                    self.application,
                    image.definition,
                    &context,
                    &image.settings,
                ),
                fingerprint: ready.map(|it| it.fingerprint.to_string()).unwrap_or_default(),
                bases: self.materials(image),
                entries: inputs.entries,
                dockerfile: inputs.dockerfile,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            let said = provenance.predicate();
            artifacts
                .push(artifact(&Statement::about(reference, &digest, PROVENANCE, said), options));
        }
        let failed = |error: ailtire_registry::RegistryError| error.to_string();
        let subject = client.manifest(&registry, &repository, &digest).await.map_err(failed)?;
        let subject = subject.ok_or("the registry does not have it any more")?;
        client.attach(&registry, &repository, &subject, &artifacts).await.map_err(failed)
    }

    /// When the image was built: the same for every run that says something of it.
    fn created(&self, image: &PlannedImage) -> String {
        let built = self.records.get(&image.reference).map_or(0, |record| record.built_at);
        let seconds = i64::try_from(built / 1000).unwrap_or_default();
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn tell_unread(&self, reference: &str, unread: &[(String, String)]) {
        if unread.is_empty() {
            return;
        }
        let message = format!("the bill of materials of `{reference}` is not complete");
        let mut diagnostic = Diagnostic::warning("sbom-incomplete", message);
        for (path, why) in unread {
            diagnostic = diagnostic.detail(format!("`{path}` could not be read: {why}"));
        }
        self.sink.emit(EventKind::Diagnostic { diagnostic });
    }

    fn materials(&self, image: &PlannedImage) -> Vec<Material> {
        let bases = image.bases.iter().map(|base| Material {
            reference: base.reference.clone(),
            // Only what is pinned by digest is known by it; of all others the engine knows the id.
            digest: base.reference.split_once('@').map(|(_, digest)| digest.to_owned()),
            image_id: self.base_id(base),
        });
        bases.collect()
    }
}

fn worded(diagnostics: Vec<Diagnostic>) -> String {
    diagnostics.into_iter().next().map(|it| it.message).unwrap_or_default()
}

/// A statement to attach: in an envelope, if it is signed, for an envelope must be.
fn artifact(statement: &Statement, options: &AttestOptions) -> Artifact {
    let bytes = statement.bytes();
    let (media_type, content) = match &options.key {
        Some(key) => (ENVELOPE, Envelope::sign(&bytes, key).bytes()),
        None => (IN_TOTO, bytes),
    };
    let predicate = (PREDICATE_TYPE.to_owned(), statement.predicate_type.clone());
    Artifact {
        artifact_type: IN_TOTO.to_owned(),
        media_type: media_type.to_owned(),
        content: content.into(),
        annotations: BTreeMap::from([predicate]),
    }
}
