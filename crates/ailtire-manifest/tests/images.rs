//! What `build.js` says of images.
#![allow(clippy::unwrap_used)] // A test may end at once.

mod common;

use std::collections::BTreeMap;

use ailtire_events::Severity;
use ailtire_manifest::{EvaluationCache, ImageDefinition, LoadOptions, Modes, SecretSource, load};
use ailtire_tree::{StatIndex, Tree};
use common::{App, assert_clean, line, lines, only};

/// The only image of an application with this definition of `web`.
fn image(definition: &str) -> ImageDefinition {
    let loaded = App::with_build(&format!("module.exports = {{ web: {definition} }};")).load();
    assert_clean(&loaded);
    loaded.application.images[0].clone()
}

/// The diagnostics of an application with this definition of `web`, without place.
fn complaints(definition: &str) -> Vec<String> {
    let loaded = App::with_build(&format!("module.exports = {{\n  web: {definition} }};")).load();
    let without_place = |line: String| line.split(" @ ").next().unwrap_or_default().to_owned();
    lines(&loaded).into_iter().map(without_place).collect()
}

fn strings(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn an_empty_definition_has_defaults() {
    let image = image("{}");
    assert_eq!(image.name, "web");
    assert_eq!(image.references, ["shop-web:latest"]);
    assert_eq!(
        (image.directory.as_str(), image.dockerfile.as_str()),
        ("api/deploy", "api/deploy/Dockerfile")
    );
    assert_eq!((image.command, image.target, image.modes), (None, None, Modes::Canonical));
    assert_eq!(image.location.to_string(), "api/deploy/build.js:1:20");
}

#[test]
fn every_field_is_read() {
    let image = image(
        "{ dir: '..', file: 'Dockerfile', tag: 'team/web:1', cmd: 'node server.js',\n\
         env: { A: 'a', B: 2, C: true, D: 0.5 }, args: { E: 'e' }, packages: ['Shop', 'shop', ' Sh op'],\n\
         target: 'final', platforms: ['linux/amd64', 'linux/arm/v7'], labels: { l: 1 },\n\
         secrets: { npm: { file: '../npmrc' }, token: { env: 'TOKEN' } }, modes: 'preserve' }",
    );
    assert_eq!(
        (image.directory.as_str(), image.dockerfile.as_str()),
        ("api", "api/deploy/Dockerfile")
    );
    assert_eq!(image.references, ["team/web:1"]);
    assert_eq!(image.command.as_deref(), Some("node server.js"));
    assert_eq!(
        strings(&image.build_arguments),
        [("A", "a"), ("B", "2"), ("C", "true"), ("D", "0.5"), ("E", "e")]
    );
    let written: Vec<&str> = image.packages.iter().map(|placed| placed.written.as_str()).collect();
    assert_eq!(written, ["Shop", "shop"]);
    assert_eq!(image.target.as_deref(), Some("final"));
    assert_eq!(image.platforms, ["linux/amd64", "linux/arm/v7"]);
    assert_eq!(strings(&image.labels), [("l", "1")]);
    assert_eq!(image.secrets["npm"], SecretSource::File("api/npmrc".into()));
    assert_eq!(image.secrets["token"], SecretSource::Env("TOKEN".into()));
    assert_eq!(image.modes, Modes::Preserve);
}

#[test]
fn images_keep_the_order_of_build_js() {
    let app = App::with_build("module.exports = { z: {}, a: {}, m: {} };");
    let names: Vec<String> =
        app.load().application.images.into_iter().map(|image| image.name).collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn wrong_types_are_errors_each_at_its_place() {
    let app = App::with_build(
        "module.exports = {\n  web: {\n    dir: 1,\n    file: [],\n    tag: {},\n    cmd: ['a'],\n    \
         env: { A: null, B: {} },\n    packages: 'Shop',\n    target: true,\n    platforms: 7,\n    \
         labels: [],\n    secrets: { a: 'x', b: {}, c: { file: '', env: '' } },\n    modes: 'preserv',\n  },\n  \
         api: 'x',\n  good: {},\n};",
    );
    let loaded = app.load();
    assert!(loaded.diagnostics.iter().all(|found| found.severity == Severity::Error));
    let mut places: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|found| {
            found.location.as_ref().unwrap().to_string().split_off("api/deploy/build.js:".len())
        })
        .collect();
    places.sort_by_key(|place| {
        place.split(':').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(
        places,
        [
            "3:5", "5:5", "6:5", "7:12", "7:21", "8:5", "9:5", "10:5", "11:5", "12:16", "12:24",
            "12:31", "13:5", "15:3",
        ]
    );
    let names: Vec<&str> =
        loaded.application.images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["good"]);
    assert!(
        loaded.diagnostics.iter().all(|found| found.location.as_ref().unwrap().excerpt.is_some())
    );
}

#[test]
fn an_unknown_field_is_a_warning_with_the_nearest_known_one() {
    let loaded =
        App::with_build("module.exports = {\n  web: { fil: 'Dockerfile', zzz: 1 } };").load();
    assert_eq!(
        lines(&loaded),
        [
            "warning[unknown-field] `web.fil` is not a known field, and is ignored @ api/deploy/build.js:2:10",
            "warning[unknown-field] `web.zzz` is not a known field, and is ignored @ api/deploy/build.js:2:29",
        ]
    );
    assert_eq!(loaded.diagnostics[0].help.as_deref(), Some("did you mean `file`?"));
    assert!(loaded.diagnostics[1].help.as_deref().unwrap().starts_with("known fields are `dir`"));
    assert_eq!(loaded.application.images.len(), 1);
}

const CONTEXTS: &str = "module.exports = { web: { contexts: {\n default: { cmd: 'default' }, dev: { cmd: 'dev' } } },\n\
                        tool: { contexts: { dev: {}, prod: {} } } };";

#[test]
fn contexts_give_each_environment_its_own() {
    let app = App::with_build(CONTEXTS);
    let load = |environment: &str| {
        app.load_with(&LoadOptions { environment: environment.into(), ..LoadOptions::default() })
    };
    let loaded = load("dev");
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].command.as_deref(), Some("dev"));
    assert_eq!(
        loaded.environments.iter().map(String::as_str).collect::<Vec<_>>(),
        ["default", "dev", "prod"]
    );
    let loaded = load("prod");
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].command.as_deref(), Some("default"));
    let loaded = load("default");
    assert_eq!(
        line(only(&loaded)),
        "error[no-context] `tool` is not defined without an environment @ api/deploy/build.js:3:9"
    );
    assert!(loaded.diagnostics[0].help.as_deref().unwrap().contains("`dev`, `prod`"));
    assert_eq!(loaded.application.images.len(), 1);
    let loaded = load("pord");
    assert_eq!(loaded.diagnostics.len(), 2);
    assert!(loaded.diagnostics[0].help.as_deref().unwrap().starts_with("did you mean `prod`?"));
    assert_eq!(
        line(&loaded.diagnostics[1]),
        "warning[unknown-environment] no image has a context for the environment `pord`"
    );
}

#[test]
fn contexts_can_be_wrong_too() {
    assert_eq!(
        complaints("{ contexts: [] }"),
        ["error[wrong-type] `web.contexts` must be an object, not a list"]
    );
    assert_eq!(
        complaints("{ contexts: { default: 1 } }"),
        ["error[wrong-type] `web.contexts.default` must be an object, not a number"]
    );
    assert_eq!(
        complaints("{ contexts: {} }"),
        ["error[empty-contexts] the `contexts` of `web` are empty"]
    );
    assert_eq!(
        complaints("{ dir: '.', contexts: { default: {} } }"),
        [
            "warning[field-beside-contexts] `web.dir` is ignored, because it stands beside `contexts`"
        ]
    );
    assert_eq!(
        complaints("{ contexts: { default: { contexts: {} } } }"),
        [
            "warning[unknown-field] `web.contexts.default.contexts` is not a known field, and is ignored"
        ]
    );
}

#[test]
fn the_dockerfile_is_looked_up_in_both_directories() {
    let app = App::with_build("module.exports = { web: { dir: '..', file: 'web/Dockerfile' } };");
    let no = line(only(&app.load()));
    assert!(
        no.starts_with("error[no-dockerfile] there is no Dockerfile for `web`: looked for `api/web/Dockerfile` and `api/deploy/web/Dockerfile` @ "),
        "{no}"
    );
    app.write("api/deploy/web/Dockerfile", "");
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].dockerfile, "api/deploy/web/Dockerfile");
    app.write("api/web/Dockerfile", "");
    let loaded = app.load();
    assert_eq!(
        line(only(&loaded)),
        "warning[two-dockerfiles] `api/web/Dockerfile` is used, and `api/deploy/web/Dockerfile` could be meant as well @ api/deploy/build.js:1:38"
    );
    assert_eq!(loaded.application.images[0].dockerfile, "api/web/Dockerfile");
}

#[test]
fn the_dockerfile_may_lie_outside_the_directory() {
    let app = App::with_build(
        "module.exports = { web: { dir: 'web', file: '../../../docker/Dockerfile' } };",
    );
    app.make_directory("api/deploy/web");
    app.write("docker/Dockerfile", "");
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].dockerfile, "docker/Dockerfile");
}

#[test]
fn paths_that_are_wrong_are_told() {
    for (definition, expected) in [
        (
            "{ dir: 'missing' }",
            "error[invalid-directory] the directory `api/deploy/missing` does not exist",
        ),
        (
            "{ dir: 'Dockerfile' }",
            "error[invalid-directory] the directory `api/deploy/Dockerfile` is not a directory",
        ),
        ("{ dir: '../../..' }", "error[path-outside] `../../..` leads out of the application root"),
        ("{ dir: '/etc' }", "error[absolute-path] `/etc` is an absolute path"),
        ("{ file: '/etc/hosts' }", "error[absolute-path] `/etc/hosts` is an absolute path"),
        (
            "{ file: '.' }",
            "error[no-dockerfile] there is no Dockerfile for `web`: looked for `api/deploy` (a directory)",
        ),
        (
            "{ secrets: { a: { file: '../../../x' } } }",
            "error[path-outside] `../../../x` leads out of the application root",
        ),
        (
            "{ secrets: { a: { file: '/run/x' } } }",
            "error[absolute-path] `/run/x` is an absolute path",
        ),
    ] {
        assert_eq!(complaints(definition), [expected]);
    }
}

#[test]
fn paths_made_from_dirname_are_understood() {
    let app = App::with_build(
        "const path = require('path');\nmodule.exports = { web: { dir: path.resolve(__dirname, '..'), file: path.join(__dirname, 'Dockerfile') },\n\
         all: { dir: path.join(__dirname, '../..'), file: 'api/deploy/Dockerfile' } };",
    );
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(loaded.application.images[0].directory, "api");
    assert_eq!(loaded.application.images[1].directory, "");
}

#[test]
fn links_inside_are_followed_and_links_outside_refused() {
    let outside = App::new(&[("Dockerfile", "")]);
    let app = App::with_build("module.exports = { web: { dir: 'here' } };");
    app.link("api/deploy/here", "../../web");
    app.write("web/Dockerfile", "");
    let loaded = app.load();
    assert_eq!(loaded.application.images[0].directory, "web");
    app.remove("api/deploy/here");
    app.link("api/deploy/here", outside.root().to_str().unwrap());
    assert!(line(only(&app.load())).starts_with("error[path-outside] `here` leads out"));
}

#[test]
fn what_is_allowed_outside_is_used() {
    let outer = App::new(&[
        ("shared/web/Dockerfile", ""),
        ("shop/api/index.js", "module.exports = { name: 'shop' };"),
        (
            "shop/deploy/build.js",
            "module.exports = { web: { dir: '../../shared/web', secrets: { a: { file: '../../shared/a' } } } };",
        ),
    ]);
    let root = outer.root().join("shop");
    let allowed = [outer.root().join("shared")];
    let tree = Tree::open_with_outside(&root, &allowed, StatIndex::default()).unwrap();
    let loaded = load(&tree, &LoadOptions::default(), &EvaluationCache::default());
    assert_clean(&loaded);
    let image = &loaded.application.images[0];
    assert_eq!(
        (image.directory.as_str(), image.dockerfile.as_str()),
        ("../shared/web", "../shared/web/Dockerfile")
    );
    assert_eq!(image.secrets["a"], SecretSource::File("../shared/a".into()));
}

#[test]
fn the_default_tag_names_application_packages_and_image() {
    let app = App::new(&[
        ("api/index.js", "module.exports = { name: 'My Shop' };"),
        ("api/Orders/index.js", "module.exports = { name: 'Orders' };"),
        ("api/Orders/plain/Billing/index.js", "module.exports = { name: 'Billing Service' };"),
        ("api/Orders/plain/Billing/deploy/build.js", "module.exports = { Web: {} };"),
        ("api/Orders/plain/Billing/deploy/Dockerfile", ""),
    ]);
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(
        loaded.application.images[0].references,
        ["myshop-orders-billingservice-web:latest"]
    );
}

#[test]
fn repository_and_version_are_part_of_references() {
    let app =
        App::with_build("module.exports = { a: {}, b: { tag: 'x:1.0' }, c: { tag: 'y:2.0' } };");
    let options = LoadOptions {
        repository: Some("localhost:5000/team/".into()),
        version: Some("2.0".into()),
        ..LoadOptions::default()
    };
    let loaded = app.load_with(&options);
    assert_clean(&loaded);
    let references: Vec<&[String]> =
        loaded.application.images.iter().map(|image| &*image.references).collect();
    assert_eq!(
        references[0],
        ["localhost:5000/team/shop-a:latest", "localhost:5000/team/shop-a:2.0"]
    );
    assert_eq!(references[1], ["localhost:5000/team/x:1.0", "localhost:5000/team/x:2.0"]);
    assert_eq!(references[2], ["localhost:5000/team/y:2.0"]);
    assert_eq!(loaded.application.release_version.as_deref(), Some("2.0"));
    let options = LoadOptions {
        repository: Some("Team/_x".into()),
        version: Some("1.0+build".into()),
        ..LoadOptions::default()
    };
    let loaded = app.load_with(&options);
    assert_eq!(loaded.diagnostics.len(), 2, "told once, not for each image: {:#?}", lines(&loaded));
    assert_eq!(loaded.diagnostics[0].code, "invalid-repository");
    assert_eq!(loaded.diagnostics[1].help.as_deref(), Some("use `--version 1.0-build`"));
}

#[test]
fn invalid_tags_come_with_a_suggestion_that_can_be_applied() {
    let app = App::with_build(
        "module.exports = {\n  a: { tag: '_cp_web' },\n  b: { tag: 'Team/Web:X' },\n  _c: {},\n  d: { tag: '***' } };",
    );
    let loaded = app.load();
    let helps: Vec<&str> =
        loaded.diagnostics.iter().filter_map(|found| found.help.as_deref()).collect();
    assert_eq!(
        helps,
        [
            "use `tag: 'cp_web'`, or let `--fix-tags` do it",
            "use `tag: 'team/web:X'`, or let `--fix-tags` do it",
            "use `tag: 'shop_c'`, or let `--fix-tags` do it",
            "give it a `tag` of lower-case letters and digits",
        ]
    );
    assert!(line(&loaded.diagnostics[0]).ends_with("@ api/deploy/build.js:2:8"));
    assert!(line(&loaded.diagnostics[2]).ends_with("@ api/deploy/build.js:4:3"));
    let loaded = app.load_with(&LoadOptions {
        fix_tags: true,
        repository: Some("r".into()),
        ..LoadOptions::default()
    });
    let references: Vec<&str> =
        loaded.application.images.iter().map(ImageDefinition::reference).collect();
    assert_eq!(references, ["r/cp_web:latest", "r/team/web:X", "r/shop_c:latest"]);
    assert_eq!(only(&loaded).code, "invalid-tag");
    assert_eq!(
        complaints(
            "{ tag: 'x@sha256:0000000000000000000000000000000000000000000000000000000000000000' }"
        )
        .len(),
        1
    );
}

#[test]
fn two_images_with_one_reference_are_an_error_with_both_places() {
    let app = App::with_build(
        "module.exports = {\n  a: { tag: 'web' },\n  b: { tag: 'docker.io/library/web:latest' },\n  c: { tag: 'web:2' } };",
    );
    let loaded = app.load();
    let diagnostic = only(&loaded);
    assert!(
        line(diagnostic).starts_with("error[duplicate-tag] `a` and `b` both make"),
        "{}",
        line(diagnostic)
    );
    assert_eq!(diagnostic.location.as_ref().unwrap().line, Some(3));
    assert_eq!(diagnostic.related[0].location.line, Some(2));
    assert!(diagnostic.related[0].location.excerpt.is_some());
    let options = LoadOptions { version: Some("2".into()), ..LoadOptions::default() };
    assert_eq!(app.load_with(&options).diagnostics.len(), 2, "a:2, b:2 and c:2 are one image");
    let app = App::with_build(
        "module.exports = { a: { contexts: { dev: { tag: 'x' }, default: { tag: 'y' } } }, b: { tag: 'x' } };",
    );
    assert_clean(&app.load());
}

#[test]
fn the_command_lines_variables_win() {
    let app = App::with_build(
        "module.exports = { web: { env: { A: 'definition', B: 'b' }, args: { B: 'other' } } };",
    );
    let mut options = LoadOptions::default();
    options.variables.insert("A".into(), "line".into());
    options.variables.insert("C".into(), "c".into());
    let loaded = app.load_with(&options);
    assert_eq!(
        strings(&loaded.application.images[0].build_arguments),
        [("A", "line"), ("B", "b"), ("C", "c")]
    );
    assert!(line(only(&loaded)).starts_with("warning[two-values] `B` has one value in `env`"));
}

#[test]
fn names_of_build_arguments_are_checked() {
    assert_eq!(
        complaints("{ env: { 'A=B': 'c' }, args: { '': 1 } }"),
        [
            "error[invalid-variable] `A=B` cannot be the name of a build argument",
            "error[invalid-variable] `` cannot be the name of a build argument",
        ]
    );
    assert_eq!(image("{ cmd: ' ', target: '' }").target, None);
}

#[test]
fn packages_and_platforms_are_checked() {
    assert_eq!(
        complaints("{ packages: ['shpo'] }"),
        ["error[unknown-package] there is no package `shpo`"]
    );
    assert_eq!(
        image("{ platforms: 'linux/amd64, linux/arm64' }").platforms,
        ["linux/amd64", "linux/arm64"]
    );
    assert_eq!(complaints("{ platforms: ['linux', 'Linux/amd64'] }").len(), 2);
    let app = App::with_build("module.exports = { web: { packages: ['api/Orders'] } };");
    app.write("api/Orders/index.js", "module.exports = { name: 'Orders' };");
    let loaded = app.load();
    assert_eq!(only(&loaded).help.as_deref(), Some("write the package's key, `Orders`"));
}

#[test]
fn a_broken_build_js_hides_no_other() {
    let app = App::with_build("throw new Error('x');");
    app.write("api/P/index.js", "module.exports = { name: 'P' };");
    app.write("api/P/deploy/build.js", "module.exports = { web: {}, bad: 1 };");
    app.write("api/P/deploy/Dockerfile", "");
    let loaded = app.load();
    assert_eq!(loaded.diagnostics.len(), 2);
    assert_eq!(loaded.application.images[0].reference(), "shop-p-web:latest");
}

#[test]
fn images_are_found_by_name_and_by_any_form_of_their_reference() {
    let app = App::with_build("module.exports = { a: { tag: 'web' }, b: { tag: 'other' } };");
    let application = app.load().application;
    for name in ["a", "web", "web:latest", "docker.io/library/web"] {
        assert_eq!(
            application.images_named(name).map(|(index, _)| index).collect::<Vec<_>>(),
            [0],
            "{name}"
        );
    }
    assert_eq!(application.images_named("nothing").count(), 0);
}
