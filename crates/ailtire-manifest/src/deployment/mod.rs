//! What `deploy.js` says of a stack.

mod design;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ailtire_events::{Diagnostic, Location};
use ailtire_tree::{Tree, parent};

use crate::cache::Outcome;
use crate::fields::{Definition, Fields, quoted_list};
use crate::image::{Naming, invalid_variable, with_tags};
use crate::model::{Deployment, ImageDefinition, Orchestrator, Package};
use crate::options::{DEFAULT_ENVIRONMENT, LoadOptions};
use crate::script::Evaluator;
use ailtire_terms::Value;
use ailtire_terms::reference::{DEFAULT_TAG, canonical, split_tag};
use ailtire_terms::{did_you_mean, nearest};

/// The field that holds the environments.
const CONTEXTS: &str = "contexts";
/// The field that names the stack.
const NAME: &str = "name";
const EXAMPLE: &str = "write `contexts: { default: { design: 'services.js' } }`";
/// The fields of one environment.
const FIELDS: [&str; 5] = ["type", "tag", "design", "file", "env"];

/// What all stacks of one load have in common.
pub(crate) struct Reader<'load> {
    pub(crate) tree: &'load Tree,
    pub(crate) options: &'load LoadOptions,
    pub(crate) evaluator: &'load Evaluator<'load>,
    pub(crate) naming: &'load Naming,
}

/// What reading one `deploy.js` came to.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) deployment: Option<Deployment>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Every environment that it names.
    pub(crate) environments: BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads the stack that the `deploy.js` at `path` defines for `package`.
    pub(crate) fn read(&self, package: &Package, path: &str) -> Findings {
        let mut findings = Findings::default();
        let mut outcome = self.evaluator.evaluate(path);
        findings.diagnostics.append(&mut outcome.diagnostics);
        let definition = Definition::new(path, &outcome);
        let Some(whole) = definition.export(&mut findings.diagnostics) else { return findings };
        warn_about_functions(&outcome, &definition, &mut findings.diagnostics);
        let environments = Environments::new(&whole, &mut findings.diagnostics);
        let Some(environments) = environments else { return findings };
        findings.environments.extend(environments.names.iter().map(|&name| name.to_owned()));
        let diagnostics = &mut findings.diagnostics;
        let name = self.name(&whole, package, diagnostics);
        let wanted = &self.options.environment;
        if let Some((chosen, location)) = environments.choose(wanted, package, diagnostics) {
            let stack = Stack { reader: self, fields: &chosen, base: parent(path) };
            findings.deployment = stack.read(name, location, diagnostics);
        }
        findings
    }

    /// The stack's name, in lower case; `None` after an error.
    fn name(
        &self,
        whole: &Fields<'_>,
        package: &Package,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        let is_given = whole.has(NAME);
        let written = if is_given {
            whole.text(NAME, diagnostics)?
        } else {
            package.short_name.clone().unwrap_or_else(|| package.key.clone())
        };
        let (reason, suggested) = match self.naming.full(&written.to_lowercase()) {
            Ok(full) => {
                let name = &full[self.naming.prefix.len()..];
                match split_tag(name) {
                    (name, None) => return Some(name.to_owned()),
                    (name, Some(_)) => ("it has no tag".to_owned(), Some(name.to_owned())),
                }
            }
            Err(refused) => refused,
        };
        let message = format!("`{written}` cannot be the name of a stack: {reason}");
        let help = match suggested {
            Some(name) if is_given => format!("use `name: '{name}'`, or let `--fix-tags` do it"),
            Some(name) => format!("add `name: '{name}'`, or let `--fix-tags` do it"),
            None => "give it a `name` of lower-case letters and digits".to_owned(),
        };
        let diagnostic = Diagnostic::error("invalid-stack-name", message);
        diagnostics.push(diagnostic.at(whole.location(NAME)).help(help));
        None
    }
}

/// The environments of a `deploy.js`.
struct Environments<'outcome> {
    /// The object whose fields they are.
    fields: Fields<'outcome>,
    /// Their names.
    names: Vec<&'outcome str>,
    /// Where all of them stand.
    location: Location,
}

impl<'outcome> Environments<'outcome> {
    /// What `contexts` holds, else every object in the export itself.
    fn new(whole: &Fields<'outcome>, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let location = whole.location(CONTEXTS);
        let (fields, names) = if whole.has(CONTEXTS) {
            whole.warn_about_unknown(&[NAME, CONTEXTS], diagnostics);
            let fields = whole.object(CONTEXTS, "an object", diagnostics)?;
            let names = fields.entries().iter().map(|(key, _)| key.as_str()).collect();
            (fields, names)
        } else {
            if let Some(misplaced) = misplaced(whole) {
                diagnostics.push(misplaced);
                return None;
            }
            let (objects, others): (Vec<_>, Vec<_>) =
                whole.entries().iter().partition(|(_, node)| matches!(node.value, Value::Map(_)));
            let others = others.iter().map(|(key, _)| key.as_str());
            whole.warn_about_unknown_of(others, &[NAME, CONTEXTS], diagnostics);
            let names = objects.into_iter().map(|(key, _)| key.as_str());
            (whole.clone(), names.filter(|name| *name != NAME).collect::<Vec<_>>())
        };
        if names.is_empty() {
            diagnostics.push(
                Diagnostic::warning("empty-contexts", "no environment is defined, and so no stack")
                    .at(location)
                    .help(EXAMPLE),
            );
            return None;
        }
        Some(Self { fields, names, location })
    }

    /// The fields for the chosen environment, and where they stand.
    fn choose(
        &self,
        wanted: &str,
        package: &Package,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(Fields<'outcome>, Location)> {
        let key = [wanted, DEFAULT_ENVIRONMENT].into_iter().find(|key| self.names.contains(key));
        let Some(key) = key else {
            let found = not_in_environment(package, wanted, &self.names);
            diagnostics.push(found.at(self.location.clone()));
            return None;
        };
        let fields = self.fields.object(key, "an object", diagnostics)?;
        Some((fields, self.fields.location(key)))
    }
}

/// The error for a field of an environment that stands outside of any.
fn misplaced(whole: &Fields<'_>) -> Option<Diagnostic> {
    let mut entries = whole.entries().iter();
    let (key, _) = entries.find(|(key, node)| {
        FIELDS.contains(&key.as_str()) && !matches!(node.value, Value::Map(_))
    })?;
    let message = format!("`{key}` stands outside of an environment");
    Some(Diagnostic::error("no-contexts", message).at(whole.location(key)).help(EXAMPLE))
}

fn not_in_environment(package: &Package, wanted: &str, known: &[&str]) -> Diagnostic {
    let key = &package.key;
    let message = if wanted == DEFAULT_ENVIRONMENT {
        format!("the package `{key}` has no stack without an environment")
    } else {
        format!("the package `{key}` has no stack in the environment `{wanted}`")
    };
    let near = did_you_mean(&nearest(wanted, known.iter().copied()));
    let choose =
        format!("choose one of {} with `--env NAME`, or add `default`", quoted_list(known));
    Diagnostic::warning("no-context", message)
        .help(near.map_or(choose.clone(), |near| format!("{near} {choose}")))
}

fn warn_about_functions(
    outcome: &Outcome,
    definition: &Definition<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for key in &outcome.dropped {
        let message = format!("`{key}` is a function, and is ignored");
        diagnostics.push(
            Diagnostic::warning("dropped-function", message)
                .at(definition.location(None))
                .help("export the object itself, or one function that returns all of it"),
        );
    }
}

/// One environment's stack while it is read.
struct Stack<'read, 'load> {
    reader: &'read Reader<'load>,
    fields: &'read Fields<'read>,
    /// Directory of `deploy.js` as the application sees it: relative paths start here.
    base: &'read str,
}

impl Stack<'_, '_> {
    /// `None` where something essential is missing; an error says what.
    fn read(
        &self,
        name: Option<String>,
        location: Location,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Deployment> {
        self.fields.warn_about_unknown(&FIELDS, diagnostics);
        let orchestrator = self.orchestrator(diagnostics);
        let extra = self.extra_references(diagnostics);
        let variables = self.variables(diagnostics);
        let design = self.design(&location, diagnostics);
        let name = name?;
        let naming = self.reader.naming;
        let own = format!("{}{name}", naming.prefix);
        let mut references = with_tags(&own, naming.version.as_deref());
        for reference in extra? {
            if !references.contains(&reference) {
                references.push(reference);
            }
        }
        Some(Deployment {
            name,
            orchestrator: orchestrator?,
            references,
            design: design?,
            variables,
            location,
        })
    }

    fn orchestrator(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<Orchestrator> {
        const KEY: &str = "type";
        if !self.fields.has(KEY) {
            return Some(Orchestrator::default());
        }
        match self.fields.text(KEY, diagnostics)?.as_str() {
            "swarm" => Some(Orchestrator::Swarm),
            "k8s" => Some(Orchestrator::K8s),
            other => {
                let near = did_you_mean(&nearest(other, ["swarm", "k8s"].into_iter()));
                let message = format!("`{other}` is no orchestrator");
                diagnostics.push(
                    Diagnostic::error("invalid-orchestrator", message)
                        .at(self.fields.location(KEY))
                        .help(near.unwrap_or_else(|| {
                            "write `'swarm'` (the default) or `'k8s'`".to_owned()
                        })),
                );
                None
            }
        }
    }

    /// The extra reference, complete, if there is one; `None` after an error.
    fn extra_references(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
        const KEY: &str = "tag";
        if !self.fields.has(KEY) {
            return Some(Vec::new());
        }
        let written = self.fields.text(KEY, diagnostics)?;
        match self.reader.naming.full(&written) {
            Ok(full) => {
                let (name, tag) = split_tag(&full);
                Some(vec![format!("{name}:{}", tag.unwrap_or(DEFAULT_TAG))])
            }
            Err((reason, suggested)) => {
                let message = format!("the tag `{written}` is not valid: {reason}");
                let help = match suggested {
                    Some(tag) => format!("use `tag: '{tag}'`, or let `--fix-tags` do it"),
                    None => "write it as `name:tag`, in lower-case letters and digits".to_owned(),
                };
                let diagnostic = Diagnostic::error("invalid-tag", message);
                diagnostics.push(diagnostic.at(self.fields.location(KEY)).help(help));
                None
            }
        }
    }

    fn variables(&self, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for (name, value, location) in self.fields.variables("env", diagnostics) {
            let invalid = invalid_variable(&name, "a variable");
            diagnostics.extend(invalid.map(|found| found.at(location)));
            variables.insert(name, value);
        }
        variables
    }
}

/// A note where a stack gets no image.
pub(crate) fn without_image(package: &Package) -> Option<Diagnostic> {
    let deployment = package.deployment.as_ref()?;
    let name = &deployment.name;
    let message = format!("the stack `{name}` is not for Docker Swarm, and gets no image");
    (deployment.orchestrator != Orchestrator::Swarm)
        .then(|| Diagnostic::note("no-stack-image", message).at(deployment.location.clone()))
}

/// Reports every two stacks that have the same name, and every stack and image that carry the
/// same reference.
pub(crate) fn report_duplicates(
    packages: &[Package],
    images: &[ImageDefinition],
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut names: HashMap<&str, &Deployment> = HashMap::new();
    let mut holders: HashMap<String, (&str, &Location)> = HashMap::new();
    for image in images {
        for reference in &image.references {
            holders.insert(canonical(reference), (&image.name, &image.location));
        }
    }
    for deployment in packages.iter().filter_map(|package| package.deployment.as_ref()) {
        let Deployment { name, location, references, .. } = deployment;
        if let Some(other) = names.insert(name, deployment) {
            diagnostics.push(
                Diagnostic::error("duplicate-stack", format!("two stacks are called `{name}`"))
                    .at(location.clone())
                    .related(other.location.clone(), "the other one")
                    .help("give one of them another `name`"),
            );
            continue;
        }
        let shared = references.iter().find_map(|reference| {
            let other = holders.insert(canonical(reference), (name, location))?;
            (other.1 != location).then_some((reference, other))
        });
        if let Some((reference, (other, place))) = shared {
            let message = format!("`{other}` and the stack `{name}` both make `{reference}`");
            diagnostics.push(
                Diagnostic::error("duplicate-tag", message)
                    .at(location.clone())
                    .related(place.clone(), "the other one")
                    .help("give one of them another name or `tag`"),
            );
        }
    }
}
