//! The networks that every stack has: family and siblings (format, section 5).
//!
//! They are put into the tree as networks like any other: services that name `children`, `parent`
//! or `family` are on the family network, those that name `siblings` or `sibling` on the siblings
//! network. A compose file may define a network of such a name itself, which is then what it means
//! by it; a plain compose file stays as Docker reads it. In a `services.js` such a definition adds
//! to the network's properties.
//!
//! On every network a service has its own name as an alias; that is added where its specification
//! is made, as Docker does.

use ailtire_terms::reference::canonical;

use crate::document::{Entry, Node, Position, Value};
use crate::findings::Findings;
use crate::variables::FAMILY_NETWORK;
use crate::{Purpose, StackContext, symbol};

/// What a design may call the family network; the first one is its key.
const FAMILY: [&str; 3] = ["family", "children", "parent"];

/// What a design may call the siblings network; the first one is its key.
const SIBLINGS: [&str; 2] = ["siblings", "sibling"];

/// A network of the format in one design.
struct Shared {
    names: &'static [&'static str],
    /// Names that the file defines itself, as something else.
    taken: Vec<String>,
    key: Option<&'static str>,
    /// Where it is first named.
    used: Option<Position>,
}

impl Shared {
    fn new(names: &'static [&'static str], defined: &[String]) -> Self {
        let taken: Vec<String> =
            defined.iter().filter(|name| names.contains(&name.as_str())).cloned().collect();
        let key = names.iter().find(|name| taken.iter().all(|taken| taken != *name)).copied();
        Self { names, taken, key, used: None }
    }

    fn means(&self, name: &str) -> bool {
        self.names.contains(&name) && self.taken.iter().all(|taken| taken != name)
    }

    /// The network that a stack service at `position` is on: what the file itself calls so, else
    /// this one.
    fn of_stack(&mut self, position: Position) -> Option<String> {
        let own = self.names.iter().find(|name| self.taken.iter().any(|taken| taken == *name));
        own.copied().or_else(|| self.used(position)).map(str::to_owned)
    }

    /// Its key, now that something at `position` uses it.
    fn used(&mut self, position: Position) -> Option<&'static str> {
        self.used.get_or_insert(position);
        self.key
    }
}

/// Puts the format's networks into the tree of a design, those that are used.
pub(crate) fn complete(
    root: &mut Node,
    context: &StackContext,
    is_services_js: bool,
    findings: &mut Findings,
) {
    let defined: Vec<String> = match root.get("networks") {
        Some(networks) if !is_services_js => {
            networks.entries().iter().map(|entry| entry.key.clone()).collect()
        }
        _ => Vec::new(),
    };
    let mut family = Shared::new(&FAMILY, &defined);
    let mut siblings = Shared::new(&SIBLINGS, &defined);
    let Some(entries) = root.entries_mut() else { return };
    let services = entries.iter_mut().find(|entry| entry.key == "services");
    let services = services.and_then(|services| services.value.entries_mut());
    for service in services.into_iter().flatten() {
        let is_stack = runs_stack(&service.value, context);
        attach(service, is_stack, &mut family, &mut siblings, is_services_js, findings);
    }
    let position = root.position;
    let Some(entries) = root.entries_mut() else { return };
    if entries.iter().all(|entry| entry.key != "networks") {
        entries.push(Entry::new("networks", position, Node::map(Vec::new(), position)));
    }
    let networks = entries.iter_mut().find(|entry| entry.key == "networks");
    let Some(networks) = networks.map(|networks| &mut networks.value) else { return };
    if networks.is_null() {
        *networks = Node::map(Vec::new(), networks.position);
    }
    let Some(networks) = networks.entries_mut() else { return };
    let family_name = Node::text(family_name(context), position);
    let attachable = Node::plain("true", position);
    let overlay = || Node::text("overlay", position);
    define(
        &family,
        vec![("name", family_name), ("driver", overlay()), ("attachable", attachable)],
        networks,
        findings,
    );
    define(&siblings, vec![("driver", overlay())], networks, findings);
}

/// The family network's name where the design gives none.
fn family_name(context: &StackContext) -> String {
    match context.purpose {
        Purpose::Image => symbol::variable(FAMILY_NETWORK),
        Purpose::Deployment | Purpose::Management => context.family_network(),
    }
}

/// Whether a service runs a stack: it says so, or its image is one.
fn runs_stack(service: &Node, context: &StackContext) -> bool {
    let says_so = service.get("x-ailtire-stack");
    let image = || service.get("image").and_then(Node::scalar).map(canonical);
    says_so.is_some_and(|flag| flag.value == Value::Bool(true))
        || image().is_some_and(|image| context.stack_images.contains(&image))
}

/// Puts a service on the networks that it names, or on both where it names none.
fn attach(
    service: &mut Entry,
    is_stack: bool,
    family: &mut Shared,
    siblings: &mut Shared,
    is_services_js: bool,
    findings: &mut Findings,
) {
    let position = service.key_position;
    let Some(entries) = service.value.entries_mut() else { return };
    let at = entries.iter().position(|entry| entry.key == "networks");
    let named = at.map(|at| entries.remove(at));
    let mut attachments: Vec<Entry> = Vec::new();
    match named.as_ref().map(|named| &named.value.value) {
        None | Some(Value::Null) => {}
        Some(Value::Map(networks)) => attachments.clone_from(networks),
        Some(Value::List(items)) if items.iter().all(|item| item.scalar().is_some()) => {
            attachments.extend(items.iter().map(|name| {
                let nothing = Node::plain("", name.position);
                Entry::new(name.scalar().unwrap_or_default(), name.position, nothing)
            }));
        }
        // What is wrong with it is the decoder's to say.
        Some(_) => {
            entries.extend(named);
            return;
        }
    }
    let on_both = is_stack || (is_services_js && attachments.is_empty());
    let means = |entry: &Entry| family.means(&entry.key) || siblings.means(&entry.key);
    if !on_both && !attachments.iter().any(means) {
        entries.extend(named);
        return;
    }
    let mut replaced: Vec<Entry> = Vec::new();
    for mut attachment in attachments {
        for shared in [&mut *family, &mut *siblings] {
            if shared.means(&attachment.key)
                && let Some(key) = shared.used(attachment.key_position)
            {
                key.clone_into(&mut attachment.key);
            }
        }
        match replaced.iter_mut().find(|known| known.key == attachment.key) {
            None => replaced.push(attachment),
            // `children` and `parent` are one network: naming both says no more than one.
            Some(known) if known.value.is_null() => known.value = attachment.value,
            Some(_) if attachment.value.is_null() => {}
            Some(known) => {
                let message = format!("`{}` is on the same network twice", service.key);
                findings
                    .error(attachment.key_position, "duplicate-key", message)
                    .related(known.key_position, "the first one");
            }
        }
    }
    if on_both {
        for shared in [family, siblings] {
            let is_on = |entry: &Entry| shared.names.contains(&entry.key.as_str());
            if !replaced.iter().any(is_on)
                && let Some(key) = shared.of_stack(position)
            {
                replaced.push(Entry::new(key, position, Node::plain("", position)));
            }
        }
    }
    let position = named.map_or(position, |named| named.key_position);
    entries.push(Entry::new("networks", position, Node::map(replaced, position)));
}

/// Defines a network that is used, with `properties` where the file gives no others.
fn define(
    shared: &Shared,
    properties: Vec<(&str, Node)>,
    networks: &mut Vec<Entry>,
    findings: &mut Findings,
) {
    let own: Vec<usize> =
        (0..networks.len()).rev().filter(|index| shared.means(&networks[*index].key)).collect();
    let mut own: Vec<Entry> = own.into_iter().map(|index| networks.remove(index)).collect();
    let definition = own.pop();
    for second in own {
        let finding = findings.error(
            second.key_position,
            "duplicate-key",
            format!("the network `{}` is defined under another name as well", second.key),
        );
        if let Some(first) = &definition {
            finding.related(first.key_position, format!("`{}` is the same one", first.key));
        }
    }
    let (Some(key), Some(used)) = (shared.key, shared.used) else { return };
    let position = definition.as_ref().map_or(used, |own| own.key_position);
    let mut entry =
        definition.unwrap_or_else(|| Entry::new(key, position, Node::map(Vec::new(), position)));
    key.clone_into(&mut entry.key);
    if entry.value.is_null() {
        entry.value = Node::map(Vec::new(), position);
    }
    let is_external = entry.value.get("external").is_some();
    if let Some(fields) = entry.value.entries_mut()
        && !is_external
    {
        for (name, mut value) in properties {
            if fields.iter().all(|field| field.key != name) {
                value.position = position;
                fields.push(Entry::new(name, position, value));
            }
        }
    }
    networks.push(entry);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::json;
    use crate::yaml;

    fn completed(text: &str, is_services_js: bool) -> (Node, Vec<String>) {
        let context = StackContext {
            application: "shop".into(),
            path: vec!["shop-dev".into(), "orders".into()],
            ..StackContext::default()
        };
        let mut findings = Findings::new("compose.yaml", text);
        let mut root = yaml::parse(text, &mut findings).unwrap();
        complete(&mut root, &context, is_services_js, &mut findings);
        let messages = findings.into_diagnostics().into_iter();
        (root, messages.map(|diagnostic| diagnostic.message).collect())
    }

    /// The networks of each service, and those of the stack.
    fn networks(text: &str, is_services_js: bool) -> String {
        let (root, messages) = completed(text, is_services_js);
        assert_eq!(messages, [""; 0]);
        let of = |node: &Node| node.get("networks").map(json).unwrap_or_default().to_string();
        let services = root.get("services").unwrap().entries().iter();
        let services = services.map(|entry| format!("{}={}", entry.key, of(&entry.value)));
        format!("{} | {}", services.collect::<Vec<_>>().join(" "), of(&root))
    }

    const FAMILY: &str =
        r#""family":{"attachable":true,"driver":"overlay","name":"shop_shop-dev_orders_family"}"#;
    const SIBLINGS: &str = r#""siblings":{"driver":"overlay"}"#;

    #[test]
    fn a_plain_compose_file_stays_what_it_is() {
        assert_eq!(networks("services: {a: {image: x}}", false), "a=null | {}");
        let text = "services: {a: {networks: [b, children]}}\nnetworks: {b: , children: {name: c}}";
        assert_eq!(
            networks(text, false),
            r#"a=["b","children"] | {"b":null,"children":{"name":"c"}}"#
        );
    }

    #[test]
    fn names_that_a_compose_file_does_not_define() {
        let text = "services: {a: {networks: [children, b]}, c: {networks: {sibling: {aliases: [x]}}}, \
                    d: {}, e: {x-ailtire-stack: true}}\nnetworks: {b: }";
        let both = r#"{"family":null,"siblings":null}"#;
        assert_eq!(
            networks(text, false),
            format!(
                r#"a={{"b":null,"family":null}} c={{"siblings":{{"aliases":["x"]}}}} d=null e={both} | {{"b":null,{FAMILY},{SIBLINGS}}}"#
            )
        );
        // Its own `family` is another network than the one it calls `children`.
        let text = "services: {a: {networks: [family, parent]}}\nnetworks: {family: {name: own}}";
        let generated = FAMILY.replace("\"family\":", "\"children\":");
        assert_eq!(
            networks(text, false),
            format!(
                r#"a={{"children":null,"family":null}} | {{{generated},"family":{{"name":"own"}}}}"#
            )
        );
    }

    #[test]
    fn a_stack_is_on_what_the_file_calls_so() {
        let text = "services: {a: {x-ailtire-stack: true}, b: {networks: [parent], x-ailtire-stack: true}}\n\
                    networks: {children: {name: c}, sibling: }";
        let generated = FAMILY;
        assert_eq!(
            networks(text, false),
            format!(
                r#"a={{"children":null,"sibling":null}} b={{"family":null,"sibling":null}} | {{"children":{{"name":"c"}},{generated},"sibling":null}}"#
            )
        );
    }

    #[test]
    fn services_js_without_networks_is_on_both() {
        let both = r#"{"family":null,"siblings":null}"#;
        let text = "services: {a: {}, b: {networks: {}}, c: {networks: [children, parent]}, \
                    d: {networks: [x], x-ailtire-stack: true}}\nnetworks: {x: }";
        assert_eq!(
            networks(text, true),
            format!(
                r#"a={both} b={both} c={{"family":null}} d={{"family":null,"siblings":null,"x":null}} | {{{FAMILY},{SIBLINGS},"x":null}}"#
            )
        );
        let text = "services: {c: {networks: [sibling]}}";
        assert_eq!(networks(text, true), format!(r#"c={{"siblings":null}} | {{{SIBLINGS}}}"#));
    }

    #[test]
    fn services_js_adds_properties() {
        let text =
            "services: {a: {networks: [parent]}}\nnetworks: {children: {internal: true, name: n}}";
        assert_eq!(
            networks(text, true),
            r#"a={"family":null} | {"family":{"attachable":true,"driver":"overlay","internal":true,"name":"n"}}"#
        );
        let text = "services: {a: {}}\nnetworks: {children: {internal: true}, family: {name: n}}";
        let (_, messages) = completed(text, true);
        assert_eq!(messages, ["the network `family` is defined under another name as well"]);
    }

    #[test]
    fn one_network_twice() {
        let text = "services: {a: {networks: {children: {aliases: [x]}, parent: {aliases: [y]}}}}";
        assert_eq!(completed(text, true).1, ["`a` is on the same network twice"]);
        let text = "services: {a: {networks: 7}}";
        assert_eq!(networks(text, false), "a=7 | {}");
    }
}
