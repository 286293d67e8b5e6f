//! The version in a `package.json`, changed without touching anything else.

use std::ops::Range;

use serde::de::IgnoredAny;

/// Why a `package.json` can't carry a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1, where known.
    pub column: Option<u32>,
}

/// `content`, a JSON object, with `"version": version`; every other byte stays as it is.
///
/// # Errors
///
/// [`Problem`] where `content` is no valid JSON object.
pub fn with_version(content: &[u8], version: &str) -> Result<Vec<u8>, Problem> {
    let start = if content.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    serde_json::from_slice::<IgnoredAny>(&content[start..]).map_err(|error| Problem {
        message: error.to_string(),
        line: u32::try_from(error.line()).unwrap_or(1).max(1),
        column: u32::try_from(error.column()).ok().filter(|column| *column > 0),
    })?;
    let mut scan = Scan { content, position: start };
    scan.space();
    if scan.peek() != Some(b'{') {
        let message = "it holds no object".to_owned();
        return Err(Problem { message, line: 1, column: None });
    }
    scan.position += 1;
    let first = scan.position;
    let version = serde_json::Value::from(version).to_string();
    let (range, text) = if let Some(range) = scan.version() {
        (range, version)
    } else {
        scan.position = first;
        scan.space();
        let space = String::from_utf8_lossy(&content[first..scan.position]);
        let text = match scan.peek() {
            Some(b'}') => format!("\"version\": {version}"),
            _ => format!("{space}\"version\": {version},"),
        };
        (first..first, text)
    };
    Ok([&content[..range.start], text.as_bytes(), &content[range.end..]].concat())
}

/// Finds its way in JSON that is known to be valid.
struct Scan<'content> {
    content: &'content [u8],
    position: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.content.get(self.position).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    /// Where the value of `version` stands in the object whose `{` was just read. Of several the
    /// last, which is the one that counts.
    fn version(&mut self) -> Option<Range<usize>> {
        let mut found = None;
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return found;
            }
            let key = self.value();
            self.space();
            self.position += 1; // the colon
            self.space();
            let value = self.value();
            let key = serde_json::from_slice::<String>(&self.content[key]);
            if key.is_ok_and(|key| key == "version") {
                found = Some(value);
            }
            self.space();
            if self.peek() != Some(b',') {
                return found;
            }
            self.position += 1;
        }
    }

    /// Reads one value, whatever it is.
    fn value(&mut self) -> Range<usize> {
        let start = self.position;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => break,
                _ => {}
            }
            self.position += 1;
            if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
                break;
            }
        }
        start..self.position
    }

    /// Goes to the quote that ends the string which starts here.
    fn string(&mut self) {
        loop {
            self.position += 1;
            match self.peek() {
                Some(b'\\') => self.position += 1,
                Some(b'"') | None => return,
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changed(text: &str) -> String {
        String::from_utf8(with_version(text.as_bytes(), "9.9").unwrap()).unwrap()
    }

    #[test]
    fn only_the_value_changes() {
        assert_eq!(
            changed("{ \"version\" :\t\"1.0\" , \"a\": {\"version\": \"x\"} }\r\n"),
            "{ \"version\" :\t\"9.9\" , \"a\": {\"version\": \"x\"} }\r\n",
        );
        assert_eq!(
            changed(r#"{"a":["}",{"b":"\"]"}],"version":12}"#),
            r#"{"a":["}",{"b":"\"]"}],"version":"9.9"}"#
        );
        assert_eq!(changed("\u{feff}{\"version\":null}"), "\u{feff}{\"version\":\"9.9\"}");
    }

    #[test]
    fn the_last_of_several_counts_however_its_key_is_written() {
        assert_eq!(
            changed(r#"{"version":"1","\u0076ersion":"2"}"#),
            r#"{"version":"1","\u0076ersion":"9.9"}"#,
        );
    }

    #[test]
    fn a_missing_version_is_put_first() {
        assert_eq!(changed("{}"), r#"{"version": "9.9"}"#);
        assert_eq!(changed("{ }"), r#"{"version": "9.9" }"#);
        assert_eq!(
            changed("{\n  \"name\": \"x\"\n}"),
            "{\n  \"version\": \"9.9\",\n  \"name\": \"x\"\n}",
        );
    }

    #[test]
    fn what_is_no_object_is_a_problem_with_its_place() {
        let problem = with_version(b"{\n  \"a\": 1,\n}", "1").unwrap_err();
        assert_eq!((problem.line, problem.column), (3, Some(1)));
        assert!(with_version(b"[]", "1").is_err());
        assert!(with_version(b"", "1").is_err());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            ".*".prop_map(serde_json::Value::from),
        ];
        let key = prop_oneof![Just("version".to_owned()), ".*"];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                proptest::collection::btree_map(key.clone(), inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_object_gets_the_version_and_nothing_else(value in json(), pretty: bool) {
            let render = if pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
            let content = render(&value).unwrap();
            let result = with_version(&content, "9.9");
            let serde_json::Value::Object(mut expected) = value else {
                prop_assert!(result.is_err());
                return Ok(());
            };
            expected.insert("version".to_owned(), "9.9".into());
            let actual: serde_json::Value = serde_json::from_slice(&result.unwrap()).unwrap();
            prop_assert_eq!(actual, serde_json::Value::Object(expected));
        }

        #[test]
        fn no_content_makes_it_panic(content: Vec<u8>) {
            let _ = with_version(&content, "1");
        }
    }
}
