//! A Docker engine of our own, for the demo and for tests.
//!
//! [`Launch`] starts `dockerd` beside any engine that the machine may have, and shares nothing
//! with it: socket, data, pid file and log are in one folder, the user's engine configuration is
//! not read, and its network is a namespace of its own, with its own bridges, overlays, firewall
//! and ports. All that is seen of it outside is one device, which leads to [`Launch::address`].
//! It reaches this machine ([`machine_address`]) but nothing beyond.
//!
//! Nothing of it outlives its owner. The engine runs in a process and a mount namespace of its
//! own, too, so that the kernel ends every container and every mount with it. A small supervisor
//! (`supervisor.sh`) watches a named pipe that the owner holds open: when the owner lets go of it,
//! in an orderly way, by a panic, by Ctrl-C or by a kill, the supervisor stops the engine and
//! removes what it left. [`Launch::detached`] is the one exception: such an engine runs until
//! [`stop`] is called.
//!
//! [`Client::init_swarm`] makes it a swarm of one node, [`Cluster`] starts a swarm of several, with
//! a registry for all. Where the kernel has no IPVS, Swarm's virtual addresses and its ingress
//! network carry nothing; `endpoint_mode: dnsrr`, the names `tasks.<service>` and ports in host
//! mode do, and overlay networks do.
//!
//! No registry is needed: [`base_image`] makes base images from Debian packages.

mod cluster;
mod containers;
mod debian;
mod engine;
mod error;
mod folder;
mod http;
mod images;
mod network;
mod proxy;
mod registry;
mod stacks;
mod swarm;
mod wait;

pub use cluster::Cluster;
pub use debian::need;
pub use engine::{Launch, PrivateEngine, is_running, stop};
pub use error::Error;
pub use http::{Client, Response};
pub use images::{BaseImage, base_image};
pub use network::machine_address;
pub use proxy::{Asked, Fate, Proxy, answer};
pub use registry::{Registry, RegistryRequest, RequestLog};
pub use wait::wait_for;
