//! What a service mounts.

use ailtire_compose::{Mount, Service, StackDesign, Volume};
use ailtire_events::Diagnostic;

use super::amounts::bytes;
use super::{StackToConvert, undefined};
use crate::spec;

/// The mounts of a service, by their targets.
pub(super) fn convert(
    stack: &StackToConvert<'_>,
    name: &str,
    service: &Service,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<spec::Mount> {
    let mut mounts = Vec::new();
    for mount in &service.volumes {
        match convert_mount(stack, mount) {
            Ok(mount) => mounts.push(mount),
            Err(Undefined(volume)) => {
                diagnostics.push(undefined("volume", &volume, name, &service.location));
            }
        }
    }
    mounts.sort_by(|one, other| one.target.cmp(&other.target));
    mounts
}

/// The name of a volume that the stack does not have.
struct Undefined(String);

fn convert_mount(stack: &StackToConvert<'_>, mount: &Mount) -> Result<spec::Mount, Undefined> {
    let mut converted = spec::Mount {
        kind: mount.kind.clone(),
        source: mount.source.clone().unwrap_or_default(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        consistency: mount.consistency.clone().unwrap_or_default(),
        ..spec::Mount::default()
    };
    match (mount.kind.as_str(), &mount.source) {
        ("volume", Some(key)) => {
            let volume = find(stack.design, key)?;
            converted.source = engine_name(stack, key, volume);
            converted.volume_options = Some(volume_options(stack, mount, volume));
        }
        ("cluster", Some(key)) => {
            // A group of volumes belongs to the swarm, not to a stack.
            if !key.starts_with("group:") {
                converted.source = engine_name(stack, key, find(stack.design, key)?);
            }
            converted.cluster_options = Some(spec::ClusterOptions {});
        }
        // A volume without a name is all the engine's; the others are named as the engine names them.
        _ => {}
    }
    converted.bind_options = mount.bind.as_ref().map(|bind| spec::BindOptions {
        propagation: bind.propagation.clone().unwrap_or_default(),
        ..spec::BindOptions::default()
    });
    converted.tmpfs_options = mount.tmpfs.as_ref().map(|tmpfs| spec::TmpfsOptions {
        size_bytes: tmpfs.size.map_or(0, bytes),
        mode: tmpfs.mode.unwrap_or_default(),
    });
    Ok(converted)
}

fn volume_options(
    stack: &StackToConvert<'_>,
    mount: &Mount,
    volume: &Volume,
) -> spec::VolumeOptions {
    let options = mount.volume.clone().unwrap_or_default();
    let mut converted = spec::VolumeOptions {
        no_copy: options.nocopy,
        subpath: options.subpath.unwrap_or_default(),
        ..spec::VolumeOptions::default()
    };
    if volume.external {
        return converted;
    }
    converted.labels = stack.labels(&volume.labels);
    if volume.driver.is_some() || !volume.driver_opts.is_empty() {
        converted.driver_config = Some(spec::Driver {
            name: volume.driver.clone().unwrap_or_default(),
            options: volume.driver_opts.clone(),
        });
    }
    converted
}

fn find<'a>(design: &'a StackDesign, key: &str) -> Result<&'a Volume, Undefined> {
    design.volumes.get(key).ok_or_else(|| Undefined(key.to_owned()))
}

fn engine_name(stack: &StackToConvert<'_>, key: &str, volume: &Volume) -> String {
    match &volume.name {
        Some(name) => name.clone(),
        None if volume.external => key.to_owned(),
        None => stack.scope(key),
    }
}
