//! What was deployed, and the way back to it.

use serde_json::Value;
use snapbox::str;

use super::application;
use crate::support::TestApplication;

const FIRST: &str = "
services:
  web: { <<: *idle, image: APP-web, environment: { LEVEL: low }, configs: [settings] }
  older: { <<: *idle, networks: [old] }
  cart: { image: cart }
networks:
  old: { driver: overlay }
configs:
  settings: { content: one }
";

const SECOND: &str = "
services:
  web: { <<: *idle, image: APP-web, environment: { LEVEL: high }, configs: [settings] }
  newer: { <<: *idle, networks: [new] }
  cart: { image: cart }
networks:
  new: { driver: overlay }
configs:
  settings: { content: two }
";

fn deploy(shop: &TestApplication, design: &str, pay: &str) {
    shop.stack("deploy", &design.replace("APP", &shop.name));
    shop.package("Cart", &format!("services:\n  pay: {{ <<: *idle, environment: {{ {pay} }} }}\n"));
    shop.done(&["deploy", "--prune"]);
}

/// Specs, without what tells one moment from another.
fn specs(shop: &TestApplication) -> Vec<(String, Value)> {
    let objects = shop.objects().into_iter();
    let lasting = |name: &str| !name.starts_with("config ") && !name.starts_with("container ");
    objects.filter(|(name, _)| lasting(name)).collect()
}

#[test]
fn every_earlier_deployment_can_be_gone_back_to() {
    let shop = application("");
    let build = format!("module.exports = {{ web: {{ dir: 'web', tag: '{}-web' }} }};", shop.name);
    shop.put("deploy/build.js", &build);
    shop.put("deploy/web/Dockerfile", "FROM scratch\nCOPY greeting /\n");
    shop.put("deploy/web/greeting", "hello");
    let run = shop.run(&["rollback"]);
    snapbox::assert_data_eq!(
        shop.shown(&run),
        str![[r#"
exit 2
---
error[no-such-deployment]: the history of app-default has no earlier deployment
 |
 = help: `ailtire-build history` shows what can be gone back to

error: 1 error in the definitions

"#]]
    );
    deploy(&shop, FIRST, "A: '1'");
    let first = specs(&shop);
    shop.put("deploy/web/greeting", "good evening");
    deploy(&shop, SECOND, "A: '2'");
    let second = specs(&shop);
    assert_ne!(first, second);
    deploy(&shop, SECOND, "A: '3'");

    assert_eq!(shop.run(&["rollback", "--to", "9"]).code, Some(2));
    shop.done(&["rollback", "--to", "1"]);
    assert_eq!(specs(&shop), first);
    shop.done(&["rollback", "--to", "2"]);
    assert_eq!(specs(&shop), second);
    // From there to what was before: the first one.
    shop.done(&["rollback"]);
    assert_eq!(specs(&shop), first);
    snapbox::assert_data_eq!(
        shop.shown(&shop.done(&["history"])),
        str![[r#"
exit 0
   6 back to 4  [..]  by [..]  3 of 3 services changed
   5 back to 2  [..]  by [..]  3 of 3 services changed
   4 back to 1  [..]  by [..]  3 of 3 services changed
   3  [..]  by [..]  1 of 3 services changed
   2  [..]  by [..]  3 of 3 services changed
   1  [..]  by [..]  3 of 3 services changed
---

"#]]
    );
    snapbox::assert_data_eq!(
        shop.shown(&shop.done(&["why", "cart/pay", "--service"])),
        str![[r#"
exit 0
app-default_cart-1_pay runs ailtire-test/busybox:1 ([..])
  since deployment 6, which went back to 4, [..] by [..]
    because environment.A changed from `2` to `1`
the application does not build this image
---

"#]]
    );
}
