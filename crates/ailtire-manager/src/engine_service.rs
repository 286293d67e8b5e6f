//! A service as the engine has it. What is changed in its spec is sent back with all the rest.

use ailtire_docker::{Engine, EngineError};
use serde::Deserialize;
use serde_json::Value;

/// A service as it was read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EngineService {
    version: Version,
    pub(crate) spec: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    index: u64,
}

impl EngineService {
    /// The service of this name or id.
    pub(crate) async fn read(engine: &Engine, name: &str) -> Result<Self, EngineError> {
        engine.get(format!("/services/{name}")).json().await
    }

    /// The service of this name, if there is one.
    pub(crate) async fn find(engine: &Engine, name: &str) -> Result<Option<Self>, EngineError> {
        match Self::read(engine, name).await {
            Ok(service) => Ok(Some(service)),
            Err(EngineError::Api { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes `spec` the service's, unless somebody changed it since it was read.
    pub(crate) async fn update(
        &self,
        engine: &Engine,
        name: &str,
        spec: &Value,
    ) -> Result<(), EngineError> {
        let update = engine.post(format!("/services/{name}/update"));
        update.query("version", &self.version.index).body(spec).done().await
    }
}
