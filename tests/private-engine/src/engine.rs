//! Starting an engine, knowing when it answers, and stopping it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::debian::{self, Program};
use crate::error::{Error, Tried};
use crate::folder::{Layout, remove_folder};
use crate::network::{Connection, Network};
use crate::{Client, network};

/// How long an engine may take to answer. A machine that is busy with other things needs a while.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// How long an engine may take to stop its containers and itself (its own limit is 15 seconds).
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// How often a start that nothing is heard of looks whether the engine has ended.
const LOOK: Duration = Duration::from_millis(100);

/// What runs an engine, and what removes all that it leaves.
const SUPERVISOR: &str = concat!(include_str!("supervisor.sh"), include_str!("clean.sh"));

/// What removes all that a killed engine leaves.
const CLEANER: &str = concat!("device=$1 run=$2 data= outside=$3\n", include_str!("clean.sh"));

pub(crate) const PROGRAMS: [Program; 6] = [
    Program { name: "dockerd", package: "docker.io" },
    Program { name: "iptables", package: "iptables" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "unshare", package: "util-linux" },
    Program { name: "nsenter", package: "util-linux" },
    Program { name: "mount", package: "mount" },
];

/// How an engine is to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    folder: PathBuf,
    keep_data: bool,
    detached: bool,
    arguments: Vec<String>,
    /// Absent: this machine's.
    host_name: Option<String>,
    /// Absent until it is chosen.
    connection: Option<Connection>,
}

/// A running engine; dropping it stops it.
#[derive(Debug)]
pub struct PrivateEngine {
    layout: Layout,
    host: String,
    connection: Connection,
    keep_data: bool,
    /// Holds the lifeline as its standard input, which ends, whatever the cause, with this process.
    supervisor: Child,
}

impl Launch {
    /// An engine in `folder` that starts empty and ends with its [`PrivateEngine`].
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            keep_data: false,
            detached: false,
            arguments: Vec::new(),
            host_name: None,
            connection: None,
        }
    }

    /// The address that the engine will have: the one for its `--host=tcp://…`, and the one under
    /// which this machine reaches the ports of what runs in it.
    ///
    /// # Errors
    /// This machine does not say which networks it knows.
    pub fn address(&mut self) -> Result<Ipv4Addr, Error> {
        if let Some(connection) = &self.connection {
            return Ok(connection.address);
        }
        debian::need_all(&PROGRAMS)?;
        let connection = Network::choose(&Layout::new(&self.folder)?.folder)?.direct();
        Ok(self.connection.insert(connection).address)
    }

    /// Connects the engine to something else than this machine alone.
    pub(crate) fn connected(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// Gives the engine a host name of its own.
    pub(crate) fn host_name(mut self, name: String) -> Self {
        self.host_name = Some(name);
        self
    }

    /// Keeps images and build cache from one start to the next.
    #[must_use]
    pub fn keep_data(mut self) -> Self {
        self.keep_data = true;
        self
    }

    /// Adds an argument of `dockerd`.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts the engine, and returns when it answers.
    ///
    /// # Errors
    /// The programs that it takes are missing and can't be installed; this is not root; another
    /// engine runs in the folder; the engine ends or does not answer within a minute.
    pub fn start(mut self) -> Result<PrivateEngine, Error> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        debian::need_all(&PROGRAMS)?;
        let layout = Layout::new(&self.folder)?;
        let log = layout.lock()?;
        log.set_len(0).tried(|| format!("emptying {}", layout.log().display()))?;
        if !self.keep_data {
            remove_folder(&layout.data())?;
        }
        layout.prepare()?;
        let error_log = log.try_clone().tried(|| "duplicating the log".into())?;
        let notify = layout.run.join("notify.sock");
        let ready =
            UnixDatagram::bind(&notify).tried(|| format!("binding {}", notify.display()))?;
        let lifeline = self.lifeline(&layout)?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Network::choose(&layout.folder)?.direct(),
        };
        let supervisor = self
            .command(&layout, &connection, &notify)
            .stdin(lifeline)
            .stdout(log)
            .stderr(error_log)
            .spawn()
            .tried(|| "running /bin/sh".into())?;
        let mut engine = PrivateEngine {
            host: format!("unix://{}", layout.socket().display()),
            connection,
            keep_data: self.keep_data,
            supervisor,
            layout,
        };
        engine.write_pid_file()?;
        engine.wait_until_ready(&ready)?;
        Ok(engine)
    }

    /// Starts an engine that goes on when this process ends, until [`stop`]; returns its host.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn detached(mut self) -> Result<String, Error> {
        self.detached = true;
        let engine = self.start()?;
        let host = engine.host.clone();
        // The supervisor holds its named pipe itself; only a drop would stop it.
        std::mem::forget(engine);
        Ok(host)
    }

    /// What the supervisor reads: an anonymous pipe, or a named one that never ends by itself.
    fn lifeline(&self, layout: &Layout) -> Result<Stdio, Error> {
        if !self.detached {
            return Ok(Stdio::piped());
        }
        let path = layout.lifeline();
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .map_err(std::io::Error::from)
            .and_then(|()| OpenOptions::new().read(true).write(true).open(&path))
            .map(Stdio::from)
            .tried(|| format!("creating {}", path.display()))
    }

    fn command(&self, layout: &Layout, connection: &Connection, notify: &Path) -> Command {
        let exec_root = layout.run.join("exec");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISOR, "supervisor", &connection.device]);
        command.arg(&layout.run);
        command.arg(if self.keep_data { PathBuf::new() } else { layout.data() });
        command.arg(&connection.outside).arg(&connection.plug);
        command.arg(format!("{}/24", connection.address));
        command.arg(self.host_name.as_deref().unwrap_or_default());
        // Nobody misses what an orderly end would save, or waits for containers that end slowly.
        command.arg(if self.keep_data { "TERM" } else { "KILL" });
        command.arg(debian::find("dockerd").unwrap_or_else(|| "dockerd".into()));
        command.arg("--host").arg(format!("unix://{}", layout.socket().display()));
        command.arg("--config-file").arg(layout.config());
        command.arg("--data-root").arg(layout.data());
        command.arg("--exec-root").arg(&exec_root);
        command.arg("--pidfile").arg(exec_root.join("docker.pid"));
        if let Some(registry) = &connection.registry {
            // BuildKit takes it to speak plain HTTP only so; the rest of the engine either way.
            command.arg("--insecure-registry").arg(format!("http://{registry}"));
        }
        // And all others in its network, which is ours.
        command.arg("--insecure-registry").arg(format!("{}/24", connection.address));
        // The machine's name servers are out of reach, and every unknown name would take as long as
        // it takes to give them up. Here nothing listens, which is known at once.
        command.arg("--dns").arg(connection.address.to_string());
        command.arg("--cgroup-parent").arg(format!("/{}", connection.device));
        // A process namespace of its own and systemd's driver don't agree about process ids.
        command.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
        command.args(&self.arguments);
        command.env("NOTIFY_SOCKET", notify).env_remove("DOCKER_HOST").env_remove("LISTEN_FDS");
        // Ctrl-C is for the owner; the engine ends in its own order.
        command.process_group(0);
        command
    }
}

impl PrivateEngine {
    /// Starts an engine in `folder` that begins empty.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start(folder: &Path) -> Result<Self, Error> {
        Launch::new(folder).start()
    }

    /// The engine's address, as `DOCKER_HOST` has it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The engine's address: ports that its containers and services publish are reached there,
    /// and at no address of this machine.
    pub fn address(&self) -> Ipv4Addr {
        self.connection.address
    }

    /// What the engine writes about itself. With the argument `--debug` that is a line `Calling METHOD PATH`
    /// for each request, too.
    pub fn log(&self) -> PathBuf {
        self.layout.log()
    }

    /// A client of the engine.
    pub fn client(&self) -> Client {
        Client::new(self.layout.socket())
    }

    /// Stops the engine and removes what belongs to it, except for data that is to be kept.
    ///
    /// # Errors
    /// It could not be stopped, or something of it could not be removed.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    /// Ends the engine at once, without a word to it or to what runs in it, as a crash does; then
    /// removes what belongs to it, except for data that is to be kept.
    ///
    /// # Errors
    /// It does not end, or something of it could not be removed.
    pub fn kill(mut self) -> Result<(), Error> {
        self.kill_and_clean()?;
        self.supervisor.wait().map(drop).tried(|| "waiting for the engine".into())
    }

    fn kill_and_clean(&self) -> Result<(), Error> {
        kill(&self.layout, &self.connection.outside, Pid::from_child(&self.supervisor))?;
        if self.keep_data { Ok(()) } else { remove_folder(&self.layout.data()) }
    }

    fn write_pid_file(&self) -> Result<(), Error> {
        let path = self.layout.pid_file();
        File::create(&path)
            .and_then(|mut file| writeln!(file, "{}", self.supervisor.id()))
            .tried(|| format!("writing {}", path.display()))
    }

    /// Waits for the message that the engine sends when it serves requests, then for an answer.
    fn wait_until_ready(&mut self, ready: &UnixDatagram) -> Result<(), Error> {
        let begin = Instant::now();
        let mut message = [0; 256];
        ready.set_read_timeout(Some(LOOK)).tried(|| "setting a time limit".into())?;
        loop {
            match ready.recv(&mut message) {
                Ok(length) if message.get(..length).is_some_and(says_ready) => break,
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error).tried(|| "waiting for the engine".into()),
            }
            if let Ok(Some(status)) = self.supervisor.try_wait() {
                return Err(self.not_started(format!("it ended with {status}")));
            }
            if begin.elapsed() > START_DEADLINE {
                return Err(self.not_started(format!("no answer in {START_DEADLINE:?}")));
            }
        }
        if self.client().answers() {
            Ok(())
        } else {
            Err(self.not_started("it does not answer".into()))
        }
    }

    fn not_started(&self, reason: String) -> Error {
        Error::Start { folder: self.layout.folder.clone(), reason, log: self.layout.log_tail() }
    }

    fn end(&mut self) -> Result<(), Error> {
        drop(self.supervisor.stdin.take());
        if self.supervisor.try_wait().is_ok_and(|status| status.is_some()) {
            return Ok(());
        }
        if !wait_for_end(Pid::from_child(&self.supervisor), STOP_DEADLINE) {
            self.kill_and_clean()?;
        }
        self.supervisor.wait().map(drop).tried(|| "waiting for the engine".into())
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        // A drop can't report; `stop` does.
        let _ = self.end();
    }
}

/// The host of the engine that runs in `folder`, if one answers there.
pub fn is_running(folder: &Path) -> Option<String> {
    let layout = folder.exists().then(|| Layout::new(folder).ok()).flatten()?;
    let client = Client::new(layout.socket());
    client.answers().then(|| format!("unix://{}", layout.socket().display()))
}

/// Stops the engine that [`Launch::detached`] started in `folder`, and says whether there was one.
///
/// # Errors
/// It does not stop, or another process holds it.
pub fn stop(folder: &Path) -> Result<bool, Error> {
    if !folder.exists() {
        return Ok(false);
    }
    let layout = Layout::new(folder)?;
    let pid = fs::read_to_string(layout.pid_file())
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .and_then(Pid::from_raw);
    // The lock, unlike the process id, can't be another process's by chance.
    let (Some(pid), Err(Error::InUse { .. })) = (pid, layout.lock()) else {
        return Ok(false);
    };
    // Not waiting for a reader: without one the supervisor is on its way out already.
    let pipe = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(layout.lifeline());
    match pipe {
        Ok(mut pipe) => {
            pipe.write_all(b"\n")
                .tried(|| format!("writing to {}", layout.lifeline().display()))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::InUse { folder: layout.folder });
        }
        Err(_) => {}
    }
    if !wait_for_end(pid, STOP_DEADLINE) {
        kill(&layout, Path::new("/proc/self/ns/net"), pid)?;
    }
    Ok(true)
}

/// Ends an engine that does not stop, and does what its supervisor would have done at the end.
fn kill(layout: &Layout, outside: &Path, supervisor: Pid) -> Result<(), Error> {
    // The whole group, since the supervisor would go on waiting for the engine; the kernel then
    // kills what is in the namespace. A group that is gone already is what is wanted.
    let _ = rustix::process::kill_process_group(supervisor, Signal::KILL);
    if !wait_for_end(supervisor, STOP_DEADLINE) {
        return Err(Error::Stop { folder: layout.folder.clone() });
    }
    layout.wait_for_lock()?;
    let device = network::name(&layout.folder);
    let arguments = [device.as_ref(), layout.run.as_os_str(), outside.as_os_str()];
    let script = ["-c", CLEANER, "cleaner"].map(OsStr::new);
    debian::output("/bin/sh", script.into_iter().chain(arguments)).map(drop)
}

/// Waits for the end of a process; false where it did not come in time.
fn wait_for_end(pid: Pid, limit: Duration) -> bool {
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
        // No such process.
        return true;
    };
    let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: 0 };
    matches!(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)), Ok(count) if count > 0)
}

fn says_ready(message: &[u8]) -> bool {
    message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}
