//! Names in the engine, within its limits.

use crate::Network;

/// How long a service's name may be, in bytes.
pub const SERVICE_NAME_LIMIT: usize = 63;

/// How long a network's name may be, in bytes.
pub const NETWORK_NAME_LIMIT: usize = 63;

/// How long a config's or a secret's name may be, in bytes.
pub const FILE_NAME_LIMIT: usize = 64;

/// Hexadecimal digits of a hash in a name: 48 bits.
pub const HASH_DIGITS: usize = 12;

/// `name`, or, where it is longer than `limit` bytes, its beginning and a hash of the whole of it.
///
/// The same name gives the same result everywhere and always, and different names give different
/// results. Where the limit leaves no room for a beginning, only the hash is left.
///
/// ```
/// use ailtire_compose::{SERVICE_NAME_LIMIT, shorten};
///
/// assert_eq!(shorten("myapp-dev_web", SERVICE_NAME_LIMIT), "myapp-dev_web");
/// let long = shorten(&"orders_".repeat(20), SERVICE_NAME_LIMIT);
/// assert!(long.starts_with("orders_orders_") && long.len() == SERVICE_NAME_LIMIT);
/// ```
pub fn shorten(name: &str, limit: usize) -> String {
    if name.len() <= limit {
        return name.to_owned();
    }
    let hash = blake3::Hasher::new_derive_key("ailtire-build shortened name 1")
        .update(name.as_bytes())
        .finalize()
        .to_hex();
    let digits = HASH_DIGITS.min(limit);
    let mut end = limit.saturating_sub(digits + 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let beginning = name.get(..end).unwrap_or_default();
    let separator = if beginning.is_empty() { "" } else { "-" };
    format!("{beginning}{separator}{}", hash.get(..digits).unwrap_or_default())
}

/// The name in the engine of the network that the design of the stack `instance` knows as `key`;
/// `network` is how the design defines it, if it does.
///
/// Names that a design gives are shortened too: the format makes them of whole paths. An external
/// network is meant by the same name under which another stack makes it.
pub fn network_name(instance: &str, key: &str, network: Option<&Network>) -> String {
    match network {
        Some(Network { name: Some(name), .. }) => shorten(name, NETWORK_NAME_LIMIT),
        Some(Network { external: true, .. }) => shorten(key, NETWORK_NAME_LIMIT),
        _ => shorten(&format!("{instance}_{key}"), NETWORK_NAME_LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shortened_name_never_changes() {
        // Names are what running stacks are found by: other results would lose them.
        assert_eq!(
            shorten(&"a".repeat(64), SERVICE_NAME_LIMIT),
            format!("{}-{}", "a".repeat(50), "f81503890eae")
        );
    }

    #[test]
    fn a_limit_without_room_leaves_the_hash() {
        assert_eq!(shorten("a-rather-long-name", 5).len(), 5);
        assert_eq!(shorten("a-rather-long-name", 0), "");
    }

    proptest! {
        #[test]
        fn names_keep_the_limit(name in "\\PC{0,100}", limit in 0_usize..80) {
            prop_assert!(shorten(&name, limit).len() <= limit);
            prop_assert_eq!(shorten(&name, limit), shorten(&name, limit));
        }

        #[test]
        fn different_names_stay_different(
            beginning in "[a-z][a-z_-]{40,70}",
            ends in prop::collection::hash_set("[a-z0-9]{1,20}", 2..20),
        ) {
            let names: HashSet<String> = ends
                .iter()
                .map(|end| shorten(&format!("{beginning}_{end}"), SERVICE_NAME_LIMIT))
                .collect();
            prop_assert_eq!(names.len(), ends.len());
        }

        #[test]
        fn shortened_names_are_valid(name in "[a-z0-9]([_-]?[a-z0-9]){40,70}") {
            // What the engine asks of a service's name: it begins and ends with a letter or digit.
            let short = shorten(&name, SERVICE_NAME_LIMIT);
            let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            prop_assert!(plain(short.as_bytes().first()) && plain(short.as_bytes().last()));
            prop_assert!(short.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        }
    }
}
