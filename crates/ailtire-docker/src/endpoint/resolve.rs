//! From options to an endpoint.

use std::path::Path;

use super::{Endpoint, EndpointOptions, SshTarget, TlsFiles, context};
use crate::EngineError;
use crate::config_file::ConfigFile;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const DEFAULT_PORT: u16 = 2375;
const DEFAULT_TLS_PORT: u16 = 2376;

/// The endpoint that the Docker command would use.
pub(crate) fn resolve(
    options: &EndpointOptions,
    config: &ConfigFile,
) -> Result<Endpoint, EngineError> {
    if let Some(host) = &options.host {
        return parse(host, tls_of(options)?, "DOCKER_HOST");
    }
    let named = options.context.as_deref().or(config.current_context.as_deref());
    match named {
        Some(name) if name != "default" => {
            let found = context::load(options.config_directory.as_deref(), name)?;
            parse(&found.host, found.tls, &format!("the Docker context `{name}`"))
        }
        _ => Ok(Endpoint::Unix(DEFAULT_SOCKET.into())),
    }
}

/// The files for TLS that the variables name.
fn tls_of(options: &EndpointOptions) -> Result<Option<TlsFiles>, EngineError> {
    if !options.tls_verify && !options.tls {
        return Ok(None);
    }
    let directory = options
        .certificate_path
        .as_deref()
        .or(options.config_directory.as_deref())
        .unwrap_or_else(|| Path::new(""));
    let existing = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
    let authorities = directory.join("ca.pem");
    if options.tls_verify && !authorities.exists() {
        return Err(EngineError::BadEndpoint {
            message: format!("TLS needs the file `{}`, which is not there", authorities.display()),
            help: "name the directory of `ca.pem`, `cert.pem` and `key.pem` in \
                   `DOCKER_CERT_PATH`, or unset `DOCKER_TLS_VERIFY`"
                .to_owned(),
        });
    }
    Ok(Some(TlsFiles {
        authorities: options.tls_verify.then_some(authorities),
        certificate: existing("cert.pem"),
        key: existing("key.pem"),
        accept_any: !options.tls_verify,
    }))
}

/// The endpoint that a URL means; `origin` says who wrote it.
fn parse(url: &str, tls: Option<TlsFiles>, origin: &str) -> Result<Endpoint, EngineError> {
    let bad = |why: &str| EngineError::BadEndpoint {
        message: format!("`{url}` of {origin} is no Docker endpoint: {why}"),
        help: "write it as `unix:///path/to/socket`, `tcp://host:port` or `ssh://user@host`"
            .to_owned(),
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
    match scheme {
        "unix" if rest.is_empty() => Ok(Endpoint::Unix(DEFAULT_SOCKET.into())),
        "unix" => Ok(Endpoint::Unix(rest.into())),
        "tcp" | "http" | "https" => {
            let tls = if scheme == "https" { Some(tls.unwrap_or_default()) } else { tls };
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !path.is_empty() {
                return Err(bad("a path is not supported"));
            }
            let (host, port) = host_and_port(authority).map_err(bad)?;
            let default = if tls.is_some() { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
            let host = if host.is_empty() { "127.0.0.1" } else { host };
            Ok(Endpoint::Tcp { host: host.to_owned(), port: port.unwrap_or(default), tls })
        }
        "ssh" => Ok(Endpoint::Ssh(ssh_target(rest).map_err(bad)?)),
        "npipe" => Err(bad("named pipes exist on Windows only")),
        _ => Err(bad("its scheme is not known")),
    }
}

fn ssh_target(rest: &str) -> Result<SshTarget, &'static str> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => return Err("a password is not supported"),
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = host_and_port(host)?;
    // Such a name would be an option of `ssh`.
    if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
        return Err("a name can't begin with `-`");
    }
    if host.is_empty() {
        return Err("it names no host");
    }
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if !path.chars().all(plain) {
        return Err("its path is no plain path");
    }
    Ok(SshTarget {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
        socket: Some(path).filter(|path| path.len() > 1).map(str::to_owned),
    })
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
        if !after.is_empty() && !after.starts_with(':') {
            return Err("there is something behind the bracket");
        }
        (host, after.strip_prefix(':'))
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.contains('@') {
        return Err("a user is not supported");
    }
    let port = port.map(|port| port.parse().map_err(|_| "its port is no number up to 65535"));
    Ok((host, port.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<Endpoint, String> {
        parse(url, None, "DOCKER_HOST").map_err(|error| error.to_string())
    }

    #[test]
    fn urls_are_read_as_docker_reads_them() {
        for (url, shown) in [
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("tcp://1.2.3.4", "tcp://1.2.3.4:2375"),
            ("tcp://:2375", "tcp://127.0.0.1:2375"),
            ("tcp://[::1]:99", "tcp://[::1]:99"),
            ("https://host", "tcp://host:2376"),
            ("ssh://me@host:22", "ssh://me@host:22"),
            ("ssh://host/run/d.sock", "ssh://host/run/d.sock"),
        ] {
            assert_eq!(parsed(url).unwrap().to_string(), shown, "{url}");
        }
    }

    #[test]
    fn bad_urls_say_what_is_wrong() {
        for (url, why) in [
            ("/run/x.sock", "it has no scheme"),
            ("ftp://x", "its scheme is not known"),
            ("tcp://host:port", "its port is no number up to 65535"),
            ("tcp://host:1/path", "a path is not supported"),
            ("tcp://me@host:1", "a user is not supported"),
            ("ssh://me:secret@host", "a password is not supported"),
            ("ssh://-oProxyCommand=x", "a name can't begin with `-`"),
            ("ssh://host/$(reboot)", "its path is no plain path"),
            ("ssh://", "it names no host"),
            ("npipe:////./pipe/docker_engine", "named pipes exist on Windows only"),
        ] {
            let message = parsed(url).unwrap_err();
            assert!(message.contains(why), "{url}: {message}");
        }
    }

    #[test]
    fn host_comes_before_context_and_context_before_the_configuration() {
        let mut options = EndpointOptions {
            host: Some("tcp://h:1".to_owned()),
            context: Some("default".to_owned()),
            ..EndpointOptions::default()
        };
        let config =
            ConfigFile { current_context: Some("gone".to_owned()), ..ConfigFile::default() };
        assert_eq!(resolve(&options, &config).unwrap().to_string(), "tcp://h:1");
        options.host = None;
        assert_eq!(resolve(&options, &config).unwrap(), Endpoint::Unix(DEFAULT_SOCKET.into()));
        options.context = None;
        assert!(resolve(&options, &config).unwrap_err().to_string().contains("`gone`"));
    }

    #[test]
    fn tls_without_authorities_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let options = EndpointOptions {
            host: Some("tcp://h".to_owned()),
            tls_verify: true,
            certificate_path: Some(folder.path().to_owned()),
            ..EndpointOptions::default()
        };
        let error = resolve(&options, &ConfigFile::default()).unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{error}");
        assert!(error.help().contains("DOCKER_CERT_PATH"));
    }
}
