//! What is remembered: it may be deleted or damaged at any time, and never lies.

use std::fs;

use crate::support::{TestApplication, identity};

fn sample() -> TestApplication {
    TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' }, mail: { dir: 'mail' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("deploy/mail/Dockerfile", "FROM scratch\nCOPY . /mail/\n"),
    ])
}

#[test]
fn without_its_state_everything_is_looked_at_anew() {
    let application = sample();
    application.built(&[]);
    let before = identity(&application.reference("web"));
    fs::remove_dir_all(application.path(".ailtire")).unwrap();
    let run = application.built(&[]);
    assert_eq!(run.built(), ["mail", "web"]);
    assert!(identity(&application.reference("web")) == before);
}

#[test]
fn damaged_state_is_reported_and_never_believed() {
    let application = sample();
    application.built(&[]);
    for file in ["stat-index", "definitions"] {
        let path = application.path(".ailtire").join(file);
        fs::write(&path, b"garbage").unwrap();
        let run = application.run(&["build"]);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.stderr.contains("damaged-state"), "{file}: {run}");
    }
    fs::write(application.path(".ailtire/version"), "999\n").unwrap();
    let run = application.run(&["build"]);
    assert!(run.stderr.contains("foreign-state"), "{run}");
    assert!(application.built(&[]).built().is_empty());
}

#[test]
fn clean_forgets_and_can_remove_images() {
    let application = sample();
    application.built(&[]);
    assert_eq!(application.run(&["clean"]).code, Some(0));
    assert_eq!(application.built(&[]).built(), ["mail", "web"]);
    assert_eq!(application.run(&["clean", "--images"]).code, Some(0));
    for image in ["web", "mail"] {
        let path = format!("/images/{}/json", application.reference(image));
        assert_eq!(crate::support::client().get(&path).unwrap().status, 404);
    }
}

#[test]
fn nothing_but_the_state_is_written_into_the_source_tree() {
    let application = sample();
    application.built(&[]);
    let mut names: Vec<_> = fs::read_dir(application.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".ailtire", "api", "deploy"]);
}

#[test]
fn why_names_the_file_and_then_what_follows() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { base: { dir: 'base' }, web: { dir: 'web' } };"),
        ("deploy/base/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("deploy/base/settings.json", "{}"),
    ]);
    let dockerfile = format!("FROM {}-base\nCOPY . /web/\n", application.name);
    application.put("deploy/web/Dockerfile", &dockerfile);
    application.built(&[]);
    application.put("deploy/base/settings.json", "{ }");
    let run = application.run(&["why", "web"]);
    assert_eq!(run.code, Some(0), "{run}");
    let file = run.stdout.find("deploy/base/settings.json").unwrap_or_else(|| panic!("{run}"));
    let cascade = run.stdout.find("is dirty").unwrap_or_else(|| panic!("{run}"));
    assert!(file < cascade, "{run}");
}
