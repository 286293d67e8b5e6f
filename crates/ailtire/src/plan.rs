//! What has to be done, and why, before anything is done.

use std::collections::HashMap;
use std::sync::Arc;

use ailtire_context::BuildContext;
use ailtire_docker::ImageStore;
use ailtire_events::{Diagnostic, DirtyReason};
use ailtire_fingerprint::{
    BaseIdentity, FORMAT, ImageInputs, Record, Records, Settings, compare, fingerprint,
};
use ailtire_tree::Digest;
use rayon::prelude::*;

use crate::Application;
use crate::graph::ImageGraph;
use crate::settings::settings_of;

/// What a plan is made for.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Indices of the images to bring up to date; what they need comes along.
    pub images: Vec<usize>,
    /// Indices of images to build whatever is recorded.
    pub forced: Vec<usize>,
    /// Platforms that replace those of the definitions.
    pub platforms: Vec<String>,
}

/// A base image of a planned image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedBase {
    /// The reference in the Dockerfile.
    pub reference: String,
    /// Platform that the Dockerfile asks for.
    pub platform: Option<String>,
    /// Position, in [`Plan::images`], of the image that carries the reference.
    pub image: Option<usize>,
    /// For a base from elsewhere: its id, where it is known without fetching anything.
    pub image_id: Option<String>,
    /// Whether the engine has a base from elsewhere.
    pub present: bool,
}

/// What has to be done with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Fresh,
    /// It is there and only lacks references.
    Tag(Vec<DirtyReason>),
    /// It has to be built; where all reasons are cascades, only if its bases come out changed.
    Build(Vec<DirtyReason>),
}

impl Action {
    /// Why it is not fresh, root causes first.
    pub fn reasons(&self) -> &[DirtyReason] {
        match self {
            Self::Fresh => &[],
            Self::Tag(reasons) | Self::Build(reasons) => reasons,
        }
    }
}

/// An image in a plan.
#[derive(Debug, Clone)]
pub struct PlannedImage {
    /// Index in the definitions' images.
    pub definition: usize,
    /// The reference that names it.
    pub reference: String,
    /// What has to be done.
    pub action: Action,
    /// Its bases, in the order of the Dockerfile.
    pub bases: Vec<PlannedBase>,
    /// Digest of its inputs but other images.
    pub key: Digest,
    /// Fingerprint, as far as its bases are known now.
    pub fingerprint: Digest,
    /// What is recorded of it.
    pub record: Option<Record>,
    /// What it is built with.
    pub settings: Settings,
    /// Entries of its context and their bytes in all.
    pub context_size: (usize, u64),
    /// The context, of images that may be built.
    pub(crate) context: Option<Arc<BuildContext>>,
}

/// What has to be done, each image after what it needs.
#[derive(Debug)]
pub struct Plan {
    /// The images.
    pub images: Vec<PlannedImage>,
    /// Warnings about contexts and Dockerfiles.
    pub diagnostics: Vec<Diagnostic>,
}

impl Plan {
    /// How many images are not fresh.
    pub fn dirty(&self) -> usize {
        self.images.iter().filter(|image| image.action != Action::Fresh).count()
    }
}

impl Application {
    /// Plans what bringing the images of `options` up to date takes.
    ///
    /// Without the images of an engine (`store`), those of the records are taken to be there.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the contexts and Dockerfiles of these images.
    pub fn plan(
        &self,
        options: &PlanOptions,
        records: &Records,
        store: Option<&ImageStore>,
    ) -> Result<Plan, Vec<Diagnostic>> {
        self.drafts(options, records)?.decide(self, store)
    }

    /// The part of planning that needs no engine.
    pub(crate) fn drafts(
        &self,
        options: &PlanOptions,
        records: &Records,
    ) -> Result<Drafts, Vec<Diagnostic>> {
        let graph = self.graph();
        let order = graph.in_order(&options.images, &self.definitions)?;
        let drafts: Vec<_> =
            order.par_iter().map(|&image| self.draft(image, &graph, options, records)).collect();
        let errors: Vec<_> =
            drafts.iter().filter_map(|draft| draft.as_ref().err()).flatten().collect();
        if !errors.is_empty() {
            return Err(errors.into_iter().cloned().collect());
        }
        Ok(Drafts { graph, list: drafts.into_iter().flatten().collect() })
    }

    /// Everything about an image that does not depend on other images.
    fn draft(
        &self,
        index: usize,
        graph: &ImageGraph,
        options: &PlanOptions,
        records: &Records,
    ) -> Result<Draft, Vec<Diagnostic>> {
        let definition = &self.definitions.images[index];
        let mut context = self.assemble(index, graph)?;
        let settings = settings_of(&self.definitions, definition, &options.platforms);
        let inputs = ImageInputs { context: &context, settings: &settings };
        let key = inputs.key();
        let record = records.get(definition.reference());
        let mut reasons = Vec::new();
        match &record {
            None => reasons.push(DirtyReason::NeverBuilt),
            Some(record) if record.format != FORMAT => {
                reasons.push(DirtyReason::FingerprintFormat { old: record.format, new: FORMAT });
            }
            Some(record) if record.key != key => {
                let explained = records.explanation(definition.reference());
                let explained = explained.map(|(old, _)| compare(&old, &inputs.record()));
                let explained = explained.filter(|reasons| !reasons.is_empty());
                reasons.extend(explained.unwrap_or_else(|| vec![DirtyReason::InputsChanged]));
            }
            Some(record) if record.references != definition.references => {
                let (old, new) = (record.references.clone(), definition.references.clone());
                reasons.push(DirtyReason::References { old, new });
            }
            Some(_) => {}
        }
        if options.forced.contains(&index) {
            reasons.insert(0, DirtyReason::Forced);
        }
        let size = (context.entries.len(), context.total_bytes());
        let diagnostics = std::mem::take(&mut context.diagnostics);
        // Most images are fresh in most runs, and a thousand contexts take memory: one that turns
        // out to be needed all the same is put together once more, from what the tree knows.
        let context = (!reasons.is_empty()).then_some(context);
        Ok(Draft { index, key, record, settings, reasons, diagnostics, size, context })
    }

    /// The build context of an image.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or with its Dockerfile.
    pub(crate) fn assemble(
        &self,
        index: usize,
        graph: &ImageGraph,
    ) -> Result<BuildContext, Vec<Diagnostic>> {
        let definition = &self.definitions.images[index];
        if definition.is_stack {
            return self.stack_context(index);
        }
        let mut dockerfile = graph.dockerfiles[index].clone()?;
        // `ONBUILD ARG` of a base declares arguments in what is built on it.
        for base in graph.needed_by(index) {
            if let Ok(base) = &graph.dockerfiles[base] {
                dockerfile.declared_arguments.extend(base.declared_arguments.iter().cloned());
            }
        }
        ailtire_context::assemble_with(&self.tree, &self.definitions, definition, dockerfile)
    }
}

/// What is known of the images of a plan before the engine was asked.
#[derive(Debug)]
pub(crate) struct Drafts {
    graph: ImageGraph,
    /// Each after what it needs.
    list: Vec<Draft>,
}

impl Drafts {
    /// Decides what has to be done with each image.
    ///
    /// # Errors
    ///
    /// What is wrong with contexts, where one has to be put together once more.
    pub(crate) fn decide(
        self,
        application: &Application,
        store: Option<&ImageStore>,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let positions: HashMap<usize, usize> =
            self.list.iter().enumerate().map(|(position, draft)| (draft.index, position)).collect();
        let planner = Planner { application, graph: &self.graph, store, positions };
        let mut images = Vec::with_capacity(self.list.len());
        let mut diagnostics = Vec::new();
        for mut draft in self.list {
            diagnostics.append(&mut draft.diagnostics);
            let image = planner.decide(draft, &images)?;
            images.push(image);
        }
        Ok(Plan { images, diagnostics })
    }
}

#[derive(Debug)]
struct Draft {
    index: usize,
    key: Digest,
    record: Option<Record>,
    settings: Settings,
    reasons: Vec<DirtyReason>,
    diagnostics: Vec<Diagnostic>,
    size: (usize, u64),
    context: Option<BuildContext>,
}

/// Decides about one image after the other, each after those that it needs.
struct Planner<'run> {
    application: &'run Application,
    graph: &'run ImageGraph,
    store: Option<&'run ImageStore>,
    positions: HashMap<usize, usize>,
}

impl Planner<'_> {
    fn decide(
        &self,
        draft: Draft,
        earlier: &[PlannedImage],
    ) -> Result<PlannedImage, Vec<Diagnostic>> {
        let definition = &self.application.definitions.images[draft.index];
        let bases = self.bases(&draft);
        let mut reasons = draft.reasons;
        if let Some(record) = &draft.record {
            reasons.extend(bases.iter().filter_map(|base| base_reason(base, record, earlier)));
            reasons.extend(
                self.store
                    .into_iter()
                    .flat_map(|store| missing(record, &definition.references, store)),
            );
        }
        // Stable: root causes stay in their order and come before what follows from them.
        reasons.sort_by_key(DirtyReason::is_cascade);
        let action = match &draft.record {
            _ if reasons.is_empty() => Action::Fresh,
            Some(record) if self.only_lacks_references(record, &reasons) => Action::Tag(reasons),
            _ => Action::Build(reasons),
        };
        let identities: Vec<_> =
            bases.iter().map(|base| (base.reference.clone(), identity(base, earlier))).collect();
        let fingerprint = fingerprint(draft.key, &draft.settings.references, &identities);
        let context = match (&action, draft.context) {
            (Action::Build(_), Some(context)) => Some(context),
            (Action::Build(_), None) => Some(self.application.assemble(draft.index, self.graph)?),
            _ => None,
        };
        Ok(PlannedImage {
            definition: draft.index,
            reference: definition.reference().to_owned(),
            action,
            bases,
            key: draft.key,
            fingerprint,
            record: draft.record,
            settings: draft.settings,
            context_size: draft.size,
            context: context.map(Arc::new),
        })
    }

    fn bases(&self, draft: &Draft) -> Vec<PlannedBase> {
        let dockerfile = self.graph.dockerfiles[draft.index].as_ref();
        let bases = dockerfile.map_or(&[][..], |dockerfile| &dockerfile.bases).iter();
        bases
            .map(|base| {
                let image = self.graph.builder(&base.reference);
                let found = self.store.and_then(|store| store.id_of(&base.reference));
                let recorded = || recorded_id(draft.record.as_ref()?, &base.reference);
                let external = image.is_none();
                PlannedBase {
                    reference: base.reference.clone(),
                    platform: base.platform.clone(),
                    image: image.and_then(|image| self.positions.get(&image).copied()),
                    present: external && found.is_some(),
                    // A base that the engine lost can't have changed the image that was built on it.
                    image_id: found.map(str::to_owned).or_else(recorded).filter(|_| external),
                }
            })
            .collect()
    }

    fn only_lacks_references(&self, record: &Record, reasons: &[DirtyReason]) -> bool {
        let references = reasons.iter().all(|reason| {
            matches!(
                reason,
                DirtyReason::References { .. }
                    | DirtyReason::ImageMissing { .. }
                    | DirtyReason::ImageReplaced { .. }
            )
        });
        references && self.store.is_none_or(|store| store.contains_id(&record.image_id))
    }
}

/// The recorded id of the base `reference`.
pub(crate) fn recorded_id(record: &Record, reference: &str) -> Option<String> {
    let base = record.bases.iter().find(|base| base.reference == reference)?;
    base.image_id.clone()
}

fn base_reason(
    base: &PlannedBase,
    record: &Record,
    earlier: &[PlannedImage],
) -> Option<DirtyReason> {
    let reference = base.reference.clone();
    let old = recorded_id(record, &reference);
    let Some(image) = base.image.map(|position| &earlier[position]) else {
        let new = base.image_id.clone();
        return (old != new).then_some(DirtyReason::ExternalBase { reference, old, new });
    };
    if matches!(image.action, Action::Build(_)) {
        return Some(DirtyReason::BaseDirty { reference });
    }
    let new = image.record.as_ref().map(|record| record.image_id.clone());
    (old != new).then_some(DirtyReason::BaseChanged { reference, old, new })
}

fn identity(base: &PlannedBase, earlier: &[PlannedImage]) -> BaseIdentity {
    match base.image {
        Some(position) => BaseIdentity::Built(earlier[position].fingerprint),
        None => BaseIdentity::External(base.image_id.clone()),
    }
}

/// The references under which the engine has not the recorded image.
fn missing<'run>(
    record: &'run Record,
    references: &'run [String],
    store: &'run ImageStore,
) -> impl Iterator<Item = DirtyReason> + 'run {
    references.iter().filter(|reference| record.references.contains(reference)).filter_map(
        |reference| match store.id_of(reference) {
            Some(id) if id == record.image_id => None,
            Some(id) => Some(DirtyReason::ImageReplaced {
                reference: reference.clone(),
                old: record.image_id.clone(),
                new: id.to_owned(),
            }),
            None => Some(DirtyReason::ImageMissing {
                reference: reference.clone(),
                image_id: record.image_id.clone(),
            }),
        },
    )
}
