//! Builds with the classic builder.
use crate::config_file::ConfigFile;
use crate::{BuildError, BuildRequest, BuiltImage, Engine};
use ailtire_events::EventSink;
pub(crate) async fn build(
    _e: &Engine,
    _c: &ConfigFile,
    _r: &BuildRequest,
    _s: &dyn EventSink,
) -> Result<BuiltImage, BuildError> {
    Err(BuildError::Cancelled)
}
