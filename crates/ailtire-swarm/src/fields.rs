//! A service's spec as flat fields in Compose's terms, in which two specs can be compared.
//!
//! What the engine adds to a spec by itself, what its clients write in several ways, and the ids of
//! what is better known by its name, are evened out: two specs have the same fields if and only if
//! the swarm treats them alike.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_events::FieldChange;
use ailtire_terms::suggests_secret;
use serde_json::{Map, Value};

use crate::observe::Observed;

/// Which part of a spec a field is of, since the swarm treats changes of them differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// What a task is: its tasks are replaced.
    Task,
    /// How the service is reached: its tasks are replaced, too.
    Endpoint,
    /// Everything else.
    Service,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    value: String,
    section: Section,
}

/// The differences between two specs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// All of them, in the order of their names.
    pub(crate) changes: Vec<FieldChange>,
    /// Whether what a task is differs.
    pub(crate) task: bool,
    /// Whether how the service is reached differs.
    pub(crate) endpoint: bool,
}

/// Names of the engine's fields in Compose; where several fit, the first one does.
const NAMES: [(&str, &str); 48] = [
    ("TaskTemplate.ContainerSpec.Image", "image"),
    ("TaskTemplate.ContainerSpec.Labels", "labels"),
    ("TaskTemplate.ContainerSpec.Command", "entrypoint"),
    ("TaskTemplate.ContainerSpec.Args", "command"),
    ("TaskTemplate.ContainerSpec.Env", "environment"),
    ("TaskTemplate.ContainerSpec.Hostname", "hostname"),
    ("TaskTemplate.ContainerSpec.Dir", "working_dir"),
    ("TaskTemplate.ContainerSpec.User", "user"),
    ("TaskTemplate.ContainerSpec.Groups", "group_add"),
    ("TaskTemplate.ContainerSpec.Init", "init"),
    ("TaskTemplate.ContainerSpec.TTY", "tty"),
    ("TaskTemplate.ContainerSpec.OpenStdin", "stdin_open"),
    ("TaskTemplate.ContainerSpec.ReadOnly", "read_only"),
    ("TaskTemplate.ContainerSpec.StopSignal", "stop_signal"),
    ("TaskTemplate.ContainerSpec.StopGracePeriod", "stop_grace_period"),
    ("TaskTemplate.ContainerSpec.Healthcheck.StartPeriod", "healthcheck.start_period"),
    ("TaskTemplate.ContainerSpec.Healthcheck.StartInterval", "healthcheck.start_interval"),
    ("TaskTemplate.ContainerSpec.Healthcheck", "healthcheck"),
    ("TaskTemplate.ContainerSpec.Hosts", "extra_hosts"),
    ("TaskTemplate.ContainerSpec.DNSConfig.Nameservers", "dns"),
    ("TaskTemplate.ContainerSpec.DNSConfig.Search", "dns_search"),
    ("TaskTemplate.ContainerSpec.DNSConfig.Options", "dns_opt"),
    ("TaskTemplate.ContainerSpec.Mounts", "volumes"),
    ("TaskTemplate.ContainerSpec.Configs", "configs"),
    ("TaskTemplate.ContainerSpec.Secrets", "secrets"),
    ("TaskTemplate.ContainerSpec.Isolation", "isolation"),
    ("TaskTemplate.ContainerSpec.Sysctls", "sysctls"),
    ("TaskTemplate.ContainerSpec.CapabilityAdd", "cap_add"),
    ("TaskTemplate.ContainerSpec.CapabilityDrop", "cap_drop"),
    ("TaskTemplate.ContainerSpec.Ulimits", "ulimits"),
    ("TaskTemplate.ContainerSpec.Privileges.CredentialSpec", "credential_spec"),
    ("TaskTemplate.Resources.Limits.NanoCPUs", "deploy.resources.limits.cpus"),
    ("TaskTemplate.Resources.Limits.MemoryBytes", "deploy.resources.limits.memory"),
    ("TaskTemplate.Resources.Reservations.NanoCPUs", "deploy.resources.reservations.cpus"),
    ("TaskTemplate.Resources.Reservations.MemoryBytes", "deploy.resources.reservations.memory"),
    ("TaskTemplate.Resources", "deploy.resources"),
    ("TaskTemplate.RestartPolicy.MaxAttempts", "deploy.restart_policy.max_attempts"),
    ("TaskTemplate.RestartPolicy", "deploy.restart_policy"),
    ("TaskTemplate.Placement.MaxReplicas", "deploy.placement.max_replicas_per_node"),
    ("TaskTemplate.Placement", "deploy.placement"),
    ("TaskTemplate.Networks", "networks"),
    ("TaskTemplate.LogDriver.Name", "logging.driver"),
    ("TaskTemplate.LogDriver.Options", "logging.options"),
    ("Labels", "deploy.labels"),
    ("UpdateConfig", "deploy.update_config"),
    ("RollbackConfig", "deploy.rollback_config"),
    ("EndpointSpec.Mode", "deploy.endpoint_mode"),
    ("EndpointSpec.Ports", "ports"),
];

/// Fields in which zero, false or nothing means something else than no field.
const MEANINGFUL_ZEROS: [&str; 4] =
    ["StopGracePeriod", "Init", "RestartPolicy.Delay", "Parallelism"];

/// What the engine or its clients write for "nothing special".
const DEFAULTS: [(&str, &str); 8] = [
    ("ContainerSpec.Isolation", "default"),
    ("TaskTemplate.Runtime", "container"),
    ("EndpointSpec.Mode", "vip"),
    ("Config.FailureAction", "pause"),
    ("Config.Order", "stop-first"),
    ("RestartPolicy.Condition", "any"),
    ("Consistency", "default"),
    ("BindOptions.Propagation", "rprivate"),
];

/// Fields that are no part of what a service is: its name; a counter that restarts tasks; and the
/// platforms that a client found in a registry.
const LEFT_OUT: [&str; 3] =
    ["Name", "TaskTemplate.ForceUpdate", "TaskTemplate.Placement.Platforms"];

const NANOSECONDS: [&str; 8] = [
    "Interval",
    "Timeout",
    "StartPeriod",
    "StartInterval",
    "StopGracePeriod",
    "Delay",
    "Window",
    "Monitor",
];

/// What has to be done to the spec `old` to make it `new`. Networks, configs and secrets may be
/// named by their names or their ids in both.
pub(crate) fn difference(old: &Value, new: &Value, observed: &Observed) -> Difference {
    let (old, new) = (Fields::of(old, observed).found, Fields::of(new, observed).found);
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut difference = Difference::default();
    for name in names {
        let (old, new) = (old.get(name), new.get(name));
        if old == new {
            continue;
        }
        let section = new.or(old).map_or(Section::Service, |field| field.section);
        difference.task |= section == Section::Task;
        difference.endpoint |= section == Section::Endpoint;
        difference.changes.push(FieldChange {
            field: name.clone(),
            old: old.map(|field| shown(name, &field.value)),
            new: new.map(|field| shown(name, &field.value)),
            restarts: section != Section::Service,
        });
    }
    difference
}

/// The value of a field, or four digits of a digest where it may be a secret.
fn shown(name: &str, value: &str) -> String {
    let key = name.strip_prefix("environment.").or(name.strip_prefix("labels."));
    let in_url = value.split_once("://").is_some_and(|(_, rest)| {
        let host = rest.split('/').next().unwrap_or_default();
        host.contains('@') && host.contains(':')
    });
    if key.is_some_and(suggests_secret) || in_url {
        let digest = blake3::hash(value.as_bytes()).to_hex();
        return format!("#{}", digest.get(..4).unwrap_or_default());
    }
    value.to_owned()
}

struct Fields<'a> {
    found: BTreeMap<String, Field>,
    observed: &'a Observed,
}

impl<'a> Fields<'a> {
    fn of(spec: &Value, observed: &'a Observed) -> Self {
        let mut fields = Self { found: BTreeMap::new(), observed };
        for (key, value) in spec.as_object().into_iter().flatten() {
            match key.as_str() {
                "Mode" => {}
                // Where older clients wrote the networks of tasks.
                "Networks" => fields.add("TaskTemplate.Networks", value),
                key => fields.add(key, value),
            }
        }
        fields.mode(&spec["Mode"]);
        fields
    }

    /// How many tasks there are. What is absent counts as what the engine takes for it.
    fn mode(&mut self, mode: &Value) {
        let number = |value: &Value, default: u64| value.as_u64().unwrap_or(default).to_string();
        let (name, details) = mode
            .as_object()
            .and_then(|mode| mode.iter().find(|(_, details)| !details.is_null()))
            .map_or(("Replicated", &Value::Null), |(name, details)| (name.as_str(), details));
        let mut put = |field: &str, value: String| {
            self.found.insert(field.to_owned(), Field { value, section: Section::Service });
        };
        match name {
            "Replicated" => put("deploy.replicas", number(&details["Replicas"], 1)),
            "ReplicatedJob" => {
                let at_once = details["MaxConcurrent"].as_u64().unwrap_or(1);
                put("deploy.replicas", number(&details["TotalCompletions"], at_once));
                put("deploy.max_concurrent", at_once.to_string());
            }
            _ => {}
        }
        put("deploy.mode", mode_name(name));
    }

    fn add(&mut self, path: &str, value: &Value) {
        if LEFT_OUT.contains(&path) {
            return;
        }
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.add(&format!("{path}.{key}"), value);
                }
            }
            Value::Array(items) => self.list(path, items),
            plain => self.plain(path, plain),
        }
    }

    fn plain(&mut self, path: &str, value: &Value) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => amount(path, number),
            other => other.to_string(),
        };
        let is_entry = path.contains(".Labels.") || path.starts_with("Labels.");
        let nothing = matches!(value, Value::Bool(false)) || value.as_f64() == Some(0.0);
        let nothing = nothing || (text.is_empty() && !is_entry && !path.contains(".Env."));
        let ends = |end: &str| path.ends_with(end);
        if nothing && !MEANINGFUL_ZEROS.iter().any(|name| ends(name)) {
            return;
        }
        if DEFAULTS.iter().any(|(name, default)| path.ends_with(name) && text == *default) {
            return;
        }
        let text = match path {
            "TaskTemplate.ContainerSpec.Privileges.CredentialSpec.Config" => {
                let configs = &self.observed.configs;
                let named = configs.iter().find(|config| config.id == text);
                named.map_or(text, |config| config.name.clone())
            }
            _ => text,
        };
        self.insert(path, text);
    }

    fn insert(&mut self, path: &str, value: String) {
        let section = match path.split('.').next() {
            Some("TaskTemplate") => Section::Task,
            Some("EndpointSpec") => Section::Endpoint,
            _ => Section::Service,
        };
        self.found.insert(compose_name(path), Field { value, section });
    }

    fn list(&mut self, path: &str, items: &[Value]) {
        if items.is_empty() {
            return;
        }
        let name = path.rsplit('.').next().unwrap_or(path);
        match name {
            "Env" => {
                for item in items.iter().filter_map(Value::as_str) {
                    let (name, value) = item.split_once('=').unwrap_or((item, "(unset)"));
                    self.insert(&format!("{path}.{name}"), value.to_owned());
                }
            }
            "Mounts" => self.keyed(path, items, |item| text(&item["Target"])),
            "Ulimits" => self.keyed(path, items, |item| text(&item["Name"])),
            "Networks" => self.networks(path, items),
            "Configs" => self.files(path, items, "ConfigName", ""),
            "Secrets" => self.files(path, items, "SecretName", "/run/secrets/"),
            "Ports" => {
                for port in items {
                    let (key, value) = port_texts(port);
                    self.insert(&format!("{path}.{key}"), value);
                }
            }
            "CapabilityAdd" | "CapabilityDrop" | "Constraints" => {
                let mut sorted: Vec<_> = items.iter().map(Value::to_string).collect();
                sorted.sort();
                self.insert(path, format!("[{}]", sorted.join(",")));
            }
            _ => self.insert(path, Value::from(items.to_vec()).to_string()),
        }
    }

    fn keyed(&mut self, path: &str, items: &[Value], key: impl Fn(&Value) -> String) {
        for item in items {
            let mut rest = item.as_object().cloned().unwrap_or_default();
            let key = key(item);
            rest.retain(|name, value| *value != Value::String(key.clone()) || name == "Source");
            self.add(&format!("{path}.{key}"), &Value::Object(rest));
        }
    }

    fn networks(&mut self, path: &str, items: &[Value]) {
        for item in items {
            let target = text(&item["Target"]);
            let name = self.observed.network_name(&target).unwrap_or(&target).to_owned();
            let mut aliases: Vec<_> = item["Aliases"].as_array().into_iter().flatten().collect();
            aliases.sort_by_key(ToString::to_string);
            aliases.dedup();
            let aliases: Vec<_> = aliases.into_iter().map(text).collect();
            let mut value = format!("aliases: [{}]", aliases.join(", "));
            if let Some(options) = item["DriverOpts"].as_object().filter(|it| !it.is_empty()) {
                value = format!("{value}, driver_opts: {}", sorted_json(options));
            }
            self.insert(&format!("{path}.{name}"), value);
        }
    }

    fn files(&mut self, path: &str, items: &[Value], name: &str, folder: &str) {
        for item in items {
            let source = text(&item[name]);
            let file = &item["File"];
            if file.is_null() {
                self.insert(&format!("{path}.{source}"), source.clone());
                continue;
            }
            let target = text(&file["Name"]);
            let target = target.strip_prefix(folder).unwrap_or(&target);
            let or_root = |id: &Value| Some(text(id)).filter(|id| !id.is_empty());
            let uid = or_root(&file["UID"]).unwrap_or_else(|| "0".to_owned());
            let gid = or_root(&file["GID"]).unwrap_or_else(|| "0".to_owned());
            let mode = file["Mode"].as_u64().unwrap_or_default();
            self.insert(&format!("{path}.{target}"), format!("{source} ({uid}:{gid}, {mode:04o})"));
        }
    }
}

/// Key and value of a published port.
fn port_texts(port: &Value) -> (String, String) {
    let or = |value: &Value, default: &str| match value.as_str() {
        None | Some("") => default.to_owned(),
        Some(text) => text.to_owned(),
    };
    let published = port["PublishedPort"].as_u64().filter(|port| *port != 0);
    let target = port["TargetPort"].as_u64().unwrap_or_default();
    let protocol = or(&port["Protocol"], "tcp");
    let mode = or(&port["PublishMode"], "ingress");
    let published = published.map_or_else(|| "any".to_owned(), |port| port.to_string());
    (format!("{published}:{target}/{protocol}"), mode)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn sorted_json(map: &Map<String, Value>) -> String {
    let mut pairs: Vec<_> =
        map.iter().map(|(key, value)| format!("{key}: {}", text(value))).collect();
    pairs.sort();
    format!("{{{}}}", pairs.join(", "))
}

fn mode_name(name: &str) -> String {
    match name {
        "Replicated" => "replicated",
        "Global" => "global",
        "ReplicatedJob" => "replicated-job",
        "GlobalJob" => "global-job",
        other => other,
    }
    .to_owned()
}

fn amount(path: &str, number: &serde_json::Number) -> String {
    let name = path.rsplit('.').next().unwrap_or(path);
    let Some(value) = number.as_i64() else { return number.to_string() };
    if NANOSECONDS.contains(&name) {
        return duration(value);
    }
    if name == "NanoCPUs" {
        return fraction(value, 9);
    }
    number.to_string()
}

/// `value` divided by ten to the power of `digits`.
fn fraction(value: i64, digits: u32) -> String {
    let unit = 10_i64.pow(digits);
    let (whole, rest) = (value / unit, (value % unit).abs());
    if rest == 0 {
        return whole.to_string();
    }
    let rest = format!("{rest:0width$}", width = digits as usize);
    format!("{whole}.{}", rest.trim_end_matches('0'))
}

/// Nanoseconds as people write them.
pub(crate) fn duration(nanoseconds: i64) -> String {
    match nanoseconds {
        0 => "0s".to_owned(),
        value if value % 60_000_000_000 == 0 => format!("{}m", value / 60_000_000_000),
        value if value.abs() >= 1_000_000_000 => format!("{}s", fraction(value, 9)),
        value => format!("{}ms", fraction(value, 6)),
    }
}

fn compose_name(path: &str) -> String {
    for (engine, compose) in NAMES {
        if let Some(rest) = path.strip_prefix(engine) {
            if rest.is_empty() {
                return compose.to_owned();
            }
            if let Some(rest) = rest.strip_prefix('.') {
                // Names that users chose stay as they are; those of the engine become Compose's.
                let chosen = ["labels", "environment", "volumes", "configs", "secrets", "sysctls"];
                let chosen = chosen.contains(&compose)
                    || ["networks", "ports", "ulimits", "logging.options", "deploy.labels"]
                        .contains(&compose);
                return format!("{compose}.{}", if chosen { rest.to_owned() } else { snake(rest) });
            }
        }
    }
    path.to_owned()
}

/// `MaxFailureRatio` as `max_failure_ratio`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    let mut before = '.';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
        before = letter;
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(old: &Value, new: &Value) -> Vec<String> {
        let difference = difference(old, new, &Observed::default());
        let text = |change: &FieldChange| {
            format!("{change}{}", if change.restarts { ", restarts" } else { "" })
        };
        difference.changes.iter().map(text).collect()
    }

    #[test]
    fn what_the_engine_adds_is_no_difference() {
        let ours = json!({"Name": "a", "Labels": {}, "TaskTemplate": {"ContainerSpec":
            {"Image": "i", "Env": ["A=1", "B=2"]}, "Networks": [{"Target": "n"}]}});
        let engine = json!({"Name": "a", "Labels": {}, "TaskTemplate": {"ContainerSpec":
            {"Image": "i", "Env": ["B=2", "A=1"], "Isolation": "default", "DNSConfig": {}},
            "Networks": [{"Target": "n", "Aliases": null}],
            "Resources": {}, "Placement": {}, "ForceUpdate": 3, "Runtime": "container"},
            "Mode": {"Replicated": {"Replicas": 1}}, "EndpointSpec": {"Mode": "vip"}});
        assert_eq!(changes(&engine, &ours), Vec::<String>::new());
    }

    #[test]
    fn changes_are_named_as_compose_does() {
        let old = json!({"Labels": {"a.b": "1"}, "TaskTemplate": {
            "ContainerSpec": {"Image": "i:1", "Env": ["LOG=info", "DB_PASSWORD=one", "EMPTY="],
                "Args": ["run"], "Healthcheck": {"Interval": 5_000_000_000_u64, "Retries": 3}},
            "Resources": {"Limits": {"NanoCPUs": 500_000_000}}},
            "Mode": {"Replicated": {"Replicas": 2}}});
        let new = json!({"Labels": {"a.b": "2"}, "TaskTemplate": {
            "ContainerSpec": {"Image": "i:2", "Env": ["LOG=debug", "DB_PASSWORD=two"],
                "Args": ["run", "fast"], "Healthcheck": {"Interval": 1_500_000_000, "Retries": 3}}},
            "Mode": {"Replicated": {"Replicas": 0}},
            "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]}});
        let found = changes(&old, &new);
        let password = found.iter().find(|line| line.contains("PASSWORD")).unwrap();
        assert!(!password.contains("one") && !password.contains("two"), "{password}");
        let rest: Vec<_> = found.iter().filter(|line| !line.contains("PASSWORD")).collect();
        assert_eq!(
            rest,
            [
                "command changed from `[\"run\"]` to `[\"run\",\"fast\"]`, restarts",
                "deploy.labels.a.b changed from `1` to `2`",
                "deploy.replicas changed from `2` to `0`",
                "deploy.resources.limits.cpus was removed (it was `0.5`), restarts",
                "environment.EMPTY was removed (it was ``), restarts",
                "environment.LOG changed from `info` to `debug`, restarts",
                "healthcheck.interval changed from `5s` to `1.5s`, restarts",
                "image changed from `i:1` to `i:2`, restarts",
                "ports.8080:80/tcp was added (`ingress`), restarts",
            ]
        );
    }

    #[test]
    fn ids_and_names_of_networks_are_the_same() {
        let observed = Observed {
            networks: vec![crate::ObservedNetwork {
                id: "id1".to_owned(),
                name: "net".to_owned(),
                ..crate::ObservedNetwork::default()
            }],
            ..Observed::default()
        };
        let spec = |target: &str| json!({"TaskTemplate": {"Networks": [{"Target": target}]}});
        assert_eq!(difference(&spec("id1"), &spec("net"), &observed), Difference::default());
        assert!(difference(&spec("id2"), &spec("net"), &observed).task);
    }

    #[test]
    fn zeros_that_mean_something_count() {
        let spec = |value: Value| json!({"TaskTemplate": {"RestartPolicy": {"Delay": value}}});
        assert_eq!(changes(&spec(Value::Null), &spec(json!(0))).len(), 1);
        let init = |value: Value| json!({"TaskTemplate": {"ContainerSpec": {"Init": value}}});
        assert_eq!(changes(&init(Value::Null), &init(json!(false))).len(), 1);
        let tty = |value: Value| json!({"TaskTemplate": {"ContainerSpec": {"TTY": value}}});
        assert_eq!(changes(&tty(Value::Null), &tty(json!(false))).len(), 0);
    }

    #[test]
    fn credentials_in_addresses_are_not_shown() {
        assert!(shown("environment.DB", "postgres://me:pass@db/x").starts_with('#'));
        assert_eq!(shown("environment.DB", "postgres://db/x"), "postgres://db/x");
        assert_eq!(duration(90_000_000_000), "90s");
        assert_eq!(duration(120_000_000_000), "2m");
        assert_eq!(duration(250_000_000), "250ms");
    }
}
