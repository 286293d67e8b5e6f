//! What does not run is told, and what was changed goes back.

use snapbox::str;

use super::application;

const ROOT: &str = "
services:
  front: { <<: *idle, environment: { LEVEL: low }, configs: [settings] }
  cart: { image: cart }
  last: { <<: *quick, depends_on: [cart] }
configs:
  settings: { content: one }
";

const CART: &str = "
services:
  pay: { <<: *idle, environment: { LEVEL: low } }
  bank: { image: bank }
";

const BANK: &str = "
services:
  vault: { <<: *quick, environment: { LEVEL: low } }
";

#[test]
fn three_stacks_go_back_when_the_last_service_fails() {
    let shop = application(ROOT);
    shop.package("Cart", CART);
    shop.package("Bank", BANK);
    shop.done(&["deploy"]);
    let (before, vault) = (shop.objects(), shop.tasks("last"));

    let more = "  more: { <<: *idle, networks: [more] }\nnetworks:\n  more: { driver: overlay }\n";
    let changed = |design: &str| format!("{}{more}", design.replace("low", "high"));
    shop.package("Cart", &changed(CART));
    shop.package("Bank", &changed(BANK));
    let root = ROOT.replace("low", "high").replace("one", "two").replace(
        "last: { <<: *quick,",
        "last: { <<: *quick, command: [sh, -c, 'echo begins; echo can not go on >&2; exit 3'],",
    );
    shop.stack("deploy", &root);
    let run = shop.run(&["deploy"]);
    assert_eq!(run.code, Some(1), "{}", shop.shown(&run));
    let said = shop.shown(&run);
    let failure = said.split_once("      Failed").unwrap().1;
    assert!(said.contains("\nbegins\n") && said.contains("\ncan not go on\n"), "{said}");
    snapbox::assert_data_eq!(
        format!("      Failed{failure}"),
        str![[r#"
      Failed app-default/last
------
 > last lines of app-default_last.1:
[..]
[..]
------
error[service-failed]: `app-default/last` does not run: [..]non-zero exit (3)[..]
 |
 = note: task app-default_last.1, on the node [..], exit code 3
 = help: `docker service ps --no-trunc app-default_last` and its logs tell more

Rolling back what was changed, because app-default/last failed
...
 Rolled back [..] objects as before
    Finished 3 stacks: [..] failed, everything as before in [..]

"#]]
    );
    let after = shop.objects();
    for (name, spec) in &before {
        if !name.starts_with("container") {
            assert_eq!(after.get(name), Some(spec), "{name}");
        }
    }
    let new: Vec<_> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    assert!(new.iter().all(|name| name.starts_with("container")), "{new:?}");
    assert!(vault.is_disjoint(&shop.tasks("last")));
    assert_eq!(shop.done(&["history", "--format", "json"]).stdout.matches("\"number\"").count(), 1);
    shop.done(&["status"]);
}

const SICK: &str = "
services:
  sick:
    <<: *quick
    healthcheck: { test: [CMD, 'false'], interval: 300ms, retries: 1 }
  needy: { <<: *idle, depends_on: [sick] }
  other: { <<: *idle, environment: { LEVEL: low } }
";

#[test]
fn failures_stop_a_deployment_or_only_what_depends_on_them() {
    let shop = application(SICK);
    let run = shop.run(&["deploy", "--on-failure", "continue"]);
    assert_eq!(run.code, Some(1), "{}", shop.shown(&run));
    assert!(run.stderr.contains("unhealthy"), "{}", shop.shown(&run));
    let services = |names: &[&str]| names.iter().map(|name| shop.service(name)).collect::<Vec<_>>();
    assert_eq!(shop.names("service"), services(&["other", "sick"]), "{}", shop.shown(&run));
    assert!(run.stderr.contains("Skipped"), "{}", shop.shown(&run));
    assert_eq!(shop.run(&["status"]).code, Some(1));

    // The other one waits for the sick one, too, and is not changed any more.
    shop.stack("deploy", &SICK.replace("{ LEVEL: low }", "{ LEVEL: high }, depends_on: [sick]"));
    let run = shop.run(&["deploy", "--on-failure", "stop"]);
    assert_eq!(run.code, Some(1), "{}", shop.shown(&run));
    assert_eq!(shop.names("service"), services(&["other", "sick"]), "{}", shop.shown(&run));
    assert!(shop.inspect("other").to_string().contains("LEVEL=low"), "{}", shop.shown(&run));
}
