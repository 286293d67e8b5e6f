//! Networks of a stack.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_compose::{Attachment, Network, Service, network_name};
use ailtire_events::Diagnostic;

use super::{StackToConvert, undefined};
use crate::spec::{Ipam, IpamPool, NetworkAttachment, NetworkSpec, is_built_in};
use crate::{External, label};

/// The network of services that name none.
const DEFAULT: &str = "default";

/// The driver of networks that name none.
const DEFAULT_DRIVER: &str = "overlay";

pub(super) struct Networks {
    pub(super) made: Vec<NetworkSpec>,
    pub(super) external: Vec<External>,
}

/// The networks that services use. One that no service uses is not made, as with Docker's client.
pub(super) fn convert(stack: &StackToConvert<'_>, diagnostics: &mut Vec<Diagnostic>) -> Networks {
    let mut used: BTreeSet<&str> = stack
        .design
        .services
        .values()
        .flat_map(|service| service.networks.keys())
        .map(String::as_str)
        .collect();
    if stack.design.services.values().any(|service| service.networks.is_empty()) {
        used.insert(DEFAULT);
    }
    let unnamed = Network::default();
    let mut made: BTreeMap<String, (NetworkSpec, &str)> = BTreeMap::new();
    let mut external = BTreeMap::new();
    for key in used {
        let network = match stack.design.networks.get(key) {
            Some(network) => network,
            None if key == DEFAULT => &unnamed,
            // Said of each service that uses it.
            None => continue,
        };
        let name = engine_name(stack, key);
        if network.external {
            if !is_built_in(&name) {
                let location = network.location.clone();
                external.entry(name.clone()).or_insert(External { name, location });
            }
            continue;
        }
        let spec = spec(stack, name.clone(), network);
        match made.get(&name) {
            Some((other, other_key)) if *other != spec => {
                diagnostics.push(same_name(&name, [key, other_key], network));
            }
            _ => {
                made.insert(name, (spec, key));
            }
        }
    }
    Networks {
        made: made.into_values().map(|(spec, _)| spec).collect(),
        external: external.into_values().collect(),
    }
}

fn same_name(name: &str, keys: [&str; 2], network: &Network) -> Diagnostic {
    let [one, other] = keys;
    let diagnostic = Diagnostic::error(
        "duplicate-name",
        format!("networks `{other}` and `{one}` are both named `{name}`, and differ"),
    )
    .help("give them different names, or leave `name` out");
    match &network.location {
        Some(location) => diagnostic.at(location.clone()),
        None => diagnostic,
    }
}

pub(super) fn spec(stack: &StackToConvert<'_>, name: String, network: &Network) -> NetworkSpec {
    let ipam =
        network.ipam.as_ref().filter(|ipam| ipam.driver.is_some() || !ipam.config.is_empty());
    let mut spec = NetworkSpec {
        name,
        driver: network.driver.clone().unwrap_or_else(|| DEFAULT_DRIVER.to_owned()),
        options: network.driver_opts.clone(),
        labels: stack.own_labels(&network.labels),
        internal: network.internal,
        attachable: network.attachable,
        ipam: ipam.map(|ipam| Ipam {
            driver: ipam.driver.clone().unwrap_or_default(),
            config: ipam
                .config
                .iter()
                .map(|pool| IpamPool { subnet: pool.subnet.clone() })
                .collect(),
        }),
    };
    spec.labels.insert(label::DIGEST.to_owned(), spec.digest());
    spec
}

/// The places of a service on networks, by the networks' names.
pub(super) fn attachments(
    stack: &StackToConvert<'_>,
    name: &str,
    service: &Service,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<NetworkAttachment> {
    let alone = BTreeMap::from([(DEFAULT.to_owned(), Attachment::default())]);
    let networks = if service.networks.is_empty() { &alone } else { &service.networks };
    let mut attachments = Vec::new();
    for (key, attachment) in networks {
        if key != DEFAULT && !stack.design.networks.contains_key(key) {
            diagnostics.push(undefined("network", key, name, &service.location));
            continue;
        }
        let target = engine_name(stack, key);
        let mut aliases = attachment.aliases.clone();
        // Networks that nodes have of their own know no aliases.
        if !is_built_in(&target) {
            aliases.push(name.to_owned());
        }
        aliases.sort();
        aliases.dedup();
        let driver_opts = attachment.driver_opts.clone();
        attachments.push(NetworkAttachment { target, aliases, driver_opts });
    }
    attachments.sort_by(|one, other| one.target.cmp(&other.target));
    attachments
}

/// The name in the engine of the network that services know as `key`.
fn engine_name(stack: &StackToConvert<'_>, key: &str) -> String {
    network_name(stack.namespace, key, stack.design.networks.get(key))
}
