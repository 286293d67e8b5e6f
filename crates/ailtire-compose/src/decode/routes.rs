//! The gateway's table and the root's ports: `x-ailtire-routes` and `x-ailtire-ports`.

use super::Decoder;
use super::fields::Field;
use super::ports;
use crate::document::Node;
use crate::model::{Port, Route};

const KEYS: &[&str] = &["prefix", "service", "path", "port", "protocol", "timeout", "retries"];

/// All routes, longest prefix first.
pub(super) fn decode(decoder: &Decoder<'_>, document: &Node) -> Vec<Route> {
    let items = items(decoder, document, "x-ailtire-routes");
    let mut routes: Vec<Route> = items.into_iter().filter_map(route).collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
    routes
}

/// The ports that the entry service publishes where the stack is the root.
pub(super) fn decode_ports(decoder: &Decoder<'_>, document: &Node) -> Vec<Port> {
    items(decoder, document, "x-ailtire-ports").into_iter().flat_map(ports::one).collect()
}

fn items<'tree>(
    decoder: &'tree Decoder<'tree>,
    document: &'tree Node,
    key: &str,
) -> Vec<Field<'tree>> {
    let Some(entry) = document.entry(key).filter(|entry| !entry.value.is_null()) else {
        return Vec::new();
    };
    Field::section(decoder, &entry.key, &entry.value, entry.key_position).items()
}

fn route(field: Field<'_>) -> Option<Route> {
    let fields = field.fields(KEYS)?;
    let prefix = fields.get("prefix");
    let service = fields.get("service");
    let (Some(prefix), Some(service)) = (prefix, service) else {
        let message = format!("`{}` is not complete", field.name());
        field.error("missing-key", message, "write at least `prefix: /url` and `service: name`");
        return None;
    };
    let text = prefix.filled_text()?;
    if !text.starts_with('/') {
        prefix.invalid("invalid-route", "a path", "begin the prefix with `/`");
    }
    let name = service.filled_text()?;
    field.decoder.check_defined(&field.name(), &name, "services", service.position());
    let port = fields.get("port").map_or(Some(3000), |port| {
        let number = port.unsigned().and_then(|number| u16::try_from(number).ok());
        if number.is_none() {
            port.invalid("invalid-port", "a port", "a port is a number up to 65535");
        }
        number
    })?;
    let retries = fields.unsigned("retries");
    Some(Route {
        prefix: text,
        service: name,
        path: fields.text("path").unwrap_or_else(|| "/".to_owned()),
        port,
        protocol: fields
            .choice("protocol", &["http", "https"])
            .unwrap_or_else(|| "http".to_owned()),
        timeout: fields.duration("timeout"),
        retries: retries.map(|retries| u32::try_from(retries).unwrap_or(u32::MAX)),
    })
}
