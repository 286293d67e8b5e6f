//! What is wrong with definitions and selectors, as a person and as a program reads it.

use snapbox::str;

use crate::support::TestApplication;

fn broken() -> TestApplication {
    TestApplication::new(&[
        ("api/index.js", "module.exports = { name: 'Broken' };\n"),
        (
            "deploy/build.js",
            "module.exports = {\n  web: { dir: 'web', fiel: 'x' },\n  Doc: { dir: 'nowhere' },\n};\n",
        ),
        ("deploy/web/Dockerfile", "FROM scratch\n"),
        ("api/Shop/index.js", "module.exports = { name: 'Shop' };\n"),
        ("api/Shop/deploy/build.js", "module.exports = {\n  cart: makeCart(),\n};\n"),
    ])
}

#[test]
fn check_reports_everything_at_once() {
    broken().run(&["check"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error[invalid-directory]: the directory `deploy/nowhere` does not exist
 --> deploy/build.js:3:10
  |
3 |   Doc: { dir: 'nowhere' },
  |          ^^^
  |
  = help: `dir` is relative to the directory of `build.js`, `deploy`

error[definition-throws]: the definition threw `ReferenceError: makeCart is not defined`
 --> api/Shop/deploy/build.js:2:9
  |
2 |   cart: makeCart(),
  |         ^
  |
  = help: `makeCart` is neither part of the language nor of what definitions have: `module`, `exports`, `require`, `process.env`, `console`, `__dirname`, `__filename`

warning[unknown-field]: `web.fiel` is not a known field, and is ignored
 --> deploy/build.js:2:22
  |
2 |   web: { dir: 'web', fiel: 'x' },
  |                      ^^^^
  |
  = help: did you mean `file`?

      failed 2 packages, 1 image: 2 errors, 1 warning

"#]]);
}

#[test]
fn check_has_one_object_a_line_for_programs() {
    let run = broken().run(&["check", "--message-format", "json"]);
    assert_eq!((run.code, &*run.stderr), (Some(2), ""), "{run}");
    let findings: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(findings.len() >= 3, "{run}");
    for finding in &findings {
        assert!(finding["severity"].is_string() && finding["code"].is_string(), "{finding}");
        assert!(finding["message"].is_string(), "{finding}");
    }
}

#[test]
fn a_sound_application_is_ok() {
    TestApplication::shop().run(&["check"]).is(str![[r#"
exit 0
-- stdout
-- stderr
          ok 2 packages, 2 images: 0 errors, 0 warnings

"#]]);
    let run = TestApplication::shop().run(&["check", "--quiet"]);
    assert_eq!(run.to_string(), "exit 0\n-- stdout\n-- stderr\n");
}

#[test]
fn warnings_do_not_fail() {
    let application = TestApplication::shop();
    application.put("deploy/build.js", "module.exports = { base: { dir: 'base', fiel: 1 } };\n");
    let run = application.run(&["check"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("warning[unknown-field]"), "{run}");
    assert!(run.stderr.contains("0 errors, 1 warning"), "{run}");
}

#[test]
fn broken_definitions_stop_every_command_that_needs_them() {
    let application = broken();
    for arguments in [&["build"][..], &["plan"], &["why", "web"], &["graph"], &["context", "web"]] {
        let run = application.run(arguments);
        assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{run}");
        assert!(run.stderr.contains("in the definitions"), "{run}");
        assert!(run.stderr.contains("makeCart"), "{run}");
    }
}

#[test]
fn programs_get_the_findings_of_a_build_as_events() {
    let run = broken().run(&["build", "--message-format", "json"]);
    assert_eq!(run.code, Some(2), "{run}");
    let first: serde_json::Value =
        serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["reason"], "diagnostic");
    assert!(!run.stderr.contains("-->"), "people's form is not mixed in: {run}");
}

#[test]
fn notes_are_shown_to_who_asks() {
    let application = TestApplication::shop();
    application.put(
        "deploy/build.js",
        "console.log('hello');\nmodule.exports = { base: { dir: 'base' } };\n",
    );
    assert!(!application.run(&["plan"]).stderr.contains("hello"));
    assert!(application.run(&["plan", "-v"]).stderr.contains("hello"));
}

#[test]
fn every_wrong_selector_is_named_with_what_was_meant() {
    let application = TestApplication::shop();
    application.run(&["plan", "Shopp", "wbe", "nothing*"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error[nothing-selected]: nothing is called `Shopp`: no package, no image
 |
 = help: did you mean `Shop` or `sShop`?

error[nothing-selected]: nothing is called `wbe`: no package, no image
 |
 = help: did you mean `web`?

error[nothing-selected]: no package and no image matches `nothing*`
 |
 = help: `ailtire-build graph` lists packages and images


"#]]);
    application.run(&["why", "*"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error: `*` names 2 images, not one
hint: choose among `myapp-base:latest`, `shop-web:latest`

"#]]);
}
