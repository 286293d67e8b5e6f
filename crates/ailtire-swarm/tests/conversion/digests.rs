//! The digest tells of every change that matters, and of no other.

use ailtire_compose::{FileObject, FileReference, Network, Service, StackDesign};
use ailtire_swarm::spec::ServiceSpec;
use ailtire_swarm::{ResolvedImage, ResolvedImages, label};
use proptest::prelude::*;

use crate::designs::{self, Variables, map, object, reference, service, text, texts};
use crate::{convert_in, design_of, spec, stack};

/// A service with several entries in each of its lists, and what it uses.
fn rich() -> StackDesign {
    let [_, _, (_, full), (_, files)] = designs::all(&Variables::default());
    let mut web = full.services.get("web").unwrap().clone();
    let reader = files.services.get("reader").unwrap();
    web.configs.clone_from(&reader.configs);
    web.secrets.clone_from(&reader.secrets);
    web.cap_drop = texts(&["chown", "setuid", "kill"]);
    StackDesign {
        services: map([("web", web)]),
        configs: files.configs,
        secrets: files.secrets,
        ..full
    }
}

fn changed(change: impl Fn(&mut Service)) -> StackDesign {
    let mut design = rich();
    design.services.values_mut().for_each(change);
    design
}

fn digest(spec: &ServiceSpec) -> &str {
    spec.labels.get(label::DIGEST).unwrap()
}

#[test]
fn the_digest_is_the_same_everywhere() {
    // Another digest of the same thing updates every service that runs. Change it only with the
    // version of the format.
    assert_eq!(
        digest(&spec(&design_of(service("redis:7")))),
        "91a29dc22ac8c490fd4fd880aaf9d9f32efdeb1cb065a443e09412414d4d29a2"
    );
    let networks = stack(&design_of(service("redis:7"))).networks;
    assert_eq!(
        networks.first().unwrap().labels.get(label::DIGEST).unwrap(),
        "d6af2c70b8348e1b88cf9bc1a1cb14e897975c25a53c199c25f781e03531908e"
    );
}

#[test]
fn the_label_is_no_part_of_the_digest() {
    let spec = spec(&rich());
    assert_eq!(spec.digest(), digest(&spec));
}

#[test]
fn a_spec_that_was_written_down_has_the_same_digest() {
    let spec = spec(&rich());
    let text = serde_json::to_string(&spec).unwrap();
    let read: ServiceSpec = serde_json::from_str(&text).unwrap();
    assert_eq!(read, spec);
    assert_eq!(read.digest(), spec.digest());
}

#[test]
fn a_release_changes_no_service() {
    let image = |fingerprint: &str| {
        let fingerprint = Some(fingerprint.to_owned());
        let image = ResolvedImage { run: "sha256:1234".into(), fingerprint };
        ResolvedImages::from([("web:1".to_owned(), image)])
    };
    let design = design_of(service("web:1"));
    let convert = |images: &ResolvedImages, version| {
        let (stack, _) = convert_in("shop-dev", &design, images, Some(version));
        let [service] = stack.services.try_into().unwrap();
        service.spec
    };
    let (one, other) = (convert(&image("aaa"), "1.0.0"), convert(&image("bbb"), "1.0.1"));
    assert_eq!(digest(&one), digest(&other));
    assert_eq!(one.task_template, other.task_template);
    assert_eq!(other.labels.get(label::VERSION).unwrap(), "1.0.1");
    assert_eq!(other.labels.get(label::FINGERPRINT).unwrap(), "bbb");
    assert_eq!(one.task_template.container_spec.image, "sha256:1234");
    assert_ne!(digest(&one), digest(&convert(&ResolvedImages::new(), "1.0.0")));
}

#[test]
fn what_matters_changes_the_digest() {
    let before = spec(&rich()).digest();
    let changes: [fn(&mut Service); 9] = [
        |service| service.image = "other:1".into(),
        |service| service.command = Some(texts(&["--port", "serve", "80"])),
        |service| service.dns.reverse(),
        |service| service.extra_hosts.reverse(),
        |service| service.deploy.replicas = Some(1),
        |service| service.read_only = false,
        |service| service.environment.insert("A".into(), text("2")).map_or((), drop),
        |service| service.deploy.placement.as_mut().unwrap().preferences.reverse(),
        |service| service.configs.iter_mut().for_each(|config| config.mode = Some(0o777)),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_ne!(spec(&changed(change)).digest(), before, "change {index}");
    }
}

#[test]
fn new_content_changes_the_services_that_use_it() {
    let before = spec(&rich()).digest();
    for kind in ["configs", "secrets"] {
        let mut design = rich();
        let objects = if kind == "configs" { &mut design.configs } else { &mut design.secrets };
        let key = if kind == "configs" { "plain" } else { "password" };
        objects.insert(key.into(), FileObject { data: Some(b"new".to_vec()), ..object(key) });
        assert_ne!(spec(&design).digest(), before, "{kind}");
    }
}

#[test]
fn our_labels_are_no_part_of_a_network() {
    let design = design_of(service("redis:7"));
    let network = |application: &str| {
        let mut network = stack(&design).networks.pop().unwrap();
        network.labels.insert(label::APPLICATION.into(), application.into());
        network
    };
    assert_eq!(network("one").digest(), network("other").digest());
    let internal = StackDesign {
        networks: map([("default", Network { internal: true, ..Network::default() })]),
        ..design.clone()
    };
    assert_ne!(stack(&internal).networks.pop().unwrap().digest(), network("one").digest());
}

prop_compose! {
    /// A service, and the same with its lists in another order.
    fn shuffled()(
        ports in Just(rich().services["web"].ports.clone()).prop_shuffle(),
        volumes in Just(rich().services["web"].volumes.clone()).prop_shuffle(),
        configs in Just(rich().services["web"].configs.clone()).prop_shuffle(),
        secrets in Just(rich().services["web"].secrets.clone()).prop_shuffle(),
        cap_drop in Just(rich().services["web"].cap_drop.clone()).prop_shuffle(),
        aliases in Just(texts(&["www", "site"])).prop_shuffle(),
        constraints in Just(
            rich().services["web"].deploy.placement.clone().unwrap().constraints
        ).prop_shuffle(),
    ) -> StackDesign {
        let mut design = rich();
        let web = design.services.get_mut("web").unwrap();
        (web.ports, web.volumes, web.configs, web.secrets) = (ports, volumes, configs, secrets);
        web.cap_drop = cap_drop;
        web.networks.get_mut("front").unwrap().aliases = aliases;
        web.deploy.placement.as_mut().unwrap().constraints = constraints;
        design
    }
}

proptest! {
    #[test]
    fn the_order_of_sets_means_nothing(design in shuffled()) {
        // Not the digest alone: what is sent decides whether the engine restarts tasks.
        prop_assert_eq!(spec(&design), spec(&rich()));
    }

    #[test]
    fn a_service_is_the_same_beside_any_others(names in prop::collection::btree_set("[a-z]{1,8}", 0..5)) {
        let mut design = design_of(Service {
            configs: vec![FileReference { target: text("/x"), ..reference("plain") }],
            ..service("redis:7")
        });
        design.configs.insert("plain".into(), object("plain"));
        let alone = spec(&design);
        for name in names {
            design.services.entry(name).or_insert_with(|| service("other:1"));
        }
        let services = stack(&design).services;
        let together = services.iter().find(|service| service.name == "web").unwrap();
        prop_assert_eq!(&together.spec, &alone);
    }
}
