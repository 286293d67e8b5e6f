//! Names that suggest a secret.

/// Parts of names that suggest that the value is nobody's business.
const MARKS: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "apikey",
    "privatekey",
    "auth",
];

/// Whether a variable called `name` likely holds a secret: its value then belongs in no record,
/// message or log.
pub fn suggests_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    MARKS.iter().any(|mark| plain.contains(mark)) || name.to_lowercase().contains("_key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_their_parts() {
        for name in [
            "NPM_TOKEN",
            "dbPassword",
            "API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "SIGNING_KEY",
            "SIGNING_KEY_1",
        ] {
            assert!(suggests_secret(name), "{name}");
        }
        for name in ["NODE_ENV", "PATH", "KEYBOARD", "VERSION"] {
            assert!(!suggests_secret(name), "{name}");
        }
    }
}
