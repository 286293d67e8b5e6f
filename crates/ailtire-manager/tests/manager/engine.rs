//! An engine that goes away under a running manager.

use std::path::Path;

use private_engine::{BaseImage, Launch, PrivateEngine, base_image, wait_for};
use serde_json::{Value, json};

use crate::support::{Lab, SOON, compose};

fn start(folder: &Path) -> PrivateEngine {
    let engine = Launch::new(folder).keep_data().start().unwrap();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../base-images");
    base_image(&engine.client(), BaseImage::Busybox, &cache).unwrap();
    engine
}

#[test]
fn a_manager_goes_on_when_its_engine_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = start(folder.path());
    let lab = Lab::on("away", engine.host());
    let manager = lab.deploy(&lab.bundle("shop", &compose(&["changed", "kept", "lost"])));
    let read = |name: &str| -> Option<Value> {
        let service = lab.client.get_json(&format!("/services/{}_{name}", lab.root())).ok()?;
        service["ID"].is_string().then(|| json!([service["ID"], service["Spec"]]))
    };
    let before = ["changed", "kept", "lost"].map(|name| read(name).unwrap());

    // What was asked for just before is done afterwards.
    let changed = compose(&["changed", "kept", "lost"]).replace("echo changed", "echo another");
    let update = json!({ "compose": changed }).to_string();
    assert_eq!(manager.call("POST", "update", &update).status, 202);
    engine.kill().unwrap();
    manager.wait_for_line("the engine's events broke off");
    assert_eq!(manager.ask("GET", "/healthz?ready", &[], "").status, 200);
    // What happens meanwhile, the manager does not see.
    manager.signal("STOP");
    let engine = start(folder.path());
    lab.client.delete(&format!("/services/{}_lost", lab.root())).unwrap();
    manager.signal("CONT");

    let is_back = || {
        let now = ["changed", "kept", "lost"].map(&read);
        let [Some(changed), Some(kept), Some(lost)] = now else { return None };
        let is_same = kept == before[1];
        assert!(is_same, "{kept} was {}", before[1]);
        (changed[1] != before[0][1] && lost[0] != before[2][0]).then_some(())
    };
    wait_for(SOON, "the stack as it is to be", is_back).unwrap();
    manager.wait_for_status("a stack that runs", |it| it["state"] == "running");
    // It hears what happens, as before.
    lab.client.delete(&format!("/services/{}_kept", lab.root())).unwrap();
    let is_new = || read("kept").filter(|now| now[0] != before[1][0]);
    wait_for(SOON, "a service that comes back", is_new).unwrap();
    manager.call("POST", "shutdown", "");
    assert!(manager.wait_for_end());
    engine.stop().unwrap();
}
