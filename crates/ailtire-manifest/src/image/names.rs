//! The references of images.

use std::collections::HashMap;

use ailtire_events::Diagnostic;

use super::Image;
use crate::lookup::package_path;
use crate::model::{ImageDefinition, Package};
use crate::options::LoadOptions;
use ailtire_terms::reference::{
    DEFAULT_TAG, Reference, canonical, is_tag, split_tag, suggest, suggest_tag,
};

/// What all references of one load have in common, checked once.
pub(crate) struct Naming {
    /// The application's name, lower case.
    application: String,
    /// With its slash at the end; empty where there is none.
    pub(crate) prefix: String,
    pub(crate) version: Option<String>,
    fix_tags: bool,
}

impl Naming {
    /// Checks `--repo` and `--version`; what is wrong with them is left out and reported once.
    pub(crate) fn new(
        application: &str,
        options: &LoadOptions,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let prefix = options.repository.as_deref().map_or(Ok(String::new()), |repository| {
            let repository = repository.trim_end_matches('/');
            if repository.is_empty() {
                return Ok(String::new());
            }
            match Reference::parse(&format!("{repository}/name")) {
                Ok(_) => Ok(format!("{repository}/")),
                Err(error) => Err((repository.to_owned(), error)),
            }
        });
        let prefix = prefix.unwrap_or_else(|(repository, error)| {
            let message = format!("`{repository}` cannot be the repository of an image: {error}");
            let mut diagnostic = Diagnostic::error("invalid-repository", message);
            let suggested = suggest(&format!("{repository}/name"));
            diagnostic.help = suggested.and_then(|name| {
                name.strip_suffix("/name").map(|name| format!("use `--repo {name}`"))
            });
            diagnostics.push(diagnostic);
            String::new()
        });
        let version = options.version.clone().filter(|version| {
            let valid = is_tag(version);
            if !valid {
                let message = format!("the version `{version}` cannot be a tag");
                let mut diagnostic = Diagnostic::error("invalid-version", message);
                let suggested = suggest_tag(version);
                diagnostic.help =
                    (!suggested.is_empty()).then(|| format!("use `--version {suggested}`"));
                diagnostics.push(diagnostic);
            }
            valid
        });
        Self {
            application: application.to_lowercase(),
            prefix,
            version,
            fix_tags: options.fix_tags,
        }
    }

    /// `written` behind the repository, or its suggested form where it is not valid and such are
    /// to be fixed.
    ///
    /// # Errors
    ///
    /// Why it is not valid, and what it could be instead.
    pub(crate) fn full(&self, written: &str) -> Result<String, (String, Option<String>)> {
        let full = format!("{}{written}", self.prefix);
        let reason = match Reference::parse(&full) {
            Ok(reference) if reference.digest.is_none() => return Ok(full),
            Ok(_) => "an image that is built gets its digest from its content".to_owned(),
            Err(error) => error.to_string(),
        };
        let bare = written.split('@').next().unwrap_or_default();
        let suggested = suggest(bare).filter(|tag| Reference::parse(tag).is_ok());
        match suggested {
            Some(tag) if self.fix_tags => Ok(format!("{}{tag}", self.prefix)),
            suggested => Err((reason, suggested)),
        }
    }

    /// `<application>-<package path>-<image name>`, lower case.
    fn default_tag(&self, packages: &[Package], package: usize, image: &str) -> String {
        let mut tag = self.application.clone();
        for index in package_path(packages, package).into_iter().skip(1) {
            tag.push('-');
            tag.push_str(&packages[index].key.to_lowercase());
        }
        tag.push('-');
        tag.push_str(&image.to_lowercase());
        tag
    }
}

impl Image<'_, '_> {
    /// The references of the image, the one that names it first; `None` after an error.
    pub(super) fn references(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
        const KEY: &str = "tag";
        let naming = self.reader.naming;
        let is_given = self.fields.has(KEY);
        let written = if is_given {
            self.fields.text(KEY, diagnostics)?
        } else {
            naming.default_tag(self.reader.packages, self.package, self.name)
        };
        let full = match naming.full(&written) {
            Ok(full) => full,
            Err((reason, suggested)) => {
                diagnostics.push(self.invalid_tag(&written, &reason, is_given, suggested));
                return None;
            }
        };
        Some(with_tags(&full, naming.version.as_deref()))
    }

    fn invalid_tag(
        &self,
        written: &str,
        reason: &str,
        is_given: bool,
        suggested: Option<String>,
    ) -> Diagnostic {
        let which = if is_given { "tag" } else { "default tag" };
        let message = format!("the {which} `{written}` of `{}` is not valid: {reason}", self.name);
        let mut diagnostic =
            Diagnostic::error("invalid-tag", message).at(self.fields.location("tag"));
        diagnostic.help = Some(match suggested {
            Some(tag) => format!("use `tag: '{tag}'`, or let `--fix-tags` do it"),
            None => "give it a `tag` of lower-case letters and digits".to_owned(),
        });
        diagnostic
    }
}

/// The reference complete with its tag, and with the version as another tag.
pub(crate) fn with_tags(reference: &str, version: Option<&str>) -> Vec<String> {
    let (name, tag) = split_tag(reference);
    let tag = tag.unwrap_or(DEFAULT_TAG);
    let mut references = vec![format!("{name}:{tag}")];
    if let Some(version) = version.filter(|version| *version != tag) {
        references.push(format!("{name}:{version}"));
    }
    references
}

/// Reports every two images that carry the same reference.
pub(crate) fn report_duplicates(images: &[ImageDefinition], diagnostics: &mut Vec<Diagnostic>) {
    let mut first: HashMap<String, usize> = HashMap::new();
    // Two images with the same name also share their version's reference: told once.
    let mut told: Vec<(usize, usize)> = Vec::new();
    for (index, image) in images.iter().enumerate() {
        for reference in &image.references {
            let other = *first.entry(canonical(reference)).or_insert(index);
            if other == index || told.contains(&(other, index)) {
                continue;
            }
            told.push((other, index));
            let message = format!(
                "`{}` and `{}` both make the image `{reference}`",
                images[other].name, image.name
            );
            diagnostics.push(
                Diagnostic::error("duplicate-tag", message)
                    .at(image.location.clone())
                    .related(images[other].location.clone(), "the other one")
                    .help("give one of them another `tag`"),
            );
        }
    }
}
