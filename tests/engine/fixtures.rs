//! The example applications: each builds, is fresh then, and shows what it is there to show.

use std::fs;

use crate::support::{TestApplication, client, image_files, inspect_all};

/// Builds a fixture twice, and returns it; its images are there as long as it is kept.
fn built_and_fresh(fixture: &str, prefix: &str, images: &[&str]) -> TestApplication {
    let application = TestApplication::of_fixture(fixture, prefix);
    assert_eq!(application.built(&[]).built(), images, "{fixture}");
    let again = application.built(&[]);
    assert_eq!(again.summary()["fresh"], images.len(), "{fixture}: {again}");
    application
}

fn paths(reference: &str) -> Vec<String> {
    image_files(reference).into_keys().collect()
}

#[test]
fn contexts_choose_by_environment() {
    let application = built_and_fresh("contexts", "contexts", &["api", "worker"]);
    let run = application.built(&["--env", "dev"]);
    assert_eq!(run.built(), ["api", "worker:dev"], "{run}");
    let run = application.built(&["--env", "prod"]);
    assert_eq!(run.built(), ["api:stable"], "`worker` has no `prod`, its default is fresh: {run}");
}

#[test]
fn a_dockerfile_is_found_in_every_place() {
    let images = ["absent", "both", "build", "content", "outside"];
    built_and_fresh("dockerfile-places", "places", &images);
}

#[test]
fn ignore_files_leave_out_what_they_say() {
    let images = ["ignoring", "plain", "special"];
    let _application = built_and_fresh("dockerignore", "dockerignore", &images);
    let plain = paths("dockerignore-plain:latest");
    assert!(!plain.iter().any(|path| path.contains("node_modules") || path.contains("/.")));
    assert_ne!(paths("dockerignore-ignoring:latest"), paths("dockerignore-special:latest"));
}

#[test]
fn packages_nest_and_have_default_tags() {
    let application = TestApplication::of_fixture("nested", "nested");
    let run = application.built(&[]);
    assert_eq!(run.built().len(), 2, "{run}");
    let checkout = run.built().into_iter().find(|image| image.ends_with("checkout")).unwrap();
    let files = paths(&format!("nested-{checkout}:latest"));
    for package in ["api/Stock", "api/TheCart"] {
        assert!(files.iter().any(|path| path.contains(package)), "{package}: {files:?}");
    }
}

#[test]
fn a_package_without_index_is_warned_about_and_built() {
    let application = built_and_fresh("no-index", "noindex", &["orphan"]);
    assert!(application.run(&["check"]).stderr.contains("package-without-index"));
}

#[test]
fn a_package_with_only_a_compose_file_has_a_stack_image_alone() {
    built_and_fresh("compose-only", "composeonly", &["app", "cache"]);
    // Its name is not of the application.
    assert_eq!(client().delete("/images/cache:latest").unwrap().status, 200);
}

/// The format's own example, on a stand-in for Node: what is built, and on what.
#[test]
fn myapp_builds_its_base_first_and_only_what_a_change_touches() {
    let application = TestApplication::of_fixture("myapp", "myapp");
    let build = |selectors: &[&str]| {
        let node = ["--env", "NODE_IMAGE=ailtire-test/busybox:1"];
        let redis = ["--env", "REDIS_IMAGE=ailtire-test/busybox:1"];
        application.built(&[selectors, &node, &redis].concat())
    };
    let package = ["base", "mservice1", "mservice2", "mservicea", "mypackage", "subpackage"];
    let run = build(&["MyPackage", "--recursive"]);
    assert_eq!(run.built(), package, "its images, and the images of its stacks: {run}");
    assert_eq!(run.events("build-finished")[0]["image"], "myapp-base:latest");
    let mservice1 = paths("myapp-mservice1:latest");
    assert!(
        mservice1.iter().any(|path| path.ends_with("api/SubPackage/index.js")),
        "{mservice1:?}"
    );
    let command = &inspect_all("myapp-mservice1:latest")["Config"]["Cmd"];
    assert_eq!(*command, serde_json::json!(["node", "deploy/mservice1/server.js"]));

    assert_eq!(build(&["myapp-web", "myapp-pubsub"]).built(), ["pubsub", "web"]);
    let library = application.path("deploy/base/lib/service.js");
    let text = fs::read_to_string(&library).unwrap();
    fs::write(&library, format!("{text}// One line more.\n")).unwrap();
    let run = build(&["MyPackage", "myapp-web", "myapp-pubsub", "--recursive"]);
    assert_eq!(run.built(), package, "{run}");
    assert_eq!(run.summary()["fresh"], 2);
}
