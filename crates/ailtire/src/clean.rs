//! Forgetting what was built.

use ailtire_docker::Engine;
use serde::Serialize;

use crate::{Application, Error};

/// What cleaning did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CleanReport {
    /// References that were taken from the engine.
    pub removed: Vec<String>,
    /// References that the engine kept, and why.
    pub kept: Vec<(String, String)>,
}

impl Application {
    /// Drops the state, and takes the recorded images out of `engine` if one is given.
    ///
    /// Only images that this tool built and that still are what it built are removed.
    ///
    /// # Errors
    ///
    /// [`Error`] where the state or the engine can't be used.
    pub async fn clean(&self, engine: Option<&Engine>) -> Result<CleanReport, Error> {
        let mut report = CleanReport::default();
        if let Some(engine) = engine {
            let store = engine.images().await?;
            for record in self.state.records(&engine.describe())?.all() {
                for reference in &record.references {
                    if store.id_of(reference) != Some(&*record.image_id) {
                        continue;
                    }
                    match engine.remove_image(reference).await {
                        Ok(()) => report.removed.push(reference.clone()),
                        Err(error) => report.kept.push((reference.clone(), error.to_string())),
                    }
                }
            }
        }
        if let Some(lock) = &self.lock {
            self.state.clear(lock)?;
        }
        Ok(report)
    }
}
