//! What every design gets once it is decoded: variables, and the entry's ports.

use std::collections::BTreeMap;

use ailtire_events::Diagnostic;
use ailtire_terms::reference::canonical;

use crate::document::Position;
use crate::findings::Findings;
use crate::variables::{MANAGER_ALIAS, NOT_FOR_SERVICES, format_variables};
use crate::{Purpose, Service, StackContext, StackDesign};

/// A stack service's `AILTIRE_STACKNAME`: the engine replaces it for each task.
const OWN_INSTANCE: &str = "{{.Service.Name}}-{{.Task.Slot}}";

/// Services that are the stack's entry, first one that there is.
const ENTRIES: [&str; 2] = ["frontend", "admin"];

/// Says which services are stacks, and adds the variables of format, section 7, those of
/// `deploy.js`, and the ports of the entry service to `design`.
pub(crate) fn complete(design: &mut StackDesign, context: &StackContext, findings: &mut Findings) {
    let is_for_image = context.purpose == Purpose::Image;
    let plain = plain_variables(context);
    let stack = stack_variables(context, design);
    for (name, service) in &mut design.services {
        service.is_stack |= context.stack_images.contains(&canonical(&service.image));
        set(service, &context.variables);
        // They follow from where the stack runs; its manager adds them when it reads the file.
        if is_for_image {
            continue;
        }
        set(service, if service.is_stack { &stack } else { &plain });
        let own = BTreeMap::from([("AILTIRE_SERVICENAME".to_owned(), name.clone())]);
        set(service, &own);
    }
    // The longest prefix is the one that holds; equal ones stay in order.
    design.routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
    match context.purpose {
        Purpose::Deployment if context.parent.is_none() => publish(design, findings),
        Purpose::Management if context.parent.is_none() => leave_to_manager(design, findings),
        // Who knows whether it will be the root.
        _ => {}
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
    variables.retain(|name, _| !NOT_FOR_SERVICES.contains(&name.as_str()));
    variables
}

fn stack_variables(context: &StackContext, design: &StackDesign) -> BTreeMap<String, String> {
    let mut variables = plain_variables(context);
    let own = [
        ("AILTIRE_STACKNAME", OWN_INSTANCE.to_owned()),
        ("AILTIRE_PARENT", context.instance.clone()),
        ("AILTIRE_PARENTHOST", MANAGER_ALIAS.to_owned()),
        ("AILTIRE_PARENT_NETWORK", context.family_network_in(design)),
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
    report_taken(design, &entry, findings);
    let Some(service) = design.services.get_mut(&entry) else { return };
    for port in &design.ports {
        // A design that was printed and read again has them already.
        if !service.ports.contains(port) {
            service.ports.push(port.clone());
        }
    }
}

/// The manager publishes the ports: the entry service does not, nor may another one.
fn leave_to_manager(design: &mut StackDesign, findings: &mut Findings) {
    let entry = entry(design).unwrap_or_default();
    report_taken(design, &entry, findings);
    if let Some(service) = design.services.get_mut(&entry) {
        service.ports.retain(|port| !design.ports.contains(port));
    }
}

/// Ports of the stack that another service than `entry` publishes.
fn report_taken(design: &StackDesign, entry: &str, findings: &mut Findings) {
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
                .find(|(name, service)| *name != entry && service.ports.iter().any(same));
            Some((holder?.0.clone(), port.published?))
        })
        .collect();
    for (holder, published) in taken {
        let location = design.services[&holder].location.clone();
        let message =
            format!("port {published} of the stack is published by the service `{holder}` already");
        findings
            .add(Diagnostic::error("duplicate-port", message).at(location))
            .help("leave it out there: the stack's ports go to its entry");
    }
}

#[cfg(test)]
mod tests {
    use ailtire_events::Location;

    use super::*;
    use crate::{ParentStack, Port, Route};

    fn service(is_stack: bool) -> Service {
        let location = Location::file("services.js");
        Service { is_stack, ..Service::new("image", location) }
    }

    fn design(names: &[&str]) -> StackDesign {
        let services = names.iter().map(|name| ((*name).to_owned(), service(*name == "stack")));
        StackDesign { services: services.collect(), ..StackDesign::default() }
    }

    fn context(parent: Option<ParentStack>) -> StackContext {
        StackContext {
            application: "shop".into(),
            environment: "dev".into(),
            instance: "shop-dev".into(),
            path: vec!["shop-dev".into()],
            parent,
            variables: BTreeMap::from([("LEVEL".into(), "info".into())]),
            ..StackContext::default()
        }
    }

    fn completed(
        mut design: StackDesign,
        context: &StackContext,
    ) -> (StackDesign, Vec<Diagnostic>) {
        let mut findings = Findings::new("services.js", "");
        complete(&mut design, context, &mut findings);
        (design, findings.into_diagnostics())
    }

    fn environment(design: &StackDesign, name: &str) -> String {
        let lines = design.services[name].environment.iter();
        let line = |(name, value): (&String, &Option<String>)| {
            format!("{name}={}", value.as_deref().unwrap_or("<none>"))
        };
        lines.map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn variables_of_the_root() {
        let mut design = design(&["stack", "web"]);
        let web = design.services.get_mut("web").unwrap();
        web.environment.insert("LEVEL".into(), None);
        web.environment.insert("AILTIRE_ENV".into(), Some("own".into()));
        let (design, diagnostics) = completed(design, &context(None));
        assert_eq!(diagnostics, []);
        let web = "AILTIRE_APPNAME=shop\nAILTIRE_ENV=own\nAILTIRE_PARENT=\nAILTIRE_PARENTHOST=\n\
                   AILTIRE_PARENT_NETWORK=\nAILTIRE_SERVICENAME=web\n\
                   AILTIRE_STACKNAME=shop-dev\nLEVEL=<none>";
        assert_eq!(environment(&design, "web"), web);
        let stack = "AILTIRE_APPNAME=shop\nAILTIRE_ENV=dev\nAILTIRE_PARENT=shop-dev\n\
                     AILTIRE_PARENTHOST=admin\nAILTIRE_PARENT_NETWORK=shop_shop-dev_family\n\
                     AILTIRE_SERVICENAME=stack\n\
                     AILTIRE_STACKNAME={{.Service.Name}}-{{.Task.Slot}}\nLEVEL=info";
        assert_eq!(environment(&design, "stack"), stack);
    }

    #[test]
    fn variables_of_a_child() {
        let parent = ParentStack { instance: "up".into(), family_network: "up_family".into() };
        let (design, _) = completed(design(&["web"]), &context(Some(parent)));
        let web = environment(&design, "web");
        assert!(web.contains("AILTIRE_PARENT=up\nAILTIRE_PARENTHOST=admin\n"), "{web}");
        assert!(web.contains("AILTIRE_PARENT_NETWORK=up_family\n"), "{web}");
    }

    fn port(published: u16) -> Port {
        let (mode, protocol) = ("ingress".into(), "tcp".into());
        Port { mode, target: 3000, published: Some(published), protocol }
    }

    fn published(names: &[&str], root_route: bool) -> (String, usize) {
        let mut design = design(names);
        design.ports = vec![port(80), port(443)];
        if root_route {
            design.routes.push(Route {
                prefix: "/".into(),
                service: "web".into(),
                path: "/".into(),
                port: 3000,
                protocol: "http".into(),
                timeout: None,
                retries: None,
            });
        }
        let (design, diagnostics) = completed(design, &context(None));
        // Reading again what was printed adds nothing.
        let (design, _) = completed(design, &context(None));
        let holders = design.services.iter().filter(|(_, service)| service.ports.len() == 2);
        let holders: Vec<&str> = holders.map(|(name, _)| name.as_str()).collect();
        (holders.join(","), diagnostics.len())
    }

    #[test]
    fn the_entry_publishes_the_ports() {
        assert_eq!(published(&["admin", "frontend", "web"], true), ("frontend".into(), 0));
        assert_eq!(published(&["admin", "web"], true), ("admin".into(), 0));
        assert_eq!(published(&["other", "web"], true), ("web".into(), 0));
        assert_eq!(published(&["web"], false), (String::new(), 1));
    }

    #[test]
    fn a_manager_publishes_the_ports_itself() {
        let mut design = design(&["frontend", "web"]);
        design.ports = vec![port(80)];
        let own = vec![port(80), port(81)];
        design.services.get_mut("frontend").unwrap().ports = own;
        let context = StackContext { purpose: Purpose::Management, ..context(None) };
        let (managed, diagnostics) = completed(design.clone(), &context);
        assert_eq!(
            (managed.services["frontend"].ports.clone(), diagnostics),
            (vec![port(81)], vec![])
        );
        assert_eq!(managed.ports, [port(80)]);
        design.services.get_mut("web").unwrap().ports.push(port(80));
        let (_, diagnostics) = completed(design, &context);
        assert_eq!(diagnostics[0].code, "duplicate-port");
    }

    #[test]
    fn an_image_leaves_out_what_its_manager_adds() {
        let context = StackContext { purpose: Purpose::Image, ..context(None) };
        let (design, _) = completed(design(&["stack", "web"]), &context);
        assert_eq!(environment(&design, "web"), "LEVEL=info");
        assert_eq!(environment(&design, "stack"), "LEVEL=info");
    }

    #[test]
    fn a_child_publishes_nothing() {
        let mut design = design(&["frontend"]);
        design.ports = vec![port(80)];
        let (design, diagnostics) = completed(design, &context(Some(ParentStack::default())));
        assert_eq!((design.services["frontend"].ports.len(), diagnostics.len()), (0, 0));
    }

    #[test]
    fn a_port_that_another_service_publishes() {
        let mut design = design(&["frontend", "web"]);
        design.ports = vec![port(80)];
        design.services.get_mut("web").unwrap().ports.push(port(80));
        let (_, diagnostics) = completed(design, &context(None));
        assert_eq!(
            diagnostics[0].message,
            "port 80 of the stack is published by the service `web` already"
        );
    }
}
