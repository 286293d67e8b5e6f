//! What keeps a deployment from being done.

use std::collections::BTreeMap;

use ailtire_events::{Diagnostic, Location, ObjectKind};

use super::objects::namespace;
use super::{Orphan, Owner, Planner};
use crate::spec::PortConfig;
use crate::{DesiredStack, External};

/// Networks that every node has.
const BUILT_IN_NETWORKS: [&str; 3] = ["host", "bridge", "none"];

impl Planner<'_> {
    /// Stacks and names that somebody else has.
    pub(super) fn check_owners(&mut self) {
        for stack in &self.desired.stacks {
            self.check_stack_owner(stack);
            self.check_names(stack);
        }
    }

    fn check_stack_owner(&mut self, stack: &DesiredStack) {
        let labels = self.stack_labels(&stack.namespace);
        let owners: Vec<_> =
            labels.iter().map(|labels| Owner::of(labels, &self.desired.identity)).collect();
        let other = owners.iter().find(|owner| matches!(owner, Owner::Other(..)));
        let message = match other {
            _ if self.options.adopt => return,
            Some(Owner::Other(application, environment)) => format!(
                "the stack `{}` belongs to application `{application}`, environment \
                 `{environment}`",
                stack.namespace
            ),
            _ if owners.contains(&Owner::Unknown) => {
                format!("the stack `{}` was not made by this program", stack.namespace)
            }
            _ => return,
        };
        let location = stack.services.first().map(|service| service.location.clone());
        let diagnostic = Diagnostic::error("foreign-stack", message)
            .help("choose another `--name`, or take it over with `--adopt`");
        self.diagnostics.push(at(diagnostic, location));
    }

    /// Labels of what belongs to a stack. Services alone count where there are some: what else there
    /// is can't get our labels when the stack is taken over.
    fn stack_labels(&self, stack: &str) -> Vec<&BTreeMap<String, String>> {
        let of_stack = |labels: &&BTreeMap<String, String>| namespace(labels) == stack;
        let services = self.observed.services.iter().map(|service| &service.spec.labels);
        let services: Vec<_> = services.filter(of_stack).collect();
        if !services.is_empty() {
            return services;
        }
        let files = self.observed.configs.iter().chain(&self.observed.secrets);
        let networks = self.observed.networks.iter().map(|network| &network.labels);
        files.map(|file| &file.labels).chain(networks).filter(of_stack).collect()
    }

    fn check_names(&mut self, stack: &DesiredStack) {
        if !self.options.adopt {
            for service in &stack.services {
                let Some(found) = self.observed.service(&service.spec.name) else { continue };
                if found.namespace() != Some(stack.namespace.as_str()) {
                    let diagnostic =
                        name_taken(ObjectKind::Service, found.name(), &found.spec.labels);
                    self.diagnostics.push(diagnostic.at(service.location.clone()));
                }
            }
            for network in &stack.networks {
                let Some(found) = self.observed.network(&network.name) else { continue };
                if namespace(&found.labels) != stack.namespace {
                    let diagnostic = name_taken(ObjectKind::Network, &found.name, &found.labels);
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        for config in &stack.configs {
            let found = self.observed.config(&config.name);
            if found.and_then(|found| found.data.as_ref()).is_some_and(|data| *data != config.data)
            {
                let message = format!(
                    "the config `{}` exists and holds something else than its name says",
                    config.name
                );
                self.diagnostics.push(
                    Diagnostic::error("config-content", message)
                        .help(format!("`docker config rm {}`, then deploy again", config.name)),
                );
            }
        }
    }

    /// What stacks use and do not make has to be there, or be made by this deployment.
    pub(super) fn check_externals(&mut self) {
        let desired = self.desired;
        let made = |kind: ObjectKind, name: &str| {
            desired.stacks.iter().any(|stack| match kind {
                ObjectKind::Network => stack.networks.iter().any(|it| it.name == name),
                ObjectKind::Config => stack.configs.iter().any(|it| it.name == name),
                _ => stack.secrets.iter().any(|it| it.name == name),
            })
        };
        for stack in &desired.stacks {
            for external in &stack.external_networks {
                let found = self.observed.network(&external.name);
                if BUILT_IN_NETWORKS.contains(&external.name.as_str())
                    || made(ObjectKind::Network, &external.name)
                    || found.is_some_and(|network| network.scope == "swarm")
                {
                    continue;
                }
                let diagnostic = if found.is_some() {
                    local_network(external)
                } else {
                    missing(ObjectKind::Network, external)
                };
                self.diagnostics.push(at(diagnostic, external.location.clone()));
            }
            let files = [
                (ObjectKind::Config, &stack.external_configs, &self.observed.configs),
                (ObjectKind::Secret, &stack.external_secrets, &self.observed.secrets),
            ];
            for (kind, externals, found) in files {
                for external in externals {
                    let there = found.iter().any(|file| file.name == external.name);
                    if !there && !made(kind, &external.name) {
                        let diagnostic = missing(kind, external);
                        self.diagnostics.push(at(diagnostic, external.location.clone()));
                    }
                }
            }
        }
    }

    /// Published ports: two services of the swarm can't have the same one.
    pub(super) fn check_ports(&mut self, orphans: &mut [Orphan]) {
        let mut wanted: BTreeMap<(u32, String), (&str, &Location)> = BTreeMap::new();
        for service in self.desired.stacks.iter().flat_map(|stack| &stack.services) {
            let name = service.spec.name.as_str();
            let ports = service.spec.endpoint_spec.iter().flat_map(|spec| &spec.ports);
            for port in ports.filter(|port| port.published_port != 0) {
                let key = (port.published_port, protocol(port).to_owned());
                if is_ingress(port)
                    && let Some((other, location)) = wanted.insert(key, (name, &service.location))
                    && other != name
                {
                    let diagnostic = port_taken(port, name, other);
                    let diagnostic = diagnostic.at(service.location.clone());
                    self.diagnostics.push(diagnostic.related(location.clone(), "the other one"));
                }
                self.diagnostics.extend(port_holder(
                    self.desired,
                    self.observed,
                    orphans,
                    (name, &service.location),
                    port,
                ));
            }
        }
    }
}

/// What is wrong with publishing `port`, which somebody outside of this deployment may have.
fn port_holder(
    desired: &crate::Desired,
    observed: &crate::Observed,
    orphans: &mut [Orphan],
    (name, location): (&str, &Location),
    port: &PortConfig,
) -> Option<Diagnostic> {
    let holder = observed.services.iter().find(|other| {
        let ports = other.spec.endpoint_spec.iter().flat_map(|spec| &spec.ports);
        other.name() != name && ports.into_iter().any(|held| collides(held, port))
    })?;
    let services = desired.stacks.iter().flat_map(|stack| &stack.services);
    if services.map(|service| &service.spec.name).any(|wanted| wanted == holder.name()) {
        // It gives the port away in this very deployment, or was reported as the other one.
        return None;
    }
    if let Some(orphan) = orphans.iter_mut().find(|it| it.id == holder.id && it.removed) {
        orphan.first = true;
        return None;
    }
    let mut diagnostic = port_taken(port, name, holder.name());
    if !is_ingress(port) {
        // On another node it may be free.
        diagnostic.severity = ailtire_events::Severity::Warning;
    }
    if orphans.iter().any(|orphan| orphan.id == holder.id) {
        diagnostic.help = Some("remove what is not wanted any more with `--prune`".to_owned());
    }
    Some(diagnostic.at(location.clone()))
}

fn protocol(port: &PortConfig) -> &str {
    if port.protocol.is_empty() { "tcp" } else { &port.protocol }
}

fn is_ingress(port: &PortConfig) -> bool {
    port.publish_mode.is_empty() || port.publish_mode == "ingress"
}

/// Whether two services can't have both ports, on some node at least.
pub(crate) fn collides(one: &PortConfig, other: &PortConfig) -> bool {
    one.published_port != 0
        && one.published_port == other.published_port
        && protocol(one) == protocol(other)
        && is_ingress(one) == is_ingress(other)
}

fn port_taken(port: &PortConfig, service: &str, other: &str) -> Diagnostic {
    let number = port.published_port;
    Diagnostic::error(
        "port-taken",
        format!("`{service}` publishes port {number}, which `{other}` already publishes"),
    )
    .help(format!("publish another port than {number}, or remove it from `{other}`"))
}

fn name_taken(kind: ObjectKind, name: &str, labels: &BTreeMap<String, String>) -> Diagnostic {
    let holder = match namespace(labels) {
        "" => "belongs to no stack".to_owned(),
        stack => format!("belongs to the stack `{stack}`"),
    };
    Diagnostic::error("name-taken", format!("the {kind} `{name}` exists already and {holder}"))
        .help("remove or rename it, or take it over with `--adopt`")
}

fn missing(kind: ObjectKind, external: &External) -> Diagnostic {
    let name = &external.name;
    let message = format!("the external {kind} `{name}` does not exist");
    let how = match kind {
        ObjectKind::Network => format!("`docker network create --driver overlay {name}`"),
        ObjectKind::Config => format!("`docker config create {name} FILE`"),
        _ => format!("`docker secret create {name} FILE`"),
    };
    Diagnostic::error("external-missing", message)
        .help(format!("create it ({how}), or let the stack make it without `external`"))
}

fn local_network(external: &External) -> Diagnostic {
    let name = &external.name;
    let message = format!("the external network `{name}` is one of a single node");
    Diagnostic::error("external-local", message)
        .help("services need a network of the swarm: create it with `--driver overlay`")
}

fn at(diagnostic: Diagnostic, location: Option<Location>) -> Diagnostic {
    match location {
        Some(location) => diagnostic.at(location),
        None => diagnostic,
    }
}
