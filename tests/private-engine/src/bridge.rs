//! The network device of an engine of our own.
//!
//! An engine without a `--bridge` of its own takes `docker0`, and one with `--bridge=none` removes
//! it, which breaks the engine that the machine may have.

use std::path::Path;

use crate::debian::output;
use crate::error::Error;

/// Creates the bridge of the engine in `folder`, with an address that no route covers yet.
pub(crate) fn create(folder: &Path) -> Result<String, Error> {
    let name = name(folder);
    remove(&name);
    let routes = output("ip", ["-4", "-o", "route", "show", "table", "all"])?;
    let address = free_address(hash(folder), &routes);
    output("ip", ["link", "add", &name, "type", "bridge"])?;
    let up = output("ip", ["addr", "add", &address, "dev", &name])
        .and_then(|_| output("ip", ["link", "set", &name, "up"]));
    if let Err(error) = up {
        remove(&name);
        return Err(error);
    }
    Ok(name)
}

/// Removes a bridge; one that is not there is fine.
pub(crate) fn remove(name: &str) {
    // Fails where there is no such device, which is what is wanted.
    let _ = output("ip", ["link", "delete", name]);
}

/// The bridge's name: the same for one folder, and within the kernel's 15 characters.
pub(crate) fn name(folder: &Path) -> String {
    format!("br-ail{:08x}", hash(folder) & 0xffff_ffff)
}

/// `10.x.y.1/24` whose network does not occur in `routes`; a machine that uses all gets the first.
fn free_address(seed: u64, routes: &str) -> String {
    let network = |step: u64| {
        let number = (seed >> 32).wrapping_add(step) % (56 * 256);
        format!("10.{}.{}.", 200 + number / 256, number % 256)
    };
    let free = (0..1024).map(network).find(|network| !routes.contains(network.as_str()));
    format!("{}1/24", free.unwrap_or_else(|| network(0)))
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
        let first = free_address(0, "");
        assert_eq!(first, "10.200.0.1/24");
        let routes = "10.200.0.0/24 dev br-a scope link\n10.200.1.0/24 dev br-b scope link\n";
        assert_eq!(free_address(0, routes), "10.200.2.1/24");
    }

    #[test]
    fn names_fit_the_kernel_and_differ_by_folder() {
        let (one, two) = (name(Path::new("/tmp/one")), name(Path::new("/tmp/two")));
        assert!(one.len() < 16, "{one}");
        assert_ne!(one, two);
    }
}
