//! Credentials for registries, from Docker's configuration and its helper programs.
//!
//! Nothing here implements `Debug`, and no error carries more than a name.

use std::path::Path;
use std::process::Stdio;

use ailtire_connect::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::config_file::{AuthEntry, ConfigFile};

/// What the configuration calls Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// What a helper gives as the user of an identity token.
const TOKEN_USER: &str = "<token>";

/// User and secret as BuildKit wants them: an identity token goes without a user.
#[cfg(feature = "build")]
pub(crate) fn user_and_secret(credentials: Credentials) -> (String, String) {
    if credentials.identity_token.is_empty() {
        (credentials.user, credentials.password)
    } else {
        (String::new(), credentials.identity_token)
    }
}

/// The form in which bollard sends them to the engine.
pub(crate) fn for_engine(credentials: Credentials, registry: &str) -> DockerCredentials {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    DockerCredentials {
        username: some(credentials.user),
        password: some(credentials.password),
        identitytoken: some(credentials.identity_token),
        registrytoken: some(credentials.registry_token),
        serveraddress: Some(key_of(registry).to_owned()),
        ..DockerCredentials::default()
    }
}

/// The credentials for `registry`, a host as references and BuildKit name it.
///
/// `None` where there are none, also where the helper program fails: what needs no credentials
/// must work without them, and the registry's own refusal says the rest.
pub(crate) async fn look_up(config: &ConfigFile, registry: &str) -> Option<Credentials> {
    let key = key_of(registry);
    let helper = config.cred_helpers.get(key).or(config.creds_store.as_ref());
    if let Some(helper) = helper.filter(|helper| !helper.is_empty())
        && !helper.contains('/')
        && let Some(found) = ask_helper(format!("docker-credential-{helper}").as_ref(), key).await
    {
        return Some(found);
    }
    let entry = config.auths.get(key).or_else(|| {
        config.auths.iter().find(|(name, _)| host_of(name) == host_of(key)).map(|found| found.1)
    })?;
    decode(entry)
}

/// What the configuration calls a registry.
pub(crate) fn key_of(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB_KEY,
        other => other,
    }
}

/// The host of a key, which may be a URL.
fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

fn decode(entry: &AuthEntry) -> Option<Credentials> {
    let mut found = Credentials {
        user: entry.username.clone(),
        password: entry.password.clone(),
        identity_token: entry.identitytoken.clone(),
        registry_token: entry.registrytoken.clone(),
    };
    if !entry.auth.is_empty() {
        let decoded = String::from_utf8(STANDARD.decode(&entry.auth).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        user.clone_into(&mut found.user);
        password.trim_matches('\0').clone_into(&mut found.password);
    }
    (found != Credentials::default()).then_some(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

async fn ask_helper(program: &Path, key: &str) -> Option<Credentials> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(key.as_bytes()).await.ok()?;
    let output = child.wait_with_output().await.ok()?;
    if !output.status.success() {
        return None;
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout).ok()?;
    Some(if answer.username == TOKEN_USER {
        Credentials { identity_token: answer.secret, ..Credentials::default() }
    } else {
        Credentials { user: answer.username, password: answer.secret, ..Credentials::default() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ConfigFile {
        serde_json::from_str(text).unwrap()
    }

    async fn user_of(config: &ConfigFile, registry: &str) -> Option<(String, String)> {
        look_up(config, registry).await.map(user_and_secret)
    }

    #[tokio::test]
    async fn entries_are_found_by_host() {
        let config = config(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOmE6Yg=="},
                "https://old.example/v2/": {"username": "old", "password": "p"},
                "token.example": {"identitytoken": "t"},
                "empty.example": {}
            }}"#,
        );
        let pair = |user: &str, secret: &str| Some((user.to_owned(), secret.to_owned()));
        assert_eq!(user_of(&config, "docker.io").await, pair("hub", "a:b"));
        assert_eq!(user_of(&config, "registry-1.docker.io").await, pair("hub", "a:b"));
        assert_eq!(user_of(&config, "old.example").await, pair("old", "p"));
        assert_eq!(user_of(&config, "token.example").await, pair("", "t"));
        assert_eq!(user_of(&config, "empty.example").await, None);
        assert_eq!(user_of(&config, "other.example").await, None);
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_gives_nothing() {
        let config = config(r#"{"credsStore": "no-such-helper-anywhere"}"#);
        assert_eq!(user_of(&config, "docker.io").await, None);
        let config = self::config(r#"{"credHelpers": {"x.example": "../../bin/sh"}}"#);
        assert_eq!(user_of(&config, "x.example").await, None);
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods)] // Test data has no reader that could see half of it.
    async fn a_helper_is_asked_by_the_name_of_the_configuration() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("helper");
        let answer = |user: &str| {
            let script = format!(
                "#!/bin/sh\n[ $1 = get ] && [ $(cat) = host ] && \
                 echo '{{\"ServerURL\": \"x\", \"Username\": \"{user}\", \"Secret\": \"s\"}}'\n"
            );
            std::fs::write(&helper, script).unwrap();
            std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        answer("me");
        let found = ask_helper(&helper, "host").await.unwrap();
        assert!(user_and_secret(found) == ("me".to_owned(), "s".to_owned()));
        assert!(ask_helper(&helper, "other").await.is_none());
        answer(TOKEN_USER);
        let found = ask_helper(&helper, "host").await.unwrap();
        assert!(found.identity_token == "s" && found.user.is_empty());
    }
}
