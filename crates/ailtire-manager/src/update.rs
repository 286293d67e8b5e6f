//! A design that somebody sent in place of the stack image's own.
//!
//! It is kept in a swarm config, so that the manager has it after a restart. It belongs to the stack
//! image that it was made over: a newer stack image brings its own design, and ends it.

use std::collections::BTreeMap;

use ailtire_compose::{BundledImages, FILE_NAME_LIMIT, HASH_DIGITS, shorten};
use ailtire_docker::{Engine, EngineError};
use ailtire_swarm::spec::ConfigSpec;
use ailtire_swarm::{ObservedFile, label};
use ailtire_terms::suggests_secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bundle::digest;
use crate::failure::ApiError;
use crate::log;
use crate::place::Place;

/// Bytes that a config may hold, with room for the rest of its spec.
pub(crate) const LIMIT: usize = 900 * 1024;

/// A design in place of the stack image's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// The compose file.
    pub(crate) compose: String,
    /// Variables for it.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    /// Images of the application that it runs, besides those of the stack image.
    #[serde(default)]
    pub(crate) images: BundledImages,
}

impl Update {
    /// Reads what a request brings.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let update: Self = serde_json::from_slice(body).map_err(|error| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                format!("the body is no update: {error}"),
                "send {\"compose\": \"…\", \"variables\": {…}} with the text of a compose file",
            )
        })?;
        if let Some(name) = update.variables.keys().find(|name| suggests_secret(name)) {
            // Whoever may read configs would see it.
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("the variable `{name}` looks like a secret, which an update can't keep"),
                "make a Swarm secret of it, and name that in the compose file",
            ));
        }
        Ok(update)
    }

    fn spec(&self, place: &Place, base: &str) -> ConfigSpec {
        let text = json!(self).to_string();
        let hash = digest([&text]);
        let short =
            shorten(&format!("{}.update", place.instance), FILE_NAME_LIMIT - HASH_DIGITS - 1);
        let mut labels: BTreeMap<String, String> = place.identity.labels().into();
        labels.insert(label::NAMESPACE.to_owned(), place.instance.clone());
        labels.insert(label::STACK_PATH.to_owned(), place.path_text());
        labels.insert(label::UPDATE.to_owned(), base.to_owned());
        ConfigSpec {
            name: format!("{short}_{}", hash.get(..HASH_DIGITS).unwrap_or_default()),
            labels,
            data: STANDARD.encode(text),
            ..ConfigSpec::default()
        }
    }

    /// Keeps it, and forgets the one before; its name.
    pub(crate) async fn keep(
        &self,
        engine: &Engine,
        place: &Place,
        base: &str,
    ) -> Result<String, EngineError> {
        let spec = self.spec(place, base);
        let before = kept(engine, place).await?;
        if !before.iter().any(|config| is_spec(config, &spec)) {
            engine.post("/configs/create").body(&spec).json::<Value>().await?;
        }
        forget(engine, before.iter().filter(|config| !is_spec(config, &spec))).await;
        Ok(spec.name)
    }

    /// The one that was kept over the stack image `base`, and its name. Those that were made over
    /// others are forgotten.
    pub(crate) async fn find(
        engine: &Engine,
        place: &Place,
        base: &str,
    ) -> Result<Option<(Self, String)>, EngineError> {
        let all = kept(engine, place).await?;
        let (of_base, others): (Vec<_>, Vec<_>) = all
            .iter()
            .partition(|config| config.labels.get(label::UPDATE).is_some_and(|it| it == base));
        forget(engine, others).await;
        let read = |config: &&ObservedFile| {
            let data = STANDARD.decode(config.data.as_ref()?).ok()?;
            Some((serde_json::from_slice(&data).ok()?, config.name.clone()))
        };
        // There is one, unless the swarm broke off between making the new one and removing the old.
        Ok(of_base.iter().max_by_key(|config| config.version).and_then(read))
    }
}

fn is_spec(config: &ObservedFile, spec: &ConfigSpec) -> bool {
    config.name == spec.name && config.labels.get(label::UPDATE) == spec.labels.get(label::UPDATE)
}

async fn kept(engine: &Engine, place: &Place) -> Result<Vec<ObservedFile>, EngineError> {
    let of_stack = format!("{}={}", label::NAMESPACE, place.instance);
    let request = engine.get("/configs").filter("label", of_stack).filter("label", label::UPDATE);
    let found: Vec<ObservedFile> = request.json().await?;
    Ok(found.into_iter().filter(|config| place.identity.owns(&config.labels)).collect())
}

async fn forget(engine: &Engine, configs: impl IntoIterator<Item = &ObservedFile>) {
    for config in configs {
        if let Err(error) = engine.delete(format!("/configs/{}", config.id)).done().await {
            let fields = json!({ "config": config.name, "error": error.to_string() });
            log::warn("an earlier update could not be removed", fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_read_and_what_it_may_not_hold_is_refused() {
        let update = Update::parse(br#"{"compose": "services: {}"}"#).unwrap();
        assert_eq!((&*update.compose, update.variables.len()), ("services: {}", 0));
        let status = |body: &str| Update::parse(body.as_bytes()).unwrap_err().status;
        assert_eq!(status("services: {}"), StatusCode::BAD_REQUEST);
        assert_eq!(status(r#"{"compose": "", "variable": {}}"#), StatusCode::BAD_REQUEST);
        let secret = r#"{"compose": "", "variables": {"DB_PASSWORD": "x"}}"#;
        assert_eq!(status(secret), StatusCode::UNPROCESSABLE_ENTITY);
    }
}
