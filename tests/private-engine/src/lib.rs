//! A Docker engine of our own, for the demo and for tests.
//!
//! [`Launch`] starts `dockerd` beside any engine that the machine may have, and shares nothing
//! with it: socket, data, pid file and log are in one folder, the bridge device is its own, the
//! user's engine configuration is not read and the firewall is not touched.
//!
//! Nothing of it outlives its owner. The engine runs in a process and a mount namespace of its
//! own, so that the kernel ends every container and every mount with it. A small supervisor
//! (`supervisor.sh`) watches a named pipe that the owner holds open: when the owner lets go of it,
//! in an orderly way, by a panic, by Ctrl-C or by a kill, the supervisor stops the engine and
//! removes what it left. [`Launch::detached`] is the one exception: such an engine runs until
//! [`stop`] is called.
//!
//! No registry is needed: [`base_image`] makes base images from Debian packages.

mod bridge;
mod debian;
mod engine;
mod error;
mod folder;
mod http;
mod images;

pub use debian::need;
pub use engine::{Launch, PrivateEngine, is_running, stop};
pub use error::Error;
pub use http::{Client, Response};
pub use images::{BaseImage, base_image};
