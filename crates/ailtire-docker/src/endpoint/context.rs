//! Docker contexts, as `docker context create` stores them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::TlsFiles;
use crate::EngineError;

/// What a context says of its engine.
pub(super) struct Context {
    pub(super) host: String,
    pub(super) tls: Option<TlsFiles>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: Endpoints,
}

#[derive(Deserialize, Default)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// The context `name` of a configuration directory.
///
/// The directories below `meta` are named after a hash of the context's name. The name itself is
/// in each file, so that reading them all gives the names for the error message too.
pub(super) fn load(directory: Option<&Path>, name: &str) -> Result<Context, EngineError> {
    let contexts = directory.unwrap_or_else(|| Path::new("")).join("contexts");
    let mut names = vec!["default".to_owned()];
    for (folder, metadata) in stored(&contexts.join("meta")) {
        if metadata.name != name {
            names.push(metadata.name);
            continue;
        }
        let endpoint = metadata.endpoints.docker.filter(|endpoint| !endpoint.host.is_empty());
        let endpoint = endpoint.ok_or_else(|| EngineError::BadEndpoint {
            message: format!("the Docker context `{name}` names no Docker engine"),
            help: "choose another one with `DOCKER_CONTEXT` or `docker context use`".to_owned(),
        })?;
        let files = contexts.join("tls").join(folder).join("docker");
        return Ok(Context { tls: tls(&files, endpoint.skip_tls_verify), host: endpoint.host });
    }
    names.sort();
    Err(EngineError::BadEndpoint {
        message: format!("there is no Docker context `{name}`"),
        help: format!("the contexts are `{}`", names.join("`, `")),
    })
}

fn stored(directory: &Path) -> Vec<(std::ffi::OsString, Metadata)> {
    let Ok(folders) = std::fs::read_dir(directory) else { return Vec::new() };
    folders
        .flatten()
        .filter_map(|folder| {
            let text = std::fs::read(folder.path().join("meta.json")).ok()?;
            Some((folder.file_name(), serde_json::from_slice(&text).ok()?))
        })
        .collect()
}

fn tls(directory: &Path, accept_any: bool) -> Option<TlsFiles> {
    let existing =
        |name: &str| -> Option<PathBuf> { Some(directory.join(name)).filter(|path| path.exists()) };
    let files = TlsFiles {
        authorities: existing("ca.pem"),
        certificate: existing("cert.pem"),
        key: existing("key.pem"),
        accept_any,
    };
    (files != TlsFiles::default()).then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(directory: &Path, folder: &str, meta: &str) {
        let path = directory.join("contexts/meta").join(folder);
        std::fs::create_dir_all(&path).unwrap();
        ailtire_test_write(&path.join("meta.json"), meta);
    }

    #[allow(clippy::disallowed_methods)] // Test data has no reader that could see half of it.
    fn ailtire_test_write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_context_gives_its_host_and_its_certificates() {
        let folder = tempfile::tempdir().unwrap();
        store(
            folder.path(),
            "abc",
            r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far:2376","SkipTLSVerify":false}}}"#,
        );
        let tls = folder.path().join("contexts/tls/abc/docker");
        std::fs::create_dir_all(&tls).unwrap();
        ailtire_test_write(&tls.join("ca.pem"), "");
        let found = load(Some(folder.path()), "far").unwrap();
        assert_eq!(found.host, "tcp://far:2376");
        let files = found.tls.unwrap();
        assert_eq!(files.authorities, Some(tls.join("ca.pem")));
        assert_eq!(files.certificate, None);
    }

    #[test]
    fn an_unknown_context_lists_the_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), "abc", r#"{"Name":"far","Endpoints":{"docker":{"Host":"x"}}}"#);
        store(folder.path(), "broken", "{");
        let error = load(Some(folder.path()), "fra").err().unwrap();
        assert_eq!(error.to_string(), "there is no Docker context `fra`");
        assert_eq!(error.help(), "the contexts are `default`, `far`");
    }
}
