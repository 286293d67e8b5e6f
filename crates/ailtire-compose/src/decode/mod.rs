//! From the tree of a design to [`StackDesign`]: every key read, every name checked.
//!
//! Everything that is wrong is found in one pass: a value that can't be used is reported and left
//! out, and the rest is read on.

mod checks;
mod deploy;
mod environment;
mod fields;
mod files;
mod healthcheck;
mod keys;
mod mounts;
mod networks;
mod ports;
mod routes;
mod service;
#[cfg(test)]
mod tests;
mod units;
mod volumes;
mod words;

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;

use ailtire_events::Location;
use ailtire_terms::{did_you_mean, nearest};

use self::fields::{Field, Fields};
use crate::document::{Node, Position};
use crate::findings::Findings;
use crate::reader::Reader;
use crate::{StackDesign, template};

/// The key of a service that runs a stack, with that stack's family network.
const FAMILY_KEY: &str = "x-ailtire-family";

/// The design that `document` describes; absent where nothing can be made of it.
pub(crate) fn decode(
    document: &Node,
    reader: &Reader<'_>,
    findings: &mut Findings,
) -> Option<StackDesign> {
    // For the time of decoding, what is found is collected from many places at once.
    let taken = std::mem::replace(findings, Findings::new("", ""));
    let decoder = Decoder {
        reader,
        names: Names::of(document),
        findings: RefCell::new(taken),
        published: RefCell::default(),
    };
    let design = decoder.stack(document);
    *findings = decoder.findings.into_inner();
    design.filter(|_| !findings.has_errors())
}

/// What decoding one design needs everywhere.
struct Decoder<'tree> {
    reader: &'tree Reader<'tree>,
    names: Names<'tree>,
    findings: RefCell<Findings>,
    /// Every published port of the stack.
    published: RefCell<Vec<checks::Published>>,
}

/// The names that a design defines, whether or not their definitions are right.
#[derive(Default)]
struct Names<'tree> {
    services: Vec<&'tree str>,
    networks: Vec<&'tree str>,
    volumes: Vec<&'tree str>,
    configs: Vec<&'tree str>,
    secrets: Vec<&'tree str>,
}

impl<'tree> Names<'tree> {
    fn of(document: &'tree Node) -> Self {
        let keys = |section: &str| {
            let entries = document.get(section).map(Node::entries).unwrap_or_default();
            entries.iter().map(|entry| &*entry.key).collect()
        };
        Self {
            services: keys("services"),
            networks: keys("networks"),
            volumes: keys("volumes"),
            configs: keys("configs"),
            secrets: keys("secrets"),
        }
    }
}

impl Decoder<'_> {
    fn findings(&self) -> RefMut<'_, Findings> {
        self.findings.borrow_mut()
    }

    fn error(
        &self,
        position: Position,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings().error(position, code, message).help(help);
    }

    fn location(&self, position: Position) -> Location {
        self.findings.borrow().location(position)
    }

    /// Checks that the stack defines `name` in `section`; `user` names it at `position`.
    fn check_defined(&self, user: &str, name: &str, section: &str, position: Position) -> bool {
        let defined = match section {
            "services" => &self.names.services,
            "networks" => &self.names.networks,
            "volumes" => &self.names.volumes,
            "configs" => &self.names.configs,
            _ => &self.names.secrets,
        };
        if defined.contains(&name) {
            return true;
        }
        let kind = section.trim_end_matches('s');
        let message = format!("`{user}` names the {kind} `{name}`, which the stack does not have");
        let near = nearest(name, defined.iter().copied());
        let help = did_you_mean(&near[..near.len().min(1)])
            .unwrap_or_else(|| format!("add `{name}` to the `{section}` at the top level"));
        self.error(position, "undefined-name", message, help);
        false
    }

    fn stack(&self, document: &Node) -> Option<StackDesign> {
        const FORM: &str = "write `services:` with one `name:` a line below it";
        let root = Field::section(self, "", document, document.position);
        let top = root.fields(keys::TOP_LEVEL)?;
        self.check_top_level(&top);
        let mut design = StackDesign::default();
        if top.get("services").is_none() {
            let message = "the design has no `services`";
            self.error(root.key_position(), "no-services", message, FORM);
        }
        design.services = self.section(document, "services", service::decode);
        design.networks = self.section(document, "networks", networks::decode);
        design.volumes = self.section(document, "volumes", volumes::decode);
        design.configs = self.section(document, "configs", files::decode_config);
        design.secrets = self.section(document, "secrets", files::decode_secret);
        design.routes = routes::decode(self, document);
        design.ports = routes::decode_ports(self, document);
        checks::check(self, &design);
        Some(design)
    }

    fn check_top_level(&self, top: &Fields<'_>) {
        for (key, help) in keys::FORBIDDEN_TOP_LEVEL {
            if let Some(field) = top.get(key) {
                let message = format!("`{key}` can't be used in a stack");
                self.error(field.key_position(), "unsupported-key", message, *help);
            }
        }
        if let Some(field) = top.get("name") {
            let message = "`name` is ignored: the stack has its name from its deployment";
            self.findings().note(field.key_position(), "ignored-key", message);
        }
        if let Some(field) = top.get("version")
            && let Some(version) = field.text()
            && version != "3"
            && !version.starts_with("3.")
        {
            let message = format!("the compose file format `{version}` is not known");
            let help = "write `version: \"3.9\"`, or leave `version` out";
            field.warning("unknown-version", message, help);
        }
    }

    /// The objects of a top-level section, by name.
    fn section<'tree, T>(
        &'tree self,
        document: &'tree Node,
        key: &str,
        decode: fn(&'tree str, Field<'tree>) -> T,
    ) -> BTreeMap<String, T> {
        let Some(entry) = document.entry(key).filter(|entry| !entry.value.is_null()) else {
            return BTreeMap::new();
        };
        let section = Field::section(self, &entry.key, &entry.value, entry.key_position);
        let mut objects = BTreeMap::new();
        for (name, field) in section.objects() {
            check_key(name, &field);
            objects.insert(name.to_owned(), decode(name, field));
        }
        objects
    }
}

/// Checks that `name` is one that Compose takes for a service, network, volume and so on.
fn check_key(name: &str, field: &Field<'_>) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || !name.bytes().all(fits) {
        let message = format!("`{name}` is no valid name");
        let help = "use letters, digits, `.`, `_` and `-`";
        field.decoder.error(field.key_position(), "invalid-name", message, help);
    }
}

/// The text under `name`: what an object of the stack is called in the engine.
fn engine_name(fields: &Fields<'_>) -> Option<String> {
    let field = fields.get("name")?;
    let name = field.filled_text()?;
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    // The family network of another stack has variables that are replaced there.
    let is_template = field.name().contains(FAMILY_KEY);
    let plain = is_template.then(|| template::replace(&name, &|_| Some("x")).0);
    let bytes = plain.as_ref().unwrap_or(&name).as_bytes();
    if bytes.iter().all(|byte| inner(*byte)) && outer(bytes.first().copied()) {
        return Some(name);
    }
    let help = "use letters, digits, `.`, `_` and `-`, and begin with a letter or digit";
    field.invalid("invalid-name", "a name that the engine takes", help);
    None
}

/// Whether the object is `external`, and the name that the old form `external: {name}` gives it.
fn external(fields: &Fields<'_>) -> (bool, Option<String>) {
    let Some(field) = fields.get("external") else { return (false, None) };
    if field.node.scalar().is_some() {
        return (field.boolean().unwrap_or(true), None);
    }
    let Some(old) = field.fields(&["name"]) else { return (true, None) };
    let name = old.filled_text("name");
    if fields.get("name").is_some() && name.is_some() {
        let message = format!("`{}` has two names", fields.field.name());
        field.error("two-names", message, "write `external: true`, and the name as `name` only");
    }
    (true, name)
}

/// Refuses what an external object can't have, since it is made elsewhere.
fn refuse_beside_external(fields: &Fields<'_>, keys: &[&str]) {
    for key in keys {
        if let Some(field) = fields.get(key).filter(|field| !field.is_nothing()) {
            let message = format!("`{}` can't be given for what is external", field.name());
            let help = "what is external is made elsewhere, with all its properties";
            field.decoder.error(field.key_position(), "beside-external", message, help);
        }
    }
}
