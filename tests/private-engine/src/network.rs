//! The network of an engine of our own.
//!
//! Each engine has a network namespace to itself: its bridges, overlays, firewall rules and ports
//! are nobody else's, and the kernel removes them with it. A pair of devices leads out of it, to
//! this machine or to the switch of a cluster.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::debian::output;
use crate::error::Error;

/// The last byte of the address of an engine that is alone.
const ENGINE: u8 = 2;

/// 254 engines and this machine, in a network that no route of this machine covers.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The device on this machine.
    pub(crate) device: String,
    prefix: [u8; 3],
}

/// How one engine is connected.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// The namespace that the engine's device leads to, as a file of `/proc`.
    pub(crate) outside: PathBuf,
    /// The device's name there.
    pub(crate) device: String,
    /// What the shell does there to connect the device `$1`.
    pub(crate) plug: String,
    pub(crate) address: Ipv4Addr,
    /// The registry of the network, which has no certificate. BuildKit wants it named.
    pub(crate) registry: Option<String>,
}

impl Network {
    /// The network of the engine or cluster in `folder`.
    pub(crate) fn choose(folder: &Path) -> Result<Self, Error> {
        let routes = output("ip", ["-4", "-o", "route", "show", "table", "all"])?;
        Ok(Self { device: name(folder), prefix: free_prefix(hash(folder), &routes) })
    }

    /// The address of one member.
    pub(crate) fn address(&self, number: u8) -> Ipv4Addr {
        let [first, second, third] = self.prefix;
        Ipv4Addr::new(first, second, third, number)
    }

    /// This machine's address in the network.
    pub(crate) fn machine(&self) -> Ipv4Addr {
        machine_address(self.address(0))
    }

    /// An engine that nothing else is connected to but this machine.
    pub(crate) fn direct(&self) -> Connection {
        Connection {
            outside: "/proc/self/ns/net".into(),
            device: self.device.clone(),
            plug: format!("ip addr add {}/24 dev \"$1\" && ip link set \"$1\" up", self.machine()),
            address: self.address(ENGINE),
            registry: None,
        }
    }
}

/// The address under which an engine of our own, and what runs in it, reaches this machine.
pub fn machine_address(engine: Ipv4Addr) -> Ipv4Addr {
    let [first, second, third, _] = engine.octets();
    Ipv4Addr::new(first, second, third, 1)
}

/// A name that is the same for one folder, and within the kernel's 15 characters for a device.
pub(crate) fn name(folder: &Path) -> String {
    format!("ail{:08x}", hash(folder) & 0xffff_ffff)
}

/// `10.x.y` that does not occur in `routes`; a machine that uses all gets the first.
fn free_prefix(seed: u64, routes: &str) -> [u8; 3] {
    let prefix = |step: u64| {
        let [.., second, third] = ((seed >> 32).wrapping_add(step) % (50 * 256)).to_be_bytes();
        [10, 200 + second, third]
    };
    let is_free =
        |[first, second, third]: &[u8; 3]| !routes.contains(&format!("{first}.{second}.{third}."));
    (0..1024).map(prefix).find(is_free).unwrap_or_else(|| prefix(0))
}

/// FNV-1a: stable among runs and releases, unlike the standard library's hashers.
fn hash(folder: &Path) -> u64 {
    let bytes = folder.as_os_str().as_encoded_bytes();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_with_a_route_is_not_taken() {
        assert_eq!(free_prefix(0, ""), [10, 200, 0]);
        let routes = "10.200.0.0/24 dev br-a scope link\n10.200.1.0/24 dev br-b scope link\n";
        assert_eq!(free_prefix(0, routes), [10, 200, 2]);
        assert_eq!(free_prefix(12_799 << 32, ""), [10, 249, 255]);
    }

    #[test]
    fn names_fit_the_kernel_and_differ_by_folder() {
        let (one, two) = (name(Path::new("/tmp/one")), name(Path::new("/tmp/two")));
        assert!(one.len() < 16, "{one}");
        assert_ne!(one, two);
    }
}
