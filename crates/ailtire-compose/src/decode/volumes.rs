//! Named volumes of the stack.

use super::fields::Field;
use super::{engine_name, external, refuse_beside_external};
use crate::model::Volume;

const KEYS: &[&str] = &["name", "driver", "driver_opts", "external", "labels"];

pub(super) fn decode(name: &str, field: Field<'_>) -> Volume {
    if field.node.is_null() {
        return Volume::default();
    }
    let Some(fields) = field.fields(KEYS) else { return Volume::default() };
    let (is_external, old_name) = external(&fields);
    let own_name = engine_name(&fields);
    if is_external {
        refuse_beside_external(&fields, &["driver", "driver_opts", "labels"]);
    }
    if fields.get("x-cluster-spec").is_some() {
        let message = format!("`{}.x-cluster-spec` is ignored", field.name());
        let help = "create the volume with `docker volume create`, and name it as `external`";
        field.warning("ignored-key", message, help);
    }
    Volume {
        name: own_name.or(old_name).or_else(|| is_external.then(|| name.to_owned())),
        external: is_external,
        driver: fields.filled_text("driver"),
        driver_opts: fields.options("driver_opts"),
        labels: fields.pairs("labels"),
    }
}
