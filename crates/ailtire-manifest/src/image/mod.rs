//! What `build.js` says of images.

mod names;
mod paths;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use ailtire_events::Diagnostic;
use ailtire_tree::{Tree, parent};

use crate::cache::Outcome;
use crate::fields::{Definition, Fields, quoted_list};
use crate::lookup::{PackageNames, package_key};
use crate::model::{ImageDefinition, Modes, Package, PlacedPackage, SecretSource};
use crate::options::{DEFAULT_ENVIRONMENT, LoadOptions};
use crate::packages::lookup_diagnostic;
use ailtire_terms::{did_you_mean, nearest};

pub(crate) use names::{Naming, report_duplicates, with_tags};

/// The fields of an image's definition.
const FIELDS: [&str; 13] = [
    "dir",
    "file",
    "tag",
    "cmd",
    "env",
    "args",
    "packages",
    "target",
    "platforms",
    "labels",
    "secrets",
    "modes",
    CONTEXTS,
];
/// The field that holds a definition for each environment.
const CONTEXTS: &str = "contexts";

/// What all images of one load have in common.
pub(crate) struct Reader<'load> {
    pub(crate) tree: &'load Tree,
    pub(crate) options: &'load LoadOptions,
    pub(crate) packages: &'load [Package],
    /// Made when the first definition names a package.
    pub(crate) names: &'load OnceCell<PackageNames<'load>>,
    pub(crate) naming: &'load Naming,
}

/// What reading adds to.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) images: Vec<ImageDefinition>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Every environment that a definition names.
    pub(crate) environments: BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads all images that the `build.js` at `path` defines.
    pub(crate) fn read(
        &self,
        package: usize,
        path: &str,
        outcome: &Outcome,
        findings: &mut Findings,
    ) {
        let definition = Definition::new(path, outcome);
        let Some(fields) = definition.export(&mut findings.diagnostics) else { return };
        for key in &outcome.dropped {
            findings.diagnostics.push(
                Diagnostic::warning(
                    "dropped-function",
                    format!("`{key}` is a function, and defines no image"),
                )
                .at(definition.location(None))
                .help("export the object itself, or one function that returns all images"),
            );
        }
        for (name, _) in fields.entries() {
            if name.trim().is_empty() {
                let message = "an image needs a name that is not empty";
                let diagnostic = Diagnostic::error("empty-name", message);
                findings.diagnostics.push(diagnostic.at(fields.location(name)));
                continue;
            }
            let whole = fields.object(name, "an object", &mut findings.diagnostics);
            let Some(whole) = whole else { continue };
            let Some(chosen) = self.choose(&whole, name, findings) else { continue };
            let errors = count_errors(&findings.diagnostics);
            let image = Image { reader: self, package, name, fields: &chosen, base: parent(path) };
            let location = fields.location(name);
            let read = image.read(location, &mut findings.diagnostics);
            if count_errors(&findings.diagnostics) == errors {
                findings.images.extend(read);
            }
        }
    }

    /// The fields for the chosen environment.
    fn choose<'outcome>(
        &self,
        whole: &Fields<'outcome>,
        name: &str,
        findings: &mut Findings,
    ) -> Option<Fields<'outcome>> {
        if !whole.has(CONTEXTS) {
            return Some(whole.clone());
        }
        let diagnostics = &mut findings.diagnostics;
        for (key, _) in whole.entries().iter().filter(|(key, _)| key != CONTEXTS) {
            diagnostics.push(
                Diagnostic::warning(
                    "field-beside-contexts",
                    format!(
                        "`{}` is ignored, because it stands beside `contexts`",
                        whole.path_of(key)
                    ),
                )
                .at(whole.location(key))
                .help("put it into each of the `contexts`"),
            );
        }
        let contexts = whole.object(CONTEXTS, "an object", diagnostics)?;
        let known: Vec<&str> = contexts.entries().iter().map(|(key, _)| key.as_str()).collect();
        findings.environments.extend(known.iter().map(|name| (*name).to_owned()));
        let wanted = self.options.environment.as_str();
        let key = [wanted, DEFAULT_ENVIRONMENT].into_iter().find(|key| contexts.has(key));
        if let Some(key) = key {
            return contexts.object(key, "an object", diagnostics);
        }
        diagnostics.push(not_in_environment(name, wanted, &known).at(whole.location(CONTEXTS)));
        None
    }
}

fn not_in_environment(name: &str, wanted: &str, known: &[&str]) -> Diagnostic {
    let message = if wanted == DEFAULT_ENVIRONMENT {
        format!("`{name}` is not defined without an environment")
    } else {
        format!("`{name}` is not defined for the environment `{wanted}`")
    };
    if known.is_empty() {
        let message = format!("the `contexts` of `{name}` are empty");
        return Diagnostic::error("empty-contexts", message).help("add a context `default`");
    }
    let diagnostic = Diagnostic::error("no-context", message);
    let near = did_you_mean(&nearest(wanted, known.iter().copied()));
    let choose =
        format!("choose one of {} with `--env NAME`, or add `default`", quoted_list(known));
    diagnostic.help(near.map_or(choose.clone(), |near| format!("{near} {choose}")))
}

fn count_errors(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count()
}

/// One image's definition while it is read.
struct Image<'read, 'load> {
    reader: &'read Reader<'load>,
    package: usize,
    name: &'read str,
    fields: &'read Fields<'read>,
    /// Directory of `build.js` as the application sees it: relative paths start here.
    base: &'read str,
}

impl Image<'_, '_> {
    /// `None` where something essential is missing; an error says what.
    fn read(
        &self,
        location: ailtire_events::Location,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<ImageDefinition> {
        let fields = self.fields;
        fields.warn_about_unknown(&FIELDS[..FIELDS.len() - 1], diagnostics);
        let references = self.references(diagnostics);
        let paths = self.paths(diagnostics);
        let command = fields.text("cmd", diagnostics).filter(|command| !command.trim().is_empty());
        let build_arguments = self.build_arguments(diagnostics);
        let packages = self.placed_packages(diagnostics);
        let target = fields.text("target", diagnostics).filter(|target| !target.is_empty());
        let platforms = self.platforms(diagnostics);
        let labels = self.labels(diagnostics);
        let secrets = self.secrets(diagnostics);
        let modes = self.modes(diagnostics);
        let (directory, dockerfile) = paths?;
        Some(ImageDefinition {
            package: self.package,
            name: self.name.to_owned(),
            references: references?,
            directory,
            dockerfile,
            command,
            build_arguments,
            packages,
            target,
            platforms,
            labels,
            secrets,
            modes,
            is_stack: false,
            location,
        })
    }

    /// `env` and its synonym `args`, then the command line's variables.
    fn build_arguments(&self, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
        const WHAT: &str = "a build argument";
        let mut arguments = BTreeMap::new();
        for (name, value, location) in self.fields.variables("env", diagnostics) {
            diagnostics.extend(invalid_variable(&name, WHAT).map(|found| found.at(location)));
            arguments.insert(name, value);
        }
        for (name, value, location) in self.fields.variables("args", diagnostics) {
            let invalid = invalid_variable(&name, WHAT);
            diagnostics.extend(invalid.map(|found| found.at(location.clone())));
            if arguments.get(&name).is_some_and(|known| *known != value) {
                diagnostics.push(
                    Diagnostic::warning(
                        "two-values",
                        format!(
                            "`{name}` has one value in `env` and another in `args`; `env` counts"
                        ),
                    )
                    .at(location)
                    .help("`args` is another name of `env`: keep one of the two"),
                );
            } else {
                arguments.insert(name, value);
            }
        }
        let variables = &self.reader.options.variables;
        arguments.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        arguments
    }

    fn placed_packages(&self, diagnostics: &mut Vec<Diagnostic>) -> Vec<PlacedPackage> {
        let mut placed: Vec<PlacedPackage> = Vec::new();
        let packages = self.reader.packages;
        for (reference, location) in self.fields.texts("packages", diagnostics) {
            let written = package_key(&reference);
            let names = self.reader.names.get_or_init(|| PackageNames::new(packages));
            let package = match names.resolve(&reference) {
                Ok(package) => package,
                Err(error) => {
                    diagnostics.push(lookup_diagnostic(&error, self.reader.packages).at(location));
                    continue;
                }
            };
            // It becomes the name of a directory in the context.
            if matches!(written.as_str(), "" | "." | "..") || written.contains('/') {
                let message = format!("`{reference}` cannot be the name of a directory");
                let key = &self.reader.packages[package].key;
                diagnostics.push(
                    Diagnostic::error("invalid-package-name", message)
                        .at(location)
                        .help(format!("write the package's key, `{key}`")),
                );
            } else if !placed.iter().any(|known| known.written == written) {
                placed.push(PlacedPackage { written, package });
            }
        }
        placed
    }

    /// A list, or one string with commas between the platforms.
    fn platforms(&self, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
        const KEY: &str = "platforms";
        let is_text =
            self.fields.entries().iter().any(|(key, node)| {
                key == KEY && matches!(node.value, ailtire_terms::Value::Text(_))
            });
        let given = if is_text {
            let text = self.fields.text(KEY, diagnostics).unwrap_or_default();
            let location = self.fields.location(KEY);
            let parts = text.split(',').map(|part| (part.trim().to_owned(), location.clone()));
            parts.collect()
        } else {
            self.fields.texts(KEY, diagnostics)
        };
        let mut platforms: Vec<String> = Vec::new();
        for (platform, location) in given {
            if !is_platform(&platform) {
                diagnostics.push(
                    Diagnostic::error(
                        "invalid-platform",
                        format!("`{platform}` is not a platform"),
                    )
                    .at(location)
                    .help("write it as `linux/amd64` or `linux/arm/v7`"),
                );
            } else if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        platforms
    }

    fn labels(&self, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value, location) in self.fields.variables("labels", diagnostics) {
            if name.trim().is_empty() {
                let diagnostic = Diagnostic::error("empty-name", "a label needs a name");
                diagnostics.push(diagnostic.at(location));
            } else {
                labels.insert(name, value);
            }
        }
        labels
    }

    fn secrets(&self, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, SecretSource> {
        let mut secrets = BTreeMap::new();
        let Some(all) = self.fields.object("secrets", "an object", diagnostics) else {
            return secrets;
        };
        for (id, _) in all.entries() {
            let wanted = "an object with `file` or `env`";
            let Some(secret) = all.object(id, wanted, diagnostics) else { continue };
            secret.warn_about_unknown(&["file", "env"], diagnostics);
            let source = match (secret.has("file"), secret.has("env")) {
                (true, false) => secret
                    .text("file", diagnostics)
                    .and_then(|file| self.secret_file(&file, secret.location("file"), diagnostics))
                    .map(SecretSource::File),
                (false, true) => secret.text("env", diagnostics).map(SecretSource::Env),
                (both, _) => {
                    let problem =
                        if both { "both `file` and `env`" } else { "neither `file` nor `env`" };
                    diagnostics.push(
                        Diagnostic::error(
                            "invalid-secret",
                            format!("the secret `{id}` has {problem}"),
                        )
                        .at(all.location(id))
                        .help("say where its value comes from: `{ file: '…' }` or `{ env: '…' }`"),
                    );
                    None
                }
            };
            secrets.extend(source.map(|source| (id.clone(), source)));
        }
        secrets
    }

    fn modes(&self, diagnostics: &mut Vec<Diagnostic>) -> Modes {
        match self.fields.text("modes", diagnostics).as_deref() {
            None | Some("canonical") => Modes::Canonical,
            Some("preserve") => Modes::Preserve,
            Some(other) => {
                let near = nearest(other, ["canonical", "preserve"].into_iter());
                diagnostics.push(
                    Diagnostic::error(
                        "invalid-modes",
                        format!("`{other}` is no kind of file modes"),
                    )
                    .at(self.fields.location("modes"))
                    .help(did_you_mean(&near).unwrap_or_else(|| {
                        "write `'canonical'` (the default) or `'preserve'`".to_owned()
                    })),
                );
                Modes::Canonical
            }
        }
    }
}

/// The error for a name that no variable can have.
pub(crate) fn invalid_variable(name: &str, what: &str) -> Option<Diagnostic> {
    let is_valid = !name.is_empty() && !name.contains(['=', '\0']);
    (!is_valid).then(|| {
        let message = format!("`{name}` cannot be the name of {what}");
        Diagnostic::error("invalid-variable", message)
            .help("write `env: { NAME: 'value' }`, the name without `=`")
    })
}

/// `os/architecture[/variant]`.
fn is_platform(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'_' | b'-' | b'.')
            })
    };
    (2..=3).contains(&text.split('/').count()) && text.split('/').all(is_part)
}
