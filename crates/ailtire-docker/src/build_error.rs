//! What can go wrong with a build.

use ailtire_context::ContentError;
use ailtire_events::BuildFailure;

use crate::EngineError;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A step failed, or the Dockerfile can't be built.
    #[error("{}", .0.message)]
    Failed(Box<BuildFailure>),
    /// A file was not what the build context says while it was sent. No image was made of it.
    #[error("`{path}` changed while it was sent")]
    SourceChanged {
        /// The file, relative to the application root.
        path: String,
    },
    /// A file could not be read while it was sent.
    #[error("`{path}` could not be read: {why}")]
    SourceUnreadable {
        /// The file, relative to the application root.
        path: String,
        /// Why.
        why: String,
    },
    /// A build secret is not there. Nothing was sent.
    #[error("the build secret `{id}` could not be read: {why}")]
    Secret {
        /// Id of the secret.
        id: String,
        /// Why: names the file or the variable, never the value.
        why: String,
    },
    /// What was asked for needs BuildKit, and the engine has none.
    #[error("{what} needs BuildKit, which the Docker engine does not have")]
    NeedsBuildKit {
        /// What needs it.
        what: String,
    },
    /// The build was cancelled by the engine or by somebody else who uses it.
    #[error("the build was cancelled")]
    Cancelled,
    /// The engine could not be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl BuildError {
    /// What to do next, where that can be said.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Failed(failure) => failure.help.clone(),
            Self::SourceChanged { .. } => {
                Some("build again when nothing else writes to the source tree".to_owned())
            }
            Self::SourceUnreadable { .. } => {
                Some("make the file readable, or leave it out by `.dockerignore`".to_owned())
            }
            Self::Secret { .. } => Some(
                "set the variable or create the file that the definition's `secrets` names"
                    .to_owned(),
            ),
            Self::NeedsBuildKit { .. } => Some(
                "use an engine with BuildKit (Docker 18.09 or later), or unset `DOCKER_BUILDKIT=0`"
                    .to_owned(),
            ),
            Self::Cancelled => None,
            Self::Engine(error) => Some(error.help()),
        }
    }
}

impl From<ContentError> for BuildError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Changed { path } => Self::SourceChanged { path },
            ContentError::Unreadable { path, why } => Self::SourceUnreadable { path, why },
        }
    }
}
