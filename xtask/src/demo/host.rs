//! The engine that the user has: `DOCKER_HOST`, the Docker context, the default socket.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use private_engine::Client;
use serde_json::Value;

const DEFAULT: &str = "unix:///var/run/docker.sock";

/// How long an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The address of the user's engine, if one answers.
pub(super) fn find() -> Option<String> {
    let named = env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = named.or_else(|| context_host(&docker_folder()?)).unwrap_or_else(|| DEFAULT.into());
    answers(&host).then_some(host)
}

/// Where the Docker command keeps its configuration.
fn docker_folder() -> Option<PathBuf> {
    let given = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    given.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")))
}

/// The address in the chosen Docker context; absent for the default one.
fn context_host(folder: &Path) -> Option<String> {
    let chosen = env::var("DOCKER_CONTEXT").ok().filter(|name| !name.is_empty());
    let name = chosen.or_else(|| current_context(folder))?;
    // A context's folder is named after a digest of its name; there are few, so each is read.
    fs::read_dir(folder.join("contexts/meta")).ok()?.find_map(|entry| {
        let context = read_json(&entry.ok()?.path().join("meta.json"))?;
        let host = context.pointer("/Endpoints/docker/Host")?.as_str()?;
        (context.get("Name")?.as_str()? == name).then(|| host.to_owned())
    })
}

fn current_context(folder: &Path) -> Option<String> {
    read_json(&folder.join("config.json"))?.get("currentContext")?.as_str().map(str::to_owned)
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn answers(host: &str) -> bool {
    match host.split_once("://") {
        Some(("unix", socket)) => Client::new(socket).with_patience(PATIENCE).answers(),
        Some(("tcp" | "http", address)) => tcp_answers(address).is_some(),
        // What takes certificates or another program to reach, the build itself will find out.
        Some(("https" | "ssh", _)) => true,
        _ => false,
    }
}

/// With TLS the answer is a refusal in other bytes, which is an answer.
fn tcp_answers(address: &str) -> Option<()> {
    let address = address.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").ok()?;
    (stream.read(&mut [0; 1]).ok()? > 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_context_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            crate::files::write(&folder.path().join(path), text.as_bytes()).unwrap();
        };
        assert_eq!(current_context(folder.path()), None);
        put("config.json", r#"{"currentContext": "far"}"#);
        put("contexts/meta/aa/meta.json", r#"{"Name": "near", "Endpoints": {}}"#);
        put(
            "contexts/meta/bb/meta.json",
            r#"{"Name": "far", "Endpoints": {"docker": {"Host": "ssh://far"}}}"#,
        );
        assert_eq!(current_context(folder.path()).as_deref(), Some("far"));
        assert_eq!(context_host(folder.path()).as_deref(), Some("ssh://far"));
    }

    #[test]
    fn an_engine_that_is_not_there_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("none.sock");
        assert!(!answers(&format!("unix://{}", socket.display())));
        assert!(!answers("nonsense"));
    }
}
