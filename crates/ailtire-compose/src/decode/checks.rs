//! What can only be seen once all services are read.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_events::Diagnostic;

use super::Decoder;
use crate::document::Position;
use crate::model::{Dependency, Port, Service, StackDesign};

/// A port that a service publishes, and where that is written.
pub(super) struct Published {
    pub(super) service: String,
    pub(super) port: Port,
    pub(super) position: Position,
}

pub(super) fn check(decoder: &Decoder<'_>, design: &StackDesign) {
    check_ports(decoder, design);
    check_endpoints(decoder, design);
    check_cycles(decoder, design);
}

/// Two services can't have one port of the same node.
fn check_ports(decoder: &Decoder<'_>, design: &StackDesign) {
    let published = decoder.published.borrow();
    let mut holders: BTreeMap<(u16, &str), Vec<&Published>> = BTreeMap::new();
    for second in published.iter() {
        let (Some(number), protocol) = (second.port.published, &*second.port.protocol) else {
            continue;
        };
        let others = holders.entry((number, protocol)).or_default();
        let Some(first) = others.iter().find(|first| clash(first, second, design)) else {
            others.push(second);
            continue;
        };
        let message = format!("the port {number}/{protocol} is published twice in this stack");
        let mut findings = decoder.findings();
        let finding = findings.error(second.position, "duplicate-port", message);
        let of = format!("`{}` publishes it here", first.service);
        finding.related(first.position, of).help("publish one of them under another number");
    }
}

/// Whether two publications of one port are in each other's way.
fn clash(first: &Published, second: &Published, design: &StackDesign) -> bool {
    // On the nodes themselves, constraints can keep two services apart.
    let is_constrained = |name: &str| {
        let placement =
            design.services.get(name).and_then(|service| service.deploy.placement.as_ref());
        placement.is_some_and(|placement| !placement.constraints.is_empty())
    };
    let on_nodes = first.port.mode == "host" && second.port.mode == "host";
    let apart = first.service != second.service
        && (is_constrained(&first.service) || is_constrained(&second.service));
    !(on_nodes && apart)
}

/// The ingress network reaches a service by its virtual address.
fn check_endpoints(decoder: &Decoder<'_>, design: &StackDesign) {
    let mut seen = BTreeSet::new();
    for published in decoder.published.borrow().iter() {
        let service = design.services.get(&published.service);
        let mode = service.and_then(|service| service.deploy.endpoint_mode.as_deref());
        if mode == Some("dnsrr")
            && published.port.mode == "ingress"
            && seen.insert(&published.service)
        {
            let message = format!(
                "`services.{}` publishes a port by the ingress network, which needs the endpoint \
                 mode `vip`",
                published.service
            );
            let help = "write the port in long syntax with `mode: host`, or leave \
                        `endpoint_mode: dnsrr` out";
            decoder.error(published.position, "ingress-without-address", message, help);
        }
    }
}

/// Reports each circle of `depends_on` once.
fn check_cycles(decoder: &Decoder<'_>, design: &StackDesign) {
    let mut done = BTreeSet::new();
    for name in design.services.keys() {
        visit(decoder, &design.services, name, &mut done);
    }
}

/// Follows the dependencies of `name`, without recursion: a chain may be long.
fn visit<'design>(
    decoder: &Decoder<'_>,
    services: &'design BTreeMap<String, Service>,
    name: &'design str,
    done: &mut BTreeSet<&'design str>,
) {
    let dependencies = |name: &str| services.get(name).map(|service| service.depends_on.iter());
    let mut path: Vec<&str> = Vec::new();
    let mut on_path = BTreeSet::new();
    let mut pending = Vec::new();
    let mut next = Some(name);
    loop {
        if let Some(name) = next.take()
            && !done.contains(name)
            && let Some(dependencies) = dependencies(name)
        {
            path.push(name);
            on_path.insert(name);
            pending.push(dependencies);
        }
        let Some(dependencies) = pending.last_mut() else { return };
        match dependencies.next() {
            Some((name, dependency)) if on_path.contains(name.as_str()) => {
                report_cycle(decoder, &path, name, dependency);
            }
            Some((name, _)) => next = Some(name),
            None => {
                pending.pop();
                if let Some(name) = path.pop() {
                    on_path.remove(name);
                    done.insert(name);
                }
            }
        }
    }
}

fn report_cycle(decoder: &Decoder<'_>, path: &[&str], name: &str, dependency: &Dependency) {
    let start = path.iter().position(|earlier| *earlier == name).unwrap_or_default();
    let circle: Vec<String> = path[start..].iter().map(|name| format!("`{name}`")).collect();
    let message = format!("`depends_on` goes in a circle: {} → `{name}`", circle.join(" → "));
    let diagnostic = Diagnostic::error("dependency-cycle", message)
        .at(dependency.location.clone())
        .help("take one of the dependencies out; a service can also wait for another itself");
    decoder.findings().add(diagnostic);
}
