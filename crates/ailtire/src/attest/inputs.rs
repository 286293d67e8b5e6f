//! What an image is made from, in a form that others can check: SHA-256, no secrets.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use ailtire_attest::{Entry, PackageFile, Provenance};
use ailtire_context::{BuildContext, Content, ContentReader, ContextEntry};
use ailtire_events::Diagnostic;
use ailtire_fingerprint::{FORMAT, ImageInputs, RecordedEntry, RecordedInputs, Settings};
use ailtire_registry::sha256;
use ailtire_terms::suggests_secret;
use ailtire_tree::Digest;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use crate::Application;

/// What stands for the value of a build argument whose name suggests a secret.
const HIDDEN: &str = "(hidden)";
/// A package file that is longer is none.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A context, read once.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) entries: Vec<Entry>,
    /// Path and SHA-256 of the Dockerfile.
    pub(super) dockerfile: (String, String),
    /// Path and content of files that speak of packages.
    pub(super) package_files: Vec<(String, Vec<u8>)>,
}

impl Inputs {
    /// Reads every file of `context`, of the application at `root`.
    ///
    /// # Errors
    ///
    /// An I/O error, also where a file changed since it was listed.
    pub(super) fn read(context: &BuildContext, root: &Path) -> io::Result<Self> {
        let mut package_files = Vec::new();
        let entries: io::Result<Vec<_>> = context
            .entries
            .iter()
            .map(|entry| {
                let (mut sha256, mut target) = (None, None);
                match &entry.content {
                    Content::Directory => {}
                    Content::Symlink { target: to } => target = Some(to.to_string()),
                    Content::File { .. } | Content::Generated { .. } => {
                        sha256 = Some(read_file(entry, root, &mut package_files)?);
                    }
                }
                let (path, mode) = (entry.path.to_string(), format!("{:04o}", entry.mode));
                Ok(Entry { path, mode, sha256, target })
            })
            .collect();
        let text = digits(&sha256(context.dockerfile.text.as_bytes()));
        let dockerfile = (context.dockerfile.source.clone(), text);
        Ok(Self { entries: entries?, dockerfile, package_files })
    }
}

fn digits(digest: &str) -> String {
    digest.trim_start_matches("sha256:").to_owned()
}

/// SHA-256 of a file; its content is kept where it speaks of packages.
fn read_file(
    entry: &ContextEntry,
    root: &Path,
    package_files: &mut Vec<(String, Vec<u8>)>,
) -> io::Result<String> {
    let mut reader = ContentReader::open(root, entry)?;
    let size = match &entry.content {
        Content::File { size, .. } => *size,
        _ => 0,
    };
    if PackageFile::of(&entry.path).is_some() && size <= LONGEST {
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        let digest = digits(&sha256(&content));
        package_files.push((entry.path.to_string(), content));
        return Ok(digest);
    }
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => context.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digest = context.finish();
    // Only its form is used.
    let bytes = digest.as_ref().try_into().map_err(io::Error::other)?;
    Ok(Digest::from_bytes(bytes).to_string())
}

/// The context of the image with this index in the definitions, as it is built.
pub(super) fn context_of(
    application: &Application,
    image: usize,
) -> Result<BuildContext, Vec<Diagnostic>> {
    application.assemble(image, &application.graph())
}

/// What was asked for, without values of secrets.
pub(super) fn parameters(
    application: &Application,
    image: usize,
    context: &BuildContext,
    settings: &Settings,
) -> Value {
    let definition = &application.definitions.images[image];
    let recorded = ImageInputs { context, settings }.record();
    let arguments = recorded.build_arguments.into_iter().map(|(name, value)| {
        let value = if suggests_secret(&name) { HIDDEN.to_owned() } else { value };
        (name, value)
    });
    json!({
        "application": application.definitions.name,
        "package": application.definitions.packages[definition.package].key,
        "image": definition.name,
        "dockerfile": context.dockerfile.source,
        "buildArguments": arguments.collect::<BTreeMap<_, _>>(),
        "target": settings.target,
        "platforms": settings.platforms,
        "labels": settings.labels,
        "secrets": settings.secrets,
    })
}

/// What provenance says, in the form in which inputs are compared; `None` where it makes no sense.
/// Digests are SHA-256 here: they are only compared with each other.
pub(super) fn recorded(provenance: &Provenance) -> Option<RecordedInputs> {
    let entry = |entry: &Entry| {
        Some(RecordedEntry {
            path: entry.path.clone(),
            source: None,
            mode: u32::from_str_radix(&entry.mode, 8).ok()?,
            digest: entry.sha256.as_deref().map(str::parse).transpose().ok()?,
            target: entry.target.clone(),
        })
    };
    let field = |name: &str| provenance.parameters.get(name).cloned().unwrap_or_default();
    Some(RecordedInputs {
        format: FORMAT,
        dockerfile: provenance.dockerfile.0.clone(),
        dockerfile_digest: provenance.dockerfile.1.parse().ok()?,
        dockerfile_lines: Vec::new(),
        entries: provenance.entries.iter().map(entry).collect::<Option<_>>()?,
        build_arguments: serde_json::from_value(field("buildArguments")).ok()?,
        target: serde_json::from_value(field("target")).ok()?,
        platforms: serde_json::from_value(field("platforms")).ok()?,
        labels: serde_json::from_value(field("labels")).ok()?,
        secrets: serde_json::from_value(field("secrets")).ok()?,
        references: Vec::new(),
    })
}
