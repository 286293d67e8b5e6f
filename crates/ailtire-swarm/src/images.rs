//! Which image a service really runs: by digest where a registry has it, by id where only this
//! engine does.
//!
//! A tag alone is never enough: it may be moved, and a service that names it would not be changed
//! when its image is. So an image of the application runs by its id on a swarm of one node, which
//! also lets a way back find the image that ran before; on several nodes each of them has to get it
//! from a registry, and so by the digest that the registry has for what was built. It runs by a digest
//! on one node, too, where it was found in a registry, since the engine need not have it. And what
//! runs stays as it is called while it is the same image: another name would restart it.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_docker::{Engine, EngineError, ImageStore};
use ailtire_events::{Diagnostic, EventKind, EventSink, Location};
use ailtire_terms::reference::{canonical, split_tag};
use futures_util::StreamExt;

use crate::observe::Observed;
use crate::{Identity, ResolvedImage, ResolvedImages, label};

/// How many images are looked up at once.
const LOOKUPS: usize = 8;

/// The code of a finding about an image whose registry does not say what it is.
const NOT_RESOLVED: &str = "image-not-resolved";

/// Whether registries are asked which image a reference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResolveImage {
    /// For every image.
    #[default]
    Always,
    /// For images whose reference is not what already runs.
    Changed,
    /// Not at all: references go to the engine as they are.
    Never,
}

/// An image of the application, as it was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedImage {
    /// Its id in the engine that built it.
    pub id: String,
    /// Fingerprint of its inputs.
    pub fingerprint: String,
    /// Its digest, where it is known that the registry in its reference has it.
    pub digest: Option<String>,
}

/// What images are looked up with.
pub struct Lookup<'lookup> {
    /// The engine, which asks the registries.
    pub engine: &'lookup Engine,
    /// What the engine has.
    pub store: &'lookup ImageStore,
    /// What the application builds, by reference in canonical form.
    pub built: BTreeMap<String, PinnedImage>,
    /// What runs now: the image of a service's spec by the reference in its design.
    pub running: BTreeMap<String, String>,
    /// Nodes of the swarm.
    pub nodes: u64,
    /// Whether registries are asked.
    pub resolve: ResolveImage,
    /// Hears of images that keep what they are because nobody answers.
    pub sink: &'lookup dyn EventSink,
}

impl Observed {
    /// The images that services of a deployment run, by the reference in their design.
    pub fn running_images(&self, identity: &Identity) -> BTreeMap<String, String> {
        let services = self.services.iter();
        let services = services.filter(|service| identity.owns(&service.spec.labels));
        services
            .filter_map(|service| {
                let reference = service.spec.labels.get(label::IMAGE)?.clone();
                Some((reference, service.spec.task_template.container_spec.image.clone()))
            })
            .collect()
    }
}

impl Lookup<'_> {
    /// Every image of `wanted`, references and where designs have them.
    ///
    /// # Errors
    ///
    /// A finding for each image that services could not get.
    pub async fn all(
        &self,
        wanted: BTreeMap<String, Location>,
    ) -> Result<ResolvedImages, Vec<Diagnostic>> {
        let lookups = futures_util::stream::iter(wanted).map(|(reference, location)| async move {
            let found = self.one(&reference, &location).await;
            (reference, found)
        });
        let results: Vec<_> = lookups.buffer_unordered(LOOKUPS).collect().await;
        let mut images = ResolvedImages::new();
        let mut errors = Vec::new();
        for (reference, result) in results {
            match result {
                Ok(image) => {
                    images.insert(reference, image);
                }
                Err(error) => errors.push(*error),
            }
        }
        errors.sort_by(|one, other| one.message.cmp(&other.message));
        if errors.is_empty() { Ok(images) } else { Err(errors) }
    }

    async fn one(
        &self,
        reference: &str,
        location: &Location,
    ) -> Result<ResolvedImage, Box<Diagnostic>> {
        let built = self.built.get(&canonical(reference));
        let fingerprint = built.map(|built| built.fingerprint.clone());
        let run = match built {
            _ if self.resolve == ResolveImage::Never => reference.to_owned(),
            Some(built) if self.nodes <= 1 => self.on_one_node(reference, built),
            Some(built) => match self.found(reference, built) {
                Some(found) => found,
                None => self.pushed(reference, built, location).await?,
            },
            None => self.foreign(reference, location).await?,
        };
        Ok(ResolvedImage { run, fingerprint })
    }

    /// An image of the application, for a swarm of one node.
    fn on_one_node(&self, reference: &str, built: &PinnedImage) -> String {
        let is_built = |running: &&String| match running.split_once('@') {
            Some((_, digest)) => self.is_digest_of(reference, digest, built),
            None => **running == built.id,
        };
        let running = self.running.get(reference).filter(is_built).cloned();
        running.or_else(|| self.found(reference, built)).unwrap_or_else(|| built.id.clone())
    }

    /// An image of the application that a registry is known to have.
    fn found(&self, reference: &str, built: &PinnedImage) -> Option<String> {
        let digest = built.digest.as_deref()?;
        // Where the engine has the image, it knows what its digest is.
        let may_be =
            !self.store.contains_id(&built.id) || self.is_digest_of(reference, digest, built);
        may_be.then(|| with_digest(reference, digest))
    }

    /// Whether the engine knows that a registry has `built` under this digest.
    fn is_digest_of(&self, reference: &str, digest: &str, built: &PinnedImage) -> bool {
        let pinned = format!("{}@{digest}", split_tag(reference).0);
        self.store.id_of(&pinned) == Some(&*built.id)
    }

    /// An image of the application, for a swarm of several nodes.
    async fn pushed(
        &self,
        reference: &str,
        built: &PinnedImage,
        location: &Location,
    ) -> Result<String, Box<Diagnostic>> {
        let refuse = |why: String| {
            let (name, _) = split_tag(reference);
            let help = if name.contains(['.', ':']) {
                "push it: `ailtire-build build --push` with the same `--repo`".to_owned()
            } else {
                "name a registry that all nodes reach with `--repo REPOSITORY`, and push the images \
                 there (`ailtire-build build --push`)"
                    .to_owned()
            };
            let message =
                format!("`{reference}` is not where the {} nodes of the swarm get it", self.nodes);
            let diagnostic = Diagnostic::error("image-not-pushed", message).at(location.clone());
            Box::new(diagnostic.detail(why).help(help))
        };
        let is_built = |digest: &str| self.is_digest_of(reference, digest, built);
        let running = self
            .running
            .get(reference)
            .filter(|running| running.split_once('@').is_some_and(|(_, digest)| is_built(digest)));
        if let (ResolveImage::Changed, Some(running)) = (self.resolve, running) {
            return Ok(running.clone());
        }
        match (self.engine.distribution(reference).await, running) {
            (Ok(Some(digest)), _) if is_built(&digest) => Ok(with_digest(reference, &digest)),
            (Ok(Some(_)), _) => {
                Err(refuse("the registry has another image under this name".to_owned()))
            }
            (Ok(None), _) => Err(refuse("the registry does not have it".to_owned())),
            (Err(error), _) if is_engine_gone(&error) => Err(engine_lost(&error)),
            (Err(error), Some(running)) => {
                self.warn(reference, "what runs stays", &error, location);
                Ok(running.clone())
            }
            (Err(error), None) => Err(refuse(error.to_string())),
        }
    }

    /// An image from elsewhere.
    async fn foreign(
        &self,
        reference: &str,
        location: &Location,
    ) -> Result<String, Box<Diagnostic>> {
        if reference.contains('@') {
            return Ok(reference.to_owned());
        }
        let running = self.running.get(reference);
        if let (ResolveImage::Changed, Some(running)) = (self.resolve, running) {
            return Ok(running.clone());
        }
        let local = self.store.id_of(reference).filter(|_| self.nodes <= 1);
        let problem = match self.engine.distribution(reference).await {
            Ok(Some(digest)) => return Ok(with_digest(reference, &digest)),
            Ok(None) => absent(reference, location, self.built.keys()),
            Err(error) if is_engine_gone(&error) => return Err(engine_lost(&error)),
            Err(error) => {
                // What runs is known to be right; another name for the same image would restart it.
                if let Some(running) = running {
                    // Nor is it odd where only this engine has the image.
                    if local == Some(&**running) {
                        return Ok(running.clone());
                    }
                    self.warn(reference, "what runs stays", &error, location);
                    return Ok(running.clone());
                }
                let message = format!("`{reference}` could not be looked up");
                unresolved(Diagnostic::error(NOT_RESOLVED, message), &error, location)
            }
        };
        local.map(str::to_owned).ok_or(Box::new(problem))
    }

    fn warn(&self, reference: &str, what: &str, error: &EngineError, location: &Location) {
        let message = format!("`{reference}` could not be looked up; {what}");
        let diagnostic = unresolved(Diagnostic::warning(NOT_RESOLVED, message), error, location);
        self.sink.emit(EventKind::Diagnostic { diagnostic });
    }
}

fn is_engine_gone(error: &EngineError) -> bool {
    matches!(error, EngineError::Lost { .. } | EngineError::Unreachable { .. })
}

fn engine_lost(error: &EngineError) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("engine-lost", error.to_string()))
}

/// Says what a registry, or the engine, answered.
fn unresolved(diagnostic: Diagnostic, error: &EngineError, location: &Location) -> Diagnostic {
    diagnostic.at(location.clone()).detail(error.to_string()).help(error.help())
}

/// Nobody builds it, and no registry has it.
fn absent<'names>(
    reference: &str,
    location: &Location,
    built: impl Iterator<Item = &'names String>,
) -> Diagnostic {
    let names: BTreeSet<&str> =
        built.map(|name| name.trim_start_matches("docker.io/library/")).collect();
    let near = ailtire_terms::nearest(reference, names.into_iter());
    let message = format!("there is no image `{reference}`: the application does not build it");
    let why = "the registry does not have it";
    Diagnostic::error("no-such-image", message).at(location.clone()).detail(why).help(
        ailtire_terms::did_you_mean(&near).unwrap_or_else(|| {
            "define it in a `build.js`, pull it, or name a registry that has it".to_owned()
        }),
    )
}

/// `name:tag@digest`, as Docker pins an image.
fn with_digest(reference: &str, digest: &str) -> String {
    let (name, tag) = split_tag(reference);
    format!("{name}:{}@{digest}", tag.unwrap_or("latest"))
}
