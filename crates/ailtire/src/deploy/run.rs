//! Planning and making deployments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ailtire_docker::Engine;
use ailtire_events::{Diagnostic, EventKind, EventSink, FieldChange, ObjectAction};
use ailtire_swarm::{
    ApplyOptions, Changes, Deed, DeploymentLock, Desired, Entry, History, Identity, KEPT, Lookup,
    OnFailure, Outcome, PinnedImage, PlanOptions as ComparisonOptions, RemoveOptions, Removed,
    ResolveImage, ResolvedImage, ResolvedImages, WaitOptions, apply, observe, plan,
};
use ailtire_terms::reference::canonical;
use tokio_util::sync::CancellationToken;

use super::record::record_in;
use super::{Deployment, desired};
use crate::build::BuiltReference;
use crate::cache::{Cache, CacheOptions};
use crate::plan::{Action, PlanOptions};
use crate::up::{require_no_managers, require_whole};
use crate::{Application, Error};

/// How long a service may take where nothing else is said.
const TIMEOUT: Duration = Duration::from_mins(5);

/// What an image that is still to be built runs as in a plan.
const TO_BE_BUILT: &str = "(to be built)";

/// How to deploy.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of a command line")]
pub struct DeployOptions {
    /// Who does it, for the history and for others who wait.
    pub by: String,
    /// Whether registries are asked which image a reference means.
    pub resolve: ResolveImage,
    /// Whether what the definitions do not have any more is removed.
    pub prune: bool,
    /// Whether stacks of the same name that somebody else deployed are taken over.
    pub adopt: bool,
    /// How long a service may take to run and be healthy.
    pub timeout: Duration,
    /// Whether services that no other one depends on are not waited for.
    pub detach: bool,
    /// What to do when a service does not run.
    pub on_failure: OnFailure,
    /// Whether credentials of registries are sent to the nodes.
    pub with_registry_auth: bool,
    /// Changes that were planned before: anything else is refused.
    pub expected: Option<Changes>,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self {
            by: String::new(),
            resolve: ResolveImage::default(),
            prune: false,
            adopt: false,
            timeout: TIMEOUT,
            detach: false,
            on_failure: OnFailure::Rollback,
            with_registry_auth: false,
            expected: None,
        }
    }
}

/// How to go back.
#[derive(Debug, Clone)]
pub struct RollbackOptions {
    /// Who does it, for the history and for others who wait.
    pub by: String,
    /// Number of the history's entry to go back to; absent: the one before the last.
    pub to: Option<u64>,
    /// How long a service may take to run and be healthy.
    pub timeout: Duration,
    /// Whether credentials of registries are sent to the nodes.
    pub with_registry_auth: bool,
}

/// How to remove.
#[derive(Debug, Clone)]
pub struct UndeployOptions {
    /// Who does it, for the history and for others who wait.
    pub by: String,
    /// Instances of the stacks to remove; absent: all of the application, and its history.
    pub instances: Option<BTreeSet<String>>,
    /// Whether named volumes are removed too.
    pub volumes: bool,
    /// How long a service may take to be gone.
    pub timeout: Duration,
}

/// What a deployment would change.
#[derive(Debug, Clone)]
pub struct DeploymentPlan {
    /// Images that would be built first; what they come out as is not known.
    pub to_build: Vec<String>,
    /// The changes.
    pub changes: Changes,
}

impl Application {
    /// What deploying would change, against what runs now. Images that are not fresh are looked up
    /// where `cache` says.
    ///
    /// # Errors
    ///
    /// [`Error`] where the stacks can't be deployed like this, or the engine can't be asked.
    pub async fn plan_deployment(
        &self,
        deployment: &Deployment,
        options: &DeployOptions,
        cache: Option<CacheOptions>,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<DeploymentPlan, Error> {
        let images = deployment.images(self);
        let images = PlanOptions { images, ..PlanOptions::default() };
        let (built, to_build) = self.built(&images, cache, engine, sink).await?;
        let desired = self.desired(deployment, &built, &to_build, options, engine, sink).await?;
        let difference = Difference::find(&desired, options.prune, options.adopt, engine).await?;
        let to_build = to_build.into_iter().collect();
        Ok(DeploymentPlan { to_build, changes: difference.changes })
    }

    /// The images of `options` as they are, if all of them are fresh, or found where `cache` says.
    ///
    /// # Errors
    ///
    /// [`Error::Definitions`] with a finding for each image that is not.
    pub async fn require_fresh(
        &self,
        options: &PlanOptions,
        cache: Option<CacheOptions>,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<BTreeMap<String, BuiltReference>, Error> {
        let (built, to_build) = self.built(options, cache, engine, sink).await?;
        if to_build.is_empty() {
            return Ok(built);
        }
        let findings = to_build.into_iter().map(|image| {
            Diagnostic::error("image-not-fresh", format!("the image `{image}` is not fresh")).help(
                format!("`ailtire-build why {image}` says why; build it, or let `deploy` do it"),
            )
        });
        Err(Error::Definitions(findings.collect()))
    }

    /// Images that are fresh or found, by reference, and those that are not.
    async fn built(
        &self,
        options: &PlanOptions,
        cache: Option<CacheOptions>,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<(BTreeMap<String, BuiltReference>, BTreeSet<String>), Error> {
        let images = &options.images;
        if images.is_empty() {
            return Ok(Default::default());
        }
        if cache.is_some() {
            self.require_registries(options)?;
        }
        let records = self.state.records(&engine.describe())?;
        let store = engine.images().await?;
        let plan = self.plan(options, &records, Some(&store)).map_err(Error::Definitions)?;
        for diagnostic in &plan.diagnostics {
            sink.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
        }
        let hits = match cache {
            Some(cache) => Cache::look_up(cache, &plan, &[], engine, sink).await?.hits,
            None => vec![None; plan.images.len()],
        };
        let mut built = BTreeMap::new();
        let mut to_build = BTreeSet::new();
        let planned = plan.images.iter().zip(hits);
        for (image, hit) in planned.filter(|(image, _)| images.contains(&image.definition)) {
            let found = match (&image.action, &image.record, hit) {
                (Action::Fresh | Action::Tag(_), Some(record), _) => BuiltReference {
                    image_id: record.image_id.clone(),
                    fingerprint: record.fingerprint.to_string(),
                    digest: None,
                },
                (_, _, Some(hit)) => BuiltReference::from(&hit.statement),
                _ => {
                    to_build.insert(image.reference.clone());
                    continue;
                }
            };
            let references = &self.definitions.images[image.definition].references;
            built.extend(references.iter().map(|reference| (reference.clone(), found.clone())));
        }
        Ok((built, to_build))
    }

    /// What is to run.
    async fn desired(
        &self,
        deployment: &Deployment,
        built: &BTreeMap<String, BuiltReference>,
        to_build: &BTreeSet<String>,
        options: &DeployOptions,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<Desired, Error> {
        let images = self.images(deployment, built, to_build, options, engine, sink).await?;
        self.convert(deployment, &images)
    }

    /// What the services of a deployment run.
    pub(crate) async fn images(
        &self,
        deployment: &Deployment,
        built: &BTreeMap<String, BuiltReference>,
        to_build: &BTreeSet<String>,
        options: &DeployOptions,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<ResolvedImages, Error> {
        let (info, store, running) = tokio::try_join!(
            engine.swarm_info(),
            engine.images(),
            ailtire_swarm::observe_all(engine)
        )?;
        let lookup = Lookup {
            engine,
            store: &store,
            built: built.iter().map(|(reference, it)| (canonical(reference), pinned(it))).collect(),
            running: running.running_images(&self.identity()),
            nodes: info.nodes,
            resolve: options.resolve,
            sink,
        };
        let unbuilt: BTreeSet<String> = to_build
            .iter()
            .flat_map(|image| self.definitions.images_named(image))
            .flat_map(|(_, image)| image.references.iter().map(|reference| canonical(reference)))
            .collect();
        let wanted = deployment.wanted_images(self);
        let (later, now): (BTreeMap<_, _>, BTreeMap<_, _>) =
            wanted.into_iter().partition(|(reference, _)| unbuilt.contains(&canonical(reference)));
        let mut images = lookup.all(now).await.map_err(Error::Definitions)?;
        images.extend(later.into_keys().map(|reference| {
            (reference, ResolvedImage { run: TO_BE_BUILT.to_owned(), fingerprint: None })
        }));
        Ok(images)
    }

    /// What is to run, now that it is known what images it runs.
    pub(crate) fn convert(
        &self,
        deployment: &Deployment,
        images: &ResolvedImages,
    ) -> Result<Desired, Error> {
        let (identity, version) = (self.identity(), self.version());
        desired::desired(deployment, &identity, version, images).map_err(Error::Definitions)
    }

    /// The version that what is deployed says of itself.
    pub(crate) fn version(&self) -> Option<&str> {
        let definitions = &self.definitions;
        definitions.release_version.as_ref().or(definitions.version.as_ref()).map(String::as_str)
    }

    /// Brings the stacks to what the definitions say. `built` is what their images are.
    ///
    /// Services that did not become what they are to be are in the outcome, and were told to `sink`.
    ///
    /// # Errors
    ///
    /// [`Error`] where the stacks can't be deployed like this, or the engine can't be used.
    pub async fn deploy(
        &self,
        deployment: &Deployment,
        built: &BTreeMap<String, BuiltReference>,
        options: &DeployOptions,
        engine: &Engine,
        sink: &dyn EventSink,
        cancel: &CancellationToken,
    ) -> Result<Outcome, Error> {
        require_no_managers(engine, &self.identity()).await?;
        let nothing = BTreeSet::new();
        let desired = self.desired(deployment, built, &nothing, options, engine, sink).await?;
        let settings = ApplyOptions {
            wait: WaitOptions { timeout: options.timeout, ..WaitOptions::default() },
            on_failure: options.on_failure,
            with_registry_auth: options.with_registry_auth,
            detach: options.detach,
            ..ApplyOptions::default()
        };
        let make = async |cancel: &CancellationToken, difference: Difference| {
            if let Some(expected) = &options.expected {
                require_same(expected, &difference.changes)?;
            }
            let whose = (Deed::Deploy, &*options.by);
            Box::pin(difference.make(engine, &desired, settings.clone(), whose, sink, cancel)).await
        };
        let find = || Difference::find(&desired, options.prune, options.adopt, engine);
        let identity = &desired.identity;
        // Where nothing changes, nobody has to be kept from anything.
        let difference = find().await?;
        if difference.is_nothing() && !DeploymentLock::is_held(engine, identity).await? {
            return make(cancel, difference).await;
        }
        let by = ("deploy", &*options.by);
        let outcome = locked(identity, by, engine, sink, cancel, async |cancel| {
            make(cancel, find().await?).await
        });
        Ok(outcome.await?.unwrap_or_else(Outcome::cancelled))
    }
}

/// Goes back to an earlier deployment, the whole application at once.
///
/// # Errors
///
/// [`Error::Definitions`] where there is no such deployment, or it can't be made any more;
/// otherwise as [`Application::deploy`].
pub async fn roll_back(
    identity: &Identity,
    options: &RollbackOptions,
    engine: &Engine,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> Result<Outcome, Error> {
    require_no_managers(engine, identity).await?;
    let outcome =
        locked(identity, ("rollback", &options.by), engine, sink, cancel, async |cancel| {
            let history = History::read(engine, identity).await?;
            let target = find(&history, identity, options.to)?;
            // What was added since is not part of what ran then.
            let difference = Difference::find(&target.desired, true, false, engine).await?;
            let settings = ApplyOptions {
                wait: WaitOptions { timeout: options.timeout, ..WaitOptions::default() },
                with_registry_auth: options.with_registry_auth,
                ..ApplyOptions::default()
            };
            let whose = (Deed::Rollback { to: target.number }, &*options.by);
            Box::pin(difference.make(engine, &target.desired, settings, whose, sink, cancel)).await
        })
        .await?;
    Ok(outcome.unwrap_or_else(Outcome::cancelled))
}

fn find<'history>(
    history: &'history History,
    identity: &Identity,
    to: Option<u64>,
) -> Result<&'history Entry, Error> {
    let found = match to {
        Some(number) => history.find(number),
        None => history.before_last(),
    };
    found.ok_or_else(|| {
        let why = to.and_then(|number| history.damaged().get(&number));
        let message = match to {
            Some(number) if why.is_some() => {
                format!("the entry {number} in the history of {} can't be read", identity.root)
            }
            Some(number) => format!("the history of {} has no entry {number}", identity.root),
            None => format!("the history of {} has no earlier deployment", identity.root),
        };
        let diagnostic = Diagnostic::error("no-such-deployment", message)
            .help("`ailtire-build history` shows what can be gone back to");
        Error::Definitions(vec![why.into_iter().fold(diagnostic, Diagnostic::detail)])
    })
}

/// Removes stacks, and waits until nothing of them is left.
///
/// # Errors
///
/// [`Error`] where the engine can't be used.
pub async fn undeploy(
    identity: &Identity,
    options: &UndeployOptions,
    engine: &Engine,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> Result<Removed, Error> {
    if options.instances.is_some() {
        require_whole(engine, identity).await?;
    }
    let removed =
        locked(identity, ("undeploy", &options.by), engine, sink, cancel, async |cancel| {
            let history = History::read(engine, identity).await?;
            let settings = RemoveOptions {
                namespaces: options.instances.clone().unwrap_or_default(),
                volumes: options.volumes,
                timeout: options.timeout,
                keep: BTreeSet::new(),
            };
            let design = history.last().map(|entry| &entry.desired);
            let removed =
                ailtire_swarm::remove(engine, identity, design, &settings, sink, cancel).await?;
            if options.instances.is_none() && removed.failures.is_empty() && !removed.cancelled {
                history.clear(engine).await?;
            }
            Ok(removed)
        })
        .await?;
    Ok(removed.unwrap_or_else(|| Removed { cancelled: true, ..Removed::default() }))
}

/// What tells what runs from what is to run.
struct Difference {
    changes: Changes,
    /// What they were found with.
    comparison: ComparisonOptions,
    history: History,
}

impl Difference {
    async fn find(
        desired: &Desired,
        prune: bool,
        adopt: bool,
        engine: &Engine,
    ) -> Result<Self, Error> {
        let history = History::read(engine, &desired.identity).await?;
        let observed = observe(engine, desired).await?;
        let keep = history.needed_objects(KEPT);
        let mut comparison = ComparisonOptions { prune, adopt, keep };
        let mut changes = plan(desired, &observed, &comparison).map_err(Error::Definitions)?;
        if !changes.is_empty() {
            // The oldest entry makes room for one more, and what only it needs goes with it.
            comparison.keep = history.needed_objects(KEPT - 1);
            changes = plan(desired, &observed, &comparison).map_err(Error::Definitions)?;
        }
        Ok(Self { changes, comparison, history })
    }

    /// Whether there is nothing to change, and nothing to write into the history.
    fn is_nothing(&self) -> bool {
        self.changes.is_empty() && self.history.last().is_some_and(|last| !last.unfinished)
    }

    /// Applies the changes and keeps in the history what runs then.
    async fn make(
        self,
        engine: &Engine,
        desired: &Desired,
        mut settings: ApplyOptions,
        (what, by): (Deed, &str),
        sink: &dyn EventSink,
        cancel: &CancellationToken,
    ) -> Result<Outcome, Error> {
        let is_nothing = self.is_nothing();
        let Self { changes, comparison, history } = self;
        for diagnostic in &changes.warnings {
            sink.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
        }
        settings.plan = comparison;
        let work =
            async { Ok(apply(engine, desired, &changes, &settings, sink, cancel.clone()).await) };
        if is_nothing {
            return work.await;
        }
        record_in(&history, engine, desired, &changes, (what, by), work).await
    }
}

/// A plan that was saved holds only as long as nothing has changed.
fn require_same(expected: &Changes, found: &Changes) -> Result<(), Error> {
    if expected.digest() == found.digest() {
        return Ok(());
    }
    let mut diagnostic = Diagnostic::error(
        "plan-out-of-date",
        "the saved plan is out of date: the swarm, the sources or the images changed since",
    )
    .help("look at a new plan: `ailtire-build plan --deploy --out FILE`");
    let shape = |changes: &Changes| -> BTreeMap<String, (ObjectAction, Vec<FieldChange>)> {
        let services = changes.services();
        services
            .map(|(stack, service)| {
                let name = format!("{}/{}", stack.path, service.name);
                (name, (service.action, service.changes.clone()))
            })
            .collect()
    };
    let (expected, found) = (shape(expected), shape(found));
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for name in names.into_iter().filter(|name| expected.get(*name) != found.get(*name)) {
        diagnostic = diagnostic.detail(format!("{name} is not as planned"));
    }
    Err(Error::Definitions(vec![diagnostic]))
}

/// Does `work` while nobody else deploys the application; nothing where it is cancelled before.
pub(crate) async fn locked<T>(
    identity: &Identity,
    (command, by): (&str, &str),
    engine: &Engine,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
    work: impl AsyncFnOnce(&CancellationToken) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let holder = format!("{by}, process {}, `{command}`", std::process::id());
    let lock = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(None),
        lock = DeploymentLock::take(engine, identity, &holder, sink) => lock?,
    };
    let either = cancel.child_token();
    let watching = tokio::spawn({
        let (lost, either) = (lock.lost().clone(), either.clone());
        async move {
            lost.cancelled().await;
            either.cancel();
        }
    });
    let result = work(&either).await;
    watching.abort();
    let was_lost = lock.lost().is_cancelled();
    // One that can't be given back ends by itself, and is no reason to forget what was done.
    let _ = lock.release().await;
    let outcome = result?;
    if was_lost {
        return Err(Error::LockLost);
    }
    Ok(Some(outcome))
}

fn pinned(built: &BuiltReference) -> PinnedImage {
    PinnedImage {
        id: built.image_id.clone(),
        fingerprint: built.fingerprint.clone(),
        digest: built.digest.clone(),
    }
}
