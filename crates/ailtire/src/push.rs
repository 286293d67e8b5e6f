//! Brings registries up to date with images that an engine has.
//!
//! What a registry has is asked first, all at once, one small request a reference. The engine itself
//! remembers under which digest a registry took or gave an image, so an image whose reference has
//! that digest in the registry is there already, and nothing of it is sent.

mod turns;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ailtire_docker::{Engine, EngineError, ImageStore, PushedImage};
use ailtire_events::{Diagnostic, EventKind, EventSink, PushFailure};
use ailtire_registry::Client;
use ailtire_terms::reference::{canonical, registry, split_tag};
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::build::{BuiltReference, milliseconds};
use crate::plan::{Action, PlanOptions, PlannedImage};
use crate::registries::{self, Place};
use crate::{Application, Error, Outcome};
use turns::Turns;

/// How many images are asked about and pushed at once; the engine itself sends five layers at once.
const AT_ONCE: usize = 16;
/// How often a push is tried that a registry was too busy for.
const ATTEMPTS: u32 = 4;
/// How long it waits before it tries again, the first time; twice as long each time after.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// An image to push.
#[derive(Debug, Clone)]
pub(crate) struct PushJob {
    /// The reference that names it.
    pub(crate) image: String,
    /// Its id in the engine.
    pub(crate) image_id: String,
    /// The references to push.
    pub(crate) references: Vec<String>,
}

impl Application {
    /// Pushes the images of `options`, which have to be fresh. What a registry has already is not
    /// sent.
    ///
    /// Failed pushes are in the outcome, and were told to `sink`.
    ///
    /// # Errors
    ///
    /// [`Error::Definitions`] with a finding for each image that is not fresh or that names no
    /// registry; otherwise [`Error`] where the engine or the state can't be used.
    pub async fn push(
        &self,
        options: &PlanOptions,
        engine: &Engine,
        sink: &dyn EventSink,
        cancel: &CancellationToken,
    ) -> Result<Outcome, Error> {
        let begin = Instant::now();
        self.require_registries(options)?;
        let mut outcome = Outcome::default();
        tokio::select! {
            biased;
            () = cancel.cancelled() => outcome.cancelled = true,
            pushed = self.push_fresh(options, engine, sink, &mut outcome) => pushed?,
        }
        outcome.summary.duration = milliseconds(begin);
        sink.emit(EventKind::RunFinished { summary: outcome.summary });
        Ok(outcome)
    }

    async fn push_fresh(
        &self,
        options: &PlanOptions,
        engine: &Engine,
        sink: &dyn EventSink,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let records = self.state.records(&engine.describe())?;
        let store = engine.images().await?;
        let plan = self.plan(options, &records, Some(&store)).map_err(Error::Definitions)?;
        for diagnostic in &plan.diagnostics {
            sink.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
        }
        let selected = |image: &&PlannedImage| options.images.contains(&image.definition);
        let mut jobs = Vec::new();
        let mut findings = Vec::new();
        for image in plan.images.iter().filter(selected) {
            let (Action::Fresh, Some(record)) = (&image.action, &image.record) else {
                findings.push(self.not_fresh(image));
                continue;
            };
            let references = image.settings.references.clone();
            for reference in &references {
                let (image_id, fingerprint) =
                    (record.image_id.clone(), record.fingerprint.to_string());
                let built = BuiltReference { image_id, fingerprint, digest: None };
                outcome.references.insert(reference.clone(), built);
            }
            let image_id = record.image_id.clone();
            jobs.push(PushJob { image: image.reference.clone(), image_id, references });
        }
        if !findings.is_empty() {
            return Err(Error::Definitions(findings));
        }
        outcome.summary.fresh = jobs.len();
        push_all(engine, &store, &jobs, sink, outcome).await;
        Ok(())
    }

    fn not_fresh(&self, image: &PlannedImage) -> Diagnostic {
        let name = &image.reference;
        let definition = &self.definitions.images[image.definition];
        let message = format!("the image `{name}` is not fresh, so it can't be pushed");
        let mut diagnostic = Diagnostic::error("image-not-fresh", message)
            .at(definition.location.clone())
            .help("`ailtire-build build --push` builds it and pushes it then");
        for reason in image.action.reasons() {
            diagnostic = diagnostic.detail(reason.to_string());
        }
        diagnostic
    }

    /// Refuses images that would end up on Docker Hub among its official ones.
    ///
    /// # Errors
    ///
    /// [`Error::Definitions`] with a finding for each of them.
    pub(crate) fn require_registries(&self, options: &PlanOptions) -> Result<(), Error> {
        let images = options.images.iter().map(|&image| &self.definitions.images[image]);
        let findings: Vec<_> = images
            .filter_map(|image| {
                let names_none = |name: &&String| canonical(name).starts_with("docker.io/library/");
                let name = image.references.iter().find(names_none)?;
                let message = format!("`{name}` names no registry to push it to, or to find it in");
                Some(Diagnostic::error("no-registry", message).at(image.location.clone()).help(
                    "name one for all images with `--repo`, such as `--repo registry.example/team`",
                ))
            })
            .collect();
        if findings.is_empty() { Ok(()) } else { Err(Error::Definitions(findings)) }
    }
}

/// Pushes every image of `jobs` under all of its references, and adds what came of it to `outcome`.
/// `store` is what the engine has.
pub(crate) async fn push_all(
    engine: &Engine,
    store: &ImageStore,
    jobs: &[PushJob],
    sink: &dyn EventSink,
    outcome: &mut Outcome,
) {
    if jobs.is_empty() {
        return;
    }
    let references = jobs.iter().flat_map(|job| &job.references);
    let client = match engine.registry_setup().await {
        Ok(setup) => Some(registries::client(references, engine, &setup, None).await),
        Err(_) => None,
    };
    let pusher = Pusher { engine, store, client, sink, turns: Turns::default() };
    let work = futures_util::stream::iter(jobs).map(|job| pusher.image(job));
    let mut work = work.buffer_unordered(AT_ONCE);
    while let Some(pushed) = work.next().await {
        outcome.summary.bytes_pushed += pushed.bytes_sent;
        outcome.summary.pushed += usize::from(pushed.sent && !pushed.failed);
        outcome.summary.push_failed += usize::from(pushed.failed);
        outcome.engine_is_gone |= pushed.engine_is_gone;
        outcome.digests.extend(pushed.digests);
    }
}

/// Those of `references` that their registries have. One that does not say is taken not to have it.
///
/// # Errors
///
/// [`EngineError`] where a registry can't be asked.
pub(crate) async fn present(
    engine: &Engine,
    references: Vec<String>,
    sink: &dyn EventSink,
) -> Result<Vec<String>, EngineError> {
    let setup = engine.registry_setup().await?;
    let client = Some(registries::client(references.iter(), engine, &setup, None).await);
    let store = &ImageStore::default();
    let pusher = Pusher { engine, store, client, sink, turns: Turns::default() };
    let asked = futures_util::stream::iter(references).map(async |reference| {
        match pusher.named(&reference).await {
            Ok(found) => Ok(found.map(|_| reference)),
            // Many registries say so of a repository that is not there yet, too.
            Err(EngineError::RegistryDenied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let found: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// What came of pushing one image.
#[derive(Debug, Default)]
struct Pushed {
    /// Digests by reference.
    digests: BTreeMap<String, String>,
    bytes_sent: u64,
    /// Whether a registry did not have it under some reference.
    sent: bool,
    failed: bool,
    engine_is_gone: bool,
}

struct Pusher<'run> {
    engine: &'run Engine,
    store: &'run ImageStore,
    client: Option<Client>,
    sink: &'run dyn EventSink,
    turns: Turns,
}

impl Pusher<'_> {
    async fn image(&self, job: &PushJob) -> Pushed {
        let mut pushed = Pushed::default();
        // One after the other: the layers that the first one takes there are there for the next.
        for reference in &job.references {
            let image = job.image.clone();
            match self.reference(job, reference).await {
                Ok((PushedImage { digest, bytes_sent }, skipped)) => {
                    pushed.bytes_sent += bytes_sent;
                    pushed.sent |= !skipped;
                    pushed.digests.insert(reference.clone(), digest.clone());
                    let reference = reference.clone();
                    self.sink.emit(EventKind::ImagePushed {
                        image,
                        reference,
                        digest,
                        bytes_sent,
                        skipped,
                    });
                }
                Err(error) => {
                    pushed.failed = true;
                    pushed.engine_is_gone |= is_gone(&error);
                    let failure =
                        PushFailure { message: error.to_string(), help: Some(error.help()) };
                    let reference = reference.clone();
                    self.sink.emit(EventKind::PushFailed { image, reference, failure });
                }
            }
        }
        pushed
    }

    /// Pushes one reference unless the registry has it; whether it had.
    async fn reference(
        &self,
        job: &PushJob,
        reference: &str,
    ) -> Result<(PushedImage, bool), EngineError> {
        // A registry that may be written but not read says so here; the push says the rest.
        let found = match self.named(reference).await {
            Err(EngineError::RegistryDenied { .. }) => None,
            other => other?,
        };
        if let Some(digest) = found {
            let name = split_tag(reference).0;
            if self.store.id_of(&format!("{name}@{digest}")) == Some(&*job.image_id) {
                return Ok((PushedImage { digest, bytes_sent: 0 }, true));
            }
        }
        // Where the engine does not say, nothing is waited for.
        let layers = self.engine.layers(&job.image_id).await.unwrap_or_default();
        let push = self.send(job, reference);
        Ok((self.turns.take(registry(reference), layers, push).await?, false))
    }

    async fn send(&self, job: &PushJob, reference: &str) -> Result<PushedImage, EngineError> {
        let (image, reference) = (job.image.clone(), reference.to_owned());
        self.sink.emit(EventKind::Pushing { image, reference: reference.clone() });
        let told = Told { sink: self.sink, job, reference: &reference, most: AtomicU64::new(0) };
        let pushed = self.patiently(&reference, async || {
            self.engine.push(&reference, &|bytes| told.bytes(bytes)).await
        });
        pushed.await
    }

    /// The digest that a registry has for `reference`.
    async fn named(&self, reference: &str) -> Result<Option<String>, EngineError> {
        if let Some(client) = &self.client
            && let Some(Place { registry, repository, tag }) = Place::of(reference)
            && self.is_ours(&registry)
            && let Ok(digest) = client.manifest_digest(&registry, &repository, &tag).await
        {
            return Ok(digest);
        }
        // The engine may reach what this machine does not, and trust what it does not trust.
        self.patiently(reference, async || self.engine.distribution(reference).await).await
    }

    /// Whether `registry` means the same here and for the engine: the loopback of another machine
    /// is another one.
    fn is_ours(&self, registry: &str) -> bool {
        let is_loopback = registry.starts_with("localhost") || registry.starts_with("127.");
        !is_loopback || self.engine.describe().starts_with("unix:")
    }

    /// Tries again what a registry was too busy for, after a while that gets longer each time.
    async fn patiently<T>(
        &self,
        reference: &str,
        attempt: impl AsyncFn() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut delay = FIRST_DELAY;
        for _ in 1..ATTEMPTS {
            let error = match attempt().await {
                Err(error @ EngineError::RegistryBusy { .. }) => error,
                result => return result,
            };
            let message = format!("`{reference}` is tried again in {:.1} s", delay.as_secs_f32());
            let diagnostic = Diagnostic::warning("registry-busy", message);
            let diagnostic = diagnostic.detail(error.to_string());
            self.sink.emit(EventKind::Diagnostic { diagnostic });
            // The time itself is what is waited for.
            let _ = tokio::time::timeout(delay, std::future::pending::<()>()).await;
            delay *= 2;
        }
        attempt().await
    }
}

fn is_gone(error: &EngineError) -> bool {
    matches!(error, EngineError::Lost { .. } | EngineError::Unreachable { .. })
}

/// Tells how far a push is, never less than before.
struct Told<'push> {
    sink: &'push dyn EventSink,
    job: &'push PushJob,
    reference: &'push str,
    most: AtomicU64,
}

impl Told<'_> {
    fn bytes(&self, bytes: u64) {
        if self.most.fetch_max(bytes, Ordering::Relaxed) < bytes {
            let (image, reference) = (self.job.image.clone(), self.reference.to_owned());
            self.sink.emit(EventKind::PushProgress { image, reference, bytes });
        }
    }
}
