//! Whatever is written in a definition, it is read or reported.
#![allow(clippy::unwrap_used)] // A test may end at once.

mod common;

use std::time::Duration;

use ailtire_manifest::{EvaluationCache, Limits, LoadOptions};
use common::App;
use proptest::prelude::*;

fn load(text: &str) {
    let app = App::with_build(text);
    let limits = Limits { time: Duration::from_millis(200), memory: 8 * 1024 * 1024 };
    let options = LoadOptions { limits, ..LoadOptions::default() };
    let cache = EvaluationCache::default();
    app.load_cached(&options, &cache);
    if let Some(bytes) = cache.updated() {
        app.load_cached(&options, &EvaluationCache::decode(&bytes).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,60}") {
        load(&text);
    }

    #[test]
    fn anything_like_javascript(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "module.exports", "=", "{", "}", "[", "]", "(", ")", "web", ":", ",", "'x'", "`", "${",
                "/", "=>", "...", "async ", "await ", "function*", "yield ", "class ", "new ", "throw ",
                "try{", "}catch{", "}finally{", "for(;;)", "while(1)", "return ", "require", "process.env",
                "null", "undefined", "1", "dir", "contexts", "\n", ";", "eval", "this", "with(", "label:",
            ]),
            0..25,
        )
    ) {
        load(&parts.concat());
    }

    #[test]
    fn any_data(
        fields in proptest::collection::vec(
            (
                prop::sample::select(vec![
                    "dir", "file", "tag", "cmd", "env", "args", "packages", "target", "platforms", "labels",
                    "secrets", "modes", "contexts", "other", "",
                ]),
                prop::sample::select(vec![
                    "null", "1", "''", "'.'", "'..'", "'/'", "'../../..'", "[]", "['x']", "[[]]", "{}",
                    "{ a: 1 }", "{ default: {} }", "{ a: { file: '.' } }", "'\\u0000'", "'\u{e4}'", "NaN", "true",
                ]),
            ),
            0..6,
        )
    ) {
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!("'{key}': {value}")).collect();
        load(&format!("module.exports = {{ web: {{ {} }} }};", fields.join(", ")));
    }
}
