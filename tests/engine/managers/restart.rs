//! An engine that is stopped, or crashes, and is there again.

use std::collections::BTreeMap;
use std::path::Path;

use private_engine::{Launch, PrivateEngine};
use serde_json::{Value, json};

use super::small::Small;
use super::{PATIENCE, wait_for};

fn start(folder: &Path) -> PrivateEngine {
    Launch::new(folder).keep_data().start().unwrap()
}

/// What says that a service was changed, by its name.
fn services(engine: &PrivateEngine) -> BTreeMap<String, Value> {
    let services = engine.client().get_json("/services").unwrap();
    let of = |service: &Value| {
        let name = service["Spec"]["Name"].as_str().unwrap().to_owned();
        (name, json!([service["ID"], service["UpdatedAt"], service["Spec"]]))
    };
    services.as_array().unwrap().iter().map(of).collect()
}

/// What an engine that starts leaves of the tasks of before, it replaces; managers then have nothing
/// to do but to serve.
fn comes_back(small: &Small, engine: &PrivateEngine, before: &BTreeMap<String, Value>) {
    small.is_reached();
    let is_running = || {
        let run = small.run(&["status"]);
        (run.code == Some(0)).then_some(())
    };
    wait_for(PATIENCE, "all services to run", is_running).unwrap();
    assert_eq!(services(engine), *before);
}

#[test]
fn managers_go_on_after_their_engine_was_away() {
    let folder = crate::directory::Directory::new();
    let data = folder.path("engine");
    let engine = start(&data);
    let small = Small::on(&engine);
    small.done(&["up"]);
    small.is_reached();
    let before = services(&engine);
    // Two services, and the managers of two stacks.
    assert_eq!(before.len(), 4, "{:?}", before.keys());

    engine.stop().unwrap();
    let engine = start(&data);
    comes_back(&small, &engine, &before);
    engine.kill().unwrap();
    let engine = start(&data);
    comes_back(&small, &engine, &before);

    let up = small.done(&["up"]);
    assert!(up.stderr.contains("4 untouched"), "{up}");
    assert_eq!(services(&engine), before);
    // They look after their stacks as before.
    let worker = format!("{}_inner-1_worker", small.root());
    engine.client().delete(&format!("/services/{worker}")).unwrap();
    wait_for(PATIENCE, "a service that comes back", || {
        let new = services(&engine).remove(&worker)?;
        (new[0] != before[&worker][0]).then_some(())
    })
    .unwrap();
    small.is_reached();
    small.done(&["down"]);
    engine.stop().unwrap();
}
