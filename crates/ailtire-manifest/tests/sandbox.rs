//! What definitions can and can't do.
#![allow(clippy::unwrap_used)] // A test may end at once.

mod common;

use std::time::Duration;

use ailtire_events::Diagnostic;
use ailtire_manifest::{Limits, LoadOptions};
use common::{App, assert_clean, line, lines, only};

/// The label `value` of the only image, for an expression that gives its value.
fn value_of(expression: &str) -> String {
    let app = App::with_build(&format!(
        "module.exports = {{ web: {{ labels: {{ value: String({expression}) }} }} }};"
    ));
    let loaded = app.load();
    assert_clean(&loaded);
    loaded.application.images[0].labels["value"].clone()
}

/// The only diagnostic of an application with this `build.js`.
fn complaint(build: &str) -> String {
    line(only(&App::with_build(build).load_with(&patient())))
}

#[test]
fn common_js_is_there() {
    assert_eq!(
        value_of("typeof module.exports + typeof exports + typeof require"),
        "objectobjectfunction"
    );
    assert_eq!(value_of("this === module.exports"), "true");
    assert_eq!(
        value_of("__dirname + ' ' + __filename"),
        "/app/api/deploy /app/api/deploy/build.js"
    );
    assert_eq!(value_of("(function () { return this === globalThis })()"), "true", "sloppy mode");
}

#[test]
fn path_module_is_that_of_posix() {
    for (expression, expected) in [
        ("join('a', '..', 'b/', './c')", "b/c"),
        ("join('')", "."),
        ("join('a/', '')", "a/"),
        ("normalize('/../a//b/..')", "/a"),
        ("resolve('x')", "/app/x"),
        ("resolve('/a', '../b')", "/b"),
        ("dirname('/a/b/')", "/a"),
        ("dirname('a')", "."),
        ("dirname('/a')", "/"),
        ("basename('/a/b.js', '.js')", "b"),
        ("extname('a.b.c')", ".c"),
        ("extname('.bashrc')", ""),
        ("relative('/a/b', '/a/c/d')", "../c/d"),
        ("isAbsolute('/a')", "true"),
        ("parse('/a/b.c').name", "b"),
        ("format({ dir: 'a', name: 'b', ext: '.c' })", "a/b.c"),
        ("posix.sep", "/"),
    ] {
        assert_eq!(value_of(&format!("require('path').{expression}")), expected, "{expression}");
    }
    assert_eq!(value_of("require('node:path').sep"), "/");
}

#[test]
fn modules_are_required_relative_to_the_one_that_asks() {
    let app = App::with_build("module.exports = require('../../lib/images')('web');");
    app.write(
        "lib/images/index.js",
        "const { file } = require('../data.json'); const twice = require('./twice');\n\
        module.exports = (name) => ({ [name]: { file, labels: { n: twice(2) } } });",
    );
    app.write("lib/data.json", "{\"file\": \"Dockerfile\"}");
    app.write("lib/images/twice.js", "#!/usr/bin/env node\nmodule.exports = (n) => 2 * n;");
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].labels["n"], "4");
}

#[test]
fn modules_that_require_each_other_see_what_is_there() {
    let app = App::with_build("exports.web = { labels: require('./a').labels };");
    app.write(
        "api/deploy/a.js",
        "exports.early = 1; const b = require('./b'); exports.labels = { early: b.early };",
    );
    app.write("api/deploy/b.js", "exports.early = require('./a').early;");
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].labels["early"], "1");
}

#[test]
fn what_is_not_available_is_refused_with_a_reason() {
    for (expression, part) in [
        ("require('fs')", "the module `fs` is not available"),
        ("require('/etc/passwd')", "the module `/etc/passwd` is not available"),
        ("require('./missing')", "looked for `api/deploy/missing`, `api/deploy/missing.js`"),
        ("require('./Dockerfile')", "neither a .js nor a .json file"),
        ("require('../../../outside')", "leads out of the application root"),
        ("Date.now()", "`Date.now()` is not available in a definition: the result would change"),
        ("new Date()", "the current time is not available"),
        ("Date()", "the current time is not available"),
        ("Reflect.construct(Date, [])", "the current time is not available"),
        ("new (new Date(0).constructor)()", "the current time is not available"),
        ("Math.random()", "`Math.random()` is not available"),
        ("process.cwd()", "`process.cwd` is not available"),
        ("Object.keys(process.env)", "listing `process.env` is not available"),
        ("({ ...process.env })", "listing `process.env` is not available"),
        ("setTimeout(() => 1)", "setTimeout is not defined"),
        ("performance.now()", "performance is not defined"),
        ("new WeakRef({})", "WeakRef is not defined"),
        ("std.open('x')", "std is not defined"),
    ] {
        let text = complaint(&format!("module.exports = {{}};\nString({expression});"));
        assert!(text.starts_with("error[definition-throws]"), "{expression}: {text}");
        assert!(text.contains(part), "{expression}: {text}");
        assert!(text.contains("@ api/deploy/build.js:2"), "{expression}: {text}");
    }
}

#[test]
fn a_link_that_leads_outside_is_refused() {
    let outside = App::new(&[("secret.js", "module.exports = 1;")]);
    let app = App::with_build("module.exports = { web: {} }; require('./link');");
    app.link("api/deploy/link.js", outside.root().join("secret.js").to_str().unwrap());
    app.link("api/deploy/inside.js", "../index.js");
    let text = line(only(&app.load()));
    assert!(text.contains("`api/deploy/link.js` leads out of the application root"), "{text}");
    app.write(
        "api/deploy/build.js",
        "module.exports = { web: { tag: require('./inside').name } };",
    );
    assert_clean(&app.load());
}

#[test]
fn dates_do_not_depend_on_the_time_zone() {
    assert_eq!(value_of("new Date(2020, 0, 2, 3).toISOString()"), "2020-01-02T03:00:00.000Z");
    assert_eq!(value_of("new Date('2020-01-02T03:00').getTime()"), "1577934000000");
    assert_eq!(value_of("new Date('2020-01-02T03:00Z').getHours()"), "3");
    assert_eq!(value_of("new Date('2020-01-02').getTimezoneOffset()"), "0");
    assert_eq!(value_of("new Date(0) instanceof Date"), "true");
}

#[test]
fn variables_are_read_by_name() {
    let app = App::with_build(
        "const { env } = process; module.exports = { web: { labels: {\n\
         a: env.A, b: String(env.B), has: 'A' in env, own: Object.hasOwn(env, 'B') } } };",
    );
    let mut options = LoadOptions::default();
    options.process_environment.insert("A".into(), "process".into());
    let loaded = app.load_with(&options);
    assert_clean(&loaded);
    let labels = &loaded.application.images[0].labels;
    let values: Vec<&str> = labels.values().map(String::as_str).collect();
    assert_eq!(values, ["process", "undefined", "true", "false"]);
    options.variables.insert("A".into(), "command line".into());
    assert_eq!(app.load_with(&options).application.images[0].labels["a"], "command line");
}

#[test]
fn console_output_becomes_notes() {
    let app = App::with_build("module.exports = { web: {} };\nconsole.log('hello', { a: 1 }, 2);");
    let text = line(only(&app.load()));
    assert_eq!(text, "note[console] hello {\"a\":1} 2 @ api/deploy/build.js:2:9");
    let app = App::with_build("module.exports = {}; for (let i = 0; i < 1e4; i++) console.log(i);");
    assert_eq!(app.load().diagnostics.len(), 201);
}

#[test]
fn an_exported_function_gets_the_command_lines_choices() {
    let app = App::with_build(
        "module.exports = ({ env, name, repo, version }) => ({\n web: { labels: { all: [env, name, repo, version].join() } } });",
    );
    let options = LoadOptions {
        environment: "dev".into(),
        name: Some("first".into()),
        repository: Some("example.org/team".into()),
        version: Some("1.2".into()),
        ..LoadOptions::default()
    };
    let loaded = app.load_with(&options);
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].labels["all"], "dev,first,example.org/team,1.2");
}

#[test]
fn syntax_errors_have_their_place_and_an_excerpt() {
    let loaded = App::with_build("module.exports = {\n  web: { file: 'x' dir: '..' },\n};").load();
    let diagnostic = only(&loaded);
    assert!(line(diagnostic).starts_with("error[syntax-error] this is not valid JavaScript"));
    let location = diagnostic.location.as_ref().unwrap();
    assert_eq!(location.to_string(), "api/deploy/build.js:2:20");
    assert_eq!(location.excerpt.as_deref(), Some("  web: { file: 'x' dir: '..' },"));
    let text = complaint("let 1a;");
    assert!(text.contains("@ api/deploy/build.js:1:5"), "{text}");
    let text = complaint("module.exports = {\n");
    assert!(text.contains("@ api/deploy/build.js:1"), "{text}");
    let loaded = App::with_build("export default {};").load();
    assert!(only(&loaded).help.as_deref().unwrap().contains("module.exports"));
}

#[test]
fn a_broken_required_file_is_the_place_to_look_at() {
    let app = App::with_build("module.exports = require('./data.json');");
    app.write("api/deploy/data.json", "{\n  \"a\": nonsense\n}");
    let text = line(only(&app.load()));
    assert!(
        text.contains("is not valid JSON") && text.contains("@ api/deploy/data.json:2:9"),
        "{text}"
    );
    let app = App::with_build("module.exports = {};\nrequire('./part');");
    app.write("api/deploy/part.js", "\n\nthrow new TypeError('no good');");
    let loaded = app.load();
    let diagnostic = only(&loaded);
    assert_eq!(
        line(diagnostic),
        "error[definition-throws] the definition threw `TypeError: no good` @ api/deploy/part.js:3:11"
    );
    assert!(diagnostic.details.iter().any(|frame| frame.contains("build.js:2")), "{diagnostic:#?}");
    let frames = diagnostic.details.join("\n");
    assert!(!frames.contains("sandbox") && !frames.contains("native"), "{frames}");
}

#[test]
fn anything_can_be_thrown() {
    assert_eq!(
        complaint("throw 'text';"),
        "error[definition-throws] the definition threw `\"text\"` @ api/deploy/build.js"
    );
    complaint("throw { toString() { throw 1 } };");
    complaint(
        "const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { throw 1 } }); throw e;",
    );
    complaint("throw undefined;");
    complaint("throw Symbol('x');");
}

#[test]
fn promises_are_refused() {
    for build in [
        "module.exports = (async () => ({}))();",
        "module.exports = async () => ({});",
        "module.exports = { web: Promise.resolve({}) };",
        "module.exports = {}; import('./x.js');",
        "module.exports = {}; queueMicrotask(() => {}); Promise.resolve();",
    ] {
        let text = complaint(build);
        assert!(text.starts_with("error[definition-asynchronous]"), "{build}: {text}");
    }
}

#[test]
fn exported_data_is_what_json_makes_of_it() {
    let app = App::with_build(
        "module.exports = { web: { dir: undefined, tag: { toJSON: () => 'shop_web' }, cmd: () => 1,\n\
         labels: { n: new Number(3), d: new Date(0) } } };",
    );
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].references, ["shop_web:latest"]);
    assert_eq!(loaded.application.images[0].labels["d"], "1970-01-01T00:00:00.000Z");
    for (build, code, part) in [
        (
            "const a = { b: {} }; a.b.c = a; module.exports = { web: a };",
            "export-cycle",
            "`web.b.c`",
        ),
        ("module.exports = { web: { labels: { n: 1n } } };", "export-invalid", "BigInt"),
        ("module.exports = { web: { cmd: '\\ud800' } };", "export-invalid", ""),
        (
            "let a = {}; for (let i = 0; i < 100000; i++) a = { a }; module.exports = a;",
            "export-depth",
            "",
        ),
        (
            "let a = {}; for (let i = 0; i < 200; i++) a = { a }; module.exports = a;",
            "export-depth",
            "",
        ),
        ("module.exports = { web: { cmd: 'x'.repeat(1e7) } };", "export-size", "8 MiB"),
        ("module.exports = { get web() { throw new Error('no'); } };", "definition-throws", "no"),
        (
            "module.exports = new Proxy({}, { ownKeys() { throw new Error('no'); } });",
            "definition-throws",
            "no",
        ),
    ] {
        let text = complaint(build);
        assert!(
            text.starts_with(&format!("error[{code}]")) && text.contains(part),
            "{build}: {text}"
        );
    }
}

#[test]
fn only_objects_can_be_exported() {
    for (build, what) in [
        ("module.exports = [1];", "a list"),
        ("module.exports = 'web';", "a string"),
        ("module.exports = null;", "null"),
        ("module.exports = undefined;", "nothing that JSON can write"),
        ("module.exports = () => () => 1;", "nothing that JSON can write"),
    ] {
        let text = complaint(build);
        assert!(text.contains(&format!("an object must be exported, not {what}")), "{text}");
    }
    assert!(complaint("\nmodule.exports = [1];").ends_with("@ api/deploy/build.js:2:1"));
}

#[test]
fn a_function_that_is_dropped_is_told() {
    let text = complaint("module.exports = { web: () => ({}) };");
    assert!(text.starts_with("warning[dropped-function] `web` is a function"), "{text}");
}

/// Limits that end a test soon.
fn short() -> LoadOptions {
    let limits = Limits { time: Duration::from_millis(200), memory: 16 * 1024 * 1024 };
    LoadOptions { limits, ..LoadOptions::default() }
}

/// Little memory, and time enough to use it up on a busy machine.
fn little_memory() -> LoadOptions {
    let limits = Limits { time: Duration::from_mins(1), memory: 16 * 1024 * 1024 };
    LoadOptions { limits, ..LoadOptions::default() }
}

/// Time enough for a busy machine.
fn patient() -> LoadOptions {
    let limits = Limits { time: Duration::from_mins(1), ..Limits::default() };
    LoadOptions { limits, ..LoadOptions::default() }
}

#[test]
fn loops_end() {
    for build in [
        "let n = 0;\nfor (;;) n++;",
        "try { for (;;); } catch { } finally { for (;;); }",
        "/(a+)+$/.test('a'.repeat(40) + 'b');",
        "module.exports = { get a() { for (;;); } };",
        "module.exports = () => { for (;;); };",
        "module.exports = { toJSON() { for (;;); } };",
        "const e = new Error('x'); Object.defineProperty(e, 'message', { get() { for (;;); } }); throw e;",
        // The engine does not look at its clock in here.
        "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);",
    ] {
        let loaded = App::with_build(build).load_with(&short());
        let text = line(only(&loaded));
        assert!(
            text.starts_with("error[definition-time] the definition ran longer than 0.2 s"),
            "{text}"
        );
    }
    let loaded = App::with_build("let n = 0;\nfor (;;) n++;").load_with(&short());
    assert!(line(only(&loaded)).contains("@ api/deploy/build.js:"), "{:?}", lines(&loaded));
}

#[test]
fn memory_ends() {
    for build in [
        "const all = [];\nfor (;;) all.push(new Array(1000).fill(1));",
        "const all = []; for (let n = 0; ; n++) all.push('x'.repeat(1e5 + n));",
        "module.exports = 'x'.repeat(2 ** 28);",
        "const all = {}; for (let i = 0; ; i++) all['key' + i] = { i };",
        "new ArrayBuffer(2 ** 30);",
    ] {
        let loaded = App::with_build(build).load_with(&little_memory());
        let text = line(only(&loaded));
        // It is by the size of the last request whether there is room left for an error.
        let is_told = text
            .starts_with("error[definition-memory] the definition used more than 16 MiB")
            || only(&loaded)
                .help
                .as_ref()
                .is_some_and(|help| help.contains("it used more than 16 MiB"));
        assert!(is_told, "{build}: {text}");
    }
}

#[test]
fn recursion_ends() {
    for build in [
        "function f() { return f() + 1; }\nf();",
        "const f = () => [1].map(f); f();",
        "const o = { toString() { return String(this); } }; String(o);",
        "JSON.parse('['.repeat(1e6));",
        "eval('('.repeat(1e5));",
        "new Function('['.repeat(1e5));",
        "new RegExp('('.repeat(1e5));",
        "const p = new Proxy({}, { get(t, k, r) { return r[k]; } }); p.x;",
    ] {
        let loaded = App::with_build(build).load();
        assert!(loaded.diagnostics.iter().any(Diagnostic::is_error), "{build}");
    }
    let text = complaint("function f() { return f() + 1; }\nf();");
    assert!(text.starts_with("error[definition-stack]"), "{text}");
    let app = App::with_build(&format!(
        "module.exports = {{ web: {}1{} }};",
        "[".repeat(100_000),
        "]".repeat(100_000)
    ));
    assert!(app.load().diagnostics.iter().any(Diagnostic::is_error));
}

#[test]
fn memory_that_is_caught_does_no_harm() {
    let app = App::with_build(
        "try { const a = []; for (;;) a.push(new Array(1000).fill(1)); } catch {}\nmodule.exports = { web: {} };",
    );
    app.load_with(&little_memory());
}

#[test]
fn text_that_is_no_text_is_refused() {
    let app = App::with_build("");
    app.write("api/deploy/build.js", b"module.exports = {};\n// \xff\n");
    assert!(line(only(&app.load())).contains("is not UTF-8 at line 2"));
    app.write("api/deploy/build.js", "module.exports = {};\0");
    assert!(line(only(&app.load())).contains("NUL"));
    app.write("api/deploy/build.js", "\u{feff}module.exports = { web: {} };");
    assert_clean(&app.load());
}

#[test]
fn breaking_out_of_the_wrapper_leads_nowhere() {
    for build in ["module.exports = {}; }\n{", "}\nif (true) {", "module.exports = {}; })", "{"] {
        let text = complaint(build);
        assert!(text.starts_with("error[syntax-error]"), "{build}: {text}");
    }
    let app = App::with_build("}:0;\nglobalThis.escaped = typeof host; 1?function () {");
    assert!(app.load().application.images.is_empty());
    let text =
        complaint("module.exports = {}; require.constructor('return process')().binding('fs');");
    assert!(text.contains("`process.binding` is not available"), "{text}");
}

#[test]
fn an_evaluation_sees_nothing_of_another() {
    let app = App::with_build(
        "globalThis.leak = 1; Object.prototype.evil = 1; module.exports = { web: {} };",
    );
    app.write("api/Other/index.js", "if (typeof leak !== 'undefined' || {}.evil) throw new Error('leak'); module.exports = { name: 'Other' };");
    assert_clean(&app.load());
}
