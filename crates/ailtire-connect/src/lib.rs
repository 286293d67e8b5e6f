//! What connections to engines and to registries have in common.

mod credentials;
mod stream;
mod tls;

pub use credentials::Credentials;
pub use stream::Stream;
pub use tls::{client_config, system_authorities};
