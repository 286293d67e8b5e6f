//! A design with every key of a service, a network and a volume.

use std::time::Duration;

use ailtire_compose::{
    Attachment, BindOptions, CredentialSpec, Deploy, DiscreteResource, GenericResource,
    Healthcheck, Ipam, IpamPool, Logging, Mount, Network, Placement, Port, Preference, Resource,
    Resources, RestartPolicy, Service, StackDesign, TmpfsOptions, Ulimit, UpdateConfig, Volume,
    VolumeOptions,
};

use super::{Variables, external_network, labels, map, service, text, texts};

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

pub(super) fn full(variables: &Variables) -> StackDesign {
    let windows = Service {
        networks: map([("back", Attachment::default())]),
        healthcheck: Some(Healthcheck {
            test: texts(&["CMD", "/check"]),
            ..Healthcheck::default()
        }),
        credential_spec: Some(CredentialSpec {
            registry: text("account"),
            ..CredentialSpec::default()
        }),
        deploy: Deploy { replicas: Some(0), ..Deploy::default() },
        ..service("nothing.invalid/windows:1")
    };
    StackDesign {
        services: map([("web", web()), ("windows", windows)]),
        networks: networks(variables),
        volumes: map([
            ("data", Volume::default()),
            (
                "typed",
                Volume {
                    driver: text("local"),
                    driver_opts: labels(&[("type", "nfs"), ("device", ":/export")]),
                    labels: labels(&[("com.example.volume", "typed")]),
                    ..Volume::default()
                },
            ),
            (
                "named",
                Volume {
                    name: Some(format!("{}-volume", variables.namespace)),
                    ..Volume::default()
                },
            ),
            ("outside", Volume { name: text("elsewhere"), external: true, ..Volume::default() }),
        ]),
        ..StackDesign::default()
    }
}

fn networks(variables: &Variables) -> std::collections::BTreeMap<String, Network> {
    let Variables { namespace, external, subnet } = variables;
    let front = Network {
        driver: text("overlay"),
        driver_opts: labels(&[("com.example.option", "1")]),
        attachable: true,
        labels: labels(&[("com.example.network", "front")]),
        ipam: Some(Ipam {
            driver: text("default"),
            config: vec![IpamPool { subnet: subnet.clone() }],
        }),
        ..Network::default()
    };
    map([
        ("front", front),
        ("back", Network { internal: true, ..Network::default() }),
        ("named", Network { name: Some(format!("{namespace}-explicit")), ..Network::default() }),
        ("outside", external_network(external)),
        ("unused", Network::default()),
    ])
}

fn web() -> Service {
    Service {
        command: Some(texts(&["serve", "--port", "80"])),
        entrypoint: Some(texts(&["/entry", "point"])),
        environment: map([
            ("B", text("two words")),
            ("A", text("1")),
            ("REMOVED", None),
            ("Z", text("")),
        ]),
        working_dir: text("/srv"),
        user: text("1000:1000"),
        hostname: text("web-{{.Task.Slot}}"),
        labels: labels(&[("com.example.container", "yes")]),
        init: Some(true),
        tty: true,
        stdin_open: true,
        read_only: true,
        stop_signal: text("SIGINT"),
        stop_grace_period: seconds(90),
        isolation: text("default"),
        cap_add: texts(&["net_admin", "CAP_SYS_TIME"]),
        cap_drop: texts(&["ALL", "sys_time"]),
        sysctls: labels(&[("net.core.somaxconn", "1024"), ("net.ipv4.ip_forward", "0")]),
        ulimits: map([
            ("nproc", Ulimit { soft: 512, hard: 512 }),
            ("nofile", Ulimit { soft: 1000, hard: 2000 }),
        ]),
        dns: texts(&["10.0.0.53", "10.0.0.54"]),
        dns_search: texts(&["example.org"]),
        extra_hosts: texts(&["db:10.0.0.3", "cache:10.0.0.2"]),
        healthcheck: Some(Healthcheck {
            test: texts(&["CMD-SHELL", "curl -f http://localhost/"]),
            interval: seconds(30),
            timeout: seconds(5),
            start_period: seconds(60),
            start_interval: None,
            retries: Some(4),
        }),
        logging: Some(Logging {
            driver: text("json-file"),
            options: labels(&[("max-size", "10m"), ("max-file", "3")]),
        }),
        networks: map([
            ("front", Attachment { aliases: texts(&["www", "site"]), ..Attachment::default() }),
            ("back", Attachment::default()),
            ("named", Attachment::default()),
            ("outside", Attachment::default()),
        ]),
        ports: vec![
            port(443, Some(28443), "tcp", "host"),
            port(80, Some(28080), "tcp", "ingress"),
            port(53, Some(28053), "udp", "ingress"),
            port(9000, None, "tcp", "ingress"),
        ],
        volumes: mounts(),
        deploy: deploy(),
        ..service("nothing.invalid/web:1")
    }
}

fn port(target: u16, published: Option<u16>, protocol: &str, mode: &str) -> Port {
    Port { mode: mode.to_owned(), target, published, protocol: protocol.to_owned() }
}

fn mount(kind: &str, source: Option<&str>, target: &str) -> Mount {
    Mount {
        kind: kind.to_owned(),
        source: source.map(str::to_owned),
        target: target.to_owned(),
        read_only: false,
        consistency: None,
        bind: None,
        volume: None,
        tmpfs: None,
    }
}

fn mounts() -> Vec<Mount> {
    vec![
        Mount { read_only: true, ..mount("volume", Some("data"), "/data") },
        Mount {
            volume: Some(VolumeOptions { nocopy: true, subpath: None }),
            ..mount("volume", Some("typed"), "/typed")
        },
        mount("volume", Some("named"), "/named"),
        mount("volume", Some("outside"), "/outside"),
        mount("volume", None, "/anonymous"),
        Mount {
            read_only: true,
            consistency: text("cached"),
            bind: Some(BindOptions { propagation: text("rslave") }),
            ..mount("bind", Some("/etc"), "/host/etc")
        },
        mount("bind", Some("/var"), "/host/var"),
        Mount {
            tmpfs: Some(TmpfsOptions { size: Some(65536), mode: None }),
            ..mount("tmpfs", None, "/run")
        },
        mount("tmpfs", None, "/tmp"),
    ]
}

fn deploy() -> Deploy {
    Deploy {
        mode: text("replicated"),
        replicas: Some(0),
        labels: labels(&[("com.example.service", "yes")]),
        endpoint_mode: text("vip"),
        update_config: Some(UpdateConfig {
            parallelism: Some(2),
            delay: seconds(10),
            failure_action: text("rollback"),
            monitor: seconds(20),
            max_failure_ratio: Some(0.3),
            order: text("start-first"),
        }),
        rollback_config: Some(UpdateConfig {
            parallelism: Some(0),
            delay: seconds(1),
            failure_action: text("continue"),
            monitor: seconds(5),
            max_failure_ratio: Some(0.1),
            order: text("stop-first"),
        }),
        resources: Some(resources()),
        restart_policy: Some(RestartPolicy {
            condition: text("on-failure"),
            delay: seconds(5),
            max_attempts: Some(3),
            window: seconds(120),
        }),
        placement: Some(Placement {
            constraints: texts(&["node.role == manager", "engine.labels.disk == ssd"]),
            preferences: ["node.labels.zone", "node.labels.rack"]
                .map(|spread| Preference { spread: spread.to_owned() })
                .to_vec(),
            max_replicas_per_node: Some(2),
        }),
    }
}

fn resources() -> Resources {
    let gpus = DiscreteResource { kind: "gpu".into(), value: 2 };
    Resources {
        limits: Some(Resource {
            cpus: text("0.50"),
            memory: Some(50 * 1024 * 1024),
            pids: Some(100),
            generic_resources: Vec::new(),
        }),
        reservations: Some(Resource {
            cpus: text("0.25"),
            memory: Some(20 * 1024 * 1024),
            pids: None,
            generic_resources: vec![GenericResource { discrete_resource_spec: gpus }],
        }),
    }
}
