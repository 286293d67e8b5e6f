//! What a service mounts: `volumes` in short and long syntax, and `tmpfs`.

use std::path::{Component, Path, PathBuf};

use ailtire_terms::{did_you_mean, nearest};

use super::fields::{Field, Fields};
use super::units;
use crate::Purpose;
use crate::document::{self, Position, Value};
use crate::model::{BindOptions, Mount, TmpfsOptions, VolumeOptions};

const HELP: &str = "write `volume:/path`, `./directory:/path` or `/path`, and `:ro` to only read";
const KINDS: &[&str] = &["volume", "bind", "tmpfs", "npipe", "cluster"];
const PROPAGATIONS: &[&str] = &["rprivate", "private", "rshared", "shared", "rslave", "slave"];
/// Options of the short syntax that Swarm has no use for.
const IGNORED_OPTIONS: &[&str] = &["z", "Z", "cached", "delegated", "consistent"];
const KEYS: &[&str] = &[
    "type",
    "source",
    "target",
    "read_only",
    "consistency",
    "bind",
    "volume",
    "tmpfs",
    "cluster",
    "image",
];

/// All mounts of a service.
pub(super) fn decode(service: &Fields<'_>) -> Vec<Mount> {
    let mut mounts: Vec<(Mount, Position)> = Vec::new();
    let volumes = service.items("volumes").into_iter();
    let memory = service.get("tmpfs").map(|field| field.items_or_self()).unwrap_or_default();
    let all = volumes.map(|field| (field, volume(field)));
    for (field, mount) in all.chain(memory.into_iter().map(|field| (field, tmpfs(field)))) {
        let Some(mount) = mount else { continue };
        if !mount.target.starts_with('/') && mount.kind != "npipe" {
            let message = format!("`{}`: `{}` is no absolute path", field.name(), mount.target);
            field.error("relative-target", message, "begin the path in the container with `/`");
        }
        let same =
            |target: &str| target.trim_end_matches('/') == mount.target.trim_end_matches('/');
        if let Some((_, first)) = mounts.iter().find(|(other, _)| same(&other.target)) {
            let message =
                format!("`{}`: something is mounted at `{}` already", field.name(), mount.target);
            let mut findings = field.decoder.findings();
            let finding = findings.error(field.position(), "duplicate-target", message);
            finding.related(*first, "the first one").help("mount each at a path of its own");
        }
        mounts.push((mount, field.position()));
    }
    mounts.into_iter().map(|(mount, _)| mount).collect()
}

fn volume(field: Field<'_>) -> Option<Mount> {
    let is_long = matches!(field.node.value, Value::Map(_));
    if !is_long && field.node.scalar().is_none() {
        field.wrong_type("a string or a mapping", HELP);
        return None;
    }
    let mut mount = if is_long { long(field)? } else { short(field)? };
    let Some(source) = &mount.source else { return Some(mount) };
    if source.starts_with('~') {
        let message =
            format!("`{}`: `{source}` means another directory on each node", field.name());
        field.error("home-directory", message, "write the directory in full");
    } else if mount.kind == "bind" {
        if field.decoder.reader.context.purpose == Purpose::Image && !source.starts_with('/') {
            let message = format!("`{}` is a directory of the machine that builds", field.name());
            field
                .decoder
                .findings()
                .warning(field.position(), "relative-bind", message)
                .help("put the files into an image or a config, or name an absolute path");
        }
        mount.source = Some(absolute(field, source));
    } else if mount.kind == "volume" || (mount.kind == "cluster" && !source.starts_with("group:")) {
        field.decoder.check_defined(&field.name(), source, "volumes", field.position());
    }
    Some(mount)
}

/// The absolute path of `source`, which may be relative to the design's directory.
fn absolute(field: Field<'_>, source: &str) -> String {
    let reader = field.decoder.reader;
    let mut path = PathBuf::new();
    for component in reader.tree.absolute(reader.directory).join(Path::new(source)).components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            component => path.push(component),
        }
    }
    path.to_string_lossy().into_owned()
}

fn blank(kind: &str, source: Option<String>, target: String) -> Mount {
    Mount {
        kind: kind.to_owned(),
        source,
        target,
        read_only: false,
        consistency: None,
        bind: None,
        volume: None,
        tmpfs: None,
    }
}

/// `[source:]target[:options]`.
fn short(field: Field<'_>) -> Option<Mount> {
    let text = field.text()?;
    let parts: Vec<&str> = text.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) || parts.len() > 3 {
        field.invalid("invalid-volume", "a volume", HELP);
        return None;
    }
    let (source, target, options) = match *parts {
        [source, target, options] => (Some(source), target, options),
        [source, target] => (Some(source), target, ""),
        _ => (None, &*text, ""),
    };
    let kind = match source {
        Some(source) if source.starts_with(['.', '/', '~']) => "bind",
        _ => "volume",
    };
    let mut mount = blank(kind, source.map(str::to_owned), target.to_owned());
    for option in options.split(',').filter(|option| !option.is_empty()) {
        add_option(field, &mut mount, option);
    }
    Some(mount)
}

fn add_option(field: Field<'_>, mount: &mut Mount, option: &str) {
    match option {
        "ro" => mount.read_only = true,
        "rw" => mount.read_only = false,
        "nocopy" if mount.kind == "volume" => {
            mount.volume = Some(VolumeOptions { nocopy: true, subpath: None });
        }
        _ if PROPAGATIONS.contains(&option) && mount.kind == "bind" => {
            mount.bind = Some(BindOptions { propagation: Some(option.to_owned()) });
        }
        _ if IGNORED_OPTIONS.contains(&option) => {
            let message = format!("`{}`: the option `{option}` is ignored", field.name());
            field.warning("ignored-key", message, "leave it out: Swarm can't honour it");
        }
        _ => {
            let known = ["ro", "rw", "nocopy"].iter().chain(PROPAGATIONS).copied();
            let message = format!("`{}`: a {} has no option `{option}`", field.name(), mount.kind);
            let near = nearest(option, known);
            let help = did_you_mean(&near[..near.len().min(1)])
                .filter(|_| !near.contains(&option.to_owned()));
            field.error("invalid-volume", message, help.unwrap_or_else(|| HELP.to_owned()));
        }
    }
}

fn long(field: Field<'_>) -> Option<Mount> {
    let fields = field.fields(KEYS)?;
    let Some(kind_field) = fields.get("type") else {
        let message = format!("`{}` has no `type`", field.name());
        field.error("missing-key", message, "write `type: volume`, `type: bind` or `type: tmpfs`");
        return None;
    };
    let kind = kind_field.choice(KINDS);
    let target = fields.filled_text("target");
    if fields.get("target").is_none() {
        let message = format!("`{}` has no `target`", field.name());
        field.error("missing-key", message, "write `target: /path`, the place in the container");
    }
    let source = fields.filled_text("source");
    let mut mount = blank(&kind?, source, target?);
    check_source(field, &mount);
    refuse_other_options(&fields, &mount.kind);
    mount.read_only = fields.flag("read_only");
    mount.consistency =
        fields.choice("consistency", &["default", "consistent", "cached", "delegated"]);
    mount.bind = fields
        .fields("bind", &["propagation", "create_host_path", "selinux", "recursive"])
        .map(|options| bind(&options));
    mount.volume = fields.fields("volume", &["nocopy", "subpath", "labels"]).map(|options| {
        warn_about(&options, &["labels"]);
        VolumeOptions { nocopy: options.flag("nocopy"), subpath: options.filled_text("subpath") }
    });
    mount.tmpfs = fields.fields("tmpfs", &["size", "mode"]).map(|options| TmpfsOptions {
        size: options.get("size").and_then(|size| size.bytes()),
        mode: options.get("mode").and_then(mode),
    });
    Some(mount)
}

fn check_source(field: Field<'_>, mount: &Mount) {
    let kind = &mount.kind;
    match (&**kind, &mount.source) {
        ("bind" | "npipe" | "cluster", None) => {
            let message = format!("`{}` has no `source`, which a {kind} must have", field.name());
            field.error("missing-key", message, "write `source:` with what is mounted");
        }
        ("tmpfs", Some(_)) => {
            let message = format!("`{}` has a `source`, which a tmpfs can't have", field.name());
            field.error("invalid-volume", message, "leave `source` out, or use another `type`");
        }
        _ => {}
    }
}

/// Options of another type than `kind` are a mistake.
fn refuse_other_options(fields: &Fields<'_>, kind: &str) {
    for key in ["bind", "volume", "tmpfs", "cluster", "image"] {
        let fits = key == kind || (key == "bind" && kind == "npipe");
        if let Some(field) = fields.get(key).filter(|_| !fits) {
            let message = format!("`{}` does not fit the type `{kind}`", field.name());
            let help = "keep the options of the mount's own type";
            field.decoder.error(field.key_position(), "invalid-volume", message, help);
        }
    }
}

fn bind(options: &Fields<'_>) -> BindOptions {
    warn_about(options, &["create_host_path", "selinux", "recursive"]);
    BindOptions { propagation: options.choice("propagation", PROPAGATIONS) }
}

fn warn_about(options: &Fields<'_>, keys: &[&str]) {
    for key in keys {
        if let Some(field) = options.get(key).filter(|field| !field.is_nothing()) {
            let message = format!("`{}` is ignored: a stack can't have it", field.name());
            let help = "leave it out";
            field
                .decoder
                .findings()
                .warning(field.key_position(), "ignored-key", message)
                .help(help);
        }
    }
}

/// Permission bits, as `0440`.
pub(super) fn mode(field: Field<'_>) -> Option<u32> {
    let Some(text) = field.node.scalar() else {
        field.wrong_type("a file mode", "write its permission bits, as `0440`");
        return None;
    };
    let mode = document::octal(text).filter(|mode| *mode <= 0o7777);
    if mode.is_none() {
        field.invalid("invalid-mode", "a file mode", "write its permission bits, as `0440`");
    }
    mode
}

/// An entry of `tmpfs`: `/path[:option,…]`.
fn tmpfs(field: Field<'_>) -> Option<Mount> {
    let text = field.filled_text()?;
    let (target, options) = text.split_once(':').unwrap_or((&text, ""));
    let mut mount = blank("tmpfs", None, target.to_owned());
    let mut memory = TmpfsOptions::default();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "ro" => mount.read_only = true,
            "rw" => {}
            "size" => memory.size = units::bytes(value),
            "mode" => memory.mode = u32::from_str_radix(value, 8).ok(),
            _ => {
                let message = format!("`{}`: the option `{key}` is ignored", field.name());
                field.warning("ignored-key", message, "a tmpfs of a stack has `size` and `mode`");
                continue;
            }
        }
        if (key == "size" && memory.size.is_none()) || (key == "mode" && memory.mode.is_none()) {
            let message = format!("`{}`: `{option}` is not understood", field.name());
            field.error("invalid-volume", message, "write `/path:size=64M,mode=1777`");
        }
    }
    if memory != TmpfsOptions::default() {
        mount.tmpfs = Some(memory);
    }
    Some(mount)
}
