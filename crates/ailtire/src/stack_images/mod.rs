//! Stack images: the program that runs a stack, and the stack's design.
//!
//! A stack image pins what its services run: those images of the application, other stacks' among
//! them, are its bases. They are built first, and where one comes out changed, so does the stack
//! image. So one reference names everything that a tree of stacks runs.

mod order;
mod program;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ailtire_compose::{
    BUNDLE_DESIGN, BUNDLE_DIRECTORY, BUNDLE_FILE, BUNDLE_FORMAT, BUNDLE_IMAGES, Bundle,
    BundledDesign, BundledImages, MANAGER_PROGRAM, Purpose, StackContext, StackDesign,
    family_template,
};
use ailtire_context::{Base, BaseKind, BuildContext, Content, Dockerfile};
use ailtire_events::Diagnostic;
use ailtire_manifest::{ImageDefinition, fill_excerpts};
use ailtire_tree::Digest;
use rayon::prelude::*;

pub use program::ManagerProgram;

use crate::Application;
use crate::stacks::{ImageNames, Meaning, replicated};

/// What a stack image is built by. It fails its health check until its stack was deployed for the
/// first time, however long that takes: what waits for the stack's service waits for the stack.
const DOCKERFILE: &str = "\
FROM scratch
COPY ailtire-manager /ailtire-manager
COPY stack /stack
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=1s --timeout=5s --start-period=24h --retries=5 \
CMD [\"/ailtire-manager\", \"healthy\"]
ENTRYPOINT [\"/ailtire-manager\"]
";

/// What a stack image is made of, but for the program.
#[derive(Debug)]
pub(crate) struct StackImage {
    /// Its Dockerfile; the bases are the images that its services run.
    pub(crate) dockerfile: Dockerfile,
    /// Paths in the context and contents.
    files: Vec<(String, Arc<[u8]>)>,
    /// Warnings about the design.
    diagnostics: Vec<Diagnostic>,
}

/// The stack images of an application by their index in the definitions, or what is wrong with
/// them.
pub(crate) type StackImages = HashMap<usize, Result<StackImage, Vec<Diagnostic>>>;

/// A design on its way into an image.
struct Draft {
    package: usize,
    design: StackDesign,
    /// Images of the application that its services run, and the line that names each first.
    bases: BTreeMap<String, u32>,
    /// Packages of the stacks that its services run, by service.
    children: BTreeMap<String, usize>,
    diagnostics: Vec<Diagnostic>,
}

impl Application {
    /// The stack images, read once.
    pub(crate) fn stack_images(&self) -> &StackImages {
        self.stack_images.get_or_init(|| self.read_stack_images())
    }

    fn read_stack_images(&self) -> StackImages {
        let images = self.definitions.images.iter().enumerate();
        let stacks: Vec<(usize, &ImageDefinition)> =
            images.filter(|(_, image)| image.is_stack).collect();
        if stacks.is_empty() {
            return StackImages::new();
        }
        let names = ImageNames::new(&self.definitions, &self.load_options);
        let known = names.of_stacks();
        let mut drafts: BTreeMap<usize, Draft> = stacks
            .par_iter()
            .map(|(_, image)| (image.package, self.stack_draft(image.package, &names, &known)))
            .collect();
        let families: BTreeMap<usize, _> = drafts
            .iter()
            .map(|(package, draft)| (*package, family_template(&draft.design)))
            .collect();
        for draft in drafts.values_mut() {
            for (service, child) in &draft.children {
                if let Some(service) = draft.design.services.get_mut(service) {
                    service.family = families.get(child).cloned().flatten();
                }
            }
        }
        order::add_dependencies(&self.definitions.packages, &mut drafts);
        let finish = |(index, image): &(usize, &ImageDefinition)| {
            Some((*index, self.finish_stack_image(image, drafts.get(&image.package)?)))
        };
        stacks.par_iter().filter_map(finish).collect()
    }

    /// Reads the design of the stack of `package`, and says what its images mean.
    fn stack_draft(
        &self,
        package: usize,
        names: &ImageNames<'_>,
        known: &BTreeSet<String>,
    ) -> Draft {
        let mut draft = Draft {
            package,
            design: StackDesign::default(),
            bases: BTreeMap::new(),
            children: BTreeMap::new(),
            diagnostics: Vec::new(),
        };
        let Some(deployment) = &self.definitions.packages[package].deployment else { return draft };
        let options = &self.load_options;
        let context = StackContext {
            application: self.definitions.instance.clone(),
            environment: self.definitions.environment.clone(),
            variables: deployment.variables.clone(),
            command_line: options.variables.clone(),
            process: options.process_environment.clone(),
            stack_images: known.clone(),
            fix_tags: options.fix_tags,
            purpose: Purpose::Image,
            ..StackContext::default()
        };
        let read = ailtire_compose::read(&self.tree, &deployment.design, &context);
        draft.diagnostics = read.diagnostics;
        draft.design = read.design.unwrap_or_default();
        self.link_images(&mut draft, names);
        draft
    }

    /// Gives images of the application their full reference, and makes them bases.
    fn link_images(&self, draft: &mut Draft, names: &ImageNames<'_>) {
        for (name, service) in &mut draft.design.services {
            let location = service.image_location.clone();
            match names.meaning(&service.image, service.is_stack) {
                Meaning::Foreign if service.is_stack => {
                    let unknown = names.unknown_stack(&service.image).at(location);
                    draft.diagnostics.push(unknown);
                    continue;
                }
                Meaning::Foreign => continue,
                Meaning::Built(reference) => service.image = reference,
                Meaning::Stack(package, reference) => {
                    // Whatever tag it asks for: the stack that is there is the one that is built.
                    let own = self.definitions.packages[package].deployment.as_ref();
                    let own = own.map(|deployment| &deployment.references);
                    let is_own = own.is_some_and(|own| own.contains(&reference));
                    let first = own.and_then(|own| own.first()).filter(|_| !is_own);
                    service.image = first.cloned().unwrap_or(reference);
                    service.is_stack = true;
                    draft.children.insert(name.clone(), package);
                    if let Some(replicas) = service.deploy.replicas.filter(|count| *count > 1) {
                        service.deploy.replicas = Some(1);
                        let location = service.location.clone();
                        draft.diagnostics.push(replicated(name, replicas, location));
                    }
                }
            }
            draft.bases.entry(service.image.clone()).or_insert(location.line.unwrap_or_default());
        }
    }

    fn finish_stack_image(
        &self,
        image: &ImageDefinition,
        draft: &Draft,
    ) -> Result<StackImage, Vec<Diagnostic>> {
        let mut diagnostics = draft.diagnostics.clone();
        fill_excerpts(&self.tree, &mut diagnostics);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(diagnostics);
        }
        let BundledDesign { text, files } = BundledDesign::new(&draft.design);
        let bundle = Bundle {
            format: BUNDLE_FORMAT,
            name: image.name.clone(),
            package: self.definitions.packages[draft.package].key.clone(),
            application: self.definitions.name.clone(),
            environment: self.definitions.environment.clone(),
            version: self.definitions.release_version.clone(),
        };
        let mut all: Vec<(String, Vec<u8>)> = files.into_iter().collect();
        all.push((BUNDLE_DESIGN.to_owned(), text.into_bytes()));
        all.push((BUNDLE_FILE.to_owned(), json(&bundle)));
        let in_bundle = |(path, bytes): (String, Vec<u8>)| {
            (format!("{BUNDLE_DIRECTORY}/{path}"), Arc::from(bytes))
        };
        let bases = draft.bases.iter().map(|(reference, line)| Base {
            reference: reference.clone(),
            line: *line,
            kind: BaseKind::Service,
            platform: None,
        });
        let dockerfile = Dockerfile {
            source: image.dockerfile.clone(),
            text: DOCKERFILE.into(),
            digest: Digest::of(DOCKERFILE.as_bytes()),
            bases: bases.collect(),
            declared_arguments: BTreeSet::new(),
        };
        Ok(StackImage { dockerfile, files: all.into_iter().map(in_bundle).collect(), diagnostics })
    }

    /// The build context of a stack image, but for what the images that it pins are.
    ///
    /// # Errors
    ///
    /// What is wrong with its design.
    pub(crate) fn stack_context(&self, image: usize) -> Result<BuildContext, Vec<Diagnostic>> {
        let Some(stack) = self.stack_images().get(&image) else { return Err(Vec::new()) };
        let stack = stack.as_ref().map_err(Clone::clone)?;
        let files =
            stack.files.iter().map(|(path, bytes)| (path.clone(), 0o644, Arc::clone(bytes)));
        let mut context = BuildContext::generated(stack.dockerfile.clone(), files.collect());
        context.diagnostics.clone_from(&stack.diagnostics);
        // Where there is none, all but building can be done all the same.
        let program = self.manager.clone().unwrap_or_else(|| ManagerProgram::from(Vec::new()));
        context.add(MANAGER_PROGRAM, 0o755, program.content());
        Ok(context)
    }
}

/// `context` of a stack image with what the images that it pins are by now.
pub(crate) fn with_images(context: &BuildContext, images: &BundledImages) -> BuildContext {
    let mut context = context.clone();
    let bytes: Arc<[u8]> = json(images).into();
    let digest = Digest::of(&bytes);
    let path = format!("{BUNDLE_DIRECTORY}/{BUNDLE_IMAGES}");
    context.add(&path, 0o644, Content::Generated { bytes, digest });
    context
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // Neither holds anything that JSON can't say.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
