//! What to build, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ailtire_context::BuildContext;

use ailtire_events::EventSink;

use crate::redact::Redactor;
use crate::{BuildError, Engine, SecretValueSource, buildkit, classic, secrets};

/// One image to build.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// What events call the image.
    pub image: String,
    /// References that the image gets; the engine moves them from what had them before.
    pub references: Vec<String>,
    /// What the build may read.
    pub context: Arc<BuildContext>,
    /// The application root, which the context's sources are relative to.
    pub source_root: PathBuf,
    /// Build arguments.
    pub build_arguments: BTreeMap<String, String>,
    /// The stage of the Dockerfile; absent: the last one.
    pub target: Option<String>,
    /// Platforms to build for; empty: the engine's own.
    pub platforms: Vec<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Build secrets by id.
    pub secrets: BTreeMap<String, SecretValueSource>,
    /// Whether every step has to run again.
    pub no_cache: bool,
    /// Images in registries whose steps are not run again where they would come out the same. One
    /// that can't be had is done without. Only BuildKit knows what to do with them.
    pub cache_from: Vec<String>,
    /// Stable for this context and unique among contexts. The engine keeps what was sent under
    /// this key: a key that changes sends everything again, and so does one that is shared.
    pub context_key: String,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// Its id, as [`ImageStore`](crate::ImageStore) lists it.
    pub image_id: String,
    /// Bytes that were sent for this build, protocol included.
    pub bytes_sent: u64,
    /// Steps of the Dockerfile that did not have to run.
    pub steps_cached: usize,
    /// Steps of the Dockerfile that the build looked at.
    pub steps_total: usize,
}

impl Engine {
    /// Builds an image. Dropping the future cancels the build.
    ///
    /// # Errors
    ///
    /// [`BuildError`]; where it is returned none of the references was moved, but for a classic
    /// build that broke while it set the second or a later one.
    pub async fn build(
        &self,
        request: &BuildRequest,
        sink: &dyn EventSink,
    ) -> Result<BuiltImage, BuildError> {
        let redactor = Redactor::new(&secrets::read_all(&request.secrets)?, sink);
        let built = if self.has_buildkit() {
            buildkit::build(self.http(), self.config(), request, &redactor).await
        } else {
            classic::build(self, self.config(), request, &redactor).await
        };
        built.map_err(|error| redactor.error(error))
    }
}
