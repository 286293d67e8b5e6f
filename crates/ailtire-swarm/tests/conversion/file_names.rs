//! Configs and secrets are named by what they hold.

use std::collections::BTreeSet;

use ailtire_compose::{FILE_NAME_LIMIT, FileObject, StackDesign};
use ailtire_swarm::spec::SecretSpec;
use ailtire_swarm::{DesiredStack, ResolvedImages};
use proptest::prelude::*;

use crate::convert_in;
use crate::designs::{labels, map, object, text};

fn stack_with(namespace: &str, config: FileObject) -> DesiredStack {
    let design = StackDesign {
        secrets: map([("app", config.clone())]),
        configs: map([("app", config)]),
        ..StackDesign::default()
    };
    convert_in(namespace, &design, &ResolvedImages::new(), None).0
}

fn config(object: FileObject) -> String {
    stack_with("shop-dev", object).configs.pop().unwrap().name
}

fn secret(namespace: &str, object: FileObject) -> SecretSpec {
    stack_with(namespace, object).secrets.pop().unwrap()
}

#[test]
fn the_names_are_the_same_everywhere() {
    // Other names would replace every config and secret that is there, and restart what uses them.
    assert_eq!(config(object("app")), "shop-dev_app_3d9f48143a03");
    assert_eq!(secret("shop-dev", object("app")).name, "shop-dev_app_2138f9feb899");
}

#[test]
fn whatever_can_not_be_changed_in_place_changes_the_name() {
    let objects = [
        object("app"),
        object("other"),
        FileObject { labels: labels(&[("a", "b")]), ..object("app") },
        FileObject { labels: labels(&[("ab", "")]), ..object("app") },
        FileObject { template_driver: text("golang"), ..object("app") },
        FileObject { driver: text("vault"), ..object("app") },
        FileObject { driver: text("vault"), driver_opts: labels(&[("a", "b")]), ..object("app") },
    ];
    let names: BTreeSet<String> = objects.iter().cloned().map(config).collect();
    assert_eq!(names.len(), objects.len());
    let names: BTreeSet<String> =
        objects.iter().cloned().map(|object| secret("shop-dev", object).name).collect();
    assert_eq!(names.len(), objects.len());
}

#[test]
fn where_the_content_comes_from_changes_nothing() {
    let moved = FileObject { file: text("elsewhere.txt"), ..object("app") };
    assert_eq!(config(moved), config(object("app")));
}

#[test]
fn two_stacks_do_not_show_that_they_have_the_same_secret() {
    let hash = |namespace| {
        let name = secret(namespace, object("app")).name;
        name.rsplit('_').next().unwrap().to_owned()
    };
    assert_ne!(hash("shop-dev"), hash("shop-prod"));
}

#[test]
fn a_name_of_its_own_gets_the_hash_too() {
    let name = config(FileObject { name: text("settings"), ..object("app") });
    assert!(name.starts_with("settings_") && name.len() == "settings_".len() + 12, "{name}");
}

#[test]
fn a_secret_that_a_driver_has_holds_nothing() {
    let driven = FileObject {
        driver: text("vault"),
        driver_opts: labels(&[("path", "/somewhere")]),
        data: None,
        ..object("app")
    };
    let spec = secret("shop-dev", driven);
    assert_eq!(spec.data, None);
    let made = spec.driver.unwrap();
    assert_eq!((made.name.as_str(), made.options.len()), ("vault", 1));
}

proptest! {
    #[test]
    fn names_keep_the_limit(namespace in "[a-z][a-z0-9-]{0,70}", name in "[a-z]{0,80}") {
        let object = FileObject { name: (!name.is_empty()).then_some(name), ..object("app") };
        let stack = stack_with(&namespace, object);
        prop_assert!(stack.configs.iter().all(|config| config.name.len() <= FILE_NAME_LIMIT));
        prop_assert!(stack.secrets.iter().all(|secret| secret.name.len() <= FILE_NAME_LIMIT));
    }
}
