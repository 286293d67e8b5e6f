//! What comes before what, and services that do not run all the time.

use serde_json::Value;

use super::application;
use crate::support::{TestApplication, client};

const ROOT: &str = "
x-job: &job
  <<: *quick
  command: [sh, -c, 'sleep 1; echo migrated']
  deploy: { mode: replicated-job }
services:
  db:
    <<: *quick
    command: [sh, -c, 'sleep 1; touch /tmp/up; sleep 1000']
    healthcheck: { test: [CMD, test, -e, /tmp/up], interval: 300ms, retries: 20 }
  migrate: { <<: *job, depends_on: [db] }
  cart:
    image: cart
    depends_on: { migrate: { condition: service_completed_successfully } }
  front: { <<: *idle, depends_on: [cart] }
  agent: { <<: *quick, deploy: { mode: global, endpoint_mode: dnsrr } }
";

/// As text that sorts by time.
fn time(value: &Value) -> String {
    value.as_str().unwrap().trim_end_matches('Z').to_owned()
}

/// State of the container of the newest task of a service.
fn container(shop: &TestApplication, service: &str) -> Value {
    let tasks = client().tasks(&shop.service(service)).unwrap();
    let id = &tasks.last().unwrap()["Status"]["ContainerStatus"]["ContainerID"];
    let path = format!("/containers/{}/json", id.as_str().unwrap());
    client().get_json(&path).unwrap()["State"].clone()
}

#[test]
fn services_begin_when_what_they_need_is_there() {
    let shop = application(ROOT);
    // `Cart` depends on `Bank`, though nothing in their designs says so.
    shop.package("Cart", "services:\n  pay: { <<: *quick }\n  bank: { image: bank }\n");
    shop.put("api/Cart/index.js", "module.exports = { name: 'Cart', depends: ['Bank'] };\n");
    shop.package("Bank", "services:\n  vault: { <<: *quick }\n");
    shop.done(&["deploy"]);

    let created = |service: &str| time(&shop.inspect(service)["CreatedAt"]);
    let healthy = container(&shop, "db")["Health"]["Log"].as_array().unwrap().clone();
    let healthy = healthy.iter().find(|probe| probe["ExitCode"] == 0);
    if let Some(probe) = healthy {
        assert!(time(&container(&shop, "db")["StartedAt"]) < created("migrate"));
        assert!(!probe.is_null());
    }
    let migrated = container(&shop, "migrate");
    assert_eq!((&migrated["Status"], &migrated["ExitCode"]), (&"exited".into(), &0.into()));
    assert!(time(&migrated["FinishedAt"]) < created("cart/bank/vault"));
    let vault = container(&shop, "cart/bank/vault");
    assert!(time(&vault["StartedAt"]) < created("cart/pay"));
    assert!(time(&container(&shop, "cart/pay")["StartedAt"]) < created("front"));

    assert_eq!(shop.tasks("agent").len(), 1, "one a node");
    assert_eq!(shop.tasks("front").len(), 0);
    let status = shop.shown(&shop.done(&["status"]));
    for line in ["completed     1  migrate", "stopped     0/0  front", "running     1/1  agent"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    // A job that was done is not done again.
    let tasks = client().tasks(&shop.service("migrate")).unwrap().len();
    shop.done(&["deploy"]);
    assert_eq!(client().tasks(&shop.service("migrate")).unwrap().len(), tasks);
}
