//! What is wrong with a design, where nobody has said so before.

use ailtire_compose::{
    Attachment, Deploy, FileObject, Mount, Network, Resource, Resources, Service, StackDesign,
};
use ailtire_swarm::ResolvedImages;

use crate::convert_in;
use crate::design_of;
use crate::designs::{map, object, reference, service, text};

/// The codes and messages of what is found.
fn findings(design: &StackDesign) -> Vec<String> {
    let (_, diagnostics) = convert_in("shop-dev", design, &ResolvedImages::new(), None);
    assert!(diagnostics.iter().all(ailtire_events::Diagnostic::is_error));
    diagnostics.iter().map(|found| format!("{}: {}", found.code, found.message)).collect()
}

#[test]
fn things_that_nobody_defines_are_named_all_at_once() {
    let mount = Mount {
        kind: "volume".into(),
        source: text("data"),
        target: "/data".into(),
        read_only: false,
        consistency: None,
        bind: None,
        volume: None,
        tmpfs: None,
    };
    let design = design_of(Service {
        networks: map([("back", Attachment::default())]),
        configs: vec![reference("settings")],
        secrets: vec![reference("password")],
        volumes: vec![mount],
        ..service("redis:7")
    });
    let mut found = findings(&design);
    found.sort();
    assert_eq!(
        found,
        ["config `settings`", "network `back`", "secret `password`", "volume `data`"].map(|what| {
            format!(
                "undefined-reference: service `web` uses {what}, which the stack does not define"
            )
        })
    );
}

#[test]
fn files_that_the_engine_would_refuse_are_found_before() {
    let of_size = |size| FileObject { data: Some(vec![b'x'; size]), ..object("app") };
    let design = |size| StackDesign {
        secrets: map([("app", of_size(size))]),
        configs: map([("app", of_size(size))]),
        ..StackDesign::default()
    };
    assert_eq!(
        findings(&design(0)),
        ["config", "secret"].map(|kind| {
            format!("file-size: {kind} `app` is empty, which the engine does not take")
        })
    );
    assert_eq!(
        findings(&design(600 * 1024)),
        ["file-size: secret `app` has 614400 bytes; the engine takes less than 512000"]
    );
    assert_eq!(findings(&design(2_000_000)).len(), 2);
}

#[test]
fn processors_are_numbers() {
    let limits = Some(Resource { cpus: text("many"), ..Resource::default() });
    let resources = Some(Resources { limits, reservations: None });
    let deploy = Deploy { resources, ..Deploy::default() };
    assert_eq!(
        findings(&design_of(Service { deploy, ..service("redis:7") })),
        ["invalid-cpus: `cpus` of service `web` is `many`, which is no number of processors"]
    );
}

#[test]
fn one_name_for_two_networks_that_differ_is_found() {
    let named = |internal| Network { name: text("shared"), internal, ..Network::default() };
    let design = |internal| StackDesign {
        networks: map([("one", named(false)), ("other", named(internal))]),
        ..design_of(Service {
            networks: map([("one", Attachment::default()), ("other", Attachment::default())]),
            ..service("redis:7")
        })
    };
    assert_eq!(
        findings(&design(true)),
        ["duplicate-name: networks `one` and `other` are both named `shared`, and differ"]
    );
    assert_eq!(findings(&design(false)), Vec::<String>::new());
}
