//! Configs and secrets, which are replaced instead of changed; and what is not wanted any more.

use snapbox::str;

use super::application;

const DESIGN: &str = "
services:
  web: { <<: *idle, configs: [settings], secrets: [key] }
configs:
  settings: { file: settings.conf }
secrets:
  key: { file: key.txt }
";

#[test]
fn what_holds_something_else_is_replaced_and_goes_with_the_last_entry_that_needs_it() {
    let shop = application(DESIGN);
    let mut said = String::new();
    let mut done = |arguments: &[&str]| {
        let run = shop.done(arguments);
        said.push_str(&run.to_string());
        run
    };
    let put = |settings: &str, key: &str| {
        shop.put("deploy/settings.conf", settings);
        shop.put("deploy/key.txt", key);
    };
    let files = |kind: &str| {
        let mut names = shop.names(kind);
        names.retain(|name| !name.contains(".history."));
        names
    };
    put("one", "Sesame-1");
    done(&["deploy"]);
    let (configs, secrets) = (files("config"), files("secret"));
    assert_eq!((configs.len(), secrets.len()), (1, 1), "{configs:?} {secrets:?}");

    put("two", "Sesame-2");
    done(&["plan", "--deploy", "-v"]);
    done(&["deploy", "-v", "--message-format", "json"]);
    let web = shop.inspect("web")["Spec"].to_string();
    let new = |kind: &str, old: &[String]| {
        let mut names = files(kind);
        names.retain(|name| !old.contains(name));
        assert_eq!(names.len(), 1, "{names:?}");
        names.remove(0)
    };
    for (kind, old) in [("config", &configs), ("secret", &secrets)] {
        let new = new(kind, old);
        assert!(web.contains(&new) && !web.contains(&old[0]), "{new}: {web}");
        assert_eq!(files(kind).len(), 2, "a way back needs the old one");
    }

    // What is only there for a way back is nothing to do.
    assert!(done(&["plan", "--deploy"]).stdout.starts_with("untouched"), "{said}");
    done(&["deploy"]);
    let number = || shop.names("config").iter().filter(|name| name.contains(".history.")).count();
    assert_eq!(number(), 2);
    for round in 3..=11 {
        assert!(files("config").contains(&configs[0]), "round {round}");
        let level = format!("web: {{ environment: {{ LEVEL: '{round}' }},");
        shop.stack("deploy", &DESIGN.replace("web: {", &level));
        done(&["deploy"]);
    }
    assert_eq!(number(), 10);
    assert!(!files("config").contains(&configs[0]), "{:?}", files("config"));
    assert!(!files("secret").contains(&secrets[0]), "{:?}", files("secret"));
    done(&["deploy"]);
    done(&["history", "-v"]);
    done(&["history", "--format", "json"]);
    done(&["status", "--format", "json"]);
    assert_eq!(number(), 10);

    // In no output, no label, no name.
    assert!(!said.contains("Sesame"), "{said}");
    let objects = format!("{:?}", shop.objects());
    assert!(!objects.contains("Sesame"), "{objects}");
}

#[test]
fn what_is_not_wanted_any_more_goes_when_that_is_asked_for() {
    let shop = application(
        "
services:
  web: { <<: *idle, networks: [default, old] }
  older: { <<: *idle, networks: [old] }
  cart: { image: cart }
networks:
  old: { driver: overlay }
",
    );
    shop.package("Cart", "services:\n  pay: { <<: *idle }\n");
    shop.done(&["deploy"]);
    shop.stack("deploy", "services:\n  web: { <<: *idle }\n");
    std::fs::remove_dir_all(shop.path("api/Cart")).unwrap();
    snapbox::assert_data_eq!(
        shop.shown(&shop.done(&["plan", "--deploy", "--prune"])),
        str![[r#"
exit 0
update     app-default/web
           networks.app-default_old was removed (it was `aliases: [web]`)
remove     network app-default_old
remove     app-default/older
remove     network app-default_cart-1_default
remove     app-default/cart/pay
0 to create, 1 to update (1 with new tasks), 2 to remove, 0 untouched
---

"#]]
    );
    let run = shop.done(&["deploy"]);
    assert_eq!(shop.names("service").len(), 3, "{}", shop.shown(&run));
    snapbox::assert_data_eq!(
        shop.shown(&shop.done(&["deploy", "--prune"])),
        str![[r#"
exit 0
---
   Untouched app-default/web
     Removed app-default/older
     Removed app-default/cart/pay
     Removed network app-default_old
     Removed network app-default_cart-1_default
    Finished 1 stack: 2 removed, 1 untouched in [..]

"#]]
    );
    assert_eq!(shop.names("service"), [shop.service("web")]);
    assert_eq!(shop.names("network"), [format!("{}-default_default", shop.name)]);
}
