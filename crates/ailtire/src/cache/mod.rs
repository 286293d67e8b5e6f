//! A registry as the memory of all machines: what one has built need not be built by another.
//!
//! Before anything is built, the fingerprint of each image that is not fresh is looked up, all at
//! once. A hit needs a statement ([`statement`]) and the image that it names, both checked. What
//! can't be used, for whatever reason, is a warning, and the image is built.

mod import;
mod publish;
mod run;
mod signed;
pub(crate) mod statement;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use ailtire_docker::{Engine, RegistrySetup};
use ailtire_events::{Diagnostic, EventKind, EventSink};
use ailtire_fingerprint::BaseIdentity;
use ailtire_registry::{Client, Manifest, RegistryError};
use ailtire_tree::Digest;
use futures_util::StreamExt;

use crate::plan::{Action, Plan, PlannedBase, PlannedImage};
use crate::platforms::Index;
use crate::registries::{self, Place};
use statement::Statement;

pub use signed::CacheTrust;

/// How many images are looked up at once.
const AT_ONCE: usize = 32;

/// How a registry is used as a memory.
#[derive(Debug, Clone, Default)]
pub struct CacheOptions {
    /// Whether nothing is written: for those whose builds others must not trust.
    pub read_only: bool,
    /// Whether a registry that can't be used ends the run, instead of having everything built.
    pub required: bool,
    /// Whether the engine fetches what a registry has.
    pub load: bool,
    /// How long a registry may take for an answer; absent: as long as any other may.
    pub timeout: Option<Duration>,
    /// Whose statements are believed, and how own ones are signed.
    pub trust: CacheTrust,
}

/// An image that a registry has, made from the inputs that it is to be made from.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) statement: Statement,
    pub(crate) manifest: Manifest,
    /// Whether the first reference names it already.
    first_is_set: bool,
}

/// What is known of the registries of one run.
pub(crate) struct Cache {
    pub(crate) options: CacheOptions,
    client: Client,
    setup: RegistrySetup,
    /// Whether the registry could be asked when the run began.
    answers: bool,
    /// Ids of bases from elsewhere that the engine lacks, as registries have them.
    bases: HashMap<(String, Option<String>), String>,
    /// Fingerprints by position in the plan; none where a base is not known.
    fingerprints: Vec<Option<Digest>>,
    /// What was found, by position in the plan.
    pub(crate) hits: Vec<Option<Hit>>,
    /// Positions of images that the engine itself has to have.
    pub(crate) needed: BTreeSet<usize>,
}

impl Cache {
    /// Looks everything up that `plan` would build, but for the images in `forced`.
    ///
    /// # Errors
    ///
    /// What a registry said, where a cache is required; otherwise it is a warning.
    pub(crate) async fn look_up(
        options: CacheOptions,
        plan: &Plan,
        forced: &[usize],
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<Self, crate::Error> {
        let setup = engine.registry_setup().await?;
        let bases = plan.images.iter().flat_map(|image| &image.bases);
        let references = plan.images.iter().flat_map(|image| &image.settings.references);
        let references = references.chain(bases.map(|base| &base.reference));
        let client = registries::client(references, engine, &setup, options.timeout).await;
        let mut cache = Self {
            options,
            client,
            setup,
            answers: true,
            bases: HashMap::new(),
            fingerprints: Vec::new(),
            hits: Vec::new(),
            needed: BTreeSet::new(),
        };
        let found = cache.find(plan, forced, sink).await;
        if let Err(error) = found {
            if cache.options.required {
                return Err(crate::Error::Cache(error));
            }
            let diagnostic = Diagnostic::warning("cache-unavailable", error.to_string());
            let diagnostic = diagnostic.help(error.help()).detail("what is not fresh is built");
            sink.emit(EventKind::Diagnostic { diagnostic });
            // Nothing half-known is used, and nothing is written to what can't be read.
            cache.hits = vec![None; plan.images.len()];
            cache.options.read_only = true;
            cache.answers = false;
        }
        cache.fingerprints.resize(plan.images.len(), None);
        cache.needed = cache.needed_in(plan);
        Ok(cache)
    }

    async fn find(
        &mut self,
        plan: &Plan,
        forced: &[usize],
        sink: &dyn EventSink,
    ) -> Result<(), RegistryError> {
        self.bases = self.foreign_bases(plan).await?;
        self.fingerprints = self.all_fingerprints(plan);
        let this = &*self;
        let lookups = plan.images.iter().zip(&this.fingerprints).map(|(image, fingerprint)| {
            let wanted =
                matches!(image.action, Action::Build(_)) && !forced.contains(&image.definition);
            let fingerprint = fingerprint.filter(|_| wanted);
            async move {
                match fingerprint {
                    Some(fingerprint) => this.one(image, fingerprint, sink).await,
                    None => Ok(None),
                }
            }
        });
        let lookups = futures_util::stream::iter(lookups).buffered(AT_ONCE);
        let found: Vec<_> = lookups.collect().await;
        let mut denied = Vec::new();
        for hit in found {
            match hit {
                // Many registries say so of a repository that is not there yet, too.
                Err(error @ RegistryError::Denied { .. }) if !self.options.required => {
                    denied.push(error);
                    self.hits.push(None);
                }
                other => self.hits.push(other?),
            }
        }
        if let Some(error) = denied.first() {
            let images = if denied.len() == 1 { "image" } else { "images" };
            let message = format!("{} {images} could not be looked up: {error}", denied.len());
            let diagnostic = Diagnostic::warning("cache-unavailable", message);
            let diagnostic = diagnostic.help(error.help());
            sink.emit(EventKind::Diagnostic { diagnostic });
        }
        Ok(())
    }

    /// Looks one image up.
    async fn one(
        &self,
        image: &PlannedImage,
        fingerprint: Digest,
        sink: &dyn EventSink,
    ) -> Result<Option<Hit>, RegistryError> {
        let Some(place) = Place::of(&image.reference) else { return Ok(None) };
        // What is set by manifest alone has to stay where its layers are.
        let is_near = |other: Place| {
            (&other.registry, &other.repository) == (&place.registry, &place.repository)
        };
        let references = image.settings.references.iter();
        if !references.map(|it| Place::of(it)).all(|it| it.is_some_and(is_near)) {
            return Ok(None);
        }
        match self.checked(&place, image, fingerprint).await {
            Ok(found) => Ok(found),
            Err(Unusable::Registry(error @ RegistryError::Denied { .. })) => Err(error),
            Err(Unusable::Registry(error)) if error.is_registrys() => Err(error),
            Err(Unusable::Registry(error)) if self.options.required => Err(error),
            Err(unusable) => {
                let why = match unusable {
                    Unusable::Registry(error) => error.to_string(),
                    Unusable::Statement(why) => why,
                };
                let message = format!(
                    "what the registry says about `{}` is not used: {why}",
                    image.reference
                );
                let diagnostic = Diagnostic::warning("cache-entry-refused", message)
                    .help("the image is built instead");
                sink.emit(EventKind::Diagnostic { diagnostic });
                Ok(None)
            }
        }
    }

    async fn checked(
        &self,
        Place { registry, repository, tag }: &Place,
        image: &PlannedImage,
        fingerprint: Digest,
    ) -> Result<Option<Hit>, Unusable> {
        let platform = self.platform(image);
        let statement_tag = statement::tag(fingerprint, &platform);
        let Some(stated) = self.client.manifest(registry, repository, &statement_tag).await? else {
            return Ok(None);
        };
        let statement =
            Statement::read(&stated, fingerprint, &platform).map_err(Unusable::Statement)?;
        let keys = &self.options.trust.keys;
        let signed = async {
            if keys.is_empty() {
                return Ok(Ok(()));
            }
            statement.check(&self.client, (registry, repository), keys).await
        };
        let named = self.client.manifest(registry, repository, tag);
        let (named, signed) = futures_util::future::try_join(named, signed).await?;
        signed.map_err(Unusable::Statement)?;
        let named = named.filter(|manifest| manifest.digest == statement.digest);
        let first_is_set = named.is_some();
        let manifest = match named {
            Some(manifest) => Some(manifest),
            None => self.client.manifest(registry, repository, &statement.digest).await?,
        };
        let Some(manifest) = manifest else {
            let why = format!("there is no `{}`", statement.digest);
            return Err(Unusable::Statement(why));
        };
        if statement::image_id(&manifest).as_deref() != Some(&*statement.image_id) {
            let why = format!("`{}` is not the image that it names", statement.digest);
            return Err(Unusable::Statement(why));
        }
        Ok(Some(Hit { statement, manifest, first_is_set }))
    }

    /// What an image is built for.
    fn platform(&self, image: &PlannedImage) -> String {
        let platforms = &image.settings.platforms;
        if platforms.is_empty() { self.setup.platform.clone() } else { platforms.join(",") }
    }

    /// The fingerprints of all images, as they will be when they are built.
    fn all_fingerprints(&self, plan: &Plan) -> Vec<Option<Digest>> {
        let mut all: Vec<Option<Digest>> = Vec::with_capacity(plan.images.len());
        for image in &plan.images {
            let identity = |base: &PlannedBase| match base.image {
                Some(position) => all[position].map(BaseIdentity::Built),
                None => self.base_id(base).map(|id| BaseIdentity::External(Some(id))),
            };
            let identities: Option<Vec<_>> = image
                .bases
                .iter()
                .map(|base| Some((base.reference.clone(), identity(base)?)))
                .collect();
            all.push(identities.map(|identities| {
                let references = &image.settings.references;
                ailtire_fingerprint::fingerprint(image.key, references, &identities)
            }));
        }
        all
    }

    /// The id of a base from elsewhere: as the engine has it, else as its registry does.
    pub(crate) fn base_id(&self, base: &PlannedBase) -> Option<String> {
        if base.present {
            return base.image_id.clone();
        }
        self.bases.get(&(base.reference.clone(), base.platform.clone())).cloned()
    }

    /// Asks registries what bases from elsewhere are that the engine lacks. One that nobody knows
    /// has no identity, and no image on it has a fingerprint.
    async fn foreign_bases(
        &self,
        plan: &Plan,
    ) -> Result<HashMap<(String, Option<String>), String>, RegistryError> {
        let images = plan.images.iter();
        let missing: HashSet<_> = images
            .filter(|image| image.action != Action::Fresh)
            .flat_map(|image| &image.bases)
            .filter(|base| base.image.is_none() && !base.present)
            .map(|base| (base.reference.clone(), base.platform.clone()))
            .collect();
        let lookups = futures_util::stream::iter(missing).map(|base| async {
            let platform = base.1.as_deref().unwrap_or(&self.setup.platform);
            let id = self.foreign_id(&base.0, platform).await;
            (base, id)
        });
        let found: Vec<_> = lookups.buffer_unordered(AT_ONCE).collect().await;
        // What keeps a base from being known keeps only images on it from being looked up.
        let known = found.into_iter().filter_map(|(base, id)| Some((base, id.ok()??)));
        Ok(known.collect())
    }

    /// The id of the image that `reference` names for `platform`.
    async fn foreign_id(
        &self,
        reference: &str,
        platform: &str,
    ) -> Result<Option<String>, RegistryError> {
        let Some(Place { registry, repository, tag }) = Place::of(reference) else {
            return Ok(None);
        };
        let Some(manifest) = self.client.manifest(&registry, &repository, &tag).await? else {
            return Ok(None);
        };
        let Some(index) = Index::read(&manifest) else {
            return Ok(statement::image_id(&manifest));
        };
        let Some(digest) = index.digest_for(platform) else { return Ok(None) };
        let manifest = self.client.manifest(&registry, &repository, digest).await?;
        Ok(manifest.as_ref().and_then(statement::image_id))
    }

    /// Images that were found and that the engine has to have all the same.
    fn needed_in(&self, plan: &Plan) -> BTreeSet<usize> {
        let found = |position: usize| self.hits[position].is_some();
        let positions = 0..plan.images.len();
        if self.options.load {
            return positions.filter(|&position| found(position)).collect();
        }
        let built = plan.images.iter().zip(&self.hits);
        let built =
            built.filter(|(image, hit)| matches!(image.action, Action::Build(_)) && hit.is_none());
        let bases = built.flat_map(|(image, _)| &image.bases).filter_map(|base| base.image);
        bases.filter(|&position| found(position)).collect()
    }
}

/// Why something that was found is not used.
enum Unusable {
    Registry(RegistryError),
    Statement(String),
}

impl From<RegistryError> for Unusable {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}
