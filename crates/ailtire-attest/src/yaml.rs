//! YAML as lock files have it: mappings and lists of text. What a scalar stands for is left to who
//! reads it, since versions look like numbers.

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

/// How deep lists and mappings may nest: no lock file goes deeper.
const DEPTH: usize = 32;

/// A list or mapping that has begun.
enum Open {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

/// The documents of `text`.
///
/// # Errors
///
/// Why it can't be read, in words.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let (mut open, mut documents) = (Vec::new(), Vec::new());
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, _) = event.map_err(|error| error.to_string())?;
        let value = match event {
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) => {
                begin(&mut open, Open::List(Vec::new()))?;
                continue;
            }
            Event::MappingStart(..) => {
                begin(&mut open, Open::Map(Map::new(), None))?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Map(map, _)) => Value::Object(map),
                None => continue,
            },
            Event::Alias(_) => return Err("no lock file has aliases".to_owned()),
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map(map, key)) => match (key.take(), value) {
                (Some(key), value) => drop(map.insert(key, value)),
                (None, Value::String(text)) => *key = Some(text),
                (None, _) => return Err("a key is no text".to_owned()),
            },
        }
    }
    Ok(documents)
}

fn begin(open: &mut Vec<Open>, new: Open) -> Result<(), String> {
    if open.len() == DEPTH {
        return Err(format!("it nests deeper than {DEPTH} levels"));
    }
    open.push(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_stay_text() {
        let text = "a: 1.10\n'b c': [x, {y: null}]\n---\n- 1\n";
        let expected = [json!({ "a": "1.10", "b c": ["x", { "y": "null" }] }), json!(["1"])];
        assert_eq!(documents(text).unwrap(), expected);
        assert_eq!(documents("").unwrap(), [] as [Value; 0]);
    }

    #[test]
    fn what_no_lock_file_has_is_an_error() {
        for text in ["a: [", "a: &x 1\nb: *x\n", "? [a]\n: 1\n", &"[".repeat(100_000)] {
            assert!(documents(text).is_err(), "{}", &text[..8.min(text.len())]);
        }
    }
}
