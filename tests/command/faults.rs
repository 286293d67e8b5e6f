//! Odd surroundings: what is in the way of the state, of the output, of the definitions.

use std::fs::{self, OpenOptions};

use crate::support::TestApplication;

fn one_image() -> TestApplication {
    TestApplication::new(&[
        ("api/index.js", "module.exports = { name: 'app' };\n"),
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };\n"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ])
}

#[test]
fn a_file_where_the_state_should_be_keeps_nobody_from_looking() {
    let application = one_image();
    application.put(".ailtire", "");
    for arguments in [&["check"][..], &["plan"], &["why", "web"], &["graph"], &["context", "web"]] {
        let run = application.run(arguments);
        assert_eq!(run.code, Some(0), "{run}");
        assert_eq!(run.stderr.matches("warning[damaged-state]").count(), 1, "{run}");
        assert!(run.stderr.contains("remove `.ailtire`"), "{run}");
    }
    for arguments in [&["build"][..], &["build", "--dry-run"], &["clean"]] {
        let run = application.run(arguments);
        assert_eq!(run.code, Some(4), "{run}");
        assert!(run.stderr.contains("cannot use `[ROOT]/.ailtire`: not a directory"), "{run}");
    }
}

#[test]
fn state_files_that_are_directories_are_reported_and_made_anew() {
    for name in ["stat-index", "definitions"] {
        let application = one_image();
        application.record_all();
        application.put(&format!(".ailtire/{name}/x"), "");
        let run = application.run(&["plan"]);
        assert_eq!((run.code, &*run.stdout), (Some(0), FRESH), "{run}");
        assert!(run.stderr.contains(&format!("`.ailtire/{name}` can't be used")), "{run}");
    }
}

const FRESH: &str = "fresh  app-web:latest\n0 to build, 0 to tag, 1 fresh\n";

#[test]
fn damaged_records_are_reported_and_as_good_as_not_there() {
    let application = one_image();
    application.record_all();
    let engine = fs::read_dir(application.path(".ailtire/engines")).unwrap().next().unwrap();
    let journal = engine.unwrap().path().join("records.jsonl");
    let records = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, records.replace("sha256:", "sha512:")).unwrap();
    for arguments in [&["plan"][..], &["why", "web"]] {
        let run = application.run(arguments);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.stderr.contains("one line of the records"), "{run}");
        assert!(run.stdout.contains("because it was not built before"), "{run}");
    }
}

#[test]
fn an_environment_that_some_images_lack_is_an_error_only_where_it_is_chosen() {
    let application = one_image();
    let definitions = "module.exports = {
  web: { contexts: { default: { dir: 'web' }, dev: { dir: 'web' } } },
  admin: { contexts: { prod: { dir: 'web' } } },
};\n";
    application.put("deploy/build.js", definitions);
    let run = application.run(&["check"]);
    assert_eq!(run.code, Some(0), "{run}");
    let run = application.run(&["check", "--env", "dev"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert_eq!(run.stderr.matches("error[no-context]").count(), 1, "{run}");
    assert_eq!(application.run(&["check", "--env", "prod"]).code, Some(0));
    let run = application.run(&["plan"]);
    assert_eq!(run.code, Some(2), "it can't be planned without an environment: {run}");
    application.put("deploy/build.js", "module.exports = { web: { contexts: {} } };\n");
    let run = application.run(&["check"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert_eq!(run.stderr.matches("error[empty-contexts]").count(), 1, "{run}");
}

#[test]
fn directories_outside_may_be_used_where_they_are_allowed() {
    let application = TestApplication::new(&[
        ("app/api/index.js", "module.exports = { name: 'app' };\n"),
        ("app/deploy/build.js", "module.exports = { web: { dir: '../../shared' } };\n"),
        ("shared/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("shared/file", ""),
    ]);
    let shared = application.path("shared");
    let shared = shared.to_str().unwrap();
    let run = application.run(&["context", "web", "--app", "app", "--allow-outside", shared]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("2 files"), "{run}");
    for wrong in ["nowhere", "shared/file"] {
        let run = application.run(&["check", "--app", "app", "--allow-outside", wrong]);
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains(&format!("cannot use `{wrong}`")), "{run}");
    }
    let run = application.run(&["build", "--app", "shared/file"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("cannot open `shared/file`: not a directory"), "{run}");
}

#[test]
fn devices_are_written_to_and_not_replaced() {
    let application = one_image();
    let run = application.run(&["context", "web", "--tar", "/dev/full"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(OpenOptions::new().write(true).open("/dev/full").is_ok());
    let run = application.run(&["context", "web", "--tar", "/dev/stdout"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("ustar"), "{run}");
}

#[test]
fn a_definition_that_is_no_file_is_not_passed_over() {
    let application = one_image();
    fs::remove_file(application.path("deploy/build.js")).unwrap();
    fs::create_dir(application.path("deploy/build.js")).unwrap();
    let run = application.run(&["check"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("`deploy/build.js` is not a file"), "{run}");
    fs::remove_dir_all(application.path("deploy")).unwrap();
    std::os::unix::fs::symlink("/etc", application.path("deploy")).unwrap();
    let run = application.run(&["check"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("`deploy` leads out of the application root"), "{run}");
}

#[test]
fn variables_that_double_without_an_end_are_an_error() {
    let application = one_image();
    let dockerfile = format!("ARG A=x\n{}FROM $A\n", "ARG A=$A$A\n".repeat(40));
    application.put("deploy/web/Dockerfile", &dockerfile);
    let run = application.run(&["check"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("the result is longer than 1 MiB"), "{run}");
}

#[test]
fn null_may_be_thrown_and_memory_is_not_all_that_is_blamed() {
    let application = one_image();
    application.put("deploy/build.js", "throw null;\n");
    let run = application.run(&["check"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("used more than 64 MiB, or threw `null`"), "{run}");
}

#[test]
fn planning_needs_docker_s_configuration_only_to_find_the_engine() {
    let application = one_image();
    application.put(".docker/config.json", "{");
    assert_eq!(application.run(&["plan"]).code, Some(0));
    let mut command = application.command(&["plan"]);
    command.env_remove("DOCKER_HOST");
    let run = application.finish(command);
    assert_eq!(run.code, Some(3), "{run}");
}

#[test]
fn names_and_platforms_are_not_empty() {
    for arguments in [["plan", "--platform", ""], ["plan", "--name", ""]] {
        let run = one_image().run(&arguments);
        assert_eq!(run.code, Some(2), "{run}");
    }
}

#[test]
fn the_root_directory_stands_for_the_top_package() {
    let application = one_image();
    let run = application.run(&["plan", "."]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("build  app-web:latest"), "{run}");
}

#[test]
fn what_a_killed_run_was_writing_goes_with_the_state() {
    let application = one_image();
    application.record_all();
    application.put(".ailtire/.tmpAbCdEf", "");
    assert_eq!(application.run(&["clean"]).code, Some(0));
    assert!(!application.path(".ailtire/.tmpAbCdEf").exists());
}
