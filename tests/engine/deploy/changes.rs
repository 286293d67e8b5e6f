//! Only what differs is changed, and nothing else restarts.

use std::collections::BTreeSet;

use serde_json::Value;
use snapbox::str;

use super::application;
use crate::support::{Run, TestApplication, client};
use crate::tap::Tap;

const ROOT: &str = "
services:
  web: { <<: *quick, image: APP-web, command: [sh, -c, cat /greeting; sleep 1000] }
  db: { <<: *quick, environment: { LEVEL: low } }
  cart: { image: cart }
";

const CART: &str = "
services:
  pay: { <<: *quick, environment: { LEVEL: low } }
";

fn shop() -> TestApplication {
    let shop = application("");
    shop.stack("deploy", &ROOT.replace("APP", &shop.name));
    let build = format!("module.exports = {{ web: {{ dir: 'web', tag: '{}-web' }} }};", shop.name);
    shop.put("deploy/build.js", &build);
    shop.put("deploy/web/Dockerfile", "FROM ailtire-test/busybox:1\nCOPY greeting /\n");
    shop.put("deploy/web/greeting", "hello\nwelcome\n");
    shop.package("Cart", CART);
    shop
}

/// The command, seen by a tap. Records belong to an address: every run goes through it.
struct Tapped<'shop>(&'shop TestApplication, Tap);

impl Tapped<'_> {
    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.0.command(arguments);
        let run = Run::of(command.env("DOCKER_HOST", self.1.address()).output().unwrap());
        assert_eq!(run.code, Some(0), "{arguments:?}: {}", self.0.shown(&run));
        run
    }
}

#[test]
fn only_what_differs_is_changed() {
    let shop = shop();
    let tapped = Tapped(&shop, Tap::start());
    tapped.run(&["deploy"]);
    look(&shop, &tapped);

    let before = tasks(&shop);
    assert!(before.iter().all(|tasks| tasks.len() == 1), "{before:?}");
    tapped.1.forget();
    let again = tapped.run(&["deploy"]);
    snapbox::assert_data_eq!(
        shop.shown(&again),
        str![[r#"
exit 0
---
       Fresh app-web:latest
    Finished 0 built, 1 fresh, 0 failed in [..], 0 B sent
   Untouched app-default/[..]
   Untouched app-default/[..]
   Untouched app-default/[..]
    Finished 2 stacks: 3 untouched in [..]

"#]]
    );
    let requests = tapped.1.requests();
    let is_question =
        |request: &&String| request.starts_with("GET ") || request.starts_with("HEAD ");
    let changing: Vec<_> = requests.iter().filter(|request| !is_question(request)).collect();
    assert!(!requests.is_empty() && changing.is_empty(), "{changing:?}");
    assert_eq!(tasks(&shop), before);
    change(&shop, &tapped, &before);
}

/// The tasks of each service.
fn tasks(shop: &TestApplication) -> [BTreeSet<String>; 3] {
    ["web", "db", "cart/pay"].map(|service| shop.tasks(service))
}

/// Changes an image, a variable, and a number of tasks.
fn change(shop: &TestApplication, tapped: &Tapped, before: &[BTreeSet<String>; 3]) {
    shop.put("deploy/web/greeting", "good evening\n");
    shop.package("Cart", &CART.replace("low", "high"));
    let scaled = ROOT.replace("APP", &shop.name).replace(
        "environment: { LEVEL: low } }",
        "environment: { LEVEL: low }, deploy: { endpoint_mode: dnsrr, replicas: 2, \
         restart_policy: { delay: 200ms }, update_config: { monitor: 300ms } } }",
    );
    shop.stack("deploy", &scaled);
    snapbox::assert_data_eq!(
        shop.shown(&tapped.run(&["plan", "--deploy"])),
        str![[r#"
exit 0
build      image app-web:latest
update     app-default/db  (tasks go on)
           deploy.replicas changed from `1` to `2`
update     app-default/web
           image changed from `[..]` to `(to be built)`
update     app-default/cart/pay
           environment.LEVEL changed from `low` to `high`
0 to create, 3 to update (2 with new tasks), 0 to remove, 0 untouched
---

"#]]
    );
    tapped.run(&["deploy"]);
    let [web, db, pay] = tasks(shop);
    assert!(web.len() == 1 && web.is_disjoint(&before[0]), "{web:?} {before:?}");
    assert!(db.len() == 2 && db.is_superset(&before[1]), "{db:?} {before:?}");
    assert!(pay.len() == 1 && pay.is_disjoint(&before[2]), "{pay:?} {before:?}");
    let env = &client().running_tasks(&shop.service("cart/pay")).unwrap()[0];
    let env = env["Spec"]["ContainerSpec"]["Env"].to_string();
    assert!(env.contains("\"LEVEL=high\""), "{env}");
    snapbox::assert_data_eq!(
        shop.shown(&tapped.run(&["why", "web", "--service"])),
        str![[r#"
exit 0
app-default_web runs app-web:latest ([..])
  since deployment 2, [..] by [..]
    because image changed from `[..]` to `[..]`
[..]
...
---

"#]]
    );
}

/// What there is to see of the first deployment.
fn look(shop: &TestApplication, tapped: &Tapped) {
    snapbox::assert_data_eq!(
        shop.shown(&tapped.run(&["status"])),
        str![[r#"
exit 0
app-default
  running     1/1  db  ailtire-test/busybox:1  [..]
  running     1/1  web  app-web:latest ([..])  [..]
  app-default/cart
    running     1/1  pay  ailtire-test/busybox:1  [..]
---

"#]]
    );
    let json = tapped.run(&["status", "--format", "json"]);
    let status: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(status["version"], 1);
    assert_eq!(status["root"], format!("{}-default", shop.name));
    let pay = &status["stacks"][1]["services"][0];
    assert_eq!(
        (&pay["name"], &pay["wanted"], &pay["running"]),
        (&"pay".into(), &1.into(), &1.into())
    );
    assert_eq!(pay["tasks"][0]["state"], "running");
    snapbox::assert_data_eq!(
        shop.shown(&tapped.run(&["logs", "web", "--tail", "1"])),
        str![[r#"
exit 0
app-default_web.1 | welcome
---

"#]]
    );
    let docker = client().services(&format!("{}-default_cart-1", shop.name)).unwrap();
    assert_eq!(docker.len(), 1, "`docker stack services` sees it");
}
