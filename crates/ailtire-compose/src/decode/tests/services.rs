//! What a service can say.

use std::time::Duration;

use super::{Application, json, read, with_web};
use crate::Condition;

/// Checks what `key` of the service `web` comes to, as JSON.
fn check(snippet: &str, key: &str, wanted: &str) {
    let outcome = read(&with_web(snippet));
    let found = json(outcome.design(), &format!("/services/web/{key}"));
    assert_eq!(found, wanted, "{snippet}\n{}", outcome.findings());
}

#[test]
fn scalars_lists_and_mappings() {
    for (snippet, key, wanted) in [
        ("command: sh -c 'echo $$HOME' # why", "command", r#"["sh","-c","echo $HOME"]"#),
        ("command: [a, 1, '']", "command", r#"["a","1",""]"#),
        ("command: ''", "command", "[]"),
        ("entrypoint: /bin/run --now", "entrypoint", r#"["/bin/run","--now"]"#),
        ("user: 1000", "user", r#""1000""#),
        ("user: 1000:1000", "user", r#""1000:1000""#),
        ("working_dir: /app", "working_dir", r#""/app""#),
        ("hostname: here", "hostname", r#""here""#),
        ("domainname: example.org", "domainname", r#""example.org""#),
        ("init: true", "init", "true"),
        ("init: false", "init", "false"),
        ("tty: 'yes'", "tty", "true"),
        ("stdin_open: on", "stdin_open", "true"),
        ("read_only: true", "read_only", "true"),
        ("stop_signal: SIGUSR1", "stop_signal", r#""SIGUSR1""#),
        ("stop_signal: 15", "stop_signal", r#""15""#),
        ("isolation: default", "isolation", r#""default""#),
        ("cap_add: [ALL]\ncap_drop: [NET_ADMIN]", "cap_drop", r#"["NET_ADMIN"]"#),
        ("labels: [a=b=c, d]", "labels", r#"{"a":"b=c","d":""}"#),
        ("labels: {a: 1.50, b: null, x-c: true}", "labels", r#"{"a":"1.50","b":"","x-c":"true"}"#),
        ("sysctls: [net.core.somaxconn=1024]", "sysctls", r#"{"net.core.somaxconn":"1024"}"#),
        (
            "ulimits: {nproc: 65535, nofile: {soft: 1, hard: 2}, core: -1}",
            "ulimits",
            r#"{"core":{"hard":-1,"soft":-1},"nofile":{"hard":2,"soft":1},"nproc":{"hard":65535,"soft":65535}}"#,
        ),
        ("dns: 9.9.9.9", "dns", r#"["9.9.9.9"]"#),
        ("dns: [9.9.9.9, '::1']", "dns", r#"["9.9.9.9","::1"]"#),
        ("dns_search: [a.org]", "dns_search", r#"["a.org"]"#),
        ("extra_hosts: ['b=1.2.3.4', 'a:[::1]']", "extra_hosts", r#"["b:1.2.3.4","a:::1"]"#),
        ("extra_hosts: {b: 1.2.3.4, a: '::1'}", "extra_hosts", r#"["a:::1","b:1.2.3.4"]"#),
        (
            "logging: {driver: syslog, options: {tag: 1, empty: }}",
            "logging",
            r#"{"driver":"syslog","options":{"empty":"","tag":"1"}}"#,
        ),
        ("credential_spec: {file: a.json}", "credential_spec", r#"{"file":"a.json"}"#),
    ] {
        check(snippet, key, wanted);
    }
}

#[test]
fn ports() {
    let port = |mode, target, published: &str, protocol| {
        let published = match published {
            "" => String::new(),
            number => format!(r#""published":{number},"#),
        };
        format!(r#"{{"mode":"{mode}","protocol":"{protocol}",{published}"target":{target}}}"#)
    };
    let tcp = |target, published| port("ingress", target, published, "tcp");
    for (snippet, wanted) in [
        ("ports: ['8080:80']", vec![tcp(80, "8080")]),
        ("ports: [8080:80]", vec![tcp(80, "8080")]),
        ("ports: [80]", vec![tcp(80, "")]),
        ("ports: ['80-81']", vec![tcp(80, ""), tcp(81, "")]),
        ("ports: ['53:53/UDP']", vec![port("ingress", 53, "53", "udp")]),
        ("ports: ['8080-8081:80-81']", vec![tcp(80, "8080"), tcp(81, "8081")]),
        ("ports: ['3000-3002:30']", vec![tcp(30, "3000"), tcp(30, "3001"), tcp(30, "3002")]),
        ("ports: [':80', '0:81']", vec![tcp(80, ""), tcp(81, "")]),
        (
            "ports: ['127.0.0.1:8001:80', '[::1]:8002:80', '10.0.0.1::81']",
            vec![tcp(80, "8001"), tcp(80, "8002"), tcp(81, "")],
        ),
        ("ports: [{target: 80}]", vec![tcp(80, "")]),
        (
            "ports: [{target: 80, published: '8080', protocol: sctp, mode: host, name: web}]",
            vec![port("host", 80, "8080", "sctp")],
        ),
    ] {
        check(snippet, "ports", &format!("[{}]", wanted.join(",")));
    }
}

#[test]
fn addresses_of_ports_are_warned_about() {
    let outcome = read(&with_web("ports: ['127.0.0.1:8001:80']"));
    assert_eq!(
        outcome.findings(),
        "warning[ignored-address] 4:13: `services.web.ports[0]`: Swarm ignores the address, and \
         listens on all of them\n  help: leave the address out; keep others away by a firewall, or \
         do not publish the port\n"
    );
}

#[test]
fn mounts() {
    let snippet = "volumes:
- data:/data:ro,nocopy
- /var/lib/anonymous
- /srv:/srv:rw,rslave
- type: volume
  source: data
  target: /again
  volume: {nocopy: true, subpath: a/b}
- type: bind
  source: /opt
  target: /opt
  read_only: true
  consistency: cached
  bind: {propagation: shared}
- {type: tmpfs, target: /tmp, tmpfs: {size: 64M, mode: 01777}}
- {type: npipe, source: '\\\\.\\pipe\\x', target: '\\\\.\\pipe\\x'}
- {type: cluster, source: group:fast, target: /fast}
- {type: volume, target: /unnamed}
tmpfs: ['/run:size=1k,mode=755', /cache]";
    let outcome = read(&format!("{}volumes: {{data: }}\n", with_web(snippet)));
    let wanted = [
        r#"{"read_only":true,"source":"data","target":"/data","type":"volume","volume":{"nocopy":true}}"#,
        r#"{"target":"/var/lib/anonymous","type":"volume"}"#,
        r#"{"bind":{"propagation":"rslave"},"source":"/srv","target":"/srv","type":"bind"}"#,
        r#"{"source":"data","target":"/again","type":"volume","volume":{"nocopy":true,"subpath":"a/b"}}"#,
        r#"{"bind":{"propagation":"shared"},"consistency":"cached","read_only":true,"source":"/opt","target":"/opt","type":"bind"}"#,
        r#"{"target":"/tmp","tmpfs":{"mode":1023,"size":67108864},"type":"tmpfs"}"#,
        r#"{"source":"\\\\.\\pipe\\x","target":"\\\\.\\pipe\\x","type":"npipe"}"#,
        r#"{"source":"group:fast","target":"/fast","type":"cluster"}"#,
        r#"{"target":"/unnamed","type":"volume"}"#,
        r#"{"target":"/run","tmpfs":{"mode":493,"size":1024},"type":"tmpfs"}"#,
        r#"{"target":"/cache","type":"tmpfs"}"#,
    ];
    let found = json(outcome.design(), "/services/web/volumes");
    assert_eq!(found, format!("[{}]", wanted.join(",")));
}

#[test]
fn relative_binds_start_where_the_design_is() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("deploy")).unwrap();
    let snippet = "volumes: [./data:/a, .:/b, ../../x:/c, {type: bind, source: y, target: /d}]";
    let outcome = Application::default().read_in(root.path(), &with_web(snippet));
    let sources: Vec<String> = outcome.design().services["web"]
        .volumes
        .iter()
        .map(|mount| mount.source.clone().unwrap())
        .collect();
    let root = root.path().canonicalize().unwrap();
    let above = root.parent().unwrap().join("x");
    let wanted = [root.join("deploy/data"), root.join("deploy"), above, root.join("deploy/y")];
    assert_eq!(sources, wanted.map(|path| path.to_str().unwrap().to_owned()));
}

#[test]
fn variables_come_from_files_then_from_the_service() {
    let application = Application {
        files: &[
            (
                "deploy/one.env",
                b"\xef\xbb\xbf# remark\n\nONE=1\n  BOTH=file # kept\nKNOWN\nUNKNOWN\nQ=\"q\"\n",
            ),
            ("two.env", b"ONE=2\r\nTWO=x=y\n"),
        ],
        variables: &[("KNOWN", "outside"), ("LISTED", "too")],
    };
    let text = with_web(
        "env_file: [one.env, {path: ../two.env}, {path: three.env, required: false}]\n\
         environment: {LISTED: , GONE: null, BOTH: service, EMPTY: '', FLAG: true, N: 010}",
    );
    let outcome = application.read(&text);
    assert_eq!(
        json(outcome.design(), "/services/web/environment"),
        r#"{"BOTH":"service","EMPTY":"","FLAG":"true","GONE":null,"KNOWN":"outside","LISTED":"too","N":"010","ONE":"2","Q":"\"q\"","TWO":"x=y"}"#
    );
    assert!(outcome.findings().starts_with(
        "warning[quoted-value] 4:16: line 7 of `deploy/one.env`: the quotes are a part of the value"
    ));
    let text =
        with_web("env_file: {path: one.env, format: raw}\nenvironment: [KNOWN, GONE, A=b=c]");
    let text = text.replace("env_file: {", "env_file: [{").replace("raw}", "raw}]");
    let outcome = application.read(&text);
    assert_eq!(
        json(outcome.design(), "/services/web/environment"),
        r#"{"A":"b=c","BOTH":"file # kept","GONE":null,"KNOWN":"outside","ONE":"1","Q":"\"q\""}"#
    );
    assert_eq!(outcome.findings(), "");
}

#[test]
fn health_checks() {
    let test = |snippet: &str| {
        let outcome = read(&with_web(snippet));
        outcome.design().services["web"].healthcheck.clone().unwrap()
    };
    let check = test(
        "healthcheck: {test: curl localhost, interval: 1m30s, timeout: 1.5s, retries: 3, \
         start_period: 0s, start_interval: 500ms}",
    );
    assert_eq!(check.test, ["CMD-SHELL", "curl localhost"]);
    assert_eq!(check.interval, Some(Duration::from_secs(90)));
    assert_eq!(check.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(check.start_period, Some(Duration::ZERO));
    assert_eq!(check.start_interval, Some(Duration::from_millis(500)));
    assert_eq!(check.retries, Some(3));
    assert_eq!(test("healthcheck: {test: [CMD, curl]}").test, ["CMD", "curl"]);
    assert_eq!(test("healthcheck: {disable: true}").test, ["NONE"]);
    assert_eq!(test("healthcheck: {test: [NONE], disable: true}").test, ["NONE"]);
    assert_eq!(test("healthcheck: {test: [], interval: 5s}").test, [""; 0]);
}

#[test]
fn deploy() {
    let snippet = "stop_grace_period: 1m
deploy:
  mode: replicated
  replicas: '6'
  labels: [a=b]
  endpoint_mode: vip
  update_config: {parallelism: 0, delay: 10s, failure_action: rollback, monitor: 60s, max_failure_ratio: 0.3, order: start-first}
  rollback_config: {parallelism: 2, failure_action: pause, order: stop-first}
  resources:
    limits: {cpus: 0.50, memory: 50M, pids: 100}
    reservations: {cpus: '0.25', memory: 20M, generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}
  restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}
  placement:
    constraints: [node.role == manager, node.labels.disk!=ssd]
    max_replicas_per_node: 5
    preferences: [{spread: node.labels.zone}]";
    let outcome = read(&with_web(snippet));
    assert_eq!(outcome.findings(), "");
    let service = &outcome.design().services["web"];
    assert_eq!(service.stop_grace_period, Some(Duration::from_mins(1)));
    let deploy = &service.deploy;
    assert_eq!((deploy.mode.as_deref(), deploy.replicas), (Some("replicated"), Some(6)));
    let update = deploy.update_config.as_ref().unwrap();
    assert_eq!((update.parallelism, update.delay), (Some(0), Some(Duration::from_secs(10))));
    assert_eq!(update.failure_action.as_deref(), Some("rollback"));
    assert_eq!(update.monitor, Some(Duration::from_mins(1)));
    assert_eq!(
        (update.max_failure_ratio, update.order.as_deref()),
        (Some(0.3), Some("start-first"))
    );
    assert_eq!(deploy.rollback_config.as_ref().unwrap().failure_action.as_deref(), Some("pause"));
    let restart = deploy.restart_policy.as_ref().unwrap();
    assert_eq!((restart.max_attempts, restart.window), (Some(3), Some(Duration::from_mins(2))));
    for (pointer, wanted) in [
        ("resources/limits", r#"{"cpus":"0.50","memory":"52428800","pids":100}"#),
        (
            "resources/reservations",
            r#"{"cpus":"0.25","generic_resources":[{"discrete_resource_spec":{"kind":"gpu","value":2}}],"memory":"20971520"}"#,
        ),
        (
            "placement",
            r#"{"constraints":["node.role == manager","node.labels.disk!=ssd"],"max_replicas_per_node":5,"preferences":[{"spread":"node.labels.zone"}]}"#,
        ),
        ("labels", r#"{"a":"b"}"#),
        ("endpoint_mode", r#""vip""#),
    ] {
        assert_eq!(json(outcome.design(), &format!("/services/web/deploy/{pointer}")), wanted);
    }
}

#[test]
fn networks_configs_and_secrets() {
    let top =
        "networks: {front: , back: }\nconfigs: {c: {content: x}}\nsecrets: {s: {external: true}}\n";
    for (snippet, key, wanted) in [
        ("tty: false", "networks", r#"{"default":{}}"#),
        ("networks: []", "networks", r#"{"default":{}}"#),
        ("networks: [front, default]", "networks", r#"{"default":{},"front":{}}"#),
        (
            "networks: {back: , front: {aliases: [www], driver_opts: {a: 1}}}",
            "networks",
            r#"{"back":{},"front":{"aliases":["www"],"driver_opts":{"a":"1"}}}"#,
        ),
        ("configs: [c]", "configs", r#"[{"source":"c"}]"#),
        (
            "secrets: [{source: s, target: t, uid: '1', gid: 2, mode: 0440}]",
            "secrets",
            r#"[{"gid":"2","mode":288,"source":"s","target":"t","uid":"1"}]"#,
        ),
    ] {
        let outcome = read(&format!("{}{top}", with_web(snippet)));
        let found = json(outcome.design(), &format!("/services/web/{key}"));
        assert_eq!(found, wanted, "{snippet}");
    }
}

#[test]
fn dependencies_have_conditions() {
    let text = with_web(
        "depends_on:
  a: {condition: service_healthy, restart: true}
  b: {condition: service_completed_successfully}
  c: {condition: service_started, required: false}
  gone: {condition: service_started, required: false}",
    );
    let others = "  a: {image: a}\n  b: {image: b, depends_on: [a]}\n  c: {image: c}\n";
    let outcome = read(&format!("{text}{others}"));
    let services = &outcome.design().services;
    let found: Vec<_> = services["web"]
        .depends_on
        .iter()
        .map(|(name, it)| (name.as_str(), it.condition, it.required, it.location.line))
        .collect();
    assert_eq!(
        found,
        [
            ("a", Condition::ServiceHealthy, true, Some(5)),
            ("b", Condition::ServiceCompletedSuccessfully, true, Some(6)),
            ("c", Condition::ServiceStarted, false, Some(7)),
        ]
    );
    assert_eq!(services["b"].depends_on["a"].condition, Condition::ServiceStarted);
}

#[test]
fn restart_is_a_policy_where_there_is_no_other() {
    for (restart, wanted) in [
        ("always", r#"{"condition":"any"}"#),
        ("unless-stopped", r#"{"condition":"any"}"#),
        ("on-failure:3", r#"{"condition":"on-failure","max_attempts":3}"#),
        ("on-failure", r#"{"condition":"on-failure"}"#),
        ("'no'", "null"),
        ("no", "null"),
    ] {
        check(&format!("restart: {restart}"), "deploy/restart_policy", wanted);
    }
    check(
        "restart: always\ndeploy: {restart_policy: {condition: none}}",
        "deploy/restart_policy",
        r#"{"condition":"none"}"#,
    );
}

#[test]
fn what_a_stack_cannot_have_is_accepted_and_named() {
    let snippet = "build: .
container_name: one
privileged: true
network_mode: host
expose: []
devices: []
restart: 'no'
x-own: {anything: goes}
profiles: [dev]";
    let outcome = read(&with_web(snippet));
    let messages: Vec<&str> =
        outcome.diagnostics.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`services.web.network_mode` is ignored: a stack can't have it",
            "`services.web.privileged` is ignored: a stack can't have it",
            "`services.web.profiles` is ignored: a stack can't have it",
            "`services.web.build` is ignored in a stack",
            "`services.web.container_name` is ignored in a stack",
            "`services.web.restart` is ignored: Swarm starts ended tasks again",
        ]
    );
    assert!(outcome.design.is_some());
}

#[test]
fn places_are_those_of_the_design() {
    let outcome = read(
        "services:\n  web:\n    tty: true\n    image: web\n    networks: {n: }\nnetworks:\n  n:\n",
    );
    let service = &outcome.design().services["web"];
    assert_eq!((service.location.line, service.location.column), (Some(2), Some(3)));
    assert_eq!((service.image_location.line, service.image_location.column), (Some(4), Some(12)));
    let network = outcome.design().networks["n"].location.clone().unwrap();
    assert_eq!((network.line, network.file.as_str()), (Some(7), super::FILE));
}
