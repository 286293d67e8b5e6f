//! A real registry: Debian's `docker-registry`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Client;
use crate::debian::{find, need};
use crate::error::{Error, Tried};

/// A registry on the loopback of an engine of our own, where no engine wants a certificate;
/// dropping it stops it.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    address: String,
    /// What it writes of each request.
    access_log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Starts a registry on a free port. It wants the password of one of `users` (lines as
    /// `htpasswd` writes them) where there are any.
    ///
    /// # Errors
    /// The program can't be installed or does not start; the engine can't be reached.
    pub fn start(engine: &Client, users: Option<&str>) -> Result<Self, Error> {
        Self::listen(engine, Ipv4Addr::LOCALHOST, users)
    }

    /// Starts a registry in the network of an engine, where it has that address.
    pub(crate) fn listen(
        engine: &Client,
        address: Ipv4Addr,
        users: Option<&str>,
    ) -> Result<Self, Error> {
        let folder = tempfile::tempdir().tried(|| "creating a folder".into())?;
        let settings = prepare(folder.path(), &format!("{address}:0"), users)?;
        let access_log = folder.path().join("access.log");
        let output =
            File::create(&access_log).tried(|| format!("creating {}", access_log.display()))?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", engine.process()?));
        command.arg(find(PROGRAM).unwrap_or_else(|| PROGRAM.into()));
        command.arg("serve").arg(settings).stdout(output).stderr(Stdio::piped());
        let mut process = command.spawn().tried(|| format!("running {PROGRAM}"))?;
        let log = process.stderr.take();
        let mut registry = Self { process, address: String::new(), access_log, _folder: folder };
        // It chooses the port, and says which one it took.
        registry.address = listening(log.map(BufReader::new))?;
        Ok(registry)
    }

    /// Host and port, as the engine has them.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How often it was asked for what `path` is part of, since it was started.
    ///
    /// # Errors
    /// Its log can't be read.
    pub fn requests(&self, path: &str) -> Result<usize, Error> {
        let log = fs::read_to_string(&self.access_log)
            .tried(|| format!("reading {}", self.access_log.display()))?;
        Ok(log.lines().filter(|line| line.contains(path)).count())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It ends by itself only when it fails, and then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const PROGRAM: &str = "docker-registry";

/// Writes the settings of a registry in `folder` that listens on `address`.
pub(crate) fn prepare(folder: &Path, address: &str, users: Option<&str>) -> Result<PathBuf, Error> {
    need(PROGRAM, PROGRAM)?;
    let password_file = folder.join("htpasswd");
    let settings = folder.join("config.yml");
    let password_check = users.map(|_| {
        format!("auth: {{ htpasswd: {{ realm: test, path: '{}' }} }}\n", password_file.display())
    });
    let text = format!(
        "version: 0.1\nlog: {{ level: info, formatter: json }}\n\
         storage: {{ filesystem: {{ rootdirectory: '{}' }} }}\nhttp: {{ addr: '{address}' }}\n{}",
        folder.join("data").display(),
        password_check.unwrap_or_default(),
    );
    let put = |path: &Path, text: &str| File::create(path)?.write_all(text.as_bytes());
    fs::create_dir_all(folder)
        .and_then(|()| put(&password_file, users.unwrap_or_default()))
        .and_then(|()| put(&settings, &text))
        .tried(|| format!("writing {}", settings.display()))?;
    Ok(settings)
}

/// Reads a registry's log until it says where it listens, and goes on reading: it would wait for a
/// reader otherwise.
pub(crate) fn listening(log: Option<impl BufRead + Send + 'static>) -> Result<String, Error> {
    let mut log = log.ok_or(Error::Late { what: "a log".into() })?;
    let mut said = String::new();
    loop {
        let begin = said.len();
        let length = log.read_line(&mut said).tried(|| "reading the registry's log".into())?;
        if length == 0 {
            return Err(Error::Command { command: PROGRAM.into(), output: said });
        }
        if let Some((_, rest)) = said[begin..].split_once("listening on ") {
            let end = rest.find(['"', '\n', ' ', ',']).unwrap_or(rest.len());
            let address = rest[..end].to_owned();
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return Ok(address);
        }
    }
}
