//! `affected`: what a change since a revision of git touches.

use std::path::Path;
use std::process::Command;

use snapbox::str;

use crate::support::TestApplication;

/// Runs git in `directory`, knowing nothing of the user's own settings.
fn git(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "t").env(format!("GIT_{role}_EMAIL"), "t@t");
        command.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn commit(application: &TestApplication) {
    git(application.root(), &["add", "--all", "--force"]);
    git(application.root(), &["commit", "--quiet", "--message", "a change"]);
}

/// The shop in a repository of its own, all of it committed and tagged `start`.
fn shop() -> TestApplication {
    let application = TestApplication::shop();
    application.put(".gitignore", ".ailtire\n.docker\n");
    git(application.root(), &["init", "--quiet", "--initial-branch", "main"]);
    commit(&application);
    git(application.root(), &["tag", "start"]);
    application
}

/// References of what is affected since `start`.
fn affected(application: &TestApplication) -> Vec<String> {
    let run = application.run(&["affected", "--since", "start", "--format", "json"]);
    assert_eq!(run.code, Some(0), "{run}");
    let json = run.json();
    let images = json["images"].as_array().unwrap().iter();
    images.map(|image| image["image"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_changed() {
    shop().run(&["affected", "--since", "start"]).is(str![[r#"
exit 0
-- stdout
0 of 2 images affected since start ([..])
-- stderr

"#]]);
}

#[test]
fn a_change_is_followed_to_what_is_built_on_it() {
    let application = shop();
    application.put("deploy/base/settings.json", "{\"a\": 1}\n");
    let before = application.run(&["affected", "--since", "start"]);
    before.is(str![[r#"
exit 0
-- stdout
affected  myapp-base:latest
          because deploy/base/settings.json changed
affected  shop-web:latest
          because its base myapp-base is dirty
2 of 2 images affected since start ([..])
-- stderr

"#]]);
    // Committed or not is the same.
    commit(&application);
    assert_eq!(application.run(&["affected", "--since", "start"]).to_string(), before.to_string());
    application.run(&["affected", "--since", "HEAD"]).is(str![[r#"
exit 0
-- stdout
0 of 2 images affected since HEAD ([..])
-- stderr

"#]]);
}

#[test]
fn what_reaches_no_image_affects_none() {
    let application = shop();
    application.put("README.md", "text\n");
    application.put("api/Shop/deploy/web/.env", "TOKEN=2\n");
    assert_eq!(affected(&application), [""; 0]);
    // Time stamps and the clone's own place say nothing either.
    application.put("api/Shop/deploy/web/server.js", "serve();\n");
    assert_eq!(affected(&application), [""; 0]);
    application.put("api/Shop/deploy/web/server.js", "serve(1);\n");
    assert_eq!(affected(&application).len(), 1);
}

#[test]
fn an_image_that_is_new_and_one_that_is_gone() {
    let application = shop();
    application.put(
        "deploy/build.js",
        "module.exports = {\n  base: { dir: 'base' },\n  tool: { dir: 'base' },\n};\n",
    );
    std::fs::remove_dir_all(application.path("api/Shop/deploy")).unwrap();
    application.run(&["affected", "--since", "start"]).is(str![[r#"
exit 0
-- stdout
affected  myapp-tool:latest
          because it is new
removed   shop-web:latest
1 of 2 images affected since start ([..])
-- stderr

"#]]);
}

#[test]
fn an_application_in_a_folder_of_the_repository() {
    let outer = TestApplication::new(&[
        ("apps/shop/deploy/build.js", "module.exports = { web: {} };\n"),
        ("apps/shop/deploy/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("apps/shop/deploy/a b", "1\n"),
        ("other/file", "1\n"),
    ]);
    git(outer.root(), &["init", "--quiet", "--initial-branch", "main"]);
    commit(&outer);
    git(outer.root(), &["tag", "start"]);
    outer.put("other/file", "2\n");
    let list = ["affected", "--app", "apps/shop", "--since", "start", "--format", "matrix"];
    assert_eq!(outer.run(&list).stdout, "{\"include\":[]}\n");
    outer.put("apps/shop/deploy/a b", "2\n");
    let expected = "{\"include\":[{\"image\":\"shop-web:latest\",\"package\":\"shop\"}]}\n";
    assert_eq!(outer.run(&list).stdout, expected);
}

#[test]
fn an_old_tree_that_cannot_be_read_counts_as_changed() {
    let application = TestApplication::shop();
    application.put("deploy/build.js", "module.exports = {\n");
    git(application.root(), &["init", "--quiet", "--initial-branch", "main"]);
    commit(&application);
    git(application.root(), &["tag", "start"]);
    application.put("deploy/build.js", "module.exports = {\n  base: { dir: 'base' },\n};\n");
    let run = application.run(&["affected", "--since", "start"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("2 of 2 images affected"), "{run}");
    assert!(run.stderr.contains("the application at `start` can't be read"), "{run}");
}

#[test]
fn what_git_does_not_have() {
    shop().run(&["affected", "--since", "nowhere"]).is(str![[r#"
exit 2
-- stdout
-- stderr
error: the repository has no revision `nowhere`
hint: fetch it: clones of CI services often hold the newest commit only (`fetch-depth: 0`, `GIT_DEPTH: 0`)

"#]]);
    let application = TestApplication::shop();
    let run = application.run(&["affected", "--since", "HEAD"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("is not in a git repository"), "{run}");
    let run = application.run(&["affected", "--since", "--upload-pack=x"]);
    assert_eq!(run.code, Some(2), "{run}");
}

#[test]
fn the_repository_stays_as_it_is() {
    let application = shop();
    application.put("deploy/base/settings.json", "{\"a\": 1}\n");
    let status = |application: &TestApplication| {
        let mut command = Command::new("git");
        command.arg("-C").arg(application.root()).args(["status", "--porcelain=v2", "--branch"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let before = (status(&application), std::fs::read(application.path(".git/index")).unwrap());
    affected(&application);
    // Looking at the status may itself write the index, so that comes after it is compared.
    let index = std::fs::read(application.path(".git/index")).unwrap();
    assert_eq!((status(&application), index), before);
}
