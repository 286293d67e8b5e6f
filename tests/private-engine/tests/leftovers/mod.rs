//! What an engine could leave on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every process whose command line names `folder`.
pub(crate) fn processes(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(name))
        .collect()
}

/// The device on this machine that leads to the engine in `folder`, found by what it was told; its
/// control groups have the same name.
pub(crate) fn device_of(folder: &Path) -> String {
    let lines = processes(folder);
    let line = lines.iter().find(|line| line.contains("--cgroup-parent ")).unwrap();
    let group = line.split(' ').skip_while(|word| *word != "--cgroup-parent").nth(1).unwrap();
    group.trim_start_matches('/').to_owned()
}

/// Every control group with that name, in whatever hierarchies this machine has.
fn control_groups(name: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().map(|entry| entry.unwrap().path());
    hierarchies
        .chain([root.to_owned()])
        .map(|hierarchy| hierarchy.join(name))
        .filter(|group| group.exists())
        .collect()
}

fn firewall() -> String {
    let tables = ["filter", "nat"].map(|table| {
        Command::new("iptables").args(["-w", "-t", table, "-S"]).output().unwrap().stdout
    });
    String::from_utf8(tables.concat()).unwrap()
}

/// Every process, mount, device, control group and firewall rule of the engine in `folder`, whose
/// device is or was called `device`, is gone.
pub(crate) fn assert_none(folder: &Path, device: &str) {
    assert_eq!(processes(folder), Vec::<String>::new());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(folder.to_str().unwrap()), "{mounts}");
    assert!(!Path::new("/sys/class/net").join(device).exists(), "{device}");
    assert_eq!(control_groups(device), Vec::<PathBuf>::new());
    assert!(!firewall().contains(device));
}
