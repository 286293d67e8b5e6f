//! Configs and secrets: what they hold, and where services see them.

use super::environment::find_file;
use super::fields::{Field, Fields};
use super::{engine_name, external, mounts, refuse_beside_external};
use crate::document::Position;
use crate::interpolate::{KEPT_HELP, kept_message};
use crate::model::{FileObject, FileReference};
use crate::template::Later;
use crate::{Purpose, content_digest, symbol};

/// What a config holds must be shorter than this, in bytes; a secret's half of it is [`SECRET`].
const CONFIG: usize = 1000 * 1024;
/// What a secret holds must be shorter than this, in bytes; so must a config's on older engines.
const SECRET: usize = 500 * 1024;

/// A secret that is there already.
const DIGEST: &str = "x-ailtire-digest";

const CONFIG_KEYS: &[&str] =
    &["name", "file", "content", "environment", "external", "labels", "template_driver"];
const SECRET_KEYS: &[&str] = &[
    "name",
    "file",
    "environment",
    "external",
    "labels",
    "driver",
    "driver_opts",
    "template_driver",
];

pub(super) fn decode_config(name: &str, field: Field<'_>) -> FileObject {
    decode(name, field, CONFIG_KEYS, CONFIG)
}

pub(super) fn decode_secret(name: &str, field: Field<'_>) -> FileObject {
    if let Some(content) = field.node.entry("content") {
        let message = format!("`{}` holds its secret in the design itself", field.name());
        let help =
            "write `file:` with a file that is not shared, or `environment:` with a variable";
        field.decoder.error(content.key_position, "secret-content", message, help);
    }
    let keys: Vec<&str> = SECRET_KEYS.iter().copied().chain(["content"]).collect();
    decode(name, field, &keys, SECRET)
}

fn decode(name: &str, field: Field<'_>, keys: &[&str], limit: usize) -> FileObject {
    let mut object = FileObject {
        location: Some(field.decoder.location(field.key_position())),
        ..FileObject::default()
    };
    let decoder = field.decoder;
    let Some(fields) = field.fields(keys) else { return object };
    let (is_external, old_name) = external(&fields);
    let own_name = engine_name(&fields);
    object.name = own_name.or(old_name).or_else(|| is_external.then(|| name.to_owned()));
    object.external = is_external;
    object.labels = fields.pairs("labels");
    object.driver = fields.filled_text("driver");
    object.driver_opts = fields.options("driver_opts");
    object.template_driver = fields.filled_text("template_driver");
    object.digest = fields.filled_text(DIGEST);
    if is_external {
        let made_elsewhere = [
            "file",
            "content",
            "environment",
            "labels",
            "driver",
            "driver_opts",
            "template_driver",
        ];
        refuse_beside_external(&fields, &made_elsewhere);
        return object;
    }
    if object.digest.is_some() {
        return object;
    }
    let sources = ["file", "content", "environment", "driver"];
    let given: Vec<_> = sources.iter().filter_map(|key| fields.get(key)).collect();
    match *given {
        [_] if limit == SECRET && decoder.reader.context.purpose == Purpose::Image => {
            leave_out(name, &fields, &mut object);
        }
        [_] => hold(&fields, &mut object, limit),
        [] => {
            let message = format!("`{}` does not say what it holds", field.name());
            let help = "write `file: path`, `environment: NAME`, or `external: true`";
            field.decoder.error(field.key_position(), "no-content", message, help);
        }
        [first, second, ..] => {
            let message = format!("`{}` has two sources", field.name());
            let mut findings = field.decoder.findings();
            let finding = findings.error(second.key_position(), "two-sources", message);
            finding.related(first.key_position(), "the other one").help("keep one of them");
        }
    }
    object
}

/// Reads what the object holds.
fn hold(fields: &Fields<'_>, object: &mut FileObject, limit: usize) {
    let decoder = fields.field.decoder;
    let (data, position) = if let Some(file) = fields.get("file") {
        let Some(path) = file.filled_text() else { return };
        match find_file(decoder, &path) {
            Err(error) => return error.report(file),
            Ok(path) => {
                let Some(data) = read(file, &path) else { return };
                object.file = Some(path);
                (data, file.position())
            }
        }
    } else if let Some(content) = fields.get("content") {
        // A secret in the design is refused; it is not kept either.
        let is_config = limit == CONFIG;
        let Some(text) = content.text().filter(|_| is_config) else { return };
        object.content = Some(text.clone());
        (text.into_bytes(), content.position())
    } else if let Some(variable) = fields.get("environment") {
        let Some(name) = variable.filled_text() else { return };
        let variables = decoder.reader.variables;
        if decoder.reader.context.purpose == Purpose::Image {
            return carry(variable, name, object);
        }
        let Some(value) = variables.get(&name) else {
            let message = format!("`{}`: the variable `{name}` is not set", variable.name());
            let help = format!("set it, or give it as `--env {name}=…`");
            return variable.error("unset-variable", message, help);
        };
        let data = value.as_bytes().to_vec();
        object.environment = Some(name);
        (data, variable.position())
    } else {
        return;
    };
    check_size(fields.field, data.len(), limit, position);
    object.data = Some(data);
}

/// A config of the variable `name` for a stack image: its value, or the variable itself where it is
/// nobody's business.
fn carry(variable: Field<'_>, name: String, object: &mut FileObject) {
    let decoder = variable.decoder;
    if decoder.reader.variables.later(&name) == Some(Later::Secret) {
        let message = kept_message(&name);
        let mut findings = decoder.findings();
        findings.warning(variable.position(), "secret-variable", message).help(KEPT_HELP);
        object.environment = Some(name);
        return;
    }
    let Some(value) = decoder.reader.variables.value(&name) else {
        let message = format!("`{}`: the variable `{name}` is not set", variable.name());
        let help = format!("set it, or give it as `--env {name}=…`");
        return variable.error("unset-variable", message, help);
    };
    object.content = Some(value);
}

/// A secret for a stack image, which is told where the secret is found and not what it holds.
fn leave_out(name: &str, fields: &Fields<'_>, object: &mut FileObject) {
    let decoder = fields.field.decoder;
    if object.driver.is_some() {
        return;
    }
    let held = if let Some(file) = fields.get("file") {
        let path = file.filled_text().unwrap_or_default();
        let found = find_file(decoder, &path).ok();
        found.and_then(|path| decoder.reader.tree.read(&path).ok())
    } else {
        let variable = fields.get("environment").and_then(|field| field.filled_text());
        let value = variable.and_then(|name| decoder.reader.variables.get(&name));
        value.map(|value| value.as_bytes().to_vec())
    };
    object.digest = held.filter(|held| !held.is_empty()).map(|held| content_digest(&held));
    if object.digest.is_none() {
        // Machines that build need not have the secrets of those that deploy.
        let own = || format!("{}_{name}", symbol::variable("AILTIRE_STACKNAME"));
        object.name = Some(object.name.take().unwrap_or_else(own));
        object.external = true;
        object.labels.clear();
        object.template_driver = None;
        let message = format!(
            "`{}` is not here to be looked at: the stack's manager looks for a secret with \
                 just the name of this one",
            fields.field.name()
        );
        decoder
            .findings()
            .warning(fields.field.key_position(), "absent-secret", message)
            .help("build where the secret is, or make it with `docker secret create`");
    }
}

fn read(field: Field<'_>, path: &str) -> Option<Vec<u8>> {
    match field.decoder.reader.tree.read(path) {
        Ok(data) => Some(data),
        Err(error) => {
            let message = format!("`{}`: {error}", field.name());
            field.error("unreadable", message, "let it be a file that you may read");
            None
        }
    }
}

fn check_size(field: Field<'_>, bytes: usize, limit: usize, position: Position) {
    let name = field.name();
    let mut findings = field.decoder.findings();
    if bytes == 0 {
        let message = format!("`{name}` holds nothing, which the engine refuses");
        findings.error(position, "empty-content", message).help("put at least one byte into it");
    } else if bytes >= limit {
        let message =
            format!("`{name}` holds {bytes} bytes, and the engine takes less than {limit}");
        let help = "put large files into an image or a volume";
        findings.error(position, "too-large", message).help(help);
    } else if bytes >= SECRET {
        let message =
            format!("`{name}` holds {bytes} bytes; older engines take less than {SECRET}");
        let help = "put large files into an image or a volume";
        findings.warning(position, "too-large", message).help(help);
    }
}

/// What a service sees of the stack's `section`, which is `configs` or `secrets`.
pub(super) fn references(service: &Fields<'_>, section: &str) -> Vec<FileReference> {
    let mut references: Vec<(FileReference, Position)> = Vec::new();
    for field in service.items(section) {
        let Some(reference) = reference(field, section) else { continue };
        let place = |reference: &FileReference| {
            reference.target.clone().unwrap_or_else(|| reference.source.clone())
        };
        let same = references.iter().find(|(other, _)| place(other) == place(&reference));
        if let Some((_, first)) = same {
            let message = format!("`{}`: `{}` is in use already", field.name(), place(&reference));
            let mut findings = field.decoder.findings();
            let finding = findings.error(field.position(), "duplicate-target", message);
            finding.related(*first, "the first one").help("give each a `target` of its own");
        }
        references.push((reference, field.position()));
    }
    references.into_iter().map(|(reference, _)| reference).collect()
}

fn reference(field: Field<'_>, section: &str) -> Option<FileReference> {
    if field.node.scalar().is_some() {
        let source = field.filled_text()?;
        field.decoder.check_defined(&field.name(), &source, section, field.position());
        return Some(FileReference { source, target: None, uid: None, gid: None, mode: None });
    }
    if field.node.entries().is_empty() {
        field.wrong_type("a string or a mapping", "write the name of what is seen");
        return None;
    }
    let fields = field.fields(&["source", "target", "uid", "gid", "mode"])?;
    let target = fields.filled_text("target");
    let (uid, gid) = (fields.text("uid"), fields.text("gid"));
    let mode = fields.get("mode").and_then(mounts::mode);
    let Some(source) = fields.get("source") else {
        let message = format!("`{}` has no `source`", field.name());
        field.error("missing-key", message, format!("write `source:` with a name of `{section}`"));
        return None;
    };
    let name = source.filled_text()?;
    field.decoder.check_defined(&field.name(), &name, section, source.position());
    Some(FileReference { source: name, target, uid, gid, mode })
}
