//! What the engine has of a stack, without what may differ between two stacks.

use std::collections::BTreeMap;

use ailtire_swarm::spec::ServiceSpec;
use ailtire_swarm::{DesiredStack, label};
use serde_json::{Map, Value};

use crate::support::Variables;

/// Labels that we add to Docker's. They are never on tasks: nothing is taken away there.
const OURS: [&str; 6] = [
    label::APPLICATION,
    label::ENVIRONMENT,
    label::STACK_PATH,
    label::SERVICE,
    label::DIGEST,
    label::VERSION,
];

/// Digits of the hash, and its separator, that names of our configs and secrets end in.
const SUFFIX: usize = 13;

/// The specs of `objects` as sorted JSON, in which ids are names, the namespace is `NAMESPACE`, and
/// what we do on purpose in another way is as Docker's client does it.
pub(crate) fn text(
    objects: BTreeMap<&str, Vec<Value>>,
    names: &BTreeMap<String, String>,
    variables: &Variables,
    ours: Option<&DesiredStack>,
) -> String {
    let mut normal = Map::new();
    for (kind, list) in objects {
        let mut list: Vec<Value> = list
            .into_iter()
            .map(|object| if kind == "networks" { network(&object) } else { spec(object) })
            .collect();
        for object in &mut list {
            if let Some(Value::Object(labels)) = object.get_mut("Labels") {
                labels.retain(|name, _| !OURS.contains(&name.as_str()));
            }
            if ours.is_some() {
                take_variables(object);
            }
        }
        normal.insert(kind.to_owned(), list.into());
    }
    let mut text = Value::from(normal).to_string();
    for (id, name) in names {
        text = text.replace(id, name);
    }
    if let Some(ours) = ours {
        let configs = ours.configs.iter().map(|config| &config.name);
        for name in configs.chain(ours.secrets.iter().map(|secret| &secret.name)) {
            text = text.replace(name, &name[..name.len() - SUFFIX]);
        }
    }
    text = text.replace(&variables.namespace, "NAMESPACE").replace(&variables.subnet, "SUBNET");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    sort(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

/// Takes away the variables that every service of ours gets.
fn take_variables(object: &mut Value) {
    let container = object.pointer_mut("/TaskTemplate/ContainerSpec");
    let Some(container) = container.and_then(Value::as_object_mut) else { return };
    if let Some(Value::Array(variables)) = container.get_mut("Env") {
        variables.retain(|line| !line.as_str().unwrap().starts_with("AILTIRE_"));
        if variables.is_empty() {
            container.remove("Env");
        }
    }
}

/// Our own types hold all that the engine says of a service.
pub(crate) fn assert_read_without_loss(service: &Value) {
    let mut expected = service["Spec"].clone();
    let spec: ServiceSpec = serde_json::from_value(expected.clone()).unwrap();
    let mut read: Value = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    drop_empty(&mut expected);
    drop_empty(&mut read);
    assert_eq!(read, expected);
}

/// Takes away zeros, nulls and empty texts, which mean the same as nothing.
fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_empty);
            fields.retain(|_, value| {
                !(value.is_null()
                    || *value == 0
                    || *value == 0.0
                    || *value == false
                    || *value == "")
            });
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

fn spec(mut object: Value) -> Value {
    object["Spec"].take()
}

/// What was said of a network; the engine mixes it with what it chose.
fn network(object: &Value) -> Value {
    let mut normal = Map::new();
    for field in ["Name", "Driver", "Labels", "Internal", "Attachable", "Scope", "Ingress"] {
        normal.insert(field.to_owned(), object[field].clone());
    }
    let mut options = object["Options"].clone();
    if let Value::Object(options) = &mut options {
        options.remove("com.docker.network.driver.overlay.vxlanid_list");
    }
    normal.insert("Options".to_owned(), options);
    normal.insert("IPAM driver".to_owned(), object["IPAM"]["Driver"].clone());
    let subnet = object["IPAM"]["Config"][0]["Subnet"].as_str();
    let said = subnet.filter(|subnet| subnet.starts_with("10.99."));
    normal.insert("Subnet".to_owned(), said.into());
    normal.into()
}

/// What the engine, and Docker's client, list in no order.
const UNORDERED: [&str; 6] = ["services", "networks", "configs", "secrets", "Configs", "Secrets"];

/// What Docker's client lists as the compose file does, and we sort: the order means nothing.
const SORTED: [&str; 4] = ["Mounts", "Aliases", "Constraints", "GenericResources"];

fn sort(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for field in fields.values_mut() {
                sort(field);
            }
            fields.sort_keys();
            for name in UNORDERED.into_iter().chain(SORTED) {
                if let Some(Value::Array(list)) = fields.get_mut(name) {
                    list.sort_by_key(ToString::to_string);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}
