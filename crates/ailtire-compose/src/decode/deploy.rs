//! `deploy`: how Swarm runs a service.

use super::fields::{Field, Fields};
use super::units;
use crate::model::{
    Deploy, DiscreteResource, GenericResource, Placement, Preference, Resource, Resources,
    RestartPolicy, UpdateConfig,
};

/// The least memory that the engine takes as a limit or reservation, in bytes.
const LEAST_MEMORY: u64 = 4 << 20;

/// The least share of a processor that the engine takes, in thousand-millionths.
const LEAST_PROCESSORS: u64 = 1_000_000;

const KEYS: &[&str] = &[
    "mode",
    "replicas",
    "labels",
    "endpoint_mode",
    "update_config",
    "rollback_config",
    "resources",
    "restart_policy",
    "placement",
];

const UPDATE_KEYS: &[&str] =
    &["parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order"];

/// What constraints can speak of; a dot at the end: followed by a label's name.
const CONSTRAINED: &[&str] = &[
    "node.id",
    "node.hostname",
    "node.ip",
    "node.role",
    "node.platform.os",
    "node.platform.arch",
    "node.labels.",
    "engine.labels.",
];

pub(super) fn decode(service: &Fields<'_>) -> Deploy {
    let Some(fields) = service.fields("deploy", KEYS) else { return Deploy::default() };
    let deploy = Deploy {
        mode: fields.choice("mode", &["replicated", "global", "replicated-job", "global-job"]),
        replicas: fields.unsigned("replicas"),
        labels: fields.pairs("labels"),
        endpoint_mode: fields.choice("endpoint_mode", &["vip", "dnsrr"]),
        update_config: update(&fields, "update_config", &["pause", "continue", "rollback"]),
        rollback_config: update(&fields, "rollback_config", &["pause", "continue"]),
        resources: fields.fields("resources", &["limits", "reservations"]).map(|it| resources(&it)),
        restart_policy: fields
            .fields("restart_policy", &["condition", "delay", "max_attempts", "window"])
            .map(|policy| RestartPolicy {
                condition: policy.choice("condition", &["none", "on-failure", "any"]),
                delay: policy.duration("delay"),
                max_attempts: policy.unsigned("max_attempts"),
                window: policy.duration("window"),
            }),
        placement: fields
            .fields("placement", &["constraints", "preferences", "max_replicas_per_node"])
            .map(|it| placement(&it)),
    };
    if let (Some("global" | "global-job"), Some(field)) =
        (deploy.mode.as_deref(), fields.get("replicas"))
    {
        let message = format!("`{}` can't be given for a global service", field.name());
        let help = "a global service runs once on each node: leave `replicas` or `mode` out";
        field.error("replicas-of-global", message, help);
    }
    deploy
}

fn update(fields: &Fields<'_>, key: &str, actions: &[&str]) -> Option<UpdateConfig> {
    let fields = fields.fields(key, UPDATE_KEYS)?;
    Some(UpdateConfig {
        parallelism: fields.unsigned("parallelism"),
        delay: fields.duration("delay"),
        failure_action: fields.choice("failure_action", actions),
        monitor: fields.duration("monitor"),
        max_failure_ratio: fields.get("max_failure_ratio").and_then(|field| field.ratio()),
        order: fields.choice("order", &["start-first", "stop-first"]),
    })
}

fn resources(fields: &Fields<'_>) -> Resources {
    let limits = fields.fields("limits", &["cpus", "memory", "pids"]);
    let reservations =
        fields.fields("reservations", &["cpus", "memory", "generic_resources", "devices"]);
    if let Some(devices) = reservations.and_then(|fields| fields.get("devices"))
        && !devices.is_nothing()
    {
        let message = format!("`{}` can't be used in a stack", devices.name());
        let help = "reserve them as `generic_resources`, which the nodes have to offer";
        devices.error("unsupported-key", message, help);
    }
    let resources = Resources {
        limits: limits.map(|fields| resource(&fields)),
        reservations: reservations.map(|fields| resource(&fields)),
    };
    if let (Some(limits), Some(reservations), Some(fields)) =
        (&resources.limits, &resources.reservations, reservations)
    {
        let nano = |text: &Option<String>| text.as_deref().and_then(units::nano_processors);
        let pairs = [
            ("cpus", nano(&limits.cpus), nano(&reservations.cpus)),
            ("memory", limits.memory, reservations.memory),
        ];
        for (key, limit, reservation) in pairs {
            // 0 is no limit.
            let is_above = limit.is_some_and(|limit| limit > 0) && reservation > limit;
            if let Some(field) = fields.get(key).filter(|_| is_above) {
                let message = format!("`{}` is above the limit of the service", field.name());
                field.error("invalid-limit", message, "reserve at most what `limits` allows");
            }
        }
    }
    resources
}

fn resource(fields: &Fields<'_>) -> Resource {
    Resource {
        cpus: fields.get("cpus").and_then(processors),
        memory: fields.get("memory").and_then(memory),
        pids: fields.get("pids").and_then(|field| field.signed()),
        generic_resources: fields
            .items("generic_resources")
            .into_iter()
            .filter_map(generic_resource)
            .collect(),
    }
}

fn processors(field: Field<'_>) -> Option<String> {
    const HELP: &str = "write a number of processors, as `0.5`";
    let text = field.text()?;
    match units::nano_processors(&text) {
        None => field.invalid("invalid-number", "a number of processors", HELP),
        Some(nano) if nano > 0 && nano < LEAST_PROCESSORS => {
            field.invalid(
                "invalid-limit",
                "an amount that the engine takes",
                "use at least `0.001`",
            );
        }
        Some(_) => {}
    }
    Some(text)
}

fn memory(field: Field<'_>) -> Option<u64> {
    let bytes = field.bytes()?;
    if bytes > 0 && bytes < LEAST_MEMORY {
        field.invalid("invalid-limit", "an amount that the engine takes", "use at least `4M`");
    }
    Some(bytes)
}

fn generic_resource(field: Field<'_>) -> Option<GenericResource> {
    let fields = field.fields(&["discrete_resource_spec"])?;
    let spec = fields.fields("discrete_resource_spec", &["kind", "value"]);
    let resource = spec.and_then(|spec| Some((spec.get("kind")?, spec.get("value")?)));
    let Some((kind, value)) = resource else {
        let message = format!("`{}` is not complete", field.name());
        field.error(
            "missing-key",
            message,
            "write `discrete_resource_spec: {kind: gpu, value: 1}`",
        );
        return None;
    };
    let (kind, value) = (kind.filled_text(), value.signed());
    Some(GenericResource {
        discrete_resource_spec: DiscreteResource { kind: kind?, value: value? },
    })
}

fn placement(fields: &Fields<'_>) -> Placement {
    let mut placement = Placement {
        max_replicas_per_node: fields.unsigned("max_replicas_per_node"),
        ..Placement::default()
    };
    for field in fields.items("constraints") {
        placement.constraints.extend(field.text().inspect(|text| check_constraint(text, field)));
    }
    for field in fields.items("preferences") {
        let spread = field.fields(&["spread"]).and_then(|fields| fields.filled_text("spread"));
        placement.preferences.extend(spread.map(|spread| Preference { spread }));
    }
    placement
}

/// Checks that a constraint compares something that a node has.
fn check_constraint(text: &str, field: Field<'_>) {
    let parts = text.split_once("==").or_else(|| text.split_once("!="));
    let (key, value) = parts.map_or(("", ""), |(key, value)| (key.trim(), value.trim()));
    if key.is_empty() || value.is_empty() {
        let help = "write `node.role == manager`, or another property with `==` or `!=`";
        field.invalid("invalid-constraint", "a constraint", help);
        return;
    }
    let lower = key.to_ascii_lowercase();
    let is_known = CONSTRAINED
        .iter()
        .any(|known| if known.ends_with('.') { lower.starts_with(known) } else { lower == *known });
    if !is_known {
        let message = format!("`{}`: no node has a property `{key}`", field.name());
        let near = ailtire_terms::nearest(&lower, CONSTRAINED.iter().copied());
        let help = ailtire_terms::did_you_mean(&near[..near.len().min(1)])
            .unwrap_or_else(|| "labels of nodes are `node.labels.name`".to_owned());
        field.warning("unknown-constraint", message, help);
    }
}
