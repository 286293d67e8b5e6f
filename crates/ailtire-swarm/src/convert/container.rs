//! The container of a service's tasks.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::{CredentialSpec, Healthcheck, Service, Ulimit};
use ailtire_events::Diagnostic;

use super::amounts::nanoseconds;
use super::{Names, StackToConvert, files, mounts};
use crate::spec;

const ALL: &str = "ALL";

pub(super) fn convert(
    stack: &StackToConvert<'_>,
    names: Names<'_>,
    name: &str,
    service: &Service,
    diagnostics: &mut Vec<Diagnostic>,
) -> spec::ContainerSpec {
    let image = stack.images.get(&service.image).map_or(&service.image, |image| &image.run);
    let (capability_add, capability_drop) = capabilities(&service.cap_add, &service.cap_drop);
    spec::ContainerSpec {
        image: image.clone(),
        labels: stack.labels(&service.labels),
        command: service.entrypoint.clone().unwrap_or_default(),
        args: service.command.clone().unwrap_or_default(),
        hostname: service.hostname.clone().unwrap_or_default(),
        env: environment(&service.environment),
        dir: service.working_dir.clone().unwrap_or_default(),
        user: service.user.clone().unwrap_or_default(),
        groups: Vec::new(),
        privileges: Some(spec::Privileges {
            credential_spec: service
                .credential_spec
                .as_ref()
                .map(|spec| credential_spec(spec, names)),
        }),
        init: service.init,
        stop_signal: service.stop_signal.clone().unwrap_or_default(),
        tty: service.tty,
        open_stdin: service.stdin_open,
        read_only: service.read_only,
        mounts: mounts::convert(stack, name, service, diagnostics),
        stop_grace_period: service.stop_grace_period.map(nanoseconds),
        healthcheck: service.healthcheck.as_ref().map(healthcheck),
        hosts: service.extra_hosts.iter().filter_map(|entry| host(entry)).collect(),
        dns_config: dns_config(service),
        secrets: files::secret_references(names.secrets, name, service, diagnostics),
        configs: files::config_references(names.configs, name, service, diagnostics),
        isolation: service.isolation.clone().unwrap_or_default(),
        sysctls: service.sysctls.clone(),
        capability_add,
        capability_drop,
        ulimits: service.ulimits.iter().map(|(name, limit)| ulimit(name, *limit)).collect(),
        oom_score_adj: 0,
    }
}

/// `NAME=value`, or `NAME` alone, which removes a variable of the image.
fn environment(variables: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let mut lines: Vec<String> = variables
        .iter()
        .map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        })
        .collect();
    lines.sort();
    lines
}

fn ulimit(name: &str, limit: Ulimit) -> spec::Ulimit {
    spec::Ulimit { name: name.to_owned(), hard: limit.hard, soft: limit.soft }
}

/// `address name` from Compose's `name:address`.
fn host(entry: &str) -> Option<String> {
    entry.split_once(':').map(|(name, address)| format!("{address} {name}"))
}

fn dns_config(service: &Service) -> Option<spec::DnsConfig> {
    let said = !service.dns.is_empty() || !service.dns_search.is_empty();
    said.then(|| spec::DnsConfig {
        nameservers: service.dns.clone(),
        search: service.dns_search.clone(),
        options: Vec::new(),
    })
}

fn healthcheck(check: &Healthcheck) -> spec::HealthConfig {
    let test = check.test.clone();
    if test.first().is_some_and(|word| word == "NONE") {
        return spec::HealthConfig { test, ..spec::HealthConfig::default() };
    }
    let time = |duration: Option<_>| duration.map_or(0, nanoseconds);
    spec::HealthConfig {
        test,
        interval: time(check.interval),
        timeout: time(check.timeout),
        start_period: time(check.start_period),
        start_interval: time(check.start_interval),
        retries: check.retries.map_or(0, |retries| i64::try_from(retries).unwrap_or(i64::MAX)),
    }
}

fn credential_spec(spec: &CredentialSpec, names: Names<'_>) -> spec::CredentialSpec {
    spec::CredentialSpec {
        config: spec
            .config
            .as_ref()
            .map(|key| names.configs.get(key).unwrap_or(key).clone())
            .unwrap_or_default(),
        file: spec.file.clone().unwrap_or_default(),
        registry: spec.registry.clone().unwrap_or_default(),
    }
}

/// Capabilities to add and to drop, by their full names. What is added is not dropped, and all of
/// them are more than any one.
fn capabilities(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let add = full_names(add);
    let drop = full_names(drop).into_iter().filter(|name| !add.contains(name)).collect();
    (add.into_iter().collect(), drop)
}

fn full_names(names: &[String]) -> BTreeSet<String> {
    let names: BTreeSet<String> = names
        .iter()
        .map(|name| name.trim().to_uppercase())
        .map(|name| match name.as_str() {
            ALL => name,
            full if full.starts_with("CAP_") => name,
            _ => format!("CAP_{name}"),
        })
        .collect();
    if names.contains(ALL) { BTreeSet::from([ALL.to_owned()]) } else { names }
}
