//! The only crate that talks to a Docker engine.
//!
//! An [`Engine`] is one engine, found as the Docker command finds it ([`EndpointOptions`]). It
//! lists images ([`ImageStore`]), builds them ([`BuildRequest`]), tags, removes, pulls and pushes
//! them.
//!
//! Builds go through BuildKit where the engine has it. A build context is never packed: the engine
//! asks over a session for what it does not have yet, and gets it straight from the source tree.
//! An engine without BuildKit gets a tar stream, made while it is sent.
//!
//! Everything else of the engine's API is reached by [`ApiRequest`]: plain JSON, as the API has it.
//!
//! Building is the feature `build`, which is on by default: what only runs images needs neither
//! contexts nor BuildKit's protocol.
//!
//! What a file of a context holds is checked while it is sent. A build whose sources changed
//! meanwhile ends as [`BuildError::SourceChanged`], whatever the engine made of it.

mod api;
#[cfg(feature = "build")]
mod build;
#[cfg(feature = "build")]
mod build_error;
#[cfg(feature = "build")]
mod buildkit;
#[cfg(feature = "build")]
mod classic;
mod config_file;
#[cfg(feature = "build")]
mod content;
mod credentials;
mod dial;
#[cfg(feature = "build")]
mod dockerfile_lines;
mod endpoint;
mod engine;
mod error;
mod exec;
mod http_client;
mod images;
#[cfg(feature = "build")]
mod progress;
mod push;
#[cfg(feature = "build")]
mod redact;
mod registry;
mod registry_setup;
#[cfg(feature = "build")]
mod secrets;
mod stream;
mod swarm_info;
#[cfg(test)]
#[cfg(feature = "build")]
mod test_data;
mod tls;

pub use ailtire_connect::Credentials;
pub use api::ApiRequest;
#[cfg(feature = "build")]
pub use build::{BuildRequest, BuiltImage};
#[cfg(feature = "build")]
pub use build_error::BuildError;
pub use endpoint::{BuilderKind, EndpointOptions};
pub use engine::Engine;
pub use error::EngineError;
pub use exec::Executed;
pub use images::ImageStore;
pub use push::PushedImage;
pub use registry_setup::RegistrySetup;
#[cfg(feature = "build")]
pub use secrets::SecretValueSource;
pub use stream::{ApiStream, LogLine};
pub use swarm_info::{SwarmInfo, SwarmState};
