//! Published ports, in short and long syntax.

use std::net::IpAddr;

use super::checks::Published;
use super::fields::{Field, Fields};
use crate::model::Port;

const HELP: &str = "write `8080:80`, `8080:80/udp`, or a range as `8000-8009:8000-8009`";
const KEYS: &[&str] =
    &["mode", "target", "published", "protocol", "host_ip", "name", "app_protocol"];
const PROTOCOLS: &[&str] = &["tcp", "udp", "sctp"];

/// The ports of the service `name`.
pub(super) fn decode(name: &str, service: &Fields<'_>) -> Vec<Port> {
    let mut ports = Vec::new();
    for field in service.items("ports") {
        let new = one(field);
        let published = new.iter().map(|port| Published {
            service: name.to_owned(),
            port: port.clone(),
            position: field.position(),
        });
        field.decoder.published.borrow_mut().extend(published);
        ports.extend(new);
    }
    ports
}

/// The ports of one entry of a list.
pub(super) fn one(field: Field<'_>) -> Vec<Port> {
    if field.node.scalar().is_none() {
        if !matches!(field.node.value, crate::document::Value::Map(_)) {
            field.wrong_type("a string or a mapping", HELP);
            return Vec::new();
        }
        return long(field).into_iter().collect();
    }
    let Some(text) = field.text() else { return Vec::new() };
    match short(&text) {
        Ok((address, ports)) => {
            if address.is_some_and(|address| !address.is_empty()) {
                warn_about_address(field);
            }
            ports
        }
        Err(reason) => {
            let message = format!("`{}`: `{text}` is no published port: {reason}", field.name());
            field.error("invalid-port", message, HELP);
            Vec::new()
        }
    }
}

fn warn_about_address(field: Field<'_>) {
    let message =
        format!("`{}`: Swarm ignores the address, and listens on all of them", field.name());
    let help = "leave the address out; keep others away by a firewall, or do not publish the port";
    field.warning("ignored-address", message, help);
}

/// `[[address:]published:]target[/protocol]`, with ranges: the address, and the ports.
fn short(text: &str) -> Result<(Option<&str>, Vec<Port>), &'static str> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !PROTOCOLS.contains(&&*protocol) {
        return Err("the protocol must be `tcp`, `udp` or `sctp`");
    }
    let (rest, target) =
        ports.rsplit_once(':').map_or((None, ports), |(rest, target)| (Some(rest), target));
    let (address, published) = match rest.map(|rest| rest.rsplit_once(':').ok_or(rest)) {
        None => (None, ""),
        Some(Ok((address, published))) => (Some(address), published),
        Some(Err(published)) => (None, published),
    };
    if let Some(address) = address.filter(|address| !address.is_empty()) {
        let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        if bare.unwrap_or(address).parse::<IpAddr>().is_err() {
            return Err("what stands first is no address");
        }
    }
    let targets = range(target)?;
    if targets.0 == 0 {
        return Err("a container has no port 0");
    }
    let published = if published.is_empty() { None } else { Some(range(published)?) };
    let make = |target, published: Option<u16>| Port {
        mode: "ingress".to_owned(),
        target,
        // 0 lets the engine choose.
        published: published.filter(|published| *published > 0),
        protocol: protocol.clone(),
    };
    let (first, last) = targets;
    let ports = match published {
        None => (first..=last).map(|target| make(target, None)).collect(),
        // A range for one port publishes it under each number, as for Docker's client.
        Some((from, to)) if first == last => {
            (from..=to).map(|published| make(first, Some(published))).collect()
        }
        Some((from, to)) if to - from == last - first => (first..=last)
            .zip(from..=to)
            .map(|(target, published)| make(target, Some(published)))
            .collect(),
        Some(_) => return Err("its two ranges are not of one length"),
    };
    Ok((address, ports))
}

/// `80` or `80-89`.
fn range(text: &str) -> Result<(u16, u16), &'static str> {
    const ERROR: &str = "a port is a number up to 65535";
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if text.bytes().all(|digit| digit.is_ascii_digit()) => Ok(port),
        _ => Err(ERROR),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err("its range ends before it begins");
    }
    Ok((first, last))
}

fn long(field: Field<'_>) -> Option<Port> {
    let fields = field.fields(KEYS)?;
    if fields.get("host_ip").is_some() {
        warn_about_address(field);
    }
    let mode = fields.choice("mode", &["ingress", "host"]);
    let protocol = fields.choice("protocol", PROTOCOLS);
    let published = fields.get("published").and_then(number);
    let Some(target) = fields.get("target") else {
        let message = format!("`{}` has no `target`", field.name());
        field.error("missing-key", message, "write `target: 80`, the port in the container");
        return None;
    };
    let target_port = number(target)?;
    if target_port == 0 {
        target.invalid("invalid-port", "a port", "a port of a container is 1 to 65535");
    }
    Some(Port {
        mode: mode.unwrap_or_else(|| "ingress".to_owned()),
        target: target_port,
        published: published.filter(|published| *published > 0),
        protocol: protocol.unwrap_or_else(|| "tcp".to_owned()),
    })
}

fn number(field: Field<'_>) -> Option<u16> {
    if let Some(text) = field.node.scalar()
        && range(text).is_ok_and(|(first, last)| first < last)
    {
        let help = "write one number, or the short syntax `8000-8009:8000-8009`";
        field.invalid("invalid-port", "a single port", help);
        return None;
    }
    let number = field.unsigned()?;
    let port = u16::try_from(number).ok();
    if port.is_none() {
        field.invalid("invalid-port", "a port", "a port is a number up to 65535");
    }
    port
}
