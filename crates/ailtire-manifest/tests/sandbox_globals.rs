//! The globals of the sandbox that are made when they are first used.
#![allow(clippy::unwrap_used)] // A test may end at once.

mod common;

use std::time::Duration;

use ailtire_events::Diagnostic;
use ailtire_manifest::{Limits, LoadOptions};
use common::{App, assert_clean, line, lines, only};

/// What `body` returns, as text, in a definition of its own.
fn returned(body: &str) -> String {
    let app = App::with_build(&format!(
        "const value = (function () {{ {body} }})();\n\
         module.exports = {{ web: {{ labels: {{ value: `${{value}}` }} }} }};"
    ));
    let loaded = app.load_with(&patient());
    assert!(loaded.diagnostics.is_empty(), "{body}: {:#?}", lines(&loaded));
    loaded.application.images[0].labels["value"].clone()
}

/// Time enough for a busy machine, and little memory.
fn patient() -> LoadOptions {
    let limits = Limits { time: Duration::from_mins(1), memory: 16 * 1024 * 1024 };
    LoadOptions { limits, ..LoadOptions::default() }
}

#[test]
fn they_are_there_however_they_are_reached() {
    for name in ["Date", "process", "console"] {
        let kind = if name == "Date" { "function" } else { "object" };
        for body in [
            format!("return typeof {name};"),
            format!("return typeof globalThis.{name};"),
            format!("const {{ {name}: found }} = globalThis; return typeof found;"),
            format!("with (globalThis) {{ return typeof {name}; }}"),
            format!("return typeof Object.create(globalThis).{name};"),
            format!("return typeof Reflect.get(globalThis, '{name}', 1);"),
            format!("return typeof (0, eval)('{name}');"),
            format!("'use strict'; return typeof {name};"),
            format!("Object.freeze(globalThis); return typeof {name};"),
        ] {
            assert_eq!(returned(&body), kind, "{body}");
        }
        assert_eq!(returned(&format!("return {name} === globalThis.{name};")), "true");
        assert_eq!(
            returned(&format!("Object.freeze(globalThis); return {name} === {name};")),
            "true"
        );
    }
}

#[test]
fn they_are_plain_properties_once_used() {
    for name in ["Date", "process", "console"] {
        let shown = "const d = Object.getOwnPropertyDescriptor(globalThis, name);\n\
            return ['value' in d, d.writable, d.enumerable, d.configurable].join();";
        for first in [format!("{name};"), format!("{name} = 1;"), format!("globalThis.{name} = 1;")]
        {
            let body = format!("const name = '{name}'; {first} {shown}");
            assert_eq!(returned(&body), "true,true,false,true", "{body}");
        }
        let listed = format!("return Object.keys(globalThis).includes('{name}');");
        assert_eq!(returned(&listed), "false");
    }
}

#[test]
fn they_can_be_replaced_and_removed() {
    for name in ["Date", "process", "console"] {
        for (body, expected) in [
            (format!("{name} = 1; return {name};"), "1"),
            (format!("'use strict'; {name} = 1; return {name};"), "1"),
            (format!("{name} = undefined; return typeof {name};"), "undefined"),
            (format!("var {name} = 1; return {name} + typeof globalThis.{name};"), "1object"),
            (format!("(0, eval)('var {name} = 1'); return {name};"), "1"),
            (format!("(0, eval)('function {name}() {{}}'); return typeof {name};"), "function"),
            (format!("delete globalThis.{name}; return typeof {name};"), "undefined"),
            (
                format!(
                    "const {{ get }} = Object.getOwnPropertyDescriptor(globalThis, '{name}');\n\
                     delete globalThis.{name}; get(); return '{name}' in globalThis;"
                ),
                "false",
            ),
            (
                format!(
                    "const o = Object.create(globalThis); o.{name} = 1; return o.{name} + typeof {name};"
                ),
                "1object",
            ),
            (format!("Object.freeze(globalThis); {name} = 1; return typeof {name};"), "object"),
            (
                format!(
                    "Object.defineProperty(globalThis, '{name}', {{ value: 1 }}); return {name};"
                ),
                "1",
            ),
        ] {
            let expected = if name == "Date" {
                expected.replace("object", "function")
            } else {
                expected.into()
            };
            assert_eq!(returned(&body), expected, "{body}");
        }
    }
}

/// Ways to the clock and the time zone for a definition that changes the language around itself.
const ESCAPES: &[&str] = &[
    // The call sites of an error hold functions.
    "new Date({ valueOf() { collect(); return 0; } });",
    "new Date({ [Symbol.toPrimitive]() { collect(); return 0; } });",
    "new Date({ toString() { collect(); return '2020-01-01T00:00'; }, valueOf: null });",
    "new Date(0, { valueOf() { collect(); return 0; } });",
    "const F = function () {}.bind(); Object.defineProperty(F, 'prototype', { get() { collect(); return null; } });\n\
     Reflect.construct(Date, [0], F);",
    "Reflect.construct(Date, [0], new Proxy(function () {}, { get() { collect(); return null; } }));",
    "Date.parse({ toString() { collect(); return '2020-01-01T00:00'; } });",
    "Date.UTC({ valueOf() { collect(); return 0; } });",
    "new Date(0).setHours({ valueOf() { collect(); return 0; } });",
    "new Date(0).toJSON.call({ toISOString() { collect(); }, valueOf() { collect(); return 0; } });",
    // What the guard is made and works with.
    "Array.prototype[Symbol.iterator] = function () { note(this); return { next: () => ({ done: true }) }; };",
    "for (const name of ['call', 'apply', 'bind']) Function.prototype[name] = function (...all) { note(this); for (let i = 0; i < all.length; i++) note(all[i]); };",
    "for (const name of Reflect.ownKeys(Reflect)) if (name !== Symbol.toStringTag) Reflect[name] = function (...all) { for (let i = 0; i < all.length; i++) note(all[i]); };",
    "for (const name of ['UTC', 'parse', 'now', 'value', 'NativeDate', 'offset', '0', 'index'])\n\
       Object.defineProperty(Object.prototype, name, { configurable: true, get() { note(this); }, set(v) { note(this); note(v); } });",
    "globalThis.Proxy = globalThis.Symbol = globalThis.String = function (...all) { note(all[0]); };",
    "RegExp.prototype.exec = RegExp.prototype.test = function (...all) { note(all[0]); return null; };",
];

#[test]
fn no_way_leads_to_the_clock() {
    let prefix = "const found = []; const seen = new Set(); const { ownKeys, getOwnPropertyDescriptor: describe, construct, apply, has } = Reflect;\n\
        const push = (f) => { found[found.length] = f; };\n\
        const note = (f) => { if (typeof f === 'function' && !seen.has(f)) { seen.add(f); push(f); } };\n\
        Error.prepareStackTrace = (error, sites) => sites;\n\
        const collect = () => { const sites = new Error('x').stack; for (let i = 0; i < sites.length; i++) note(sites[i].getFunction()); };\n";
    let suffix = "\nconst ticks = [];\n\
        for (let i = 0; i < found.length; i++) {\n\
          let made; try { made = construct(found[i], []); } catch { continue; }\n\
          try { if (typeof apply(getTime, made, []) === 'number') ticks[ticks.length] = found[i].name; } catch { }\n\
        }\n";
    for escape in ESCAPES {
        let app = App::with_build(&format!(
            "{prefix}const getTime = function () {{ return this.getTime(); }};\ntry {{ {escape} }} catch {{}}\n\
             try {{ const d = new Date(2020, 0, 1); d.getHours(); Date.parse('2020-01-01T00:00'); `${{d}}`; }} catch {{}}\n\
             collect();{suffix}\n\
             module.exports = {{ web: {{ labels: {{ ticks: ticks.length === 0 ? 'none' : ticks[0], seen: found.length > 0 ? 'some' : 'none' }} }} }};"
        ));
        let loaded = app.load_with(&patient());
        assert!(loaded.diagnostics.is_empty(), "{escape}: {:#?}", lines(&loaded));
        let labels = &loaded.application.images[0].labels;
        assert_eq!((&*labels["ticks"], &*labels["seen"]), ("none", "some"), "{escape}");
    }
}

#[test]
fn the_guard_is_whole_among_changed_intrinsics() {
    for change in [
        "Array.prototype[Symbol.iterator] = function () { return { next: () => ({ done: true }) }; };",
        "Object.defineProperty(Object.prototype, 'get', { value: 1, configurable: true });",
        "Object.defineProperty(Function.prototype, 'now', { set() {}, configurable: true });",
        "Object.defineProperty = Reflect.defineProperty = Reflect.construct = undefined;",
        "globalThis.Reflect = globalThis.Proxy = undefined;",
    ] {
        let body = format!(
            "{change}\nlet said = ''; try {{ Date.now(); }} catch (e) {{ said = e.message.slice(0, 12); }}\n\
             try {{ new Date(); }} catch (e) {{ said += e.message.slice(0, 16); }}\n\
             return said + new Date(0).getHours() + new Date(0).toString() + typeof console.log + process.env.NONE;"
        );
        let expected =
            "`Date.now()`the current time0Thu, 01 Jan 1970 00:00:00 GMTfunctionundefined";
        assert_eq!(returned(&body), expected, "{change}");
    }
}

#[test]
fn dates_are_made_of_what_they_always_were() {
    for (expression, expected) in [
        ("new Date(new Date(5)).getTime()", "5"),
        ("new Date({ valueOf: () => 7 }).getTime()", "7"),
        ("new Date({ toString: () => '1970-01-01T00:00' }).getTime()", "0"),
        ("new Date(new String('1970-01-01T00:00')).getTime()", "0"),
        ("new Date({ [Symbol.toPrimitive]: (hint) => hint.length }).getTime()", "7"),
        ("new Date(undefined).getTime()", "NaN"),
        ("new Date(null).getTime()", "0"),
        ("new (class Day extends Date { day() { return this.getTime(); } })(3).day()", "3"),
        ("Reflect.construct(Date, [0], Array) instanceof Array", "true"),
        ("Date.parse('1970-01-01T00:00')", "0"),
        ("Object.prototype.toString.call(new Date(0))", "[object Date]"),
    ] {
        assert_eq!(returned(&format!("return {expression};")), expected, "{expression}");
    }
}

#[test]
fn no_room_for_the_guard_is_no_way_round_it() {
    // Little stack: wherever it ends, the next use finds the guard.
    let body = "let deepest = 0; const dig = (n) => { try { dig(n + 1); } catch { } try { Date.now(); } catch (e) { if (/not available/.test(e.message)) deepest++; else if (!/stack/.test(e.message)) throw e; } };\n\
        dig(0); try { new Date(); } catch (e) { return (deepest > 0) + ' ' + e.message.slice(0, 16); } return 'escaped';";
    assert_eq!(returned(body), "true the current time");
    // Little memory.
    for use_of in ["new Date()", "Date.now()", "console.log(1)", "process.cwd()"] {
        let app = App::with_build(&format!(
            "module.exports = {{ web: {{}} }}; let all = [];\n\
             try {{ for (let n = 1 << 16; n > 8; n >>= 1) try {{ for (;;) all = [all, new Array(n).fill(n)]; }} catch {{ }} }} catch {{ }}\n\
             let value; try {{ value = {use_of}; }} catch {{ }} all = null;\n\
             if (typeof value === 'object' || typeof value === 'number') module.exports = {{ web: {{ labels: {{ escaped: 'yes' }} }} }};\n\
             try {{ value = new Date(); }} catch (e) {{ if (!/not available/.test(e.message)) throw e; value = 0; }}\n\
             if (value !== 0) module.exports = {{ web: {{ labels: {{ escaped: 'yes' }} }} }};"
        ));
        let loaded = app.load_with(&patient());
        let escaped =
            loaded.application.images.iter().any(|image| image.labels.contains_key("escaped"));
        assert!(!escaped, "{use_of}: {:#?}", lines(&loaded));
    }
}

#[test]
fn stacks_show_nothing_of_the_sandbox() {
    let app = App::with_build("module.exports = { web: {} };\nconst f = () => Date.now();\nf();");
    let loaded = app.load();
    let diagnostic: &Diagnostic = only(&loaded);
    assert!(line(diagnostic).contains("@ api/deploy/build.js:2"), "{}", line(diagnostic));
    assert!(!diagnostic.details.join("\n").contains("sandbox"), "{:#?}", diagnostic.details);
    let app = App::with_build("module.exports = { web: {} };");
    assert_clean(&app.load());
}

#[test]
fn threads_are_used_again_and_share_nothing() {
    let app = App::with_build("module.exports = { web: {} };");
    for number in 0..20 {
        app.write(
            &format!("api/Package{number}/index.js"),
            "if (globalThis.leak || {}.leak || !Date.now || Date.leak) throw new Error('leak');\n\
             globalThis.leak = Object.prototype.leak = Date.leak = 1;\n\
             module.exports = { name: __dirname.split('/').pop() };",
        );
    }
    assert_clean(&app.load());
    // One that is stuck in the engine is left behind, and those after it still run.
    app.write("api/Package0/index.js", "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);");
    let limits = Limits { time: Duration::from_millis(500), ..Limits::default() };
    let loaded = app.load_with(&LoadOptions { limits, ..LoadOptions::default() });
    assert!(lines(&loaded).iter().any(|line| line.contains("[definition-time]")), "{loaded:#?}");
    assert!(loaded.diagnostics.len() < 5, "{:#?}", lines(&loaded));
}
