//! One service: what it runs and how its containers look.

use std::collections::BTreeMap;

use ailtire_terms::reference::{self, Reference};

use super::FAMILY_KEY;
use super::fields::{Field, Fields};
use super::{deploy, environment, files, healthcheck, keys, mounts, networks, ports, words};
use crate::model::{
    Condition, CredentialSpec, Dependency, Deploy, Logging, Network, RestartPolicy, Service, Ulimit,
};
use crate::{symbol, template};

/// How long a service's name may be: a part of a domain name.
const NAME_LIMIT: usize = 63;

/// What the family network is called in messages.
const FAMILY: &str = "family";

/// The service `name`.
pub(super) fn decode(name: &str, field: Field<'_>) -> Service {
    let location = field.decoder.location(field.key_position());
    let mut service = Service::new("", location);
    check_name(name, &field);
    let known: Vec<&str> = keys::SERVICE
        .iter()
        .copied()
        .chain(
            [keys::IGNORED, keys::LOST, keys::FORBIDDEN].into_iter().flatten().map(|(key, _)| *key),
        )
        .collect();
    let Some(fields) = field.fields(&known) else { return service };
    report_ignored(&fields);
    service.is_stack = fields.flag("x-ailtire-stack");
    service.family = fields
        .get(FAMILY_KEY)
        .map(|field| Network { location: None, ..networks::decode(FAMILY, field) });
    image(&fields, &mut service);
    process(&fields, &mut service);
    container(&fields, &mut service);
    host(&fields, &mut service);
    service.environment = environment::decode(&fields);
    service.depends_on = ["depends_on", "x-ailtire-depends-on"]
        .iter()
        .find_map(|key| fields.get(key))
        .map(depends_on)
        .unwrap_or_default();
    service.networks = networks::attachments(&fields);
    service.ports = ports::decode(name, &fields);
    service.volumes = mounts::decode(&fields);
    service.configs = files::references(&fields, "configs");
    service.secrets = files::references(&fields, "secrets");
    service.healthcheck = healthcheck::decode(&fields);
    service.deploy = deploy::decode(&fields);
    restart(&fields, &mut service.deploy);
    service
}

/// Swarm takes as a service's name what can be a part of a domain name, and underscores.
fn check_name(name: &str, field: &Field<'_>) {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let ends_well = name.bytes().last().is_none_or(|byte| byte.is_ascii_alphanumeric());
    // What Compose does not take either is reported already.
    let reported = name.is_empty() || !name.bytes().all(|byte| inner(byte) || byte == b'.');
    if reported || (name.bytes().all(inner) && ends_well && name.len() <= NAME_LIMIT) {
        return;
    }
    let message = format!("Swarm takes no service of the name `{name}`");
    let help = "use letters, digits, `_` and `-`, end with a letter or digit, and use at most 63";
    field.decoder.error(field.key_position(), "invalid-name", message, help);
}

fn report_ignored(fields: &Fields<'_>) {
    let decoder = fields.field.decoder;
    let given = |key: &str| fields.get(key).filter(|field| !field.is_nothing());
    for (key, help) in keys::FORBIDDEN {
        if let Some(field) = fields.get(key) {
            let message = format!("`{}` can't be used in a stack", field.name());
            decoder.error(field.key_position(), "unsupported-key", message, *help);
        }
    }
    for (key, help) in keys::LOST {
        if let Some(field) = given(key) {
            let message = format!("`{}` is ignored: a stack can't have it", field.name());
            let position = field.key_position();
            decoder.findings().warning(position, "ignored-key", message).help(*help);
        }
    }
    for (key, help) in keys::IGNORED {
        if let Some(field) = given(key) {
            let message = format!("`{}` is ignored in a stack", field.name());
            let position = field.key_position();
            decoder.findings().note(position, "ignored-key", message).help(*help);
        }
    }
}

fn image(fields: &Fields<'_>, service: &mut Service) {
    let decoder = fields.field.decoder;
    let Some(field) = fields.get("image") else {
        let (position, help) = match fields.get("build") {
            Some(build) => (
                build.key_position(),
                "Swarm runs images and builds none: name the image that `build.js` builds",
            ),
            None => (fields.field.key_position(), "add `image: name:tag`"),
        };
        let message = format!("`{}` has no `image`", fields.field.name());
        decoder.error(position, "no-image", message, help);
        return;
    };
    service.image_location = decoder.location(field.position());
    let Some(image) = field.filled_text() else { return };
    // Which image a stack runs is settled when its own image is built.
    let variables = decoder.reader.variables;
    let mut image = template::replace(&symbol::written(&image), &|name| variables.get(name)).0;
    // The image of a stack is looked up among the names of stacks, which are no references.
    if !service.is_stack
        && let Err(error) = Reference::parse(&image)
    {
        let suggested = reference::suggest(&image);
        let message = format!("`{image}` is no valid image reference: {error}");
        match suggested {
            Some(valid) if decoder.reader.context.fix_tags => image = valid,
            Some(valid) => {
                let help = format!("a valid one is `{valid}`, and `--fix-tags` takes it");
                field.error("invalid-reference", message, help);
            }
            None => field.error("invalid-reference", message, "write `name:tag`, in lower case"),
        }
    }
    service.image = image;
}

/// What runs, and as whom.
fn process(fields: &Fields<'_>, service: &mut Service) {
    service.command = fields.get("command").and_then(command);
    service.entrypoint = fields.get("entrypoint").and_then(command);
    service.working_dir = fields.text("working_dir");
    service.user = fields.text("user");
    service.init = fields.boolean("init");
    service.tty = fields.flag("tty");
    service.stdin_open = fields.flag("stdin_open");
    service.stop_signal = fields.get("stop_signal").and_then(stop_signal);
    service.stop_grace_period = fields.duration("stop_grace_period");
    service.logging = fields.fields("logging", &["driver", "options"]).map(|logging| Logging {
        driver: logging.text("driver"),
        options: logging.options("options"),
    });
}

/// A list of words, or a command line.
fn command(field: Field<'_>) -> Option<Vec<String>> {
    if field.node.scalar().is_none() {
        return Some(field.text_or_texts());
    }
    match words::split(&field.text()?) {
        Ok(words) => Some(words),
        Err(error) => {
            let message =
                format!("`{}` can't be split into words: {}", field.name(), error.describe());
            field.error("invalid-command", message, "write a list: `[\"program\", \"argument\"]`");
            None
        }
    }
}

fn stop_signal(field: Field<'_>) -> Option<String> {
    let signal = field.filled_text()?;
    let name = signal.strip_prefix("SIG").unwrap_or(&signal);
    let fits =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"+-".contains(&byte);
    if name.is_empty() || !name.bytes().all(fits) {
        field.invalid("invalid-signal", "a signal", "write its name, as `SIGTERM`, or its number");
        return None;
    }
    Some(signal)
}

/// What the containers are made of.
fn container(fields: &Fields<'_>, service: &mut Service) {
    service.hostname = fields.text("hostname");
    service.domainname = fields.text("domainname");
    service.labels = fields.pairs("labels");
    service.read_only = fields.flag("read_only");
    service.isolation = fields.choice("isolation", &["default", "process", "hyperv"]);
    service.cap_add = fields.texts("cap_add");
    service.cap_drop = fields.texts("cap_drop");
    service.sysctls = fields.pairs("sysctls");
    service.credential_spec = fields.get("credential_spec").and_then(credential_spec);
    let Some(ulimits) = fields.get("ulimits") else { return };
    for (name, field) in ulimits.entries() {
        service.ulimits.extend(ulimit(field).map(|ulimit| (name.to_owned(), ulimit)));
    }
}

/// One number, or `soft` and `hard`.
fn ulimit(field: Field<'_>) -> Option<Ulimit> {
    if field.node.scalar().is_some() {
        let number = field.signed()?;
        return Some(Ulimit { soft: number, hard: number });
    }
    let fields = field.fields(&["soft", "hard"])?;
    let part = |key| {
        let part = fields.get(key);
        if part.is_none() {
            let message = format!("`{}` has no `{key}`", field.name());
            field.error("missing-key", message, "write both `soft` and `hard`, or one number");
        }
        part.and_then(|part| part.signed())
    };
    let (soft, hard) = (part("soft"), part("hard"));
    let (soft, hard) = (soft?, hard?);
    // -1 is no limit.
    if hard >= 0 && (soft > hard || soft < 0) {
        let message = format!("`{}`: the soft limit is above the hard one", field.name());
        field.error("invalid-limit", message, "let `soft` be at most `hard`");
    }
    Some(Ulimit { soft, hard })
}

fn credential_spec(field: Field<'_>) -> Option<CredentialSpec> {
    let fields = field.fields(&["config", "file", "registry"])?;
    let spec = CredentialSpec {
        config: fields.filled_text("config"),
        file: fields.filled_text("file"),
        registry: fields.filled_text("registry"),
    };
    if let Some(config) = &spec.config {
        let position = fields.get("config").map_or(field.position(), |config| config.position());
        field.decoder.check_defined(&field.name(), config, "configs", position);
    }
    let given = [&spec.config, &spec.file, &spec.registry].into_iter().flatten().count();
    if given > 1 {
        let message = format!("`{}` names more than one source", field.name());
        field.error("two-sources", message, "keep one of `config`, `file` and `registry`");
    }
    Some(spec)
}

/// How the containers see other hosts.
fn host(fields: &Fields<'_>, service: &mut Service) {
    service.dns_search = fields.text_or_texts("dns_search");
    if let Some(dns) = fields.get("dns") {
        for item in dns.items_or_self() {
            let Some(address) = item.text() else { continue };
            if address.parse::<std::net::IpAddr>().is_err() {
                item.invalid("invalid-address", "an address", "write an address, as `9.9.9.9`");
            }
            service.dns.push(address);
        }
    }
    let Some(hosts) = fields.get("extra_hosts") else { return };
    if hosts.node.entries().is_empty() {
        let items = hosts.items_or("a list or a mapping");
        service.extra_hosts.extend(items.into_iter().filter_map(extra_host));
        return;
    }
    for (name, field) in hosts.entries() {
        for address in field.text_or_texts() {
            service.extra_hosts.push(format!("{name}:{}", without_brackets(&address)));
        }
    }
    service.extra_hosts.sort();
}

/// `host:address` or `host=address`.
fn extra_host(field: Field<'_>) -> Option<String> {
    let text = field.text()?;
    match text.split_once('=').or_else(|| text.split_once(':')) {
        Some((host, address)) if !host.is_empty() && !address.is_empty() => {
            Some(format!("{host}:{}", without_brackets(address)))
        }
        _ => {
            field.invalid("invalid-host", "a host with its address", "write `host=10.0.0.5`");
            None
        }
    }
}

fn without_brackets(address: &str) -> &str {
    address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address)
}

/// A list of services, or services with conditions.
fn depends_on(field: Field<'_>) -> BTreeMap<String, Dependency> {
    const CONDITIONS: [(&str, Condition); 3] = [
        ("service_started", Condition::ServiceStarted),
        ("service_healthy", Condition::ServiceHealthy),
        ("service_completed_successfully", Condition::ServiceCompletedSuccessfully),
    ];
    let decoder = field.decoder;
    let mut dependencies = BTreeMap::new();
    let mut add = |name: &str, at: Field<'_>, condition, required| {
        let position = if at.node.scalar().is_some() { at.position() } else { at.key_position() };
        // A service that is not required may be missing, and is not waited for then.
        let is_there = decoder.names.services.contains(&name);
        if is_there || required {
            decoder.check_defined(&field.name(), name, "services", position);
            let location = decoder.location(position);
            dependencies.insert(name.to_owned(), Dependency { condition, required, location });
        }
    };
    if field.node.entries().is_empty() {
        for item in field.items_or("a list or a mapping") {
            if let Some(name) = item.filled_text() {
                add(&name, item, Condition::ServiceStarted, true);
            }
        }
        return dependencies;
    }
    for (name, entry) in field.entries() {
        if entry.node.is_null() {
            add(name, entry, Condition::ServiceStarted, true);
            continue;
        }
        let fields = entry.fields(&["condition", "required", "restart"]);
        let wanted =
            fields.and_then(|fields| fields.choice("condition", &CONDITIONS.map(|(name, _)| name)));
        let condition = CONDITIONS.iter().find(|(name, _)| Some(*name) == wanted.as_deref());
        let condition = condition.map_or(Condition::ServiceStarted, |(_, condition)| *condition);
        let required = fields.and_then(|fields| fields.boolean("required")).unwrap_or(true);
        add(name, entry, condition, required);
    }
    dependencies
}

/// `restart` counts where `deploy.restart_policy` is not given, as for Docker's client.
fn restart(fields: &Fields<'_>, deploy: &mut Deploy) {
    const POLICY: &str = "write it as `deploy.restart_policy`";
    let Some(field) = fields.get("restart") else { return };
    let Some(text) = field.text() else { return };
    if deploy.restart_policy.is_some() {
        let message =
            format!("`{}` is ignored, since there is a `deploy.restart_policy`", field.name());
        field.warning("ignored-key", message, "leave `restart` out");
        return;
    }
    let (policy, attempts) = match text.split_once(':') {
        Some((policy, attempts)) => (policy, Some(attempts.parse::<u64>())),
        None => (&*text, None),
    };
    let max_attempts = match attempts {
        Some(Ok(attempts)) if policy == "on-failure" => Some(attempts).filter(|count| *count > 0),
        None => None,
        Some(_) => {
            let help = "write `on-failure:3`, `on-failure`, `always`, `unless-stopped` or `no`";
            return field.invalid("invalid-choice", "a restart policy", help);
        }
    };
    let condition = match policy {
        "always" | "unless-stopped" => "any",
        "on-failure" => "on-failure",
        "no" | "false" | "" => {
            let message = format!("`{}` is ignored: Swarm starts ended tasks again", field.name());
            let help = "write `deploy.restart_policy.condition: none` to keep them ended";
            return field.warning("ignored-key", message, help);
        }
        _ => {
            let help = "it can be `no`, `always`, `on-failure` or `unless-stopped`";
            return field.invalid("invalid-choice", "a restart policy", help);
        }
    };
    let message = format!("`{}` is taken as `deploy.restart_policy`", field.name());
    let position = field.key_position();
    field.decoder.findings().note(position, "restart", message).help(POLICY);
    deploy.restart_policy = Some(RestartPolicy {
        condition: Some(condition.to_owned()),
        max_attempts,
        ..RestartPolicy::default()
    });
}
