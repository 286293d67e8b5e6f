//! `services.js` in Compose's terms, so that one decoder serves both kinds of design.
//!
//! What a key becomes is in section 5 of the format. Everything keeps its place in `services.js`;
//! what Compose knows itself passes through. Strings have variables in them, as those of a compose
//! file do.

mod policies;

use ailtire_terms::{Node as Exported, Value as ExportedValue, did_you_mean, nearest};

use crate::document::{Entry, Node, Position, Value};
use crate::findings::Findings;
use policies::Policies;

/// Port of a route that names none.
const DEFAULT_PORT: &str = "3000";

/// What `services.js` exports, as a tree.
pub(crate) fn tree(exported: &Exported) -> Node {
    let position = exported.position.map_or_else(Position::default, |position| Position {
        line: position.line,
        column: position.column,
        length: position.length,
    });
    match &exported.value {
        ExportedValue::Null => Node::plain("", position),
        ExportedValue::Text(text) => Node::text(text, position),
        ExportedValue::List(items) => Node::list(items.iter().map(tree).collect(), position),
        ExportedValue::Map(entries) => {
            let mut map: Vec<Entry> = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                // As in JavaScript, a key that comes again replaces the one before.
                map.retain(|entry| entry.key != *key);
                let value = tree(value);
                map.push(Entry::new(key, value.position, value));
            }
            Node::map(map, position)
        }
        scalar => Node::plain(scalar.as_scalar().unwrap_or_default(), position),
    }
}

/// The tree of a `services.js` as the tree of a compose file; absent where it is no object.
pub(crate) fn to_compose(root: Node, findings: &mut Findings) -> Option<Node> {
    let position = root.position;
    let Value::Map(entries) = root.value else {
        findings.error(
            position,
            "invalid-type",
            format!("an object must be exported, not {}", root.describe()),
        );
        return None;
    };
    let mut conversion = Conversion {
        policies: Policies::default(),
        routes: Vec::new(),
        volumes: Vec::new(),
        findings,
    };
    Some(conversion.stack(entries, position))
}

struct Conversion<'run> {
    /// The top level's.
    policies: Policies,
    routes: Vec<Node>,
    /// Named volumes that services mount, with the place of the first mount.
    volumes: Vec<(String, Position)>,
    findings: &'run mut Findings,
}

impl Conversion<'_> {
    fn stack(&mut self, mut entries: Vec<Entry>, position: Position) -> Node {
        if let Some(policies) = take(&mut entries, "policies") {
            self.policies = Policies::read(&policies.value, "policies", self.findings);
        }
        let interface = take(&mut entries, "interface");
        let mut volumes = self.declared_volumes(&mut entries);
        for entry in &mut entries {
            if entry.key != "services" {
                continue;
            }
            let Some(services) = entry.value.entries_mut() else { continue };
            for service in services {
                self.service(service);
            }
        }
        for (name, position) in std::mem::take(&mut self.volumes) {
            if volumes.iter().all(|entry| entry.key != name) {
                volumes.push(Entry::new(name, position, Node::plain("", position)));
            }
        }
        if let Some(interface) = interface {
            let ports = self.ports(&interface);
            entries.push(Entry::new("x-ailtire-ports", interface.key_position, ports));
        }
        let routes = Node::list(std::mem::take(&mut self.routes), position);
        entries.push(Entry::new("x-ailtire-routes", position, routes));
        entries.push(Entry::new("volumes", position, Node::map(volumes, position)));
        Node::map(entries, position)
    }

    /// What `data` and Compose's own `volumes` declare.
    fn declared_volumes(&mut self, entries: &mut Vec<Entry>) -> Vec<Entry> {
        let mut declared: Vec<Entry> = Vec::new();
        for key in ["data", "volumes"] {
            let Some(section) = take(entries, key) else { continue };
            if !matches!(section.value.value, Value::Map(_) | Value::Null) {
                self.wrong_type(key, "an object of volumes", &section.value);
                continue;
            }
            for volume in section.value.entries() {
                if let Some(first) = declared.iter().find(|first| first.key == volume.key) {
                    let message = format!("the volume `{}` is here twice", volume.key);
                    self.findings
                        .error(volume.key_position, "duplicate-key", message)
                        .related(first.key_position, "the first one");
                } else {
                    declared.push(volume.clone());
                }
            }
        }
        declared
    }

    fn service(&mut self, service: &mut Entry) {
        let name = service.key.clone();
        // What else it may be is the decoder's to say.
        let Some(entries) = service.value.entries_mut() else { return };
        if let Some(kind) = take(entries, "type") {
            self.kind(&kind, entries);
        }
        let policies = take(entries, "policies").map_or_else(Policies::default, |policies| {
            let path = format!("services.{name}.policies");
            Policies::read(&policies.value, &path, self.findings)
        });
        let policies = policies.over(&self.policies);
        if let Some(interface) = take(entries, "interface") {
            self.routes(&name, &interface.value, &policies);
        }
        policies.set_replicas(entries);
        if let Some(volumes) = entries.iter_mut().find(|entry| entry.key == "volumes") {
            self.mounts(&mut volumes.value);
        }
        if let Some(networks) = entries.iter_mut().find(|entry| entry.key == "networks")
            && networks.value.scalar().is_some()
        {
            let network = networks.value.clone();
            networks.value = Node::list(vec![network], networks.key_position);
        }
    }

    fn kind(&mut self, kind: &Entry, entries: &mut Vec<Entry>) {
        if kind.value.scalar() == Some("stack") {
            let flag = Node::plain("true", kind.key_position);
            entries.push(Entry::new("x-ailtire-stack", kind.key_position, flag));
        } else {
            let message = match kind.value.scalar() {
                Some(kind) => format!("there is no type of service `{kind}`"),
                None => format!("a type of service is a string, not {}", kind.value.describe()),
            };
            self.findings
                .error(kind.key_position, "unknown-service-type", message)
                .help("write `type: 'stack'` for another package's stack; leave it out otherwise");
        }
    }

    /// `{ name: { source, target } }` as a list of mounts.
    fn mounts(&mut self, volumes: &mut Node) {
        let position = volumes.position;
        let Value::Map(entries) = &mut volumes.value else { return };
        let mounts = std::mem::take(entries).into_iter().filter_map(|entry| self.mount(entry));
        volumes.value = Value::List(mounts.collect());
        volumes.position = position;
    }

    fn mount(&mut self, entry: Entry) -> Option<Node> {
        let Entry { key: name, key_position: position, value } = entry;
        let mut fields = match value.value {
            Value::Map(fields) => fields,
            // `name: '/where'`; with a colon it is a mount in Compose's own short syntax.
            Value::Text(ref target) if target.contains(':') => return Some(value),
            Value::Text(_) => vec![Entry::new("target", position, value)],
            _ => {
                self.wrong_type(&name, "an object with `source` and `target`", &value);
                return None;
            }
        };
        let source = fields.iter().find(|field| field.key == "source");
        let source = source.and_then(|field| field.value.scalar()).unwrap_or(&name).to_owned();
        if fields.iter().all(|field| field.key != "type") {
            let is_bind = source.starts_with(['/', '.', '~']);
            let kind = Node::text(if is_bind { "bind" } else { "volume" }, position);
            fields.insert(0, Entry::new("type", position, kind));
            if fields.iter().all(|field| field.key != "source") {
                fields.push(Entry::new("source", position, Node::text(&source, position)));
            }
            if !is_bind {
                self.volumes.push((source, position));
            }
        }
        Some(Node::map(fields, position))
    }

    fn routes(&mut self, service: &str, interface: &Node, policies: &Policies) {
        if interface.is_null() {
            return;
        }
        if !matches!(interface.value, Value::Map(_)) {
            self.wrong_type("interface", "an object of URLs", interface);
            return;
        }
        for entry in interface.entries() {
            let position = entry.key_position;
            let fields = match &entry.value.value {
                Value::Map(fields) => fields.clone(),
                Value::Null => Vec::new(),
                _ => {
                    let wanted = "an object with `path`, `port` and `protocol`";
                    self.wrong_type(&entry.key, wanted, &entry.value);
                    continue;
                }
            };
            let prefix = format!("/{}", entry.key.trim_start_matches('/'));
            let mut route = vec![
                Entry::new("prefix", position, Node::text(prefix, position)),
                Entry::new("service", position, Node::text(service, position)),
            ];
            route.extend(fields);
            let mut default = |key: &str, value: Node| {
                if route.iter().all(|field| field.key != key) {
                    route.push(Entry::new(key, value.position, value));
                }
            };
            default("path", Node::text("/", position));
            default("port", Node::plain(DEFAULT_PORT, position));
            default("protocol", Node::text("http", position));
            if let Some(timeout) = &policies.timeout {
                default("timeout", timeout.clone());
            }
            if let Some(retries) = &policies.retries {
                default("retries", retries.clone());
            }
            self.routes.push(Node::map(route, position));
        }
    }

    /// `ports: { 80: 3000 }` of the top level's `interface`, or `{ 80: { target, … } }`.
    fn ports(&mut self, interface: &Entry) -> Node {
        let position = interface.key_position;
        let mut ports = Vec::new();
        if !matches!(interface.value.value, Value::Map(_) | Value::Null) {
            self.wrong_type("interface", "an object with `ports`", &interface.value);
        }
        for entry in interface.value.entries() {
            if entry.key != "ports" {
                let message = format!("`interface` has no field `{}`", entry.key);
                let near = nearest(&entry.key, std::iter::once("ports"));
                let help = did_you_mean(&near)
                    .unwrap_or_else(|| "routes are given as `interface` of a service".to_owned());
                self.findings.error(entry.key_position, "unknown-key", message).help(help);
                continue;
            }
            match &entry.value.value {
                Value::List(items) => ports.extend(items.iter().cloned()),
                Value::Map(published) => ports.extend(published.iter().map(port)),
                Value::Null => {}
                _ => self.wrong_type("ports", "an object like `{ 80: 3000 }`", &entry.value),
            }
        }
        Node::list(ports, position)
    }

    fn wrong_type(&mut self, key: &str, wanted: &str, found: &Node) {
        let message = format!("`{key}` must be {wanted}, not {}", found.describe());
        self.findings.error(found.position, "invalid-type", message);
    }
}

/// A published port with what it leads to.
fn port(entry: &Entry) -> Node {
    let position = entry.key_position;
    let mut fields = match &entry.value.value {
        Value::Map(fields) => fields.clone(),
        _ => vec![Entry::new("target", position, entry.value.clone())],
    };
    if fields.iter().all(|field| field.key != "published") {
        let published = Node::plain(&entry.key, position);
        fields.push(Entry::new("published", position, published));
    }
    Node::map(fields, position)
}

fn take(entries: &mut Vec<Entry>, key: &str) -> Option<Entry> {
    let at = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(at))
}

#[cfg(test)]
mod tests;
