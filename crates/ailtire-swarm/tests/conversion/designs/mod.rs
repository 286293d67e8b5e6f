//! Designs that say little, and designs that say everything, as a reader of compose files has them.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.
#![allow(clippy::unnecessary_wraps)] // They write values as the fields want them.

mod full;

use std::collections::BTreeMap;

use ailtire_compose::{
    Attachment, Condition, CredentialSpec, Dependency, Deploy, FileObject, FileReference,
    Healthcheck, Logging, Network, Placement, Resource, Resources, RestartPolicy, Service,
    StackDesign, UpdateConfig,
};
use ailtire_events::Location;

/// What differs between two deployments of one design.
#[derive(Debug, Clone)]
pub(crate) struct Variables {
    pub(crate) namespace: String,
    /// The name of a network, a config and a secret that are there.
    pub(crate) external: String,
    pub(crate) subnet: String,
}

impl Default for Variables {
    fn default() -> Self {
        Self {
            namespace: "shop-dev".into(),
            external: "outside".into(),
            subnet: "10.99.1.0/24".into(),
        }
    }
}

/// All of them, with their names.
pub(crate) fn all(variables: &Variables) -> [(&'static str, StackDesign); 4] {
    [
        ("minimal", minimal()),
        ("jobs", jobs()),
        ("full", full::full(variables)),
        ("files", files(variables)),
    ]
}

pub(crate) fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub(crate) fn map<T>(entries: impl IntoIterator<Item = (&'static str, T)>) -> BTreeMap<String, T> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn labels(entries: &[(&'static str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A service with nothing but an image.
pub(crate) fn service(image: &str) -> Service {
    Service::new(image, Location::file("docker-compose.yaml"))
}

pub(crate) fn dependency(condition: Condition) -> Dependency {
    Dependency { condition, required: true, location: Location::file("docker-compose.yaml") }
}

pub(crate) fn external_network(name: &str) -> Network {
    Network { name: text(name), external: true, ..Network::default() }
}

fn nowhere() -> Option<Placement> {
    let constraints = texts(&["node.labels.nowhere == true"]);
    Some(Placement { constraints, ..Placement::default() })
}

/// A service in a mode, which no node runs.
fn in_mode(mode: &str, replicas: Option<u64>, image: &str) -> Service {
    let deploy = Deploy { mode: text(mode), replicas, placement: nowhere(), ..Deploy::default() };
    Service { deploy, ..service(image) }
}

fn jobs() -> StackDesign {
    let image = "nothing.invalid/once:1";
    StackDesign {
        services: map([
            ("once", in_mode("replicated-job", Some(2), image)),
            ("once-everywhere", in_mode("global-job", None, image)),
        ]),
        ..StackDesign::default()
    }
}

fn minimal() -> StackDesign {
    let stopped = Deploy { replicas: Some(0), ..Deploy::default() };
    let unnumbered = Service {
        networks: map([("default", Attachment::default())]),
        healthcheck: Some(Healthcheck { test: texts(&["NONE"]), ..Healthcheck::default() }),
        logging: Some(Logging { driver: text("none"), ..Logging::default() }),
        deploy: Deploy {
            endpoint_mode: text("DNSRR"),
            update_config: Some(UpdateConfig::default()),
            rollback_config: Some(UpdateConfig::default()),
            restart_policy: Some(RestartPolicy::default()),
            resources: Some(Resources { limits: Some(Resource::default()), reservations: None }),
            placement: nowhere(),
            ..Deploy::default()
        },
        ..service("nothing.invalid/unnumbered:1")
    };
    StackDesign {
        services: map([
            ("plain", Service { deploy: stopped, ..service("nothing.invalid/plain:1") }),
            ("everywhere", in_mode("global", None, "nothing.invalid/everywhere:1")),
            ("unnumbered", unnumbered),
        ]),
        ..StackDesign::default()
    }
}

/// The content of the file that a config or secret is made of.
pub(crate) fn content(key: &str) -> String {
    format!("what {key} holds\n")
}

pub(crate) fn object(key: &str) -> FileObject {
    FileObject {
        file: Some(format!("{key}.txt")),
        data: Some(content(key).into_bytes()),
        ..FileObject::default()
    }
}

fn external_object(variables: &Variables) -> FileObject {
    FileObject { name: Some(variables.external.clone()), external: true, ..FileObject::default() }
}

pub(crate) fn reference(source: &str) -> FileReference {
    FileReference { source: source.to_owned(), target: None, uid: None, gid: None, mode: None }
}

fn placed(source: &str, target: &str, owner: [&str; 2], mode: u32) -> FileReference {
    let [uid, gid] = owner.map(text);
    FileReference { target: text(target), uid, gid, mode: Some(mode), ..reference(source) }
}

fn files(variables: &Variables) -> StackDesign {
    let Variables { namespace, .. } = variables;
    let stopped = Deploy { replicas: Some(0), ..Deploy::default() };
    let reader = Service {
        configs: vec![
            reference("plain"),
            reference("named"),
            placed("templated", "/etc/templated.conf", ["101", "102"], 0o400),
            FileReference { target: text("/etc/outside.conf"), ..reference("outside") },
        ],
        secrets: vec![
            reference("password"),
            placed("key", "/keys/key", ["7", "8"], 0o440),
            reference("outside"),
        ],
        deploy: stopped.clone(),
        ..service("nothing.invalid/reader:1")
    };
    let account = Service {
        credential_spec: Some(CredentialSpec {
            config: text("credentials"),
            ..CredentialSpec::default()
        }),
        configs: vec![reference("plain")],
        deploy: stopped.clone(),
        ..service("nothing.invalid/account:1")
    };
    let file_account = Service {
        credential_spec: Some(CredentialSpec {
            file: text("account.json"),
            ..CredentialSpec::default()
        }),
        deploy: stopped,
        ..service("nothing.invalid/account:1")
    };
    let templated = FileObject {
        template_driver: text("golang"),
        labels: labels(&[("com.example.config", "yes")]),
        ..object("templated")
    };
    let named = |key: &str| FileObject { name: Some(format!("{namespace}-{key}")), ..object(key) };
    StackDesign {
        services: map([("reader", reader), ("account", account), ("file-account", file_account)]),
        configs: map([
            ("plain", object("plain")),
            ("templated", templated),
            ("credentials", object("credentials")),
            ("named", named("named")),
            ("unused", object("unused")),
            ("outside", external_object(variables)),
        ]),
        secrets: map([
            ("password", object("password")),
            (
                "key",
                FileObject { labels: labels(&[("com.example.secret", "yes")]), ..named("key") },
            ),
            ("outside", external_object(variables)),
        ]),
        ..StackDesign::default()
    }
}
