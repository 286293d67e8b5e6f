//! Reads an application: packages, then images, then stacks.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use ailtire_events::{Diagnostic, Location, Severity};
use ailtire_tree::Tree;
use rayon::prelude::*;

use crate::cache::{EvaluationCache, Outcome};
use crate::deployment;
use crate::discover::{Found, discover};
use crate::fields::quoted_list;
use crate::image::{Findings, Naming, Reader, report_duplicates};
use crate::model::{Application, ImageDefinition, Package};
use crate::options::{DEFAULT_ENVIRONMENT, LoadOptions};
use crate::packages::{describe, link};
use crate::script::Evaluator;
use ailtire_terms::Value;
use ailtire_terms::{did_you_mean, nearest};

/// An application, and everything that is odd or wrong about its definitions.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What could be read. Images with an error of their own are left out.
    pub application: Application,
    /// Notes, warnings and errors, by package.
    pub diagnostics: Vec<Diagnostic>,
    /// Every environment that an image names, and, where stacks are read, that a stack names.
    pub environments: BTreeSet<String>,
}

/// Reads the application in `tree`. Every definition that is broken is reported; what does not
/// depend on it is there all the same.
pub fn load(tree: &Tree, options: &LoadOptions, cache: &EvaluationCache) -> Loaded {
    let (found, mut diagnostics) = discover(tree, options.deployments);
    let evaluator = Evaluator::new(tree, options, cache);
    let mut evaluated: Vec<Evaluated> =
        found.par_iter().map(|found| Evaluated::new(&evaluator, found)).collect();
    let version = version(tree, &evaluator, &mut diagnostics);
    let mut described = Vec::with_capacity(found.len());
    for (found, evaluated) in found.iter().zip(&mut evaluated) {
        take_diagnostics(evaluated.index.as_mut(), &mut diagnostics);
        described.push(describe(tree, found, evaluated.index.as_ref(), &mut diagnostics));
    }
    let mut packages = link(described, &mut diagnostics);
    let name = packages.first().map_or(String::new(), |top| top.key.clone());
    let naming = Naming::new(&name, options, &mut diagnostics);
    let names = OnceCell::new();
    let reader = Reader { tree, options, packages: &packages, names: &names, naming: &naming };
    let mut findings = Findings { diagnostics, ..Findings::default() };
    for (index, (found, evaluated)) in found.iter().zip(&mut evaluated).enumerate() {
        take_diagnostics(evaluated.build.as_mut(), &mut findings.diagnostics);
        if let Some((path, outcome)) = found.build_file.as_deref().zip(evaluated.build.as_ref()) {
            reader.read(index, path, outcome, &mut findings);
        }
    }
    let Findings { mut images, mut diagnostics, mut environments } = findings;
    report_duplicates(&images, &mut diagnostics);
    let stacks = deployment::Reader { tree, options, evaluator: &evaluator, naming: &naming };
    for (package, read) in read_stacks(&stacks, &found, &packages) {
        packages[package].deployment = read.deployment;
        diagnostics.extend(read.diagnostics);
        environments.extend(read.environments);
    }
    deployment::report_duplicates(&packages, &images, &mut diagnostics);
    let stacks = packages.iter().enumerate();
    images.extend(stacks.filter_map(|(index, package)| ImageDefinition::of_stack(index, package)));
    diagnostics.extend(packages.iter().filter_map(deployment::without_image));
    diagnostics.extend(unknown_environment(options, &environments));
    fill_excerpts(tree, &mut diagnostics);
    let application = Application {
        instance: options.name.clone().unwrap_or_else(|| name.clone()),
        name,
        version,
        release_version: options.version.clone(),
        environment: options.environment.clone(),
        packages,
        images,
    };
    Loaded { application, diagnostics, environments }
}

/// What the modules of one package came to.
struct Evaluated {
    index: Option<Outcome>,
    build: Option<Outcome>,
}

impl Evaluated {
    fn new(evaluator: &Evaluator<'_>, found: &Found) -> Self {
        let evaluate = |path: &Option<String>| path.as_deref().map(|path| evaluator.evaluate(path));
        Self { index: evaluate(&found.index_file), build: evaluate(&found.build_file) }
    }
}

/// What every `deploy.js` says, by package.
fn read_stacks(
    reader: &deployment::Reader<'_>,
    found: &[Found],
    packages: &[Package],
) -> Vec<(usize, deployment::Findings)> {
    let indices: Vec<usize> =
        (0..found.len()).filter(|&index| found[index].deploy_file.is_some()).collect();
    let read = indices.par_iter().filter_map(|&index| {
        let path = found[index].deploy_file.as_deref()?;
        Some((index, reader.read(&packages[index], path)))
    });
    read.collect()
}

fn take_diagnostics(outcome: Option<&mut Outcome>, diagnostics: &mut Vec<Diagnostic>) {
    if let Some(outcome) = outcome {
        diagnostics.append(&mut outcome.diagnostics);
    }
}

/// The version in the root's `package.json`. A broken one is no reason to build nothing.
fn version(
    tree: &Tree,
    evaluator: &Evaluator<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    const FILE: &str = "package.json";
    if !tree.is_file(FILE) {
        return None;
    }
    let mut outcome = evaluator.evaluate(FILE);
    for diagnostic in &mut outcome.diagnostics {
        diagnostic.severity = Severity::Warning;
    }
    diagnostics.append(&mut outcome.diagnostics);
    match &outcome.node?.get("version")?.value {
        Value::Text(version) => Some(version.clone()),
        other => {
            let message =
                format!("`version` must be a string, not {}, and is ignored", other.describe());
            diagnostics.push(Diagnostic::warning("wrong-type", message).at(Location::file(FILE)));
            None
        }
    }
}

/// An environment that nothing knows, where others are known, is likely misspelt.
fn unknown_environment(options: &LoadOptions, known: &BTreeSet<String>) -> Option<Diagnostic> {
    let chosen = options.environment.as_str();
    if chosen == DEFAULT_ENVIRONMENT || known.is_empty() || known.contains(chosen) {
        return None;
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let (one, all) = if options.deployments {
        ("image or stack", "images and stacks")
    } else {
        ("image", "images")
    };
    let message = format!("no {one} has a context for the environment `{chosen}`");
    let mut diagnostic = Diagnostic::warning("unknown-environment", message);
    diagnostic.help = did_you_mean(&nearest(chosen, names.iter().copied()))
        .or_else(|| Some(format!("the {all} name {}", quoted_list(&names))));
    Some(diagnostic)
}

/// Adds the text of the line to every place that has none yet. Only what is shown is read.
pub fn fill_excerpts(tree: &Tree, diagnostics: &mut [Diagnostic]) {
    let mut texts: HashMap<String, Option<String>> = HashMap::new();
    let places = diagnostics.iter_mut().flat_map(|diagnostic| {
        let related = diagnostic.related.iter_mut().map(|related| &mut related.location);
        diagnostic.location.iter_mut().chain(related)
    });
    for location in places {
        let (None, Some(line)) = (&location.excerpt, location.line) else { continue };
        let text = texts.entry(location.file.clone()).or_insert_with(|| {
            tree.read(&location.file).ok().and_then(|content| String::from_utf8(content).ok())
        });
        let excerpt = text.as_ref().and_then(|text| text.lines().nth(line as usize - 1));
        location.excerpt = excerpt.map(str::to_owned);
    }
}
