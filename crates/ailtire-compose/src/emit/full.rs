//! A design that says everything that file format 3.9 can.

use std::collections::BTreeMap;
use std::time::Duration;

use ailtire_events::Location;

use crate::{
    Attachment, BindOptions, CredentialSpec, Deploy, DiscreteResource, FileObject, FileReference,
    GenericResource, Healthcheck, Ipam, IpamPool, Logging, Mount, Network, Placement, Port,
    Preference, Resource, Resources, RestartPolicy, Route, Service, StackDesign, TmpfsOptions,
    Ulimit, UpdateConfig, Volume, VolumeOptions,
};

fn map<T>(key: &str, value: T) -> BTreeMap<String, T> {
    BTreeMap::from([(key.to_owned(), value)])
}

fn labels() -> BTreeMap<String, String> {
    map("com.example/$label", "yes: $5".to_owned())
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn design() -> StackDesign {
    let objects = || {
        let external =
            FileObject { name: Some("theirs".into()), external: true, ..FileObject::default() };
        let own = FileObject {
            name: Some("ours".into()),
            file: Some("api/deploy/full.yaml".into()),
            labels: labels(),
            template_driver: Some("golang".into()),
            data: Some(b"never written".to_vec()),
            ..FileObject::default()
        };
        BTreeMap::from([("external".to_owned(), external), ("own".to_owned(), own)])
    };
    StackDesign {
        services: BTreeMap::from([
            (
                "stack".to_owned(),
                Service {
                    is_stack: true,
                    ..Service::new("example/stack:1", Location::file("services.js"))
                },
            ),
            ("web".to_owned(), web()),
        ]),
        networks: BTreeMap::from([
            ("family".to_owned(), network()),
            (
                "outside".to_owned(),
                Network { external: true, name: Some("public".into()), ..Network::default() },
            ),
            ("siblings".to_owned(), Network::default()),
        ]),
        volumes: BTreeMap::from([
            (
                "data".to_owned(),
                Volume {
                    name: Some("web-data".into()),
                    driver: Some("local".into()),
                    driver_opts: map("type", "tmpfs".to_owned()),
                    labels: labels(),
                    ..Volume::default()
                },
            ),
            ("plain".to_owned(), Volume::default()),
        ]),
        configs: objects(),
        secrets: objects(),
        routes: vec![Route {
            prefix: "/$web".into(),
            service: "web".into(),
            path: "/".into(),
            port: 3000,
            protocol: "http".into(),
            timeout: Some(Duration::from_millis(1500)),
            retries: Some(2),
        }],
        ports: vec![port()],
    }
}

fn network() -> Network {
    Network {
        name: Some("shop_shop-dev_family".into()),
        driver: Some("overlay".into()),
        driver_opts: map("encrypted", String::new()),
        attachable: true,
        internal: true,
        labels: labels(),
        ipam: Some(Ipam {
            driver: Some("default".into()),
            config: vec![IpamPool { subnet: "10.1.0.0/16".into() }],
        }),
        ..Network::default()
    }
}

fn port() -> Port {
    Port { mode: "host".into(), target: 80, published: Some(8080), protocol: "tcp".into() }
}

fn web() -> Service {
    let reference = |target: Option<&str>| FileReference {
        source: "own".into(),
        target: target.map(str::to_owned),
        uid: Some("103".into()),
        gid: Some("0".into()),
        mode: Some(0o440),
    };
    Service {
        command: Some(list(&["sh", "-c", "echo $HOME 'x' \"y\""])),
        entrypoint: Some(list(&["/entry"])),
        environment: BTreeMap::from([
            ("A".to_owned(), Some("$1: 2 #3".to_owned())),
            ("B".to_owned(), None),
            ("C".to_owned(), Some("0440".to_owned())),
            ("D".to_owned(), Some("{{.Service.Name}}\n".to_owned())),
        ]),
        working_dir: Some("/work".into()),
        user: Some("1000:1000".into()),
        hostname: Some("{{.Node.Hostname}}".into()),
        domainname: Some("example.org".into()),
        labels: labels(),
        init: Some(false),
        tty: true,
        stdin_open: true,
        read_only: true,
        stop_signal: Some("SIGINT".into()),
        stop_grace_period: Some(seconds(90)),
        cap_add: list(&["NET_ADMIN"]),
        cap_drop: list(&["ALL"]),
        sysctls: map("net.core.somaxconn", "1024".to_owned()),
        ulimits: map("nofile", Ulimit { soft: 1024, hard: -1 }),
        dns: list(&["8.8.8.8"]),
        dns_search: list(&["example.org"]),
        extra_hosts: list(&["a:1.2.3.4", "b:::1"]),
        healthcheck: Some(healthcheck()),
        logging: Some(Logging {
            driver: Some("json-file".into()),
            options: map("max-size", "10m".to_owned()),
        }),
        credential_spec: Some(CredentialSpec {
            file: Some("spec.json".into()),
            ..CredentialSpec::default()
        }),
        networks: BTreeMap::from([
            ("family".to_owned(), Attachment { aliases: list(&["www"]), ..Attachment::default() }),
            ("siblings".to_owned(), Attachment::default()),
        ]),
        ports: vec![port(), Port { published: None, protocol: "udp".into(), ..port() }],
        volumes: mounts(),
        configs: vec![reference(Some("/etc/own"))],
        secrets: vec![reference(None)],
        deploy: deploy(),
        ..Service::new(
            "example/web:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            Location::file("services.js"),
        )
    }
}

fn healthcheck() -> Healthcheck {
    Healthcheck {
        test: list(&["CMD-SHELL", "test $$ -gt 0"]),
        interval: Some(seconds(10)),
        timeout: Some(Duration::from_millis(500)),
        start_period: Some(seconds(3600)),
        start_interval: None,
        retries: Some(3),
    }
}

fn mounts() -> Vec<Mount> {
    let mount = |kind: &str, source: Option<&str>, target: &str| Mount {
        kind: kind.into(),
        source: source.map(str::to_owned),
        target: target.into(),
        read_only: false,
        consistency: None,
        bind: None,
        volume: None,
        tmpfs: None,
    };
    vec![
        Mount {
            read_only: true,
            consistency: Some("cached".into()),
            bind: Some(BindOptions { propagation: Some("rslave".into()) }),
            ..mount("bind", Some("/srv/$content"), "/content")
        },
        Mount {
            volume: Some(VolumeOptions { nocopy: true, subpath: None }),
            ..mount("volume", Some("data"), "/data")
        },
        mount("volume", None, "/nameless"),
        Mount {
            tmpfs: Some(TmpfsOptions { size: Some(1 << 20), mode: None }),
            ..mount("tmpfs", None, "/tmp")
        },
    ]
}

fn deploy() -> Deploy {
    let update = || UpdateConfig {
        parallelism: Some(2),
        delay: Some(seconds(5)),
        failure_action: Some("pause".into()),
        monitor: Some(seconds(30)),
        max_failure_ratio: Some(0.1),
        order: Some("start-first".into()),
    };
    let spec = DiscreteResource { kind: "gpu".into(), value: 2 };
    Deploy {
        mode: Some("replicated".into()),
        replicas: Some(3),
        labels: labels(),
        endpoint_mode: Some("dnsrr".into()),
        update_config: Some(update()),
        rollback_config: Some(update()),
        resources: Some(Resources {
            limits: Some(Resource {
                cpus: Some("0.50".into()),
                memory: Some(50 << 20),
                pids: Some(100),
                generic_resources: Vec::new(),
            }),
            reservations: Some(Resource {
                cpus: Some("0.25".into()),
                memory: Some(1 << 20),
                pids: None,
                generic_resources: vec![GenericResource { discrete_resource_spec: spec }],
            }),
        }),
        restart_policy: Some(RestartPolicy {
            condition: Some("on-failure".into()),
            delay: Some(seconds(5)),
            max_attempts: Some(3),
            window: Some(seconds(120)),
        }),
        placement: Some(Placement {
            constraints: list(&["node.role == manager"]),
            preferences: vec![Preference { spread: "node.labels.zone".into() }],
            max_replicas_per_node: Some(1),
        }),
    }
}
