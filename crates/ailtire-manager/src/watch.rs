//! Following the engine's events.

use std::sync::Arc;
use std::time::Duration;

use ailtire_docker::Engine;
use ailtire_swarm::label;
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::life::pause;
use crate::log;
use crate::state::{Manager, count};

/// The time before the stream is asked for again, and the longest one.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// Wakes who deploys whenever something happens to the stack, as long as it is polled. After the
/// stream broke off, anything may have happened.
pub(crate) async fn watch(manager: Arc<Manager>, engine: Engine) {
    let mut wait = AGAIN.0;
    loop {
        let events = engine.get("/events");
        let kinds = ["service", "container", "network", "node", "config", "secret"];
        let events = kinds.iter().fold(events, |events, kind| events.filter("type", *kind));
        match events.json_stream().await {
            Ok(mut events) => {
                count(&manager.counters.stream_connects);
                log::debug("following the engine's events", json!({}));
                manager.wake.notify_one();
                wait = AGAIN.0;
                while let Some(Ok(event)) = events.next().await {
                    if concerns(&manager, &event) {
                        manager.wake.notify_one();
                    }
                }
                log::warn("the engine's events broke off", json!({}));
            }
            Err(error) => {
                log::warn(
                    "the engine's events can't be followed",
                    json!({"error": error.to_string()}),
                );
            }
        }
        pause(wait).await;
        wait = (wait * 2).min(AGAIN.1);
    }
}

/// Whether an event may have to do with the stack.
fn concerns(manager: &Manager, event: &Value) -> bool {
    let place = manager.state().place.clone();
    let Some(place) = place else { return true };
    is_about(event, &place.instance)
}

fn is_about(event: &Value, instance: &str) -> bool {
    let action = event["Action"].as_str().unwrap_or_default();
    // Health checks and `docker exec` come every second, and change nothing.
    if action.starts_with("exec_") {
        return false;
    }
    let attributes = &event["Actor"]["Attributes"];
    match event["Type"].as_str() {
        Some("container") => attributes[label::NAMESPACE] == instance,
        // Events of the swarm's objects have their name, and no labels.
        Some("service" | "network") => {
            attributes["name"].as_str().is_some_and(|name| name.starts_with(&prefix(instance)))
                || event["Type"] == "network" && action == "destroy"
                || event["Type"] == "network" && action == "remove"
        }
        Some("node") => true,
        Some("config" | "secret") => action == "remove",
        _ => false,
    }
}

/// Names of the stack's services begin so, unless they were too long.
fn prefix(instance: &str) -> String {
    instance.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, action: &str, attributes: &Value) -> Value {
        json!({"Type": kind, "Action": action, "Actor": {"Attributes": attributes}})
    }

    #[test]
    fn only_what_is_about_the_stack_wakes() {
        let of = |instance: &str| json!({ label::NAMESPACE: instance, "name": format!("{instance}_web") });
        assert!(is_about(&event("container", "die", &of("shop-dev")), "shop-dev"));
        assert!(!is_about(&event("container", "die", &of("other")), "shop-dev"));
        assert!(!is_about(
            &event("container", "exec_create: healthy", &of("shop-dev")),
            "shop-dev"
        ));
        assert!(is_about(
            &event("service", "remove", &json!({"name": "shop-dev_web"})),
            "shop-dev"
        ));
        assert!(!is_about(&event("service", "remove", &json!({"name": "other_web"})), "shop-dev"));
        assert!(is_about(&event("node", "update", &json!({})), "shop-dev"));
    }
}
