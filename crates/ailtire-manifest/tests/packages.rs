//! Which directories are packages, and what their `index.js` says.
#![allow(clippy::unwrap_used)] // A test may end at once.

mod common;

use std::os::unix::fs::PermissionsExt;

use ailtire_manifest::{LookupError, find_root, resolve_package};
use common::{App, assert_clean, line, lines, only};

/// `key < parent's key @ directory`, one for each package.
fn packages(app: &App) -> Vec<String> {
    let application = app.load().application;
    let describe = |package: &ailtire_manifest::Package| {
        let parent = package.parent.map_or("-", |parent| &application.packages[parent].key);
        format!("{} < {parent} @ {}", package.key, package.directory)
    };
    application.packages.iter().map(describe).collect()
}

fn named(name: &str) -> String {
    format!("module.exports = {{ name: '{name}' }};")
}

#[test]
fn packages_nest_and_plain_directories_are_looked_into() {
    let app = App::new(&[
        ("api/index.js", &named("My Shop")),
        ("api/B/index.js", &named("B")),
        ("api/B/Sub/index.js", &named("Sub")),
        ("api/A/plain/deeper/C/index.js", &named("C")),
        ("elsewhere/index.js", &named("NoPackage")),
    ]);
    let loaded = app.load();
    assert_clean(&loaded);
    assert_eq!(loaded.application.name, "MyShop");
    assert_eq!(loaded.application.packages[0].name, "My Shop");
    assert_eq!(
        packages(&app),
        [
            "MyShop < - @ api",
            "C < MyShop @ api/A/plain/deeper/C",
            "B < MyShop @ api/B",
            "Sub < B @ api/B/Sub"
        ]
    );
}

#[test]
fn some_names_are_never_packages() {
    let app = App::new(&[("index.js", &named("app"))]);
    for name in [
        "actors",
        "docs",
        "doc",
        "deploy",
        "handlers",
        "interface",
        "models",
        "usecases",
        "workflows",
        "physical",
        "assets",
        "views",
        "templates",
        "test",
        "node_modules",
        ".git",
        ".hidden",
    ] {
        app.write(&format!("{name}/index.js"), named("no"));
        if name != "deploy" {
            app.write(&format!("plain/{name}/inner/index.js"), named("no"));
        }
    }
    assert_eq!(packages(&app), ["app < - @ "]);
}

#[test]
fn a_directory_with_only_deploy_is_a_package_with_a_warning() {
    let app = App::new(&[("api/index.js", &named("app"))]);
    app.make_directory("api/Legacy/deploy");
    let loaded = app.load();
    assert_eq!(
        line(only(&loaded)),
        "warning[package-without-index] the package `api/Legacy` has no `index.js`, and is named after its directory @ api/Legacy"
    );
    let package = &loaded.application.packages[1];
    assert_eq!(
        (package.key.as_str(), package.deploy_directory.as_deref()),
        ("Legacy", Some("api/Legacy/deploy"))
    );
}

#[test]
fn a_root_with_only_deploy_is_a_whole_application() {
    let app = App::new(&[
        ("deploy/build.js", "module.exports = { web: { tag: 'web' } };"),
        ("deploy/Dockerfile", ""),
    ]);
    let loaded = app.load();
    assert_clean(&loaded);
    let name = app.root().file_name().unwrap().to_str().unwrap();
    assert_eq!(loaded.application.name, name);
    assert_eq!(loaded.application.images[0].directory, "deploy");
}

#[test]
fn a_package_with_only_a_compose_file_has_no_images() {
    let app = App::new(&[("api/index.js", &named("app")), ("api/P/index.js", &named("P"))]);
    app.write("api/P/deploy/docker-compose.yaml", "services: {}");
    let loaded = app.load();
    assert_clean(&loaded);
    assert!(loaded.application.images.is_empty());
    assert_eq!(loaded.application.packages[1].deploy_directory.as_deref(), Some("api/P/deploy"));
}

#[test]
fn the_roots_deploy_wins() {
    let app = App::new(&[("api/index.js", &named("app"))]);
    app.make_directory("api/deploy");
    assert_eq!(app.load().application.packages[0].deploy_directory.as_deref(), Some("api/deploy"));
    app.make_directory("deploy");
    let loaded = app.load();
    assert_eq!(
        line(only(&loaded)),
        "warning[two-deploy-directories] `api/deploy` is ignored, because `deploy` is there as well @ api/deploy"
    );
    assert_eq!(loaded.application.packages[0].deploy_directory.as_deref(), Some("deploy"));
}

#[test]
fn api_deploy_belongs_to_a_top_package_in_the_root() {
    let app = App::new(&[("index.js", &named("app")), ("api/P/index.js", &named("P"))]);
    app.make_directory("api/deploy");
    assert_eq!(packages(&app), ["app < - @ ", "P < app @ api/P"]);
    assert_eq!(app.load().application.packages[0].deploy_directory.as_deref(), Some("api/deploy"));
}

#[test]
fn packages_without_a_top_package_are_still_found() {
    let app = App::new(&[("api/P/index.js", &named("P"))]);
    let loaded = app.load();
    assert!(line(only(&loaded)).starts_with("warning[package-without-index] the package `api`"));
    assert_eq!(loaded.application.packages[1].key, "P");
}

#[test]
fn nothing_is_an_error_that_says_what_was_looked_for() {
    let app = App::new(&[("README.md", "")]);
    let loaded = app.load();
    let diagnostic = only(&loaded);
    assert_eq!((diagnostic.code.as_ref(), diagnostic.is_error()), ("no-application", true));
    assert!(diagnostic.details[0].contains("`api/index.js`"));
    assert!(loaded.application.packages.is_empty());
}

#[test]
fn links_are_followed_to_files_but_not_into_packages() {
    let app = App::new(&[("api/index.js", &named("app")), ("lib/shared.js", &named("Shared"))]);
    app.make_directory("api/P");
    app.link("api/P/index.js", "../../lib/shared.js");
    app.link("api/Loop", ".");
    app.link("api/Broken/index.js", "nowhere.js");
    assert_eq!(packages(&app), ["app < - @ api", "Shared < app @ api/P"]);
    app.link("api/Out/index.js", "/etc/hostname");
    let loaded = app.load();
    assert!(line(&loaded.diagnostics[0]).contains("leads out of the application root"));
}

#[test]
fn an_unreadable_directory_is_an_error() {
    let app = App::new(&[("api/index.js", &named("app")), ("api/P/index.js", &named("P"))]);
    let directory = app.root().join("api/P");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o000)).unwrap();
    let can_read_all = std::fs::read_dir(&directory).is_ok();
    let loaded = app.load();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    if !can_read_all {
        assert!(line(only(&loaded)).starts_with("error[unreadable-directory]"));
    }
}

#[test]
fn what_index_js_gets_wrong_is_told_at_its_place() {
    let app = App::new(&[(
        "api/index.js",
        "module.exports = {\n  name: 7,\n  shortname: [],\n  depends: ['x', 1],\n};",
    )]);
    let loaded = app.load();
    assert_eq!(
        lines(&loaded),
        [
            "error[wrong-type] `name` must be a string, not a number @ api/index.js:2:3",
            "error[wrong-type] `shortname` must be a string, not a list @ api/index.js:3:3",
            "error[wrong-type] `depends[1]` must be a string, not a number @ api/index.js:4:18",
            "error[unknown-package] there is no package `x` @ api/index.js:4:13",
        ]
    );
    let app = App::new(&[("api/index.js", "module.exports = { name: ' ' };")]);
    assert!(line(only(&app.load())).starts_with("error[empty-name]"));
    let app = App::new(&[("api/index.js", "module.exports = {};")]);
    assert!(line(only(&app.load())).starts_with("warning[package-without-name]"));
}

#[test]
fn a_broken_package_hides_no_other() {
    let app = App::new(&[
        ("api/index.js", &named("app")),
        ("api/A/index.js", "throw new Error('a');"),
        ("api/B/index.js", "module.exports = {"),
        ("api/C/index.js", "module.exports = { name: 'C', depends: ['A', 'Q'] };"),
    ]);
    let loaded = app.load();
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|found| found.code.as_ref()).collect();
    assert_eq!(codes, ["definition-throws", "syntax-error", "unknown-package"]);
    assert_eq!(loaded.application.packages[3].depends, [1]);
}

#[test]
fn depends_are_resolved_once_and_cycles_are_printed() {
    let package = |name: &str, depends: &str| {
        format!("module.exports = {{ name: '{name}',\n depends: [{depends}] }};")
    };
    let app = App::new(&[
        ("api/index.js", &named("app")),
        ("api/A/index.js", &package("A", "'B', 'b'")),
        ("api/B/index.js", &package("B", "'C'")),
        ("api/C/index.js", &package("C", "'A'")),
        ("api/D/index.js", &package("D", "'D', 'A'")),
    ]);
    let loaded = app.load();
    assert_eq!(
        lines(&loaded),
        [
            "error[dependency-cycle] packages depend on each other in a circle: A → B → C → A @ api/A/index.js:2:12",
            "error[dependency-cycle] packages depend on each other in a circle: D → D @ api/D/index.js:2:12",
        ]
    );
    assert_eq!(loaded.application.packages[1].depends, [2]);
}

#[test]
fn references_go_from_key_to_case_to_short_name_to_directory() {
    let app = App::new(&[
        ("api/index.js", &named("app")),
        ("api/One/index.js", "module.exports = { name: 'Order Manager', shortname: 'om' };"),
        ("api/Two/index.js", "module.exports = { name: 'One', shortname: 'x' };"),
        ("api/Three/index.js", "module.exports = { name: 'ONE', shortname: 'x' };"),
        ("api/deep/Four/index.js", "module.exports = { name: 'Customer' };"),
    ]);
    let packages = app.load().application.packages;
    let key = |reference: &str| {
        resolve_package(&packages, reference).map(|index| packages[index].directory.clone())
    };
    assert_eq!(key("OrderManager").unwrap(), "api/One");
    assert_eq!(key("Order Manager").unwrap(), "api/One");
    assert_eq!(key("ordermanager").unwrap(), "api/One");
    assert_eq!(key("om").unwrap(), "api/One");
    assert_eq!(key("One").unwrap(), "api/Two", "the key wins over the directory");
    assert_eq!(key("Four").unwrap(), "api/deep/Four");
    assert_eq!(key("./api/deep/Four/").unwrap(), "api/deep/Four");
    let Err(LookupError::Ambiguous { step, candidates, .. }) = key("one") else {
        panic!("ambiguous")
    };
    assert_eq!((step, candidates.len()), ("key", 2));
    assert!(matches!(key("x"), Err(LookupError::Ambiguous { step: "short name", .. })));
    let Err(LookupError::Unknown { near, .. }) = key("Custmer") else { panic!("unknown") };
    assert_eq!(near, ["Customer"]);
    assert!(key("").is_err());
}

#[test]
fn the_application_has_the_version_of_package_json() {
    let app =
        App::new(&[("api/index.js", &named("app")), ("package.json", "{\"version\": \"1.2.3\"}")]);
    assert_eq!(app.load().application.version.as_deref(), Some("1.2.3"));
    app.write("package.json", "{\"version\": 1}");
    assert!(line(only(&app.load())).starts_with("warning[wrong-type]"));
    app.write("package.json", "{\"version\": }");
    let loaded = app.load();
    assert!(line(only(&loaded)).starts_with("warning["), "{:?}", lines(&loaded));
    assert!(line(only(&loaded)).contains("@ package.json:1:13"), "{:?}", lines(&loaded));
}

#[test]
fn the_root_is_found_from_any_directory_inside() {
    let app = App::new(&[
        ("api/index.js", ""),
        ("api/P/index.js", ""),
        ("api/P/deploy/build.js", ""),
        ("api/P/deploy/web/package.json", ""),
        ("api/P/deploy/web/index.js", ""),
        ("assets/x", ""),
    ]);
    let root = app.root().canonicalize().unwrap();
    for start in ["", "api", "api/P", "api/P/deploy", "api/P/deploy/web", "assets"] {
        assert_eq!(find_root(&root.join(start)).as_deref(), Some(&*root), "{start}");
    }
}

#[test]
fn without_api_the_outermost_package_of_the_repository_is_the_root() {
    let app = App::new(&[
        ("index.js", ""),
        ("package.json", ""),
        ("repository/.git/HEAD", ""),
        ("repository/index.js", ""),
        ("repository/deploy/build.js", ""),
        ("repository/P/index.js", ""),
        ("repository/P/deploy/build.js", ""),
        ("only/.git/HEAD", ""),
        ("only/app/deploy/docker-compose.yaml", ""),
        ("none/.git/HEAD", ""),
        ("none/deploy/notes.txt", ""),
    ]);
    let root = app.root().canonicalize().unwrap();
    let found = |start: &str| {
        find_root(&root.join(start)).map(|found| found.strip_prefix(&root).unwrap().to_owned())
    };
    assert_eq!(found("repository/P/deploy").unwrap().to_str(), Some("repository"));
    assert_eq!(found("only/app/deploy").unwrap().to_str(), Some("only/app"));
    assert_eq!(found("none/deploy"), None);
    assert_eq!(find_root(&root.join("missing")), None);
}
