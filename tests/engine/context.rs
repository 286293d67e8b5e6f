//! Build contexts: what the engine receives is what was listed, in every shape a tree can have.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{TestApplication, image_files, tar_files};

/// The files of an image that copies its whole context, and the context's own tar.
fn expect_same(application: &TestApplication, image: &str) -> Vec<String> {
    application.built(&[image]);
    let tar = application.command(&["context", image, "--tar", "-"]).output().unwrap();
    assert_eq!(tar.status.code(), Some(0), "{}", String::from_utf8_lossy(&tar.stderr));
    let context = tar_files(&tar.stdout);
    assert_eq!(context, image_files(&application.reference(image)));
    context.into_keys().collect()
}

#[test]
fn packages_are_placed_under_api() {
    let application = TestApplication::new(&[
        ("api/Shop Front/index.js", "module.exports = { name: 'Shop Front' };"),
        ("api/Shop Front/handlers/a.js", "a"),
        ("deploy/build.js", "module.exports = { web: { dir: 'web', packages: ['Shop Front'] } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("deploy/web/server.js", "x"),
    ]);
    let paths = expect_same(&application, "web");
    assert_eq!(
        paths,
        [
            "Dockerfile",
            "api",
            "api/ShopFront",
            "api/ShopFront/handlers",
            "api/ShopFront/handlers/a.js",
            "api/ShopFront/index.js",
            "api/index.js",
            "server.js"
        ]
    );
}

#[test]
fn ignore_rules_with_exceptions() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
        (
            "deploy/web/.dockerignore",
            "# comment\n**/*.log\nvendor\n!vendor/keep/*.js\n.dockerignore\n",
        ),
        ("deploy/web/a.log", "left out"),
        ("deploy/web/deep/b.log", "left out"),
        ("deploy/web/deep/.hidden", "kept: there are rules of its own"),
        ("deploy/web/vendor/drop.js", "left out"),
        ("deploy/web/vendor/keep/kept.js", "kept"),
        ("deploy/web/node_modules/x.js", "kept"),
    ]);
    let paths = expect_same(&application, "web");
    assert_eq!(
        paths,
        [
            "Dockerfile",
            "deep",
            "deep/.hidden",
            "node_modules",
            "node_modules/x.js",
            "vendor",
            "vendor/keep",
            "vendor/keep/kept.js"
        ]
    );
}

#[test]
fn odd_names_modes_links_and_empty_directories() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web', modes: 'preserve' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("deploy/web/a b/ü/file with spaces", "x"),
        ("deploy/web/a-b", "sorts between a and a/"),
        ("deploy/web/a.b/c", "x"),
        ("deploy/web/empty-file", ""),
        ("deploy/web/[x]/*.txt", "x"),
    ]);
    application.put(&format!("deploy/web/{}/long", "d".repeat(120)), "x");
    application.set_mode("deploy/web/a-b", 0o640);
    application.set_mode("deploy/web/empty-file", 0o4711);
    fs::create_dir_all(application.path("deploy/web/empty/deeper")).unwrap();
    application.set_mode("deploy/web/empty", 0o700);
    symlink("a b/ü", application.path("deploy/web/link-to-directory")).unwrap();
    symlink("/etc/passwd", application.path("deploy/web/absolute")).unwrap();
    let paths = expect_same(&application, "web");
    assert_eq!(paths.len(), 16, "{paths:#?}");
}

#[test]
fn a_dockerfile_outside_its_directory() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web', file: 'web.Dockerfile' } };"),
        ("deploy/web.Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("deploy/web/file", "x"),
    ]);
    assert_eq!(expect_same(&application, "web"), ["Dockerfile", "file"]);
}

#[test]
fn a_large_file_arrives_whole() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    application.put("deploy/web/large", &"0123456789abcdef".repeat(1_000_000));
    expect_same(&application, "web");
}
