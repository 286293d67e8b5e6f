//! Where the engine is: what the Docker command would use.

mod context;
mod resolve;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::EngineError;
use crate::config_file::ConfigFile;

pub(crate) use resolve::resolve;

/// Which builder an engine is asked to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuilderKind {
    /// BuildKit where the engine has it, else the classic builder.
    #[default]
    Automatic,
    /// BuildKit, whatever the engine says of itself.
    BuildKit,
    /// The classic builder.
    Classic,
}

/// Where the engine is, as the Docker command's variables and files say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOptions {
    /// `DOCKER_HOST`: a URL with the scheme `unix`, `tcp`, `http`, `https` or `ssh`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`: name of a Docker context. Counts where `host` is absent.
    pub context: Option<String>,
    /// `DOCKER_TLS_VERIFY`: TLS on a `tcp` endpoint, with a certificate that has to be valid.
    pub tls_verify: bool,
    /// `DOCKER_TLS`: TLS on a `tcp` endpoint, whatever certificate it shows.
    pub tls: bool,
    /// `DOCKER_CERT_PATH`: directory of `ca.pem`, `cert.pem` and `key.pem`. Absent: the directory
    /// of the configuration.
    pub certificate_path: Option<PathBuf>,
    /// `DOCKER_CONFIG`, else `.docker` in the home directory.
    pub config_directory: Option<PathBuf>,
    /// `DOCKER_BUILDKIT`: `0` is the classic builder, everything else BuildKit.
    pub builder: BuilderKind,
    /// The program that `ssh` endpoints are reached with.
    pub ssh_program: PathBuf,
    /// How long connecting may take, the first answer included. Nothing else has a limit.
    pub connect_timeout: Duration,
}

/// Enough for an engine at the other end of the world that is asked over `ssh`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            host: None,
            context: None,
            tls_verify: false,
            tls: false,
            certificate_path: None,
            config_directory: None,
            builder: BuilderKind::Automatic,
            ssh_program: "ssh".into(),
            connect_timeout: CONNECT_TIMEOUT,
        }
    }
}

impl EndpointOptions {
    /// What the variables of a process say. An empty variable counts as absent, as with Docker.
    pub fn from_environment(variables: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        Self {
            host: get("DOCKER_HOST").cloned(),
            context: get("DOCKER_CONTEXT").cloned(),
            tls_verify: get("DOCKER_TLS_VERIFY").is_some(),
            tls: get("DOCKER_TLS").is_some(),
            certificate_path: get("DOCKER_CERT_PATH").map(PathBuf::from),
            config_directory: get("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| get("HOME").map(|home| PathBuf::from(home).join(".docker"))),
            builder: match get("DOCKER_BUILDKIT").map(String::as_str) {
                None => BuilderKind::Automatic,
                Some("0" | "false") => BuilderKind::Classic,
                Some(_) => BuilderKind::BuildKit,
            },
            ..Self::default()
        }
    }
}

impl EndpointOptions {
    /// The endpoint that these options name, as text. Nothing is connected to.
    ///
    /// # Errors
    ///
    /// [`EngineError::BadEndpoint`] where they name nothing usable.
    pub fn describe(&self) -> Result<String, EngineError> {
        // The configuration has a say only where nothing else names the engine.
        let config = match (&self.host, &self.context) {
            (None, None) => ConfigFile::load(self.config_directory.as_deref())?,
            _ => ConfigFile::default(),
        };
        Ok(resolve(self, &config)?.to_string())
    }
}

/// One place where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp { host: String, port: u16, tls: Option<TlsFiles> },
    /// The engine of another host, through `ssh`.
    Ssh(SshTarget),
}

/// What TLS needs. Absent files: no client certificate, the system's authorities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TlsFiles {
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Whether any certificate of the server will do.
    pub(crate) accept_any: bool,
}

/// Where `ssh` goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshTarget {
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// The engine's socket on that host, where it is not the default one.
    pub(crate) socket: Option<String>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => {
                write!(formatter, "tcp://[{host}]:{port}")
            }
            Self::Tcp { host, port, .. } => write!(formatter, "tcp://{host}:{port}"),
            Self::Ssh(target) => {
                formatter.write_str("ssh://")?;
                if let Some(user) = &target.user {
                    write!(formatter, "{user}@")?;
                }
                formatter.write_str(&target.host)?;
                if let Some(port) = target.port {
                    write!(formatter, ":{port}")?;
                }
                formatter.write_str(target.socket.as_deref().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> EndpointOptions {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        EndpointOptions::from_environment(&pairs.collect())
    }

    #[test]
    fn variables_say_where_the_engine_is() {
        let found = options(&[
            ("DOCKER_HOST", "tcp://h:1"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/certs"),
            ("HOME", "/home/me"),
        ]);
        assert_eq!(found.host.as_deref(), Some("tcp://h:1"));
        assert!(found.tls_verify && !found.tls);
        assert_eq!(found.certificate_path, Some("/certs".into()));
        assert_eq!(found.config_directory, Some("/home/me/.docker".into()));
        let found = options(&[("DOCKER_CONFIG", "/c"), ("HOME", "/h"), ("DOCKER_CONTEXT", "far")]);
        assert_eq!(found.config_directory, Some("/c".into()));
        assert_eq!(found.context.as_deref(), Some("far"));
        assert_eq!(options(&[("DOCKER_HOST", "")]), EndpointOptions::default());
    }

    #[test]
    fn a_variable_chooses_the_builder() {
        assert_eq!(options(&[("DOCKER_BUILDKIT", "0")]).builder, BuilderKind::Classic);
        assert_eq!(options(&[("DOCKER_BUILDKIT", "1")]).builder, BuilderKind::BuildKit);
    }
}
