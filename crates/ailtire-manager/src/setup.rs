//! What a manager makes of itself before it deploys: its token, its place on its family network.

use std::io::Write;
use std::path::Path;

use ailtire_docker::{Engine, EngineError};
use ailtire_swarm::label;
use ailtire_swarm::manager::{MANAGER_ALIAS, TOKEN_FILE};
use ailtire_swarm::spec::{NetworkSpec, SecretSpec};
use ailtire_swarm::{ObservedFile, ObservedNetwork, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::Token;
use crate::engine_service::EngineService;
use crate::failure::Failure;
use crate::log;
use crate::place::Place;
use crate::whoami::{OwnContainer, OwnService};

/// What came of it.
pub(crate) enum Setup {
    /// All is there.
    Ready {
        token: Token,
        /// Name of the secret that has it.
        secret: String,
    },
    /// The service is updated, and the swarm replaces this task.
    Replaced,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "ID", alias = "Id")]
    id: String,
}

/// Makes sure of the token, the family network, and that this manager has both.
pub(crate) async fn prepare(
    engine: &Engine,
    place: &Place,
    token_file: &Path,
    family: &NetworkSpec,
) -> Result<Setup, Failure> {
    let network = ensure_network(engine, family).await?;
    let held = Token::read(token_file).map_err(|error| Failure::Text(error.to_string()))?;
    if let Some(service) = &place.own.service {
        return prepare_service(engine, place, service, held, &network).await;
    }
    if let Some(container) = &place.own.container {
        join(engine, container, &network).await?;
    }
    let token = match held {
        Some(token) => token,
        None => keep_token(token_file)?,
    };
    let held = Held { token: &token, file: token_file };
    let secret = ensure_secret(engine, place, &held).await?;
    Ok(Setup::Ready { token, secret })
}

/// The network's id; it is made where it is not there.
async fn ensure_network(engine: &Engine, spec: &NetworkSpec) -> Result<String, EngineError> {
    if let Some(id) = find_network(engine, &spec.name).await? {
        return Ok(id);
    }
    let mut body = serde_json::to_value(spec).unwrap_or_default();
    body["CheckDuplicate"] = json!(true);
    match engine.post("/networks/create").body(&body).json::<Created>().await {
        Ok(created) => Ok(created.id),
        // Somebody made it at the same time.
        Err(error @ EngineError::Api { .. }) => {
            find_network(engine, &spec.name).await?.ok_or(error)
        }
        Err(error) => Err(error),
    }
}

pub(crate) async fn find_network(
    engine: &Engine,
    name: &str,
) -> Result<Option<String>, EngineError> {
    let found: Vec<ObservedNetwork> = engine.get("/networks").filter("name", name).json().await?;
    let swarms = found.into_iter().find(|it| it.name == name && it.scope == "swarm");
    Ok(swarms.map(|network| network.id))
}

/// A task of a service gets what it lacks by an update of its service, which replaces it.
async fn prepare_service(
    engine: &Engine,
    place: &Place,
    service: &OwnService,
    held: Option<Token>,
    network: &str,
) -> Result<Setup, Failure> {
    let found = EngineService::read(engine, &service.id).await?;
    let mut spec = found.spec.clone();
    let secret = if let Some(name) = mounted_secret(&spec) {
        name
    } else {
        let (id, name) = service_secret(engine, place, held.as_ref()).await?;
        mount(&mut spec, &id, &name);
        name
    };
    attach(&mut spec, network);
    let replaces = spec != found.spec;
    set_labels(&mut spec, place);
    if spec != found.spec {
        found.update(engine, &service.id, &spec).await?;
    }
    match held {
        Some(token) if !replaces => Ok(Setup::Ready { token, secret }),
        None if !replaces => Err(Failure::Text(format!(
            "the service has the secret `{secret}`, and this task does not; its tasks are being \
             replaced"
        ))),
        _ => Ok(Setup::Replaced),
    }
}

/// Name of the secret that the service's tasks find as the token.
fn mounted_secret(spec: &Value) -> Option<String> {
    let secrets = spec["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array()?;
    let file = Path::new(TOKEN_FILE).file_name()?.to_str()?;
    let found = secrets.iter().find(|secret| secret["File"]["Name"] == file)?;
    found["SecretName"].as_str().map(str::to_owned)
}

/// The secret that the service is to have: the one that is there, or a new one.
async fn service_secret(
    engine: &Engine,
    place: &Place,
    held: Option<&Token>,
) -> Result<(String, String), Failure> {
    let known = token::find(engine, &place.identity).await?;
    let name = known.unwrap_or_else(|| place.token_secret());
    if let Some(id) = find_secret(engine, &name).await? {
        return Ok((id, name));
    }
    let token = match held {
        Some(token) => token.clone(),
        None => random()?,
    };
    let id = create_secret(engine, place, &name, &token).await?;
    Ok((id, name))
}

fn random() -> Result<Token, Failure> {
    Token::random().map_err(|error| Failure::Text(error.to_string()))
}

fn array<'spec>(value: &'spec mut Value, field: &str) -> Option<&'spec mut Vec<Value>> {
    let field = &mut value[field];
    if field.is_null() {
        *field = json!([]);
    }
    field.as_array_mut()
}

fn mount(spec: &mut Value, id: &str, name: &str) {
    let file = json!({"Name": "ailtire-token", "UID": "0", "GID": "0", "Mode": 0o400});
    let secret = json!({"SecretID": id, "SecretName": name, "File": file});
    if let Some(secrets) = array(&mut spec["TaskTemplate"]["ContainerSpec"], "Secrets") {
        secrets.push(secret);
    }
}

fn attach(spec: &mut Value, network: &str) {
    // Older clients wrote the networks of tasks into the service.
    if spec["TaskTemplate"]["Networks"].is_null()
        && let Some(older) = spec.as_object_mut().and_then(|spec| spec.remove("Networks"))
    {
        spec["TaskTemplate"]["Networks"] = older;
    }
    let Some(networks) = array(&mut spec["TaskTemplate"], "Networks") else { return };
    if networks.iter().all(|known| known["Target"] != network) {
        networks.push(json!({"Target": network, "Aliases": [MANAGER_ALIAS]}));
    }
}

/// What the manager's service is found by. It restarts nothing.
fn set_labels(spec: &mut Value, place: &Place) {
    let manager = (label::MANAGER.to_owned(), place.instance.clone());
    for (name, value) in place.identity.labels().into_iter().chain([manager]) {
        spec["Labels"][&name] = value.into();
    }
}

/// A container that is no task joins the network by itself.
async fn join(engine: &Engine, container: &OwnContainer, network: &str) -> Result<(), EngineError> {
    if container.networks.iter().any(|known| known == network) {
        return Ok(());
    }
    let endpoint = json!({"Aliases": [MANAGER_ALIAS]});
    let body = json!({"Container": container.id, "EndpointConfig": endpoint});
    engine.post(format!("/networks/{network}/connect")).body(&body).done().await
}

/// A new token, in the file where the next start of this container looks for it.
fn keep_token(file: &Path) -> Result<Token, Failure> {
    let token = random()?;
    let write = || {
        use std::os::unix::fs::OpenOptionsExt;
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut opened = options.write(true).create_new(true).mode(0o400).open(file)?;
        opened.write_all(token.expose().as_bytes())
    };
    write().map_err(|error: std::io::Error| {
        let file = file.display();
        Failure::Text(format!("the application's token can't be written to {file}: {error}"))
    })?;
    Ok(token)
}

/// The name of the secret that holds `token`.
///
/// What a secret holds can't be read, so its id is kept beside the token's file. Any other secret of
/// this name may hold something else: it is made again, or, while others use it, beside it under
/// another name.
async fn ensure_secret(engine: &Engine, place: &Place, held: &Held<'_>) -> Result<String, Failure> {
    let known = held.file.with_extension("secret");
    let name = place.token_secret();
    let secrets: Vec<ObservedFile> = engine.get("/secrets").filter("name", &name).json().await?;
    if let Ok(id) = std::fs::read_to_string(&known)
        && let Some(same) = secrets.iter().find(|secret| secret.id == id.trim())
    {
        return Ok(same.name.clone());
    }
    let name = match secrets.iter().find(|secret| secret.name == name) {
        Some(other) if !is_removed(engine, &other.id).await => {
            let short = ailtire_compose::shorten(&name, ailtire_compose::FILE_NAME_LIMIT - 13);
            format!("{short}-{:x}", log::now())
        }
        _ => name,
    };
    let id = create_secret(engine, place, &name, held.token).await?;
    // Torn off, it names no secret, and another one is made.
    #[allow(clippy::disallowed_methods, reason = "nothing is lost with it")]
    if let Err(error) = std::fs::write(&known, id) {
        let fields = json!({ "file": known, "error": error.to_string() });
        log::warn("which secret has the token could not be remembered", fields);
    }
    Ok(name)
}

/// A token, and the file that it is in.
struct Held<'a> {
    token: &'a Token,
    file: &'a Path,
}

async fn is_removed(engine: &Engine, secret: &str) -> bool {
    engine.delete(format!("/secrets/{secret}")).done().await.is_ok()
}

async fn find_secret(engine: &Engine, name: &str) -> Result<Option<String>, EngineError> {
    let found: Vec<ObservedFile> = engine.get("/secrets").filter("name", name).json().await?;
    Ok(found.into_iter().find(|secret| secret.name == name).map(|secret| secret.id))
}

async fn create_secret(
    engine: &Engine,
    place: &Place,
    name: &str,
    token: &Token,
) -> Result<String, Failure> {
    let spec = SecretSpec {
        name: name.to_owned(),
        labels: place.identity.labels().into(),
        data: Some(STANDARD.encode(token.expose())),
        ..SecretSpec::default()
    };
    let created = engine.post("/secrets/create").body(&spec).json::<Created>().await;
    match created {
        Ok(created) => Ok(created.id),
        Err(error) => match find_secret(engine, name).await? {
            // Another task of this service was faster.
            Some(id) if place.own.service.is_some() => Ok(id),
            _ => Err(error.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_gets_what_it_lacks_once() {
        let mut spec = json!({"Name": "shop", "TaskTemplate": {"ContainerSpec": {"Image": "i"}}});
        assert_eq!(mounted_secret(&spec), None);
        mount(&mut spec, "id", "shop.token");
        attach(&mut spec, "network");
        assert_eq!(mounted_secret(&spec).as_deref(), Some("shop.token"));
        let before = spec.clone();
        attach(&mut spec, "network");
        assert_eq!(spec, before);
        assert_eq!(spec["TaskTemplate"]["Networks"][0]["Aliases"], json!(["admin"]));
    }

    #[test]
    fn networks_in_the_old_place_are_kept() {
        let mut spec = json!({"Networks": [{"Target": "old"}], "TaskTemplate": {}});
        attach(&mut spec, "new");
        assert_eq!(spec["TaskTemplate"]["Networks"][0]["Target"], "old");
        assert_eq!(spec["TaskTemplate"]["Networks"][1]["Target"], "new");
        assert!(spec.get("Networks").is_none());
    }
}
