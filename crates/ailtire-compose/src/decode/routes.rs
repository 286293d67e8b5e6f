//! The gateway's table and the root's ports: `x-ailtire-routes` and `x-ailtire-ports`.

use super::Decoder;
use super::fields::{Field, Fields};
use super::ports;
use crate::document::Node;
use crate::model::{Port, Route};
use crate::{TLS_CERTIFICATE, TLS_KEY, TLS_PORT};

const KEYS: &[&str] = &["prefix", "service", "path", "port", "protocol", "timeout", "retries"];

/// All routes, longest prefix first.
pub(super) fn decode(decoder: &Decoder<'_>, document: &Node) -> Vec<Route> {
    let items = items(decoder, document, "x-ailtire-routes");
    let mut routes: Vec<Route> = items.into_iter().filter_map(route).collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
    routes
}

/// The ports that the entry service or the manager publishes where the stack is the root.
pub(super) fn decode_ports(decoder: &Decoder<'_>, document: &Node) -> Vec<Port> {
    check_certificate(decoder, document);
    let mut found = Vec::new();
    for field in items(decoder, document, "x-ailtire-ports") {
        let ports = ports::one(field);
        let is_tls = ports.iter().any(|port| port.target == TLS_PORT);
        if is_tls && !decoder.names.secrets.contains(&TLS_CERTIFICATE) {
            let message =
                format!("a port leads to {TLS_PORT}, where TLS is spoken, without a certificate");
            let help = format!(
                "add the secrets `{TLS_CERTIFICATE}` and `{TLS_KEY}`, both `{{ file: … }}` or \
                 `{{ external: true }}`"
            );
            decoder.error(field.position(), "no-certificate", message, help);
        }
        found.extend(ports);
    }
    found
}

/// A certificate is of use with its key only.
fn check_certificate(decoder: &Decoder<'_>, document: &Node) {
    for (one, other) in [(TLS_CERTIFICATE, TLS_KEY), (TLS_KEY, TLS_CERTIFICATE)] {
        let entry = document.get("secrets").and_then(|secrets| secrets.entry(one));
        if let Some(entry) = entry
            && !decoder.names.secrets.contains(&other)
        {
            let message = format!("there is a secret `{one}`, but no `{other}`");
            let help = "the manager speaks TLS with both, or not at all";
            decoder.error(entry.key_position, "half-a-certificate", message, help);
        }
    }
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
    check_protocol(&fields);
    let retries = fields.unsigned("retries");
    Some(Route {
        prefix: text,
        service: name,
        path: fields.text("path").unwrap_or_else(|| "/".to_owned()),
        port,
        protocol: "http".to_owned(),
        timeout: fields.duration("timeout"),
        retries: retries.map(|retries| u32::try_from(retries).unwrap_or(u32::MAX)),
    })
}

/// There is one protocol only.
fn check_protocol(fields: &Fields<'_>) {
    let Some(field) = fields.get("protocol") else { return };
    if field.node.scalar() != Some("https") {
        field.choice(&["http"]);
        return;
    }
    let message = "the gateway does not speak TLS with services: it has nothing to check the \
                   certificate of a task against";
    let help = "write `http`; `driver_opts: { encrypted: '' }` of a network encrypts what goes over \
                it between nodes";
    field.error("route-over-tls", message.to_owned(), help);
}
