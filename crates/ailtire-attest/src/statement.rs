//! Statements about images: in-toto, version 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// Something that is said about a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Named>,
    /// What kind of thing is said.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said.
    pub predicate: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    digest: BTreeMap<String, String>,
}

impl Statement {
    /// A statement about the manifest with `digest` (`sha256:…`), which is called `name`.
    pub fn about(name: &str, digest: &str, predicate_type: &str, predicate: Value) -> Self {
        let (algorithm, digits) = digest.split_once(':').unwrap_or(("sha256", digest));
        let digest = BTreeMap::from([(algorithm.to_owned(), digits.to_owned())]);
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![Named { name: name.to_owned(), digest }],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// The statement as JSON.
    pub fn bytes(&self) -> Vec<u8> {
        // Strings, numbers and maps of strings always have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a statement; `None` for what is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let statement: Self = serde_json::from_slice(bytes).ok()?;
        (statement.kind == STATEMENT).then_some(statement)
    }

    /// Whether it is about the manifest with `digest` (`sha256:…`), and about nothing else.
    pub fn is_about(&self, digest: &str) -> bool {
        let Some((algorithm, digits)) = digest.split_once(':') else { return false };
        let [subject] = &self.subject[..] else { return false };
        subject.digest.get(algorithm).is_some_and(|it| it == digits)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_statement_is_about_one_digest() {
        let statement = Statement::about("a:1", "sha256:aa", "https://x/y", json!({ "b": 1 }));
        let expected = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "a:1", "digest": { "sha256": "aa" } }],
            "predicateType": "https://x/y",
            "predicate": { "b": 1 },
        });
        assert_eq!(serde_json::from_slice::<Value>(&statement.bytes()).unwrap(), expected);
        assert_eq!(Statement::read(&statement.bytes()), Some(statement.clone()));
        assert!(statement.is_about("sha256:aa"));
        for other in ["sha256:ab", "sha512:aa", "aa", ""] {
            assert!(!statement.is_about(other), "{other}");
        }
        let mut two = statement;
        two.subject.push(two.subject[0].clone());
        assert!(!two.is_about("sha256:aa"), "which of both would it mean?");
    }

    #[test]
    fn what_is_no_statement_is_none() {
        let other = json!({ "_type": "x", "subject": [], "predicateType": "", "predicate": null });
        for text in ["", "{}", "[]", &other.to_string()] {
            assert_eq!(Statement::read(text.as_bytes()), None);
        }
    }
}
