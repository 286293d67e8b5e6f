use proptest::prelude::*;

use super::*;

/// `line:column` of the value at `path` in `json`, exported by `text`.
fn place(text: &str, json: &str, path: &[&str]) -> Option<String> {
    let mut node = Node::from_json(json).unwrap();
    annotate(&mut node, text);
    let mut found = &node;
    for key in path {
        found = match &found.value {
            Value::List(items) => &items[key.parse::<usize>().unwrap()],
            _ => found.get(key).unwrap(),
        };
    }
    found.position.map(|position| format!("{}:{}", position.line, position.column))
}

#[test]
fn finds_nested_keys_and_list_items() {
    let text = "// file: 'no'\nmodule.exports = {\n  web: {\n    dir: '..', file: /* file: */ 'x',\n    \
                packages: ['a',\n      'b'],\n  },\n};\n";
    let json = r#"{"web": {"dir": "..", "file": "x", "packages": ["a", "b"]}}"#;
    assert_eq!(place(text, json, &[]).unwrap(), "2:1");
    assert_eq!(place(text, json, &["web"]).unwrap(), "3:3");
    assert_eq!(place(text, json, &["web", "file"]).unwrap(), "4:16");
    assert_eq!(place(text, json, &["web", "packages", "1"]).unwrap(), "6:7");
}

#[test]
fn skips_strings_templates_and_regular_expressions() {
    let text = "const a = 'web: {'; const b = `web: ${ {web: '}'} } {`; const c = /web: [{/]/;\n\
                module.exports = { 'web': { file: 1 / 2 / 3 } }";
    assert_eq!(place(text, r#"{"web": {"file": 1}}"#, &["web", "file"]).unwrap(), "2:29");
}

#[test]
fn follows_names_functions_and_assignments() {
    let json = r#"{"web": {"file": "x"}}"#;
    let named = "const web = {\n  file: 'x' };\nmodule.exports = { web };";
    assert_eq!(place(named, json, &["web", "file"]).unwrap(), "2:3");
    let whole = "const images = {\n  web: { file: 'x' } };\nmodule.exports = images;";
    assert_eq!(place(whole, json, &["web", "file"]).unwrap(), "2:10");
    let arrow = "module.exports = ({ env }) => ({\n  web: { file: 'x' } });";
    assert_eq!(place(arrow, json, &["web", "file"]).unwrap(), "2:10");
    let function = "module.exports = function () {\n  return { web: { file: 'x' } };\n}";
    assert_eq!(place(function, json, &["web", "file"]).unwrap(), "2:19");
    let assigned = "exports.web = {\n file: 'x' };";
    assert_eq!(place(assigned, json, &["web", "file"]).unwrap(), "2:2");
}

#[test]
fn falls_back_to_the_key_around() {
    let text = "const base = require('./base');\nmodule.exports = {\n  web: { ...base } };";
    assert_eq!(place(text, r#"{"web": {"file": "x"}}"#, &["web", "file"]).unwrap(), "3:3");
    let computed = "module.exports = Object.fromEntries([]);";
    assert_eq!(place(computed, r#"{"web": {"file": "x"}}"#, &["web", "file"]), None);
}

#[test]
fn of_equal_keys_the_last_one_counts() {
    let text = "module.exports = { web: 1,\n web: 2 }";
    assert_eq!(place(text, r#"{"web": 2}"#, &["web"]).unwrap(), "2:2");
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let text = format!("module.exports = {}", "{a:[`${".repeat(50_000));
    place(&text, r#"{"a": [1]}"#, &["a"]);
    let text = format!("module.exports = {}", "{a:[".repeat(50_000));
    place(&text, r#"{"a": [1]}"#, &["a"]);
}

proptest! {
    #[test]
    fn any_text_is_accepted(text in "\\PC*") {
        place(&text, r#"{"a": {"b": [1, {"c": 2}]}, "": 0}"#, &["a"]);
    }

    #[test]
    fn anything_like_javascript_is_accepted(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "module", ".", "exports", "=", "{", "}", "[", "]", "(", ")", "a", "b", ":", ",",
                "'", "\"", "`", "${", "/", "*", "\\", "\n", "return", ">", " ", "c",
            ]),
            0..80,
        )
    ) {
        place(&parts.concat(), r#"{"a": {"b": [1, {"c": 2}]}, "": 0}"#, &["a"]);
    }
}
