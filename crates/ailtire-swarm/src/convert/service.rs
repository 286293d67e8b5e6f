//! A service, without what is in its container.

use ailtire_compose::{
    Deploy, DiscreteResource, Logging, Placement, Port, Resource, Resources, RestartPolicy,
    SERVICE_NAME_LIMIT, Service, UpdateConfig, shorten,
};
use ailtire_events::Diagnostic;

use super::amounts::{bytes, nano_cpus, nanoseconds};
use super::{Names, StackToConvert, container, fingerprint, networks};
use crate::manager::child_instance;
use crate::{label, spec};

pub(super) fn convert(
    stack: &StackToConvert<'_>,
    names: Names<'_>,
    name: &str,
    service: &Service,
    diagnostics: &mut Vec<Diagnostic>,
) -> spec::ServiceSpec {
    let deploy = &service.deploy;
    let mut spec = spec::ServiceSpec {
        name: shorten(&stack.scope(name), SERVICE_NAME_LIMIT),
        labels: stack.own_labels(&deploy.labels),
        task_template: spec::TaskSpec {
            container_spec: container::convert(stack, names, name, service, diagnostics),
            resources: Some(resources(name, service, diagnostics)),
            restart_policy: deploy.restart_policy.as_ref().map(restart_policy),
            placement: Some(deploy.placement.as_ref().map(placement).unwrap_or_default()),
            networks: networks::attachments(stack, name, service, diagnostics),
            log_driver: service.logging.as_ref().map(log_driver),
            force_update: 0,
            runtime: None,
        },
        mode: Some(mode(deploy)),
        update_config: deploy.update_config.as_ref().map(update_config),
        rollback_config: deploy.rollback_config.as_ref().map(update_config),
        endpoint_spec: Some(endpoint_spec(deploy, &service.ports)),
    };
    // On the service alone: a label of the tasks would restart them.
    spec.labels.insert(label::IMAGE.to_owned(), service.image.clone());
    spec.labels.insert(label::SERVICE.to_owned(), name.to_owned());
    if service.is_stack {
        // Removal takes managers away first, or they would bring back what is being removed.
        let child = child_instance(stack.namespace, name);
        spec.labels.insert(label::MANAGER.to_owned(), child);
    }
    let origin =
        [(label::VERSION, stack.version), (label::FINGERPRINT, fingerprint(stack, &service.image))];
    for (name, value) in origin {
        if let Some(value) = value {
            spec.labels.insert(name.to_owned(), value.to_owned());
        }
    }
    spec.labels.insert(label::DIGEST.to_owned(), spec.digest());
    spec
}

fn mode(deploy: &Deploy) -> spec::ServiceMode {
    let replicas = deploy.replicas;
    match deploy.mode.as_deref() {
        Some("global") => spec::ServiceMode::Global {},
        Some("global-job") => spec::ServiceMode::GlobalJob {},
        Some("replicated-job") => spec::ServiceMode::ReplicatedJob {
            max_concurrent: replicas,
            total_completions: replicas,
        },
        _ => spec::ServiceMode::Replicated { replicas },
    }
}

fn update_config(update: &UpdateConfig) -> spec::UpdateConfig {
    spec::UpdateConfig {
        parallelism: update.parallelism.unwrap_or(1),
        delay: update.delay.map_or(0, nanoseconds),
        failure_action: update.failure_action.clone().unwrap_or_default(),
        monitor: update.monitor.map_or(0, nanoseconds),
        max_failure_ratio: update.max_failure_ratio.unwrap_or_default(),
        order: update.order.clone().unwrap_or_default(),
    }
}

fn restart_policy(policy: &RestartPolicy) -> spec::RestartPolicy {
    spec::RestartPolicy {
        condition: policy.condition.clone().unwrap_or_default(),
        delay: policy.delay.map(nanoseconds),
        max_attempts: policy.max_attempts,
        window: policy.window.map(nanoseconds),
    }
}

fn placement(placement: &Placement) -> spec::Placement {
    let mut constraints = placement.constraints.clone();
    constraints.sort();
    spec::Placement {
        constraints,
        preferences: placement
            .preferences
            .iter()
            .map(|preference| spec::PlacementPreference {
                spread: Some(spec::SpreadOver { spread_descriptor: preference.spread.clone() }),
            })
            .collect(),
        max_replicas: placement.max_replicas_per_node.unwrap_or_default(),
        // Known only to who asks a registry for the image; the engine then puts them in by itself.
        platforms: Vec::new(),
    }
}

fn log_driver(logging: &Logging) -> spec::Driver {
    spec::Driver {
        name: logging.driver.clone().unwrap_or_default(),
        options: logging.options.clone(),
    }
}

fn endpoint_spec(deploy: &Deploy, ports: &[Port]) -> spec::EndpointSpec {
    let mut ports: Vec<spec::PortConfig> = ports
        .iter()
        .map(|port| spec::PortConfig {
            protocol: port.protocol.clone(),
            target_port: port.target.into(),
            published_port: port.published.unwrap_or_default().into(),
            publish_mode: port.mode.clone(),
        })
        .collect();
    ports.sort_by(|one, other| {
        let key = |port: &spec::PortConfig| (port.published_port, port.target_port);
        key(one).cmp(&key(other)).then_with(|| one.cmp(other))
    });
    let mode = deploy.endpoint_mode.as_deref().unwrap_or_default().to_lowercase();
    spec::EndpointSpec { mode, ports }
}

fn resources(
    name: &str,
    service: &Service,
    diagnostics: &mut Vec<Diagnostic>,
) -> spec::ResourceRequirements {
    let Some(Resources { limits, reservations }) = &service.deploy.resources else {
        return spec::ResourceRequirements::default();
    };
    let mut amounts = |resource: &Resource| amounts(name, service, resource, diagnostics);
    spec::ResourceRequirements {
        limits: limits.as_ref().map(|limits| spec::Resources {
            pids: limits.pids.unwrap_or_default(),
            ..amounts(limits)
        }),
        reservations: reservations.as_ref().map(|reservations| spec::Resources {
            generic_resources: generic_resources(reservations),
            ..amounts(reservations)
        }),
    }
}

fn amounts(
    name: &str,
    service: &Service,
    resource: &Resource,
    diagnostics: &mut Vec<Diagnostic>,
) -> spec::Resources {
    let nano_cpus = match &resource.cpus {
        None => 0,
        Some(text) => nano_cpus(text).unwrap_or_else(|| {
            diagnostics.push(
                Diagnostic::error(
                    "invalid-cpus",
                    format!(
                        "`cpus` of service `{name}` is `{text}`, which is no number of processors"
                    ),
                )
                .at(service.location.clone())
                .help("write a decimal number with at most nine digits after the point"),
            );
            0
        }),
    };
    let memory_bytes = resource.memory.map_or(0, bytes);
    spec::Resources { nano_cpus, memory_bytes, ..spec::Resources::default() }
}

fn generic_resources(resource: &Resource) -> Vec<spec::GenericResource> {
    let mut resources: Vec<&DiscreteResource> = resource
        .generic_resources
        .iter()
        .map(|resource| &resource.discrete_resource_spec)
        .collect();
    resources.sort_by(|one, other| (&one.kind, one.value).cmp(&(&other.kind, other.value)));
    resources
        .into_iter()
        .map(|DiscreteResource { kind, value }| spec::GenericResource {
            discrete_resource_spec: Some(spec::DiscreteResource {
                kind: kind.clone(),
                value: *value,
            }),
            named_resource_spec: None,
        })
        .collect()
}
