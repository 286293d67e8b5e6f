//! What is evaluated again, and what is not.
#![allow(clippy::unwrap_used)] // A test may end at once.

mod common;

use ailtire_manifest::{CacheError, EvaluationCache, LoadOptions};
use common::{App, lines};

/// Loads with the cache of the load before; how many modules were evaluated.
struct Runs {
    app: App,
    options: LoadOptions,
    bytes: Option<Vec<u8>>,
}

impl Runs {
    fn new(app: App) -> Self {
        Self { app, options: LoadOptions::default(), bytes: None }
    }

    fn run(&mut self) -> u64 {
        let cache = self
            .bytes
            .as_deref()
            .map_or_else(EvaluationCache::default, |bytes| EvaluationCache::decode(bytes).unwrap());
        let cached = self.app.load_cached(&self.options, &cache);
        let fresh = self.app.load_with(&self.options);
        assert_eq!(cached.application, fresh.application, "the cache changes no result");
        assert_eq!(lines(&cached), lines(&fresh));
        if let Some(bytes) = cache.updated() {
            self.bytes = Some(bytes);
        }
        cache.evaluations()
    }
}

const INDEX: (&str, &str) = ("api/index.js", "module.exports = { name: 'app' };");

#[test]
fn nothing_is_evaluated_twice() {
    let mut runs = Runs::new(App::with_build("module.exports = { web: require('./web') };"));
    runs.app.write("api/deploy/web.json", "{\"cmd\": \"one\"}");
    assert_eq!(runs.run(), 2);
    assert_eq!(runs.run(), 0);
    runs.app.write("api/deploy/web.json", "{\"cmd\": \"three\"}");
    assert_eq!(runs.run(), 1, "only what requires it");
    runs.app.write("api/deploy/web.js", "module.exports = { cmd: 'four' };");
    assert_eq!(runs.run(), 1, "what is found first now");
    runs.app.remove("api/deploy/web.js");
    assert_eq!(runs.run(), 0, "the evaluation before is still known");
    runs.app.write("api/deploy/unrelated.js", "");
    assert_eq!(runs.run(), 0);
}

#[test]
fn variables_are_inputs_also_when_they_are_not_set() {
    let mut runs =
        Runs::new(App::with_build("module.exports = { web: { cmd: process.env.X || 'unset' } };"));
    assert_eq!(runs.run(), 2);
    runs.options.process_environment.insert("Y".into(), "1".into());
    assert_eq!(runs.run(), 0);
    runs.options.process_environment.insert("X".into(), "top secret".into());
    assert_eq!(runs.run(), 1);
    assert_eq!(runs.run(), 0);
    runs.options.variables.insert("X".into(), "line".into());
    assert_eq!(runs.run(), 1);
}

#[test]
fn values_of_variables_are_not_in_the_cache() {
    let mut runs =
        Runs::new(App::with_build("module.exports = { web: { cmd: process.env.X ? 'a' : 'b' } };"));
    runs.options.process_environment.insert("X".into(), "top secret".into());
    runs.run();
    let bytes = runs.bytes.unwrap();
    assert!(!bytes.windows(10).any(|window| window == b"top secret"));
}

#[test]
fn what_has_read_a_secret_is_not_kept() {
    let build = "module.exports = { web: { env: { T: process.env.NPM_TOKEN || '' } } };";
    let mut runs = Runs::new(App::with_build(build));
    assert_eq!(runs.run(), 2);
    assert_eq!(runs.run(), 0, "nothing to hide while it is not set");
    runs.options.process_environment.insert("NPM_TOKEN".into(), "top secret".into());
    assert_eq!(runs.run(), 1);
    assert_eq!(runs.run(), 1);
    assert!(!runs.bytes.unwrap().windows(10).any(|window| window == b"top secret"));
}

#[test]
fn data_of_the_greatest_depth_is_read_back() {
    let build = "let a = {}; for (let i = 0; i < 120; i++) a = { a }; module.exports = { web: { labels: a } };";
    let mut runs = Runs::new(App::with_build(build));
    assert_eq!(runs.run(), 2);
    assert_eq!(runs.run(), 0);
}

#[test]
fn parameters_are_inputs_of_exported_functions_only() {
    let mut runs =
        Runs::new(App::with_build("module.exports = ({ env }) => ({ web: { cmd: env } });"));
    assert_eq!(runs.run(), 2);
    runs.options.environment = "dev".into();
    assert_eq!(runs.run(), 1);
    runs.options.environment = "default".into();
    assert_eq!(runs.run(), 0, "both environments are kept");
    runs.options.repository = Some("r".into());
    assert_eq!(runs.run(), 1);
}

#[test]
fn one_load_for_each_environment_shares_a_cache() {
    let app = App::with_build("module.exports = { web: { contexts: { default: {}, dev: {} } } };");
    let cache = EvaluationCache::default();
    app.load_cached(&LoadOptions::default(), &cache);
    app.load_cached(&LoadOptions { environment: "dev".into(), ..LoadOptions::default() }, &cache);
    assert_eq!(cache.evaluations(), 2);
}

#[test]
fn links_are_inputs() {
    let mut runs = Runs::new(App::with_build("module.exports = { web: require('./web') };"));
    runs.app.write("one/web.js", "module.exports = { cmd: 'one' };");
    runs.app.write("two/web.js", "module.exports = { cmd: 'two' };");
    runs.app.link("api/deploy/web.js", "../../one/web.js");
    assert_eq!(runs.run(), 2);
    assert_eq!(runs.run(), 0);
    runs.app.remove("api/deploy/web.js");
    runs.app.link("api/deploy/web.js", "../../two/web.js");
    assert_eq!(runs.run(), 1);
}

#[test]
fn notes_and_errors_are_told_again() {
    let mut runs =
        Runs::new(App::with_build("console.log('hello');\nmodule.exports = { web: { fil: 1 } };"));
    runs.app.write("api/P/index.js", "\nthrow new Error('no');");
    runs.app.write("api/Q/index.js", "module.exports = {");
    assert_eq!(runs.run(), 4);
    assert_eq!(runs.run(), 0);
}

#[test]
fn what_was_too_slow_is_tried_again() {
    let mut runs = Runs::new(App::with_build("for (;;);"));
    runs.options.limits.time = std::time::Duration::from_millis(50);
    assert_eq!(runs.run(), 2);
    assert_eq!(runs.run(), 1);
}

#[test]
fn nothing_is_read_when_the_cache_answers() {
    let app = App::new(&[INDEX]);
    let mut cache = EvaluationCache::default();
    let mut index = ailtire_tree::StatIndex::default();
    let mut reads = Vec::new();
    for name in ["A", "B"] {
        app.write(
            &format!("api/{name}/index.js"),
            format!("module.exports = {{ name: '{name}' }};"),
        );
        app.write(&format!("api/{name}/deploy/build.js"), "module.exports = { web: {} };");
        app.write(&format!("api/{name}/deploy/Dockerfile"), "");
    }
    // Time stamps this young are not trusted; the files are read again until they are older.
    for _ in 0..100 {
        let tree = ailtire_tree::Tree::open(app.root(), index).unwrap();
        let loaded = ailtire_manifest::load(&tree, &LoadOptions::default(), &cache);
        common::assert_clean(&loaded);
        reads.push(tree.work().files_read);
        if tree.work().files_read == 0 {
            break;
        }
        let bytes = tree.updated_index();
        index = bytes
            .map_or_else(Default::default, |bytes| ailtire_tree::StatIndex::decode(bytes).unwrap());
        if let Some(bytes) = cache.updated() {
            cache = EvaluationCache::decode(&bytes).unwrap();
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    assert_eq!(reads.last(), Some(&0), "{reads:?}");
}

#[test]
fn packages_that_are_gone_are_forgotten() {
    let mut runs =
        Runs::new(App::new(&[INDEX, ("api/P/index.js", "module.exports = { name: 'P' };")]));
    runs.run();
    let before = runs.bytes.clone().unwrap().len();
    runs.app.remove("api/P/index.js");
    assert_eq!(runs.run(), 0);
    assert_eq!(runs.bytes.clone().unwrap().len(), before, "not worth writing");
    runs.app.write("api/index.js", "module.exports = { name: 'ap2' };");
    runs.run();
    assert!(!runs.bytes.unwrap().windows(14).any(|window| window == b"api/P/index.js"));
}

#[test]
fn what_is_no_cache_is_refused() {
    let mut runs = Runs::new(App::new(&[INDEX]));
    runs.run();
    let mut bytes = runs.bytes.unwrap();
    assert_eq!(EvaluationCache::decode(b"something").unwrap_err(), CacheError::Foreign);
    assert_eq!(EvaluationCache::decode(&bytes[..40]).unwrap_err(), CacheError::Damaged);
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(EvaluationCache::decode(&bytes).unwrap_err(), CacheError::Damaged);
}
