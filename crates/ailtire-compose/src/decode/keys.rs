//! The keys that Compose has, and what becomes of those that Swarm can't honour.

/// Keys at the top level.
pub(super) const TOP_LEVEL: &[&str] = &[
    "version", "name", "services", "networks", "volumes", "configs", "secrets", "include", "models",
];

/// Top-level keys that are refused, with what to do instead.
pub(super) const FORBIDDEN_TOP_LEVEL: &[(&str, &str)] = &[
    ("include", "write everything into one file, or make a stack of its own of the other one"),
    ("models", "run the model as a service"),
];

/// Keys of a service that are read.
pub(super) const SERVICE: &[&str] = &[
    "cap_add",
    "cap_drop",
    "command",
    "configs",
    "credential_spec",
    "depends_on",
    "deploy",
    "dns",
    "dns_search",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "extra_hosts",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "isolation",
    "labels",
    "logging",
    "networks",
    "ports",
    "read_only",
    "restart",
    "secrets",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "volumes",
    "working_dir",
];

/// Keys of a service that have no meaning for a stack; nothing is lost by that.
pub(super) const IGNORED: &[(&str, &str)] = &[
    ("annotations", "use `labels` for what the running service has to know"),
    ("attach", "`logs` shows the output of services"),
    ("build", "images are built by what `build.js` says"),
    ("container_name", "the orchestrator names containers; reach the service by its own name"),
    ("develop", "it is for work on one machine"),
    ("expose", "services on one network reach all ports of each other"),
    ("links", "services on one network reach each other by name"),
    ("pull_policy", "a node pulls an image that it does not have"),
    ("pull_refresh_after", "a node pulls an image that it does not have"),
];

/// Keys of a service that Swarm can't honour, though they may matter to it.
pub(super) const LOST: &[(&str, &str)] = &[
    ("blkio_config", "limit the service by `deploy.resources`"),
    ("cgroup", "run it outside of the stack if it needs that"),
    ("cgroup_parent", "limit the service by `deploy.resources`"),
    ("cgroupns_mode", "run it outside of the stack if it needs that"),
    ("cpu_rt_period", "limit the service by `deploy.resources`"),
    ("cpu_rt_runtime", "limit the service by `deploy.resources`"),
    ("device_cgroup_rules", "mount the device as a volume of type `bind`"),
    ("devices", "mount the device as a volume of type `bind`"),
    ("dns_opt", "set the options in the image"),
    ("external_links", "put both services on a network that is `external`"),
    ("gpus", "reserve them as `deploy.resources.reservations.generic_resources`"),
    ("group_add", "give the group as `user: \"user:group\"`"),
    ("ipc", "put what has to share memory into one container"),
    ("label_file", "write the labels as `labels`"),
    ("mac_address", "reach the service by its name"),
    (
        "network_mode",
        "use `networks`; for the host's network, one that is external, of name `host`",
    ),
    ("oom_kill_disable", "reserve memory by `deploy.resources.reservations`"),
    ("oom_score_adj", "reserve memory by `deploy.resources.reservations`"),
    ("pid", "run it outside of the stack if it needs that"),
    ("platform", "constrain `node.platform.arch` by `deploy.placement.constraints`"),
    ("post_start", "do it in the image's entrypoint"),
    ("pre_stop", "do it where the image handles its `stop_signal`"),
    ("privileged", "give it what it needs by `cap_add`"),
    ("profiles", "the service is deployed whatever the profile is"),
    ("runtime", "set the default runtime of the nodes"),
    ("security_opt", "set it as a default of the nodes"),
    ("shm_size", "mount a `tmpfs` of that size at `/dev/shm`"),
    ("storage_opt", "set it as a default of the nodes"),
    ("use_api_socket", "mount `/var/run/docker.sock`"),
    ("userns_mode", "set it as a default of the nodes"),
    ("uts", "run it outside of the stack if it needs that"),
];

/// Keys of a service that are refused, with what to do instead.
pub(super) const FORBIDDEN: &[(&str, &str)] = &[
    ("cpu_count", "use `deploy.resources.limits.cpus`"),
    ("cpu_percent", "use `deploy.resources.limits.cpus`"),
    ("cpu_period", "use `deploy.resources.limits.cpus`"),
    ("cpu_quota", "use `deploy.resources.limits.cpus`"),
    ("cpu_shares", "use `deploy.resources.reservations.cpus`"),
    ("cpus", "use `deploy.resources.limits.cpus`"),
    ("cpuset", "use `deploy.resources.limits.cpus`"),
    ("extends", "write the service in full, or share parts by YAML anchors: `<<: *common`"),
    ("mem_limit", "use `deploy.resources.limits.memory`"),
    ("mem_reservation", "use `deploy.resources.reservations.memory`"),
    ("mem_swappiness", "use `deploy.resources.limits.memory`"),
    ("memswap_limit", "use `deploy.resources.limits.memory`"),
    ("models", "run the model as a service"),
    ("pids_limit", "use `deploy.resources.limits.pids`"),
    ("provider", "run what it provides as a service"),
    ("scale", "use `deploy.replicas`"),
    ("volume_driver", "define a volume with this driver under the top-level `volumes`"),
    ("volumes_from", "define a volume under the top-level `volumes`, and name it in both services"),
];
