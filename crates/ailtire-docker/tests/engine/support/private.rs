//! An engine that a test may kill.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// A `dockerd` with folders of its own and no network; gone with the value.
pub(crate) struct PrivateEngine {
    folder: tempfile::TempDir,
    process: Mutex<Option<Child>>,
    arguments: Vec<String>,
    bridge: String,
}

static ENGINES: AtomicU32 = AtomicU32::new(0);

impl PrivateEngine {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further arguments for `dockerd`.
    pub(crate) async fn start_with(arguments: &[String]) -> Self {
        let engine = Self::prepare(arguments);
        engine.revive().await;
        engine
    }

    /// With 50 MB for all its data.
    pub(crate) async fn start_on_small_disk() -> Self {
        let engine = Self::prepare(&[]);
        let data = engine.path("data");
        std::fs::create_dir(&data).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=50m", "tmpfs"])
            .arg(&data)
            .status();
        assert!(mount.unwrap().success());
        engine.revive().await;
        engine
    }

    fn prepare(arguments: &[String]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            process: Mutex::default(),
            arguments: arguments.to_vec(),
            bridge: make_bridge(ENGINES.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path("d.sock").display())
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn revive(&self) {
        if self.process.lock().unwrap().is_some() {
            return;
        }
        for leftover in ["d.sock", "d.pid", "exec"] {
            let path = self.path(leftover);
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        }
        let log = std::fs::File::create(self.path("log")).unwrap();
        let folder = self.folder.path().display();
        let child = Command::new("dockerd")
            .args(["--host", &self.host()])
            .arg(format!("--data-root={folder}/data"))
            .arg(format!("--exec-root={folder}/exec"))
            .arg(format!("--pidfile={folder}/d.pid"))
            // `none` would take away the bridge of another engine on this machine.
            .args(["--bridge", &self.bridge, "--iptables=false", "--ip-forward=false"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.process.lock().unwrap() = Some(child);
        let mut poll = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            poll.tick().await;
            if super::try_api_at(&self.host(), "GET", "/_ping").await.is_some() {
                return;
            }
            let ended = self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            let log = || std::fs::read_to_string(self.path("log")).unwrap();
            assert!(ended.is_none(), "dockerd ended: {}", log());
        }
    }

    /// Ends it without a warning, with what it started.
    pub(crate) fn kill(&self) {
        let Some(mut child) = self.process.lock().unwrap().take() else { return };
        let _ = child.kill();
        let _ = child.wait();
        // Its containerd and the containers name its folder in their arguments.
        let folder = self.folder.path().to_str().unwrap().as_bytes().to_vec();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let ours = line.windows(folder.len()).any(|part| part == folder);
            if let (true, Some(pid)) = (ours, entry.file_name().to_str()) {
                let _ = Command::new("kill").args(["-9", pid]).status();
            }
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        self.kill();
        // What it mounted keeps its folder from being removed.
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let folder = self.folder.path().to_str().unwrap_or_default();
        for point in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if point.starts_with(folder) {
                let _ = Command::new("umount").args(["-l", point]).status();
            }
        }
        let _ = Command::new("ip").args(["link", "delete", &self.bridge]).status();
    }
}

/// A bridge for the engine with this number. Names of interfaces have 15 characters at most.
fn make_bridge(number: u32) -> String {
    let process = std::process::id();
    let name = format!("brt{process}n{number}");
    let address = format!("172.29.{}.{}/28", process % 250, number % 16 * 16 + 1);
    for arguments in [
        &["link", "add", &name, "type", "bridge"][..],
        &["addr", "add", &address, "dev", &name],
        &["link", "set", &name, "up"],
    ] {
        let _ = Command::new("ip").args(arguments).status();
    }
    name
}
