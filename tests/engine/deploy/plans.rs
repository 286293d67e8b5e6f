//! Plans that are saved, and what somebody changes by hand.

use serde_json::{Value, json};
use snapbox::str;

use super::application;
use crate::support::{TestApplication, client};

const DESIGN: &str = "services:\n  web: { <<: *idle, environment: { LEVEL: low } }\n";

impl TestApplication {
    /// Changes a service as `docker service update` does.
    fn change_by_hand(&self, service: &str, change: impl FnOnce(&mut Value)) {
        let found = self.inspect(service);
        let mut spec = found["Spec"].clone();
        change(&mut spec);
        let (id, version) = (found["ID"].as_str().unwrap(), &found["Version"]["Index"]);
        let path = format!("/services/{id}/update?version={version}");
        client().post_json(&path, &spec).unwrap().accepted(&path).unwrap();
    }
}

#[test]
fn a_saved_plan_is_made_unless_something_changed() {
    let shop = application(DESIGN);
    let file = shop.path("plan.json");
    let file = file.to_str().unwrap();
    shop.done(&["plan", "--deploy", "--out", file]);
    shop.done(&["deploy", "--plan", file]);
    assert_eq!(shop.names("service"), [shop.service("web")]);

    shop.stack("deploy", &DESIGN.replace("low", "high"));
    shop.done(&["plan", "--deploy", "--out", file]);
    shop.change_by_hand("web", |spec| spec["Labels"]["note"] = json!("by hand"));
    let run = shop.run(&["deploy", "--plan", file]);
    snapbox::assert_data_eq!(
        shop.shown(&run),
        str![[r#"
exit 2
---
error[plan-out-of-date]: the saved plan is out of date: the swarm, the sources or the images changed since
 |
 = note: app-default/web is not as planned
 = help: look at a new plan: `ailtire-build plan --deploy --out FILE`

error: 1 error in the definitions

"#]]
    );
    assert!(shop.inspect("web").to_string().contains("LEVEL=low"));

    shop.done(&["plan", "--deploy", "--out", file]);
    shop.stack("deploy", &DESIGN.replace("low", "middle"));
    let run = shop.run(&["deploy", "--plan", file]);
    assert_eq!(run.code, Some(2), "{}", shop.shown(&run));
    assert!(run.stderr.contains("plan-out-of-date"), "{}", shop.shown(&run));
    shop.stack("deploy", &DESIGN.replace("low", "high"));
    shop.done(&["deploy", "--plan", file]);
    assert!(shop.inspect("web").to_string().contains("LEVEL=high"));

    // It was made, and is nothing to be made again.
    assert_eq!(shop.run(&["deploy", "--plan", file]).code, Some(2));
}

#[test]
fn what_somebody_changed_by_hand_is_found_and_set_right() {
    let shop = application(DESIGN);
    shop.done(&["deploy"]);
    let before = shop.inspect("web")["Spec"].clone();
    shop.change_by_hand("web", |spec| {
        spec["Mode"]["Replicated"]["Replicas"] = json!(1);
        let container = &mut spec["TaskTemplate"]["ContainerSpec"];
        container["Args"] = json!(["sleep", "1000"]);
        container["StopSignal"] = json!("SIGKILL");
    });
    snapbox::assert_data_eq!(
        shop.shown(&shop.done(&["plan", "--deploy"])),
        str![[r#"
exit 0
update     app-default/web  (was changed by hand)
           command was removed (it was `["sleep","1000"]`)
           deploy.replicas changed from `1` to `0`
           stop_signal was removed (it was `SIGKILL`)
0 to create, 1 to update (1 with new tasks), 0 to remove, 0 untouched
---

"#]]
    );
    shop.done(&["deploy"]);
    assert_eq!(shop.inspect("web")["Spec"], before);
    assert!(shop.done(&["plan", "--deploy"]).stdout.starts_with("untouched"));
}
