//! What every design gets once it is decoded: variables, and the entry's ports.

use std::collections::BTreeMap;

use ailtire_events::Diagnostic;

use crate::document::Position;
use crate::findings::Findings;
use crate::variables::{MANAGER_ALIAS, format_variables};
use crate::{Service, StackContext, StackDesign};

/// A stack service's `AILTIRE_STACKNAME`: the engine replaces it for each task.
const OWN_INSTANCE: &str = "{{.Service.Name}}-{{.Task.Slot}}";

/// Services that are the stack's entry, first one that there is.
const ENTRIES: [&str; 2] = ["frontend", "admin"];

/// Adds the variables of format, section 7, those of `deploy.js`, and the ports of the entry
/// service to `design`.
pub(crate) fn complete(design: &mut StackDesign, context: &StackContext, findings: &mut Findings) {
    let plain = plain_variables(context);
    let stack = stack_variables(context);
    for (name, service) in &mut design.services {
        set(service, &context.variables);
        set(service, if service.is_stack { &stack } else { &plain });
        let own = BTreeMap::from([("AILTIRE_SERVICENAME".to_owned(), name.clone())]);
        set(service, &own);
    }
    // The longest prefix is the one that holds; equal ones stay in order.
    design.routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
    if context.parent.is_none() {
        publish(design, findings);
    }
}

/// Variables that the service does not set itself; one that it removes (`None`) stays removed.
fn set(service: &mut Service, variables: &BTreeMap<String, String>) {
    for (name, value) in variables {
        service.environment.entry(name.clone()).or_insert_with(|| Some(value.clone()));
    }
}

fn plain_variables(context: &StackContext) -> BTreeMap<String, String> {
    let mut variables = format_variables(context);
    // It is there for interpolation only.
    variables.remove("APPNAME");
    variables
}

fn stack_variables(context: &StackContext) -> BTreeMap<String, String> {
    let mut variables = plain_variables(context);
    let own = [
        ("AILTIRE_STACKNAME", OWN_INSTANCE.to_owned()),
        ("AILTIRE_PARENT", context.instance.clone()),
        ("AILTIRE_PARENTHOST", MANAGER_ALIAS.to_owned()),
        ("AILTIRE_PARENT_NETWORK", context.family_network()),
    ];
    variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
    variables
}

/// The service that the outside world reaches the stack through.
fn entry(design: &StackDesign) -> Option<String> {
    let named = ENTRIES.iter().find(|name| design.services.contains_key(**name));
    let routed = || {
        let root = design.routes.iter().find(|route| route.prefix == "/");
        root.filter(|route| design.services.contains_key(&route.service))
            .map(|route| route.service.clone())
    };
    named.map(|name| (*name).to_owned()).or_else(routed)
}

fn publish(design: &mut StackDesign, findings: &mut Findings) {
    if design.ports.is_empty() {
        return;
    }
    let Some(entry) = entry(design) else {
        findings
            .warning(
                Position::default(),
                "no-entry-service",
                "the stack's ports are not published: no service is its entry",
            )
            .help("name a service `frontend` or `admin`, or route `/` to one");
        return;
    };
    let taken: Vec<(String, u16)> = design
        .ports
        .iter()
        .filter_map(|port| {
            let same = |other: &crate::Port| {
                other.published == port.published && other.protocol == port.protocol
            };
            let holder = design
                .services
                .iter()
                .find(|(name, service)| **name != entry && service.ports.iter().any(same));
            Some((holder?.0.clone(), port.published?))
        })
        .collect();
    for (holder, published) in taken {
        let location = design.services[&holder].location.clone();
        let message =
            format!("port {published} of the stack is published by the service `{holder}` already");
        findings
            .add(Diagnostic::error("port-conflict", message).at(location))
            .help(format!("leave it out there: the stack's ports go to `{entry}`"));
    }
    let Some(service) = design.services.get_mut(&entry) else { return };
    for port in &design.ports {
        // A design that was printed and read again has them already.
        if !service.ports.contains(port) {
            service.ports.push(port.clone());
        }
    }
}
