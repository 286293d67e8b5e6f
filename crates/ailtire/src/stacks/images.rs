//! What the image of a service means: a stack, an image of the application, or another one.

use std::collections::{BTreeSet, HashMap};

use ailtire_events::Diagnostic;
use ailtire_manifest::{Application as Definitions, ImageDefinition, LoadOptions};
use ailtire_terms::reference::{canonical, split_tag, suggest};
use ailtire_terms::{did_you_mean, nearest};

/// What an image means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The stack of this package; the reference of its image.
    Stack(usize, String),
    /// An image that the application builds: its reference.
    Built(String),
    /// An image from elsewhere.
    Foreign,
}

/// The names of all stacks and images of an application.
pub(crate) struct ImageNames<'application> {
    definitions: &'application Definitions,
    /// What references start with where `--repo` is given, with its slash.
    prefix: String,
    fix_tags: bool,
    /// Package and reference of each stack image, by any of its canonical references.
    stacks: HashMap<String, (usize, &'application str)>,
    /// Packages by the name of their stack.
    names: HashMap<&'application str, usize>,
    /// References of the images that the application builds, by any canonical form of them.
    images: HashMap<String, &'application str>,
}

/// The images that some `build.js` defines.
fn own_images(definitions: &Definitions) -> impl Iterator<Item = &ImageDefinition> {
    definitions.images.iter().filter(|image| !image.is_stack)
}

impl<'application> ImageNames<'application> {
    pub(crate) fn new(definitions: &'application Definitions, options: &LoadOptions) -> Self {
        let repository = options.repository.as_deref().unwrap_or_default().trim_end_matches('/');
        let prefix = if repository.is_empty() { String::new() } else { format!("{repository}/") };
        let mut names = Self {
            definitions,
            prefix,
            fix_tags: options.fix_tags,
            stacks: HashMap::new(),
            names: HashMap::new(),
            images: HashMap::new(),
        };
        let stacks = definitions.packages.iter().enumerate();
        for (package, deployment) in
            stacks.filter_map(|(index, package)| Some((index, package.deployment.as_ref()?)))
        {
            names.names.insert(&deployment.name, package);
            for reference in &deployment.references {
                let value = (package, reference.as_str());
                let bare = canonical(names.bare(reference));
                names.stacks.entry(bare).or_insert(value);
                names.stacks.insert(canonical(reference), value);
            }
        }
        for reference in own_images(definitions).flat_map(|image| &image.references) {
            let bare = canonical(names.bare(reference));
            names.images.entry(bare).or_insert(reference);
        }
        // What is written in full means just that.
        for reference in own_images(definitions).flat_map(|image| &image.references) {
            names.images.insert(canonical(reference), reference);
        }
        names
    }

    /// `reference` without the repository of the command line.
    fn bare<'text>(&self, reference: &'text str) -> &'text str {
        reference.strip_prefix(&self.prefix).unwrap_or(reference)
    }

    /// Every reference of a stack, in canonical form, that no image of the application has.
    pub(crate) fn of_stacks(&self) -> BTreeSet<String> {
        let all = self.stacks.keys();
        all.filter(|reference| !self.images.contains_key(*reference)).cloned().collect()
    }

    /// The reference of the image that the application builds and a Dockerfile of `user` calls `name`,
    /// where that is not the reference itself. An image that is called as what it is built on comes
    /// from elsewhere.
    pub(crate) fn in_full(&self, name: &str, user: &ImageDefinition) -> Option<String> {
        let called = canonical(name);
        let reference = *self.images.get(&called)?;
        let is_other = !user.references.iter().any(|own| own == reference);
        (is_other && canonical(reference) != called).then(|| reference.to_owned())
    }

    /// What `image` means; `is_stack` where the service says itself that it runs a stack.
    pub(crate) fn meaning(&self, image: &str, is_stack: bool) -> Meaning {
        let fixed = if self.fix_tags { suggest(image) } else { None };
        let forms = std::iter::once(image).chain(fixed.as_deref());
        for form in forms {
            if !is_stack && let Some(reference) = self.images.get(&canonical(form)) {
                return Meaning::Built((*reference).to_owned());
            }
            if let Some(meaning) = self.stack(form, is_stack) {
                return meaning;
            }
        }
        Meaning::Foreign
    }

    /// The stack that `image` means; a service that says so itself may ask for any tag.
    fn stack(&self, image: &str, is_stack: bool) -> Option<Meaning> {
        let (name, tag) = split_tag(image);
        let name = name.to_lowercase();
        let text = tag.map_or_else(|| name.clone(), |tag| format!("{name}:{tag}"));
        if let Some(&(package, reference)) = self.stacks.get(&canonical(&text)) {
            return Some(Meaning::Stack(package, reference.to_owned()));
        }
        if !is_stack {
            return None;
        }
        let name = name.split('@').next().unwrap_or_default();
        let package = *self.names.get(self.bare(name))?;
        Some(Meaning::Stack(package, format!("{}{}", self.prefix, self.bare(&text))))
    }

    /// The error for a service that is to run a stack that is not there.
    pub(crate) fn unknown_stack(&self, image: &str) -> Diagnostic {
        let environment = &self.definitions.environment;
        let (name, _) = split_tag(self.bare(image));
        if let Ok(package) = self.definitions.package(name)
            && self.definitions.packages[package].deployment.is_none()
        {
            let key = &self.definitions.packages[package].key;
            let message =
                format!("the package `{key}` has no stack in the environment `{environment}`");
            return Diagnostic::error("unknown-stack", message)
                .help("give it a `deploy.js` with an entry for this environment, or `default`");
        }
        let mut known: Vec<&str> = self.names.keys().copied().collect();
        known.sort_unstable();
        let help = did_you_mean(&nearest(name, known.iter().copied())).unwrap_or_else(|| {
            format!("the stacks of the application are {}", super::quoted(&known))
        });
        let message = format!("no package has a stack called `{image}`");
        Diagnostic::error("unknown-stack", message).help(help)
    }
}
