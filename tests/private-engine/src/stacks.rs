//! What the engine has of stacks: to look at in tests, and to remove after them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Client;
use crate::error::Error;
use crate::wait::wait_for;

/// What Docker labels the parts of a stack with.
const NAMESPACE: &str = "com.docker.stack.namespace";

/// How long a part may be in use after the services that used it are gone.
const RELEASE_DEADLINE: Duration = Duration::from_secs(30);

/// One kind of thing that stacks have.
struct Kind {
    /// Path of the list, with its query.
    list: &'static str,
    /// Where the list is in the answer; empty where it is the answer.
    items: &'static str,
    /// Path of one thing, before its id.
    one: &'static str,
    /// The field that has the id.
    id: &'static str,
    /// What comes behind the id when it is removed.
    query: &'static str,
}

/// In the order in which they can be removed: users before what they use.
const KINDS: [Kind; 6] = [
    Kind { list: "/services", items: "", one: "/services", id: "ID", query: "" },
    Kind {
        list: "/containers/json?all=true",
        items: "",
        one: "/containers",
        id: "Id",
        // Those of services would take their time to stop.
        query: "?force=true&v=true",
    },
    Kind { list: "/networks", items: "", one: "/networks", id: "Id", query: "" },
    Kind { list: "/configs", items: "", one: "/configs", id: "ID", query: "" },
    Kind { list: "/secrets", items: "", one: "/secrets", id: "ID", query: "" },
    Kind { list: "/volumes", items: "/Volumes", one: "/volumes", id: "Name", query: "" },
];

impl Client {
    /// The services of a stack, as the engine describes them, by name.
    ///
    /// # Errors
    /// As [`Client::get_json`].
    pub fn services(&self, namespace: &str) -> Result<Vec<Value>, Error> {
        let label = format!("{NAMESPACE}={namespace}");
        let mut services =
            list(self.get_json(&filtered("/services", &json!({ "label": [label] })))?);
        services.sort_by_key(|service| service["Spec"]["Name"].as_str().map(str::to_owned));
        Ok(services)
    }

    /// All tasks that the engine knows of a service (its full name or id), oldest first.
    ///
    /// # Errors
    /// As [`Client::get_json`].
    pub fn tasks(&self, service: &str) -> Result<Vec<Value>, Error> {
        let mut tasks = list(self.get_json(&filtered("/tasks", &json!({ "service": [service] })))?);
        tasks.sort_by_key(|task| task["CreatedAt"].as_str().map(str::to_owned));
        Ok(tasks)
    }

    /// The tasks of a service that run.
    ///
    /// # Errors
    /// As [`Client::get_json`].
    pub fn running_tasks(&self, service: &str) -> Result<Vec<Value>, Error> {
        let mut tasks = self.tasks(service)?;
        tasks.retain(|task| {
            task["Status"]["State"] == "running" && task["DesiredState"] == "running"
        });
        Ok(tasks)
    }

    /// Removes services, containers, networks, configs, secrets and volumes of the application
    /// `name`: those whose name or stack is that name, or begins with it and `-`, `_` or `.`.
    ///
    /// # Errors
    /// As [`Client::get`]; something is in use by others.
    pub fn remove_application(&self, name: &str) -> Result<(), Error> {
        // Twice: until its container ends, a manager may bring a service back.
        for kind in KINDS.iter().chain(&KINDS) {
            let what = format!("the removal of {} of {name}", kind.one.trim_start_matches('/'));
            wait_for(RELEASE_DEADLINE, &what, || self.remove_all(kind, name))?;
        }
        Ok(())
    }

    /// Asks for the removal of all things of a kind; absent as long as there are some, since a node
    /// has a network for a while longer than the swarm.
    fn remove_all(&self, kind: &Kind, name: &str) -> Option<()> {
        // An engine that is no manager has no services and no configs.
        let Ok(answer) = self.get_json(kind.list) else { return Some(()) };
        let items = answer.pointer(kind.items).cloned().map(list).unwrap_or_default();
        let mut none = Some(());
        for item in items.iter().filter(|item| belongs_to(item, name)) {
            none = None;
            let id = item.get(kind.id)?.as_str()?;
            // One that is refused is asked for again.
            let _ = self.delete(&format!("{}/{id}{}", kind.one, kind.query));
        }
        none
    }
}

/// `path`, asking for what these filters let through.
fn filtered(path: &str, filters: &Value) -> String {
    let encoded = filters.to_string().bytes().fold(String::new(), |text, byte| {
        if byte.is_ascii_alphanumeric() {
            text + &char::from(byte).to_string()
        } else {
            text + &format!("%{byte:02X}")
        }
    });
    format!("{path}?filters={encoded}")
}

fn list(answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn belongs_to(item: &Value, application: &str) -> bool {
    let names = item.pointer("/Names").and_then(Value::as_array).into_iter().flatten();
    let places = ["/Name", "/Spec/Name"].into_iter().filter_map(|place| item.pointer(place));
    let labels = ["/Labels", "/Spec/Labels"]
        .into_iter()
        .filter_map(|place| item.pointer(place)?.get(NAMESPACE));
    names.chain(places).chain(labels).filter_map(Value::as_str).any(|name| {
        let rest = name.trim_start_matches('/').strip_prefix(application);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_', '.']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_not_one_whose_name_begins_with_its_name() {
        for (item, expected) in [
            (json!({ "Name": "shop" }), true),
            (json!({ "Spec": { "Name": "shop-dev_web" } }), true),
            (json!({ "Name": "shop_cart_family" }), true),
            (json!({ "Names": ["/shop-dev_web.1.x"] }), true),
            (json!({ "Name": "x", "Labels": { NAMESPACE: "shop-dev" } }), true),
            (json!({ "Name": "shop2-dev" }), false),
            (json!({ "Name": "workshop-dev", "Labels": null }), false),
        ] {
            assert_eq!(belongs_to(&item, "shop"), expected, "{item}");
        }
    }

    #[test]
    fn filters_are_fit_for_an_address() {
        let path = filtered("/tasks", &json!({ "service": ["a_b"] }));
        assert_eq!(path, "/tasks?filters=%7B%22service%22%3A%5B%22a%5Fb%22%5D%7D");
    }
}
