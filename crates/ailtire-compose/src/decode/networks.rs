//! Networks of the stack, and a service's places on them.

use std::collections::BTreeMap;

use super::fields::{Field, Fields};
use super::{engine_name, external, refuse_beside_external};
use crate::model::{Attachment, Ipam, IpamPool, Network};

/// The network of services that name none; it need not be defined.
const DEFAULT: &str = "default";

const KEYS: &[&str] = &[
    "name",
    "driver",
    "driver_opts",
    "ipam",
    "external",
    "internal",
    "attachable",
    "labels",
    "enable_ipv4",
    "enable_ipv6",
];

const ATTACHMENT_KEYS: &[&str] = &[
    "aliases",
    "driver_opts",
    "ipv4_address",
    "ipv6_address",
    "interface_name",
    "link_local_ips",
    "mac_address",
    "priority",
    "gw_priority",
];

/// A network of the stack.
pub(super) fn decode(name: &str, field: Field<'_>) -> Network {
    let location = Some(field.decoder.location(field.key_position()));
    if field.node.is_null() {
        return Network { location, ..Network::default() };
    }
    let Some(fields) = field.fields(KEYS) else { return Network::default() };
    let (is_external, old_name) = external(&fields);
    let own_name = engine_name(&fields);
    if is_external {
        let made_elsewhere = ["driver", "driver_opts", "ipam", "internal", "attachable", "labels"];
        refuse_beside_external(&fields, &made_elsewhere);
    }
    warn_about(&fields, &["enable_ipv4", "enable_ipv6"]);
    Network {
        name: own_name.or(old_name).or_else(|| is_external.then(|| name.to_owned())),
        external: is_external,
        driver: fields.filled_text("driver"),
        driver_opts: fields.options("driver_opts"),
        attachable: fields.flag("attachable"),
        internal: fields.flag("internal"),
        labels: fields.pairs("labels"),
        ipam: fields.fields("ipam", &["driver", "config", "options"]).map(|ipam| addresses(&ipam)),
        location,
    }
}

fn addresses(fields: &Fields<'_>) -> Ipam {
    warn_about(fields, &["options"]);
    let mut ipam = Ipam { driver: fields.filled_text("driver"), config: Vec::new() };
    for field in fields.items("config") {
        let known = ["subnet", "ip_range", "gateway", "aux_addresses"];
        let Some(pool) = field.fields(&known) else { continue };
        warn_about(&pool, &["ip_range", "gateway", "aux_addresses"]);
        let Some(subnet) = pool.get("subnet") else {
            let message = format!("`{}` has no `subnet`", field.name());
            field.error("missing-key", message, "write `subnet: 10.20.0.0/24`");
            continue;
        };
        let Some(text) = subnet.text() else { continue };
        if !is_subnet(&text) {
            subnet.invalid("invalid-address", "a subnet", "write `10.20.0.0/24`");
        }
        ipam.config.push(IpamPool { subnet: text });
    }
    ipam
}

fn is_subnet(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<std::net::IpAddr>() {
        Ok(address) if address.is_ipv4() => 32,
        Ok(_) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Warns about keys that have no effect in a stack.
fn warn_about(fields: &Fields<'_>, keys: &[&str]) {
    for key in keys {
        if let Some(field) = fields.get(key).filter(|field| !field.is_nothing()) {
            let message = format!("`{}` is ignored: a stack can't have it", field.name());
            let help = "create the network yourself, and name it as `external`";
            field
                .decoder
                .findings()
                .warning(field.key_position(), "ignored-key", message)
                .help(help);
        }
    }
}

/// The networks of a service; `default` where it names none.
pub(super) fn attachments(service: &Fields<'_>) -> BTreeMap<String, Attachment> {
    let mut attachments = BTreeMap::new();
    let Some(field) = service.get("networks") else {
        return BTreeMap::from([(DEFAULT.to_owned(), Attachment::default())]);
    };
    let check = |name: &str, at: Field<'_>| {
        let position = if at.node.scalar().is_some() { at.position() } else { at.key_position() };
        if name != DEFAULT {
            field.decoder.check_defined(&field.name(), name, "networks", position);
        }
    };
    if field.node.entries().is_empty() {
        let items =
            if field.is_nothing() { Vec::new() } else { field.items_or("a list or a mapping") };
        for item in items {
            let Some(name) = item.filled_text() else { continue };
            check(&name, item);
            attachments.insert(name, Attachment::default());
        }
    } else {
        for (name, entry) in field.entries() {
            check(name, entry);
            let attachment = if entry.node.is_null() { None } else { attachment(entry) };
            attachments.insert(name.to_owned(), attachment.unwrap_or_default());
        }
    }
    if field.is_nothing() {
        attachments.insert(DEFAULT.to_owned(), Attachment::default());
    }
    attachments
}

fn attachment(field: Field<'_>) -> Option<Attachment> {
    let fields = field.fields(ATTACHMENT_KEYS)?;
    for key in &ATTACHMENT_KEYS[2..] {
        if let Some(field) = fields.get(key).filter(|field| !field.is_nothing()) {
            let message = format!("`{}` is ignored: Swarm gives addresses itself", field.name());
            let help = "reach the service by its name or by `aliases`";
            field
                .decoder
                .findings()
                .warning(field.key_position(), "ignored-key", message)
                .help(help);
        }
    }
    Some(Attachment {
        aliases: fields.texts("aliases"),
        driver_opts: fields.options("driver_opts"),
    })
}
