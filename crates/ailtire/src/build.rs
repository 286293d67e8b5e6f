//! Brings an engine up to date with an application's images.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ailtire_compose::{BundledImage, BundledImages};
use ailtire_context::BuildContext;
use ailtire_docker::{BuildError, BuildRequest, Engine, EngineError, SecretValueSource};
use ailtire_events::{BuildFailure, DirtyReason, EventKind, EventSink, Summary};
use ailtire_fingerprint::{BaseIdentity, FORMAT, ImageInputs, Record, RecordedBase, Records};
use ailtire_manifest::SecretSource;
use ailtire_tree::Digest;
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::attest::AttestOptions;
use crate::cache::{Cache, CacheOptions};
use crate::plan::{Action, Plan, PlanOptions, PlannedBase, PlannedImage, recorded_id};
use crate::prepare::Prepared;
use crate::schedule::{JobResult, Limits, schedule};
use crate::stack_images::with_images;
use crate::{Application, Error};

/// How to build.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of a command line")]
pub struct BuildOptions {
    /// What to build.
    pub plan: PlanOptions,
    /// How many images may be built at once; 0: as many as the machine has processors.
    pub jobs: usize,
    /// Whether images that don't need a failed one are still built.
    pub keep_going: bool,
    /// Whether the selected images are built anew, all of them, without the engine's cache.
    pub no_cache: bool,
    /// Whether base images from elsewhere are fetched again first.
    pub pull: bool,
    /// Whether the selected images are pushed once all is built. With `keep_going` those that are
    /// up to date are pushed even where others failed; otherwise a registry never gets a part.
    pub push: bool,
    /// Whether a registry is asked for images that other machines built from the same inputs, and
    /// told of those that this one builds.
    pub cache: Option<CacheOptions>,
    /// What is attached to the images that are pushed.
    pub attest: Option<AttestOptions>,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// One reference of an image that is up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuiltReference {
    /// Id of the image in the engine.
    pub image_id: String,
    /// Fingerprint of its inputs.
    pub fingerprint: String,
    /// The digest under which a registry is known to have it, whatever the reference names there.
    #[serde(skip)]
    pub digest: Option<String>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every reference that is up to date.
    pub references: BTreeMap<String, BuiltReference>,
    /// Every reference that a registry is known to have, and its digest there.
    pub digests: BTreeMap<String, String>,
    /// The counts.
    pub summary: Summary,
    /// Whether the run was cancelled.
    pub cancelled: bool,
    /// Whether the engine went away, which ends every run.
    pub engine_is_gone: bool,
}

/// An image that is up to date.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) image_id: String,
    pub(crate) fingerprint: Digest,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Fresh,
    Tagged,
    /// A registry has it. `is_set`: under all of its references; `failed`: it is not, and should.
    Cached {
        is_set: bool,
        failed: bool,
    },
    Built {
        bytes_sent: u64,
    },
}

impl Application {
    /// Brings the images of `options` up to date in `engine`.
    ///
    /// Failed builds are in the outcome, and were told to `sink`. A run that `cancel` ends before
    /// anything was planned has an outcome without images.
    ///
    /// # Errors
    ///
    /// [`Error`] where the run could not even plan, or the engine can't be used.
    pub async fn build(
        &self,
        options: &BuildOptions,
        engine: &Engine,
        sink: &dyn EventSink,
        cancel: &CancellationToken,
    ) -> Result<Outcome, Error> {
        let begin = Instant::now();
        if options.push || options.cache.is_some() {
            self.require_registries(&options.plan)?;
        }
        let prepared = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            prepared = self.prepare(options, engine, sink) => Some(prepared?),
        };
        let mut outcome = match &prepared {
            None => Outcome { cancelled: true, ..Outcome::default() },
            Some(Prepared { plan, .. }) if options.dry_run => dry_run(plan),
            Some(Prepared { plan, records }) => {
                self.run_plan(options, engine, sink, cancel, plan, records).await?
            }
        };
        outcome.summary.duration = milliseconds(begin);
        sink.emit(EventKind::RunFinished { summary: outcome.summary });
        Ok(outcome)
    }

    async fn run_plan(
        &self,
        options: &BuildOptions,
        engine: &Engine,
        sink: &dyn EventSink,
        cancel: &CancellationToken,
        plan: &Plan,
        records: &Records,
    ) -> Result<Outcome, Error> {
        let forced = if options.no_cache { &options.plan.images } else { &options.plan.forced };
        let look_up = async {
            match options.cache.clone() {
                Some(cache) => Cache::look_up(cache, plan, forced, engine, sink).await.map(Some),
                None => Ok(None),
            }
        };
        let cache = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            cache = look_up => cache?,
        };
        let run = Run {
            application: self,
            plan,
            options,
            engine,
            sink,
            records,
            cache: cache.as_ref(),
            ready: plan.images.iter().map(|_| OnceLock::new()).collect(),
            pulled: Mutex::default(),
        };
        let results = run.all(cancel).await;
        let mut outcome = run.conclude(results, cancel.is_cancelled());
        if run.may_push(&outcome) {
            tokio::select! {
                biased;
                () = cancel.cancelled() => outcome.cancelled = true,
                pushed = run.push(&mut outcome) => pushed?,
            }
        }
        for (reference, digest) in &outcome.digests {
            if let Some(built) = outcome.references.get_mut(reference) {
                built.digest.get_or_insert_with(|| digest.clone());
            }
        }
        Ok(outcome)
    }
}

fn dry_run(plan: &Plan) -> Outcome {
    let skipped = plan.dirty();
    let fresh = plan.images.len() - skipped;
    let summary = Summary { fresh, skipped, dry_run: true, ..Summary::default() };
    Outcome { summary, ..Outcome::default() }
}

/// Ids of fetched bases by reference and platform; none where the engine could not fetch one.
type Fetched = HashMap<FetchKey, Arc<OnceCell<Option<String>>>>;

type FetchKey = (String, Option<String>);

fn fetch_key(base: &PlannedBase) -> FetchKey {
    (base.reference.clone(), base.platform.clone())
}

/// One run over a plan.
pub(crate) struct Run<'run> {
    pub(crate) application: &'run Application,
    pub(crate) plan: &'run Plan,
    pub(crate) options: &'run BuildOptions,
    pub(crate) engine: &'run Engine,
    pub(crate) sink: &'run dyn EventSink,
    pub(crate) records: &'run Records,
    /// What registries have, where they are asked.
    pub(crate) cache: Option<&'run Cache>,
    pub(crate) ready: Vec<OnceLock<Ready>>,
    /// Ids of bases that this run fetched; each is fetched once, whoever asks first.
    pulled: Mutex<Fetched>,
}

impl Run<'_> {
    async fn all(&self, cancel: &CancellationToken) -> Vec<JobResult<Ready, BuildError>> {
        let images = self.plan.images.iter();
        let dependencies: Vec<Vec<usize>> = images
            .map(|image| image.bases.iter().filter_map(|base| base.image).collect())
            .collect();
        let processors = || std::thread::available_parallelism().map_or(1, Into::into);
        let jobs = if self.options.jobs == 0 { processors() } else { self.options.jobs };
        let limits = Limits { jobs, keep_going: self.options.keep_going };
        schedule(&dependencies, limits, cancel, is_gone, |position| self.one(position)).await
    }

    async fn one(&self, position: usize) -> Result<Ready, BuildError> {
        let image = &self.plan.images[position];
        let result = match (&image.action, &image.record) {
            (Action::Fresh, Some(record)) => self.keep(image, record),
            (Action::Tag(_), Some(record)) => self.tag(image, record).await,
            _ => self.build_if_needed(position, image).await,
        };
        match result {
            Ok(ready) => Ok(self.ready[position].get_or_init(|| ready).clone()),
            Err(error) => {
                self.report_failure(image, &error);
                Err(error)
            }
        }
    }

    /// A fresh image: nothing to do, but its fingerprint may be another one by now.
    fn keep(&self, image: &PlannedImage, record: &Record) -> Result<Ready, BuildError> {
        let fingerprint = self.fingerprint(image, &self.base_ids(image));
        if fingerprint != record.fingerprint {
            self.records
                .update(Record { fingerprint, ..record.clone() })
                .map_err(|error| unrecorded(image, &error))?;
        }
        Ok(Ready { image_id: record.image_id.clone(), fingerprint, how: How::Fresh })
    }

    async fn tag(&self, image: &PlannedImage, record: &Record) -> Result<Ready, BuildError> {
        for reference in &image.settings.references {
            self.engine.tag(&record.image_id, reference).await?;
        }
        let fingerprint = self.fingerprint(image, &self.base_ids(image));
        let references = image.settings.references.clone();
        self.records
            .update(Record { fingerprint, references: references.clone(), ..record.clone() })
            .map_err(|error| unrecorded(image, &error))?;
        self.sink.emit(EventKind::ImageTagged { image: image.reference.clone(), references });
        Ok(Ready { image_id: record.image_id.clone(), fingerprint, how: How::Tagged })
    }

    async fn build_if_needed(
        &self,
        position: usize,
        image: &PlannedImage,
    ) -> Result<Ready, BuildError> {
        if let Some(record) = &image.record
            && image.action.reasons().iter().all(DirtyReason::is_cascade)
            && self.base_ids(image) == record.bases
        {
            self.sink.emit(EventKind::ImageFresh {
                image: image.reference.clone(),
                image_id: record.image_id.clone(),
            });
            return self.keep(image, record);
        }
        if let Some(hit) = self.hit(position)
            && let Some(ready) = self.take_cached(position, image, hit).await?
        {
            return Ok(ready);
        }
        let Some(context) = &image.context else { unreachable!("plans keep what may be built") };
        self.fetch_bases(image).await;
        self.build_one(image, context).await
    }

    async fn build_one(
        &self,
        image: &PlannedImage,
        context: &Arc<BuildContext>,
    ) -> Result<Ready, BuildError> {
        let begin = Instant::now();
        let context = &self.final_context(image, context)?;
        self.sink.emit(EventKind::BuildStarted { image: image.reference.clone() });
        let log = LogKeeper { sink: self.sink, log: Mutex::default() };
        let cache_from = self.importable(image).await;
        let request = BuildRequest { cache_from, ..self.request(image, context) };
        let built = self.engine.build(&request, &log).await?;
        let bases = self.base_ids(image);
        let fingerprint = self.fingerprint(image, &bases);
        let record = Record {
            format: FORMAT,
            references: image.settings.references.clone(),
            key: image.key,
            fingerprint,
            bases,
            image_id: built.image_id.clone(),
            built_at: milliseconds_since_epoch(),
        };
        let context = image.context.as_ref().unwrap_or(context);
        let inputs = ImageInputs { context, settings: &image.settings }.record();
        let reasons = self.final_reasons(image);
        self.records.put(record, inputs, reasons).map_err(|error| unrecorded(image, &error))?;
        // A log that can't be kept is no reason to fail a build that went well.
        let _ = self.application.state.write_log(&image.reference, log.text().as_bytes());
        self.sink.emit(EventKind::BuildFinished {
            image: image.reference.clone(),
            references: image.settings.references.clone(),
            image_id: built.image_id.clone(),
            fingerprint: fingerprint.to_string(),
            duration: milliseconds(begin),
            bytes_sent: built.bytes_sent,
        });
        let how = How::Built { bytes_sent: built.bytes_sent };
        Ok(Ready { image_id: built.image_id, fingerprint, how })
    }

    /// What is sent: a stack image also says what the images are that it pins.
    fn final_context(
        &self,
        image: &PlannedImage,
        context: &Arc<BuildContext>,
    ) -> Result<Arc<BuildContext>, BuildError> {
        if !self.application.definitions.images[image.definition].is_stack {
            return Ok(Arc::clone(context));
        }
        if self.application.manager.is_none() {
            return Err(BuildError::Failed(Box::new(without_manager(image))));
        }
        let ready = |base: &PlannedBase| {
            let ready = self.ready[base.image?].get()?;
            let (id, fingerprint) = (ready.image_id.clone(), ready.fingerprint.to_string());
            Some((base.reference.clone(), BundledImage { id, fingerprint }))
        };
        let images: BundledImages = image.bases.iter().filter_map(ready).collect();
        Ok(Arc::new(with_images(context, &images)))
    }

    /// The reasons of the plan, with what is known now of bases that were built meanwhile.
    pub(crate) fn final_reasons(&self, image: &PlannedImage) -> Vec<DirtyReason> {
        let reasons = image.action.reasons().iter().filter_map(|reason| {
            let DirtyReason::BaseDirty { reference } = reason else { return Some(reason.clone()) };
            let old = recorded_id(image.record.as_ref()?, reference);
            let new = image.bases.iter().find(|base| base.reference == *reference)?;
            let new = self.base_id(new);
            let reference = reference.clone();
            (old != new).then_some(DirtyReason::BaseChanged { reference, old, new })
        });
        reasons.collect()
    }

    fn request(&self, image: &PlannedImage, context: &Arc<BuildContext>) -> BuildRequest {
        let application = self.application;
        let definition = &application.definitions.images[image.definition];
        let package = &application.definitions.packages[definition.package];
        let secrets = definition.secrets.iter().map(|(id, source)| {
            let source = match source {
                SecretSource::File(path) => {
                    SecretValueSource::File(application.tree.absolute(path))
                }
                SecretSource::Env(name) => SecretValueSource::Env(name.clone()),
            };
            (id.clone(), source)
        });
        BuildRequest {
            image: image.reference.clone(),
            references: image.settings.references.clone(),
            context: Arc::clone(context),
            source_root: application.root().to_owned(),
            build_arguments: image.settings.build_arguments.clone(),
            target: image.settings.target.clone(),
            platforms: image.settings.platforms.clone(),
            labels: image.settings.labels.clone(),
            secrets: secrets.collect(),
            no_cache: self.options.no_cache && self.options.plan.images.contains(&image.definition),
            cache_from: Vec::new(),
            context_key: format!(
                "{}/{}/{}",
                application.definitions.instance, package.directory, definition.name
            ),
        }
    }

    /// Has the engine fetch the bases from elsewhere that it lacks, so that their ids are known.
    async fn fetch_bases(&self, image: &PlannedImage) {
        for base in image.bases.iter().filter(|base| base.image.is_none() && !base.present) {
            let cell = {
                let mut pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(pulled.entry(fetch_key(base)).or_default())
            };
            cell.get_or_init(|| async {
                // The build itself says why, in the words of the step that needs the base.
                let platform = base.platform.as_deref();
                self.engine.pull(&base.reference, platform, self.sink).await.ok()
            })
            .await;
        }
    }

    /// The id of a base as far as it is known by now.
    pub(crate) fn base_id(&self, base: &PlannedBase) -> Option<String> {
        if let Some(position) = base.image {
            return self.ready[position].get().map(|ready| ready.image_id.clone());
        }
        let pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        let pulled = pulled.get(&fetch_key(base)).and_then(|cell| cell.get().cloned());
        let known = || base.image_id.clone().or_else(|| self.cache?.base_id(base));
        pulled.unwrap_or_else(known)
    }

    pub(crate) fn base_ids(&self, image: &PlannedImage) -> Vec<RecordedBase> {
        let bases = image.bases.iter().map(|base| RecordedBase {
            reference: base.reference.clone(),
            image_id: self.base_id(base),
        });
        bases.collect()
    }

    fn fingerprint(&self, image: &PlannedImage, bases: &[RecordedBase]) -> Digest {
        let identities: Vec<_> = image
            .bases
            .iter()
            .zip(bases)
            .map(|(base, recorded)| {
                let built = base.image.and_then(|position| self.ready[position].get());
                let identity = match built {
                    Some(ready) => BaseIdentity::Built(ready.fingerprint),
                    None => BaseIdentity::External(recorded.image_id.clone()),
                };
                (base.reference.clone(), identity)
            })
            .collect();
        ailtire_fingerprint::fingerprint(image.key, &image.settings.references, &identities)
    }

    fn report_failure(&self, image: &PlannedImage, error: &BuildError) {
        let definition = &self.application.definitions.images[image.definition];
        let mut failure = match error {
            BuildError::Failed(failure) => (**failure).clone(),
            other => BuildFailure {
                message: other.to_string(),
                help: other.help(),
                ..BuildFailure::default()
            },
        };
        failure.dockerfile = Some(definition.dockerfile.clone());
        failure.definition = Some(definition.location.to_string());
        let image = image.reference.clone();
        self.sink.emit(EventKind::BuildFailed { image, failure });
    }

    /// Whether what was built is to be pushed.
    fn may_push(&self, outcome: &Outcome) -> bool {
        let complete = outcome.summary.failed + outcome.summary.skipped == 0;
        let usable = !outcome.cancelled && !outcome.engine_is_gone;
        usable && (self.shares() || self.options.push && (complete || self.options.keep_going))
    }

    /// Counts, and tells what became of the images that were not tried.
    fn conclude(&self, results: Vec<JobResult<Ready, BuildError>>, cancelled: bool) -> Outcome {
        let mut outcome = Outcome { cancelled, ..Outcome::default() };
        for (position, (planned, result)) in self.plan.images.iter().zip(results).enumerate() {
            let image = planned.reference.clone();
            let summary = &mut outcome.summary;
            match result {
                JobResult::Done(ready) => {
                    match ready.how {
                        How::Fresh => summary.fresh += 1,
                        How::Tagged => summary.tagged += 1,
                        How::Cached { failed, .. } => {
                            summary.cached += 1;
                            summary.push_failed += usize::from(failed);
                        }
                        How::Built { bytes_sent } => {
                            summary.built += 1;
                            summary.bytes_sent += bytes_sent;
                        }
                    }
                    let found = self.hit(position);
                    let found = found.filter(|_| matches!(ready.how, How::Cached { .. }));
                    let is_set = matches!(ready.how, How::Cached { is_set: true, .. });
                    for reference in &planned.settings.references {
                        let digest = found.map(|hit| hit.statement.digest.clone());
                        if let Some(digest) = digest.clone().filter(|_| is_set) {
                            outcome.digests.insert(reference.clone(), digest);
                        }
                        let built = BuiltReference {
                            image_id: ready.image_id.clone(),
                            fingerprint: ready.fingerprint.to_string(),
                            digest,
                        };
                        outcome.references.insert(reference.clone(), built);
                    }
                }
                JobResult::Failed(error) => {
                    summary.failed += 1;
                    outcome.engine_is_gone |= is_gone(&error);
                }
                JobResult::Cancelled => {
                    summary.cancelled += 1;
                    self.sink.emit(EventKind::BuildCancelled { image });
                }
                JobResult::Skipped { because } => {
                    summary.skipped += 1;
                    let because = because.map(|failed| self.plan.images[failed].reference.clone());
                    self.sink.emit(EventKind::ImageSkipped { image, because });
                }
            }
        }
        outcome
    }
}

/// Whether no other image can be built either.
fn is_gone(error: &BuildError) -> bool {
    let BuildError::Engine(error) = error else { return false };
    matches!(error, EngineError::Lost { .. } | EngineError::Unreachable { .. })
}

/// Passes events on, and keeps the text of the build's log.
struct LogKeeper<'run> {
    sink: &'run dyn EventSink,
    log: Mutex<String>,
}

impl LogKeeper<'_> {
    fn text(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventSink for LogKeeper<'_> {
    fn emit(&self, kind: EventKind) {
        if let EventKind::BuildLog { text, .. } = &kind {
            self.log.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        }
        if let EventKind::BuildStep { step, state, .. } = &kind {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            if !log.is_empty() && !log.ends_with('\n') {
                log.push('\n');
            }
            let state = format!("{state:?}").to_lowercase();
            log.extend(["--- ", step, " (", &state, ")\n"]);
        }
        self.sink.emit(kind);
    }
}

fn without_manager(image: &PlannedImage) -> BuildFailure {
    let help = "build `ailtire-build` after `cargo xtask manager`, which puts the program into it, or \
                name it with `--manager FILE`";
    BuildFailure {
        message: format!(
            "the stack image `{}` needs the program that runs its stack, and `ailtire-build` was \
             built without it",
            image.reference
        ),
        help: Some(help.to_owned()),
        ..BuildFailure::default()
    }
}

pub(crate) fn unrecorded(image: &PlannedImage, error: &std::io::Error) -> BuildError {
    BuildError::Failed(Box::new(BuildFailure {
        message: format!("`{}` was built but can't be recorded: {error}", image.reference),
        help: Some("it is built again next time; look at the permissions of `.ailtire/`".into()),
        ..BuildFailure::default()
    }))
}

pub(crate) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn milliseconds_since_epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
