//! What a run does with images that a registry has.

use ailtire_docker::{BuildError, EngineError};
use ailtire_events::{Diagnostic, EventKind, EventSink, PushFailure};
use ailtire_fingerprint::{FORMAT, ImageInputs, Record};
use ailtire_terms::reference::split_tag;
use futures_util::StreamExt;

use super::Hit;
use crate::build::{How, Ready, Run, milliseconds_since_epoch, unrecorded};
use crate::plan::PlannedImage;
use crate::push::{PushJob, push_all};
use crate::{Error, Outcome};

/// How many statements are written at once.
const AT_ONCE: usize = 16;

impl Run<'_> {
    /// What was found of an image, if it is to be used.
    pub(crate) fn hit(&self, position: usize) -> Option<&Hit> {
        self.cache?.hits.get(position)?.as_ref()
    }

    /// Takes an image that a registry has for built. `None` where the engine has to have it and
    /// could not get it: it is to be built then.
    pub(crate) async fn take_cached(
        &self,
        position: usize,
        image: &PlannedImage,
        hit: &Hit,
    ) -> Result<Option<Ready>, BuildError> {
        let Some(cache) = self.cache else { return Ok(None) };
        let loaded = cache.needed.contains(&position);
        let mut image_id = hit.statement.image_id.clone();
        if loaded {
            match self.load(image, hit).await {
                Ok(id) => image_id = id,
                Err(error @ (EngineError::Lost { .. } | EngineError::Unreachable { .. })) => {
                    return Err(error.into());
                }
                Err(error) => {
                    let name = &image.reference;
                    let message = format!("`{name}` could not be fetched: it is built instead");
                    let diagnostic = Diagnostic::warning("cache-entry-refused", message);
                    let diagnostic = diagnostic.detail(error.to_string());
                    self.sink.emit(EventKind::Diagnostic { diagnostic });
                    return Ok(None);
                }
            }
            self.record_loaded(image, hit, &image_id)?;
        }
        let (mut failed, mut is_set) = (false, true);
        if (self.options.push || !cache.options.read_only)
            && let Err((reference, error)) = cache.set_references(position, image).await
        {
            failed = self.options.push || cache.options.required;
            let (message, help) = (error.to_string(), Some(error.help()));
            let failure = PushFailure { message, help };
            let image = image.reference.clone();
            let event = EventKind::PushFailed { image, reference, failure };
            if failed {
                self.sink.emit(event);
            } else {
                Lenient(self.sink).emit(event);
            }
            is_set = false;
        }
        self.sink.emit(EventKind::ImageCached {
            image: image.reference.clone(),
            references: image.settings.references.clone(),
            fingerprint: hit.statement.fingerprint.to_string(),
            digest: hit.statement.digest.clone(),
            loaded,
        });
        let fingerprint = hit.statement.fingerprint;
        Ok(Some(Ready { image_id, fingerprint, how: How::Cached { is_set, failed } }))
    }

    /// Has the engine fetch what was found, and gives it its references.
    async fn load(&self, image: &PlannedImage, hit: &Hit) -> Result<String, EngineError> {
        let pinned = format!("{}@{}", split_tag(&image.reference).0, hit.statement.digest);
        let platform = image.settings.platforms.first().map(String::as_str);
        let id = self.engine.pull(&pinned, platform, self.sink).await?;
        // An engine names an image by its configuration or by its manifest.
        if id != hit.statement.image_id && id != hit.statement.digest {
            let message = format!("the engine got `{id}` for `{pinned}`");
            return Err(EngineError::Api { status: 200, message });
        }
        for reference in &image.settings.references {
            self.engine.tag(&id, reference).await?;
        }
        Ok(id)
    }

    fn record_loaded(
        &self,
        image: &PlannedImage,
        hit: &Hit,
        image_id: &str,
    ) -> Result<(), BuildError> {
        let Some(context) = &image.context else { return Ok(()) };
        let record = Record {
            format: FORMAT,
            references: image.settings.references.clone(),
            key: image.key,
            fingerprint: hit.statement.fingerprint,
            bases: self.base_ids(image),
            image_id: image_id.to_owned(),
            built_at: milliseconds_since_epoch(),
        };
        let inputs = ImageInputs { context, settings: &image.settings }.record();
        let recorded = self.records.put(record, inputs, self.final_reasons(image));
        recorded.map_err(|error| unrecorded(image, &error))
    }

    /// Whether images that were built are pushed so that other machines find them.
    pub(crate) fn shares(&self) -> bool {
        self.cache.is_some_and(|cache| !cache.options.read_only)
    }

    /// Pushes the selected images that are up to date, and those that other machines are to find.
    ///
    /// # Errors
    ///
    /// [`Error`] where the engine can't be used.
    pub(crate) async fn push(&self, outcome: &mut Outcome) -> Result<(), Error> {
        let jobs = self.push_jobs();
        if jobs.is_empty() {
            return Ok(());
        }
        // Listed again: the digests of what was built are known only now.
        let store = self.engine.images().await?;
        let required = self.cache.is_some_and(|cache| cache.options.required);
        let is_asked_for = |position: usize| {
            let definition = self.plan.images[position].definition;
            required || self.options.push && self.options.plan.images.contains(&definition)
        };
        let (asked, shared): (Vec<_>, Vec<_>) =
            jobs.iter().partition(|(position, _)| is_asked_for(*position));
        let only_jobs = |jobs: Vec<&'_ (usize, PushJob)>| -> Vec<PushJob> {
            jobs.into_iter().map(|(_, job)| job.clone()).collect()
        };
        push_all(self.engine, &store, &only_jobs(asked), self.sink, outcome).await;
        let failed = outcome.summary.push_failed;
        push_all(self.engine, &store, &only_jobs(shared), &Lenient(self.sink), outcome).await;
        outcome.summary.push_failed = failed;
        self.publish(&jobs, outcome).await;
        self.attest(&jobs, outcome).await
    }

    fn push_jobs(&self) -> Vec<(usize, PushJob)> {
        let selected = &self.options.plan.images;
        let images = self.plan.images.iter().zip(&self.ready).enumerate();
        let jobs = images.filter_map(|(position, (image, ready))| {
            let ready = ready.get()?;
            let is_asked_for = self.options.push && selected.contains(&image.definition);
            let is_shared = self.shares() && matches!(ready.how, How::Built { .. });
            let is_there = matches!(ready.how, How::Cached { .. });
            if is_there || !(is_asked_for || is_shared) {
                return None;
            }
            let job = PushJob {
                image: image.reference.clone(),
                image_id: ready.image_id.clone(),
                references: image.settings.references.clone(),
            };
            Some((position, job))
        });
        jobs.collect()
    }

    /// States what the images of `jobs`, which were pushed, were made from.
    pub(crate) async fn publish(&self, jobs: &[(usize, PushJob)], outcome: &Outcome) {
        let Some(cache) = self.cache.filter(|cache| !cache.options.read_only) else { return };
        let known = self.known_identities();
        let pushed = jobs.iter().filter_map(|(position, job)| {
            // All of its references, or none is stated.
            let digests: Option<Vec<_>> =
                job.references.iter().map(|it| outcome.digests.get(it)).collect();
            let digest = *digests?.first()?;
            let ready = self.ready[*position].get().filter(|_| known[*position])?;
            Some((&self.plan.images[*position], ready, digest))
        });
        let work = futures_util::stream::iter(pushed).map(|(image, ready, digest)| {
            let was_built = matches!(ready.how, How::Built { .. });
            let told = (was_built, self.sink);
            cache.publish(image, ready.fingerprint, &ready.image_id, digest, told)
        });
        work.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Whether it is known of each image on what it is built, all the way down.
    fn known_identities(&self) -> Vec<bool> {
        let mut known: Vec<bool> = Vec::with_capacity(self.plan.images.len());
        for image in &self.plan.images {
            let all = image.bases.iter().all(|base| match base.image {
                Some(position) => known[position],
                None => self.base_id(base).is_some(),
            });
            known.push(all);
        }
        known
    }
}

/// Tells of failed pushes that nobody asked for as warnings: the images are there, only others will
/// not find them.
pub(crate) struct Lenient<'sink>(pub(crate) &'sink dyn EventSink);

impl EventSink for Lenient<'_> {
    fn emit(&self, kind: EventKind) {
        let EventKind::PushFailed { reference, failure, .. } = kind else {
            return self.0.emit(kind);
        };
        let message = format!("other machines will not find `{reference}`: {}", failure.message);
        let mut diagnostic = Diagnostic::warning("cache-not-written", message);
        if let Some(help) = failure.help {
            diagnostic = diagnostic.help(format!("{help}; `--cache-read-only` does not try"));
        }
        self.0.emit(EventKind::Diagnostic { diagnostic });
    }
}
