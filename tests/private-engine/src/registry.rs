//! A real registry: Debian's `docker-registry`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::Client;
use crate::debian::{find, need, output};
use crate::error::{Error, Tried};

/// A registry; dropping it stops it.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    log: RequestLog,
    /// What it writes of each request.
    access_log: PathBuf,
    folder: tempfile::TempDir,
}

/// A request that a registry has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRequest {
    /// `GET`, `HEAD`, ….
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Status of the answer.
    pub status: u64,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

type Requests = Arc<Mutex<Vec<RegistryRequest>>>;

/// What was asked of a registry.
#[derive(Debug)]
pub struct RequestLog {
    address: String,
    requests: Requests,
}

impl RequestLog {
    /// Reads what a registry says, until it says where it listens, and goes on reading.
    pub(crate) fn read(log: Option<impl BufRead + Send + 'static>) -> Result<Self, Error> {
        let requests = Requests::default();
        let kept = Arc::clone(&requests);
        let address = listening(log, move |line| {
            if let Some(request) = request_of(line) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            }
        })?;
        Ok(Self { address, requests })
    }

    /// What was asked of it since it was asked for this the last time. An answer that its client
    /// has just got may be missing yet; [`RequestLog::settled`] has it.
    pub fn take(&self) -> Vec<RegistryRequest> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`RequestLog::take`], with every request that was answered before.
    ///
    /// # Errors
    /// The registry says nothing of a request that it answered.
    pub fn settled(&self) -> Result<Vec<RegistryRequest>, Error> {
        const MARK: &str = "/v2/settled/tags/list";
        // Each line of the log is written before the connection is read again.
        let _ = std::net::TcpStream::connect(&self.address).and_then(|mut stream| {
            write!(stream, "GET {MARK} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            std::io::copy(&mut stream, &mut std::io::sink())
        });
        let mut requests = Vec::new();
        crate::wait_for(std::time::Duration::from_secs(10), "the registry's log", || {
            requests.append(&mut self.take());
            requests.iter().any(|request| request.uri == MARK).then_some(())
        })?;
        requests.retain(|request| request.uri != MARK);
        Ok(requests)
    }
}

impl Registry {
    /// Starts a registry on a free port of the loopback of an engine of our own, where no engine
    /// wants a certificate. It wants the password of one of `users` (lines as `htpasswd` writes
    /// them) where there are any.
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
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", engine.process()?));
        command.arg(find(PROGRAM).unwrap_or_else(|| PROGRAM.into()));
        Self::run(folder, &settings, command)
    }

    /// As [`Registry::start`], on a free port of `address`, which is this machine's.
    ///
    /// # Errors
    /// The program can't be installed or does not start.
    pub fn start_at(address: Ipv4Addr, users: Option<&str>) -> Result<Self, Error> {
        let folder = tempfile::tempdir().tried(|| "creating a folder".into())?;
        let settings = prepare(folder.path(), &format!("{address}:0"), users)?;
        Self::run(folder, &settings, program())
    }

    /// As [`Registry::start_at`], but over TLS, with a certificate that [`Registry::authority`] signed.
    ///
    /// # Errors
    /// As [`Registry::start_at`]; and `openssl` can't be installed.
    pub fn start_with_tls(address: Ipv4Addr, users: Option<&str>) -> Result<Self, Error> {
        let folder = tempfile::tempdir().tried(|| "creating a folder".into())?;
        let settings = prepare(folder.path(), &format!("{address}:0"), users)?;
        certify(folder.path(), address)?;
        let tls = format!(
            "http: {{ addr: '{address}:0', tls: {{ certificate: '{0}/cert.pem', key: '{0}/key.pem' \
             }} }}\n",
            folder.path().display()
        );
        let plain = format!("http: {{ addr: '{address}:0' }}\n");
        fs::read_to_string(&settings)
            .and_then(|text| {
                File::create(&settings)?.write_all(text.replace(&plain, &tls).as_bytes())
            })
            .tried(|| format!("writing {}", settings.display()))?;
        Self::run(folder, &settings, program())
    }

    fn run(
        folder: tempfile::TempDir,
        settings: &Path,
        mut command: Command,
    ) -> Result<Self, Error> {
        let access_log = folder.path().join("access.log");
        let output =
            File::create(&access_log).tried(|| format!("creating {}", access_log.display()))?;
        command.arg("serve").arg(settings).stdout(output).stderr(Stdio::piped());
        let mut process = command.spawn().tried(|| format!("running {PROGRAM}"))?;
        let log = process.stderr.take();
        // The process is to end with this value also where it says nothing of use.
        let nowhere = RequestLog { address: String::new(), requests: Requests::default() };
        let mut registry = Self { process, log: nowhere, access_log, folder };
        registry.log = RequestLog::read(log.map(BufReader::new))?;
        Ok(registry)
    }

    /// What was asked of it.
    pub fn log(&self) -> &RequestLog {
        &self.log
    }

    /// Where it keeps what it has.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data/docker/registry/v2")
    }

    /// The certificate of the authority that signed its own, where it speaks TLS.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Host and port, as those have them who reach it.
    pub fn address(&self) -> &str {
        &self.log.address
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

fn program() -> Command {
    Command::new(find(PROGRAM).unwrap_or_else(|| PROGRAM.into()))
}

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
         storage: {{ filesystem: {{ rootdirectory: '{}' }}, delete: {{ enabled: true }} }}\n\
         http: {{ addr: '{address}' }}\n{}",
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

/// Makes an authority, and a certificate of its for `address`.
fn certify(folder: &Path, address: Ipv4Addr) -> Result<(), Error> {
    const KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    need("openssl", "openssl")?;
    let path = |name: &str| folder.join(name).display().to_string();
    let (ca, ca_key) = (path("ca.pem"), path("ca-key.pem"));
    let make = |arguments: &[&str]| {
        let fixed = ["req", "-x509", "-nodes", "-days", "2"];
        output("openssl", fixed.iter().chain(&KEY).chain(arguments)).map(drop)
    };
    make(&["-subj", "/CN=test authority", "-keyout", &ca_key, "-out", &ca])?;
    let (key, certificate) = (path("key.pem"), path("cert.pem"));
    let names = format!("subjectAltName=IP:{address}");
    make(&[
        "-subj",
        "/CN=registry",
        "-addext",
        &names,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-keyout",
        &key,
        "-out",
        &certificate,
    ])
}

/// The request that a line of the log tells of.
fn request_of(line: &str) -> Option<RegistryRequest> {
    let line: Value = serde_json::from_str(line).ok()?;
    let is_end = |said: &str| {
        // One that is refused for its credentials has no other line.
        ["response completed", "error authorizing context"].iter().any(|it| said.starts_with(it))
    };
    line.get("msg").and_then(Value::as_str).filter(|said| is_end(said))?;
    let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| line.get(name).and_then(Value::as_u64).unwrap_or_default();
    Some(RegistryRequest {
        method: text("http.request.method")?,
        uri: text("http.request.uri")?,
        status: number("http.response.status"),
        bytes: number("http.response.written"),
    })
}

/// Reads a registry's log until it says where it listens, and goes on reading: it would wait for a
/// reader otherwise. `line` takes what the log says from then on.
fn listening(
    log: Option<impl BufRead + Send + 'static>,
    line: impl Fn(&str) + Send + 'static,
) -> Result<String, Error> {
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
            std::thread::spawn(move || {
                for text in log.lines().map_while(Result::ok) {
                    line(&text);
                }
            });
            return Ok(address);
        }
    }
}
