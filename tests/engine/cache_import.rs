//! What a build takes over from images that a registry has, where none was made from the same inputs.

use serde_json::{Value, json};

use crate::cache::{DOCKER, Machines, Manifests, codes, count};
use crate::registry::{BASIC, users};
use crate::signed_cache::Keys;
use crate::support::{Run, TestApplication, image_files_of};

/// An image whose first step never comes out the same twice, and whose last one depends on a file of
/// the context.
fn with_costly_step(machines: &Machines) -> TestApplication {
    let base = machines.cluster.push(machines.node(0), machines.base(0)).unwrap();
    with_costly_step_on(&base)
}

fn with_costly_step_on(base: &str) -> TestApplication {
    let application =
        TestApplication::new(&[("deploy/build.js", "module.exports = { web: { dir: 'web' } };")]);
    let steps = "RUN head -c 16 /dev/urandom | od -x > /mark\nCOPY file /file\n";
    application.put("deploy/web/Dockerfile", &format!("FROM {base}\n{steps}"));
    application.put("deploy/web/file", "first");
    application
}

fn repository(application: &TestApplication) -> String {
    format!("team/{}-web", application.name)
}

/// What the costly step came out as in the image that a node built last.
fn mark(machines: &Machines, node: usize, application: &TestApplication) -> Vec<u8> {
    let reference = format!("{}/{}:latest", machines.cluster.registry(), repository(application));
    let files = image_files_of(&machines.node(node).client(), &reference);
    let file = std::fs::read(application.path("deploy/web/file")).unwrap();
    assert_eq!(files["file"].content, file, "the other step is not taken over");
    files["mark"].content.clone()
}

/// Has a node forget the steps that it ran, but not the images.
fn forget_steps(machines: &Machines, node: usize) {
    let client = machines.node(node).client();
    client.post_json("/build/prune?all=true", &Value::Null).unwrap().accepted("prune").unwrap();
}

/// Whether the engine was told to look for steps in a registry.
fn asked(run: &Run) -> bool {
    run.stdout.contains("importing cache manifest")
}

/// Builds with a changed file, and says what the costly step came out as.
fn changed(
    machines: &Machines,
    node: usize,
    application: &TestApplication,
    more: &[&str],
) -> (Run, Vec<u8>) {
    let old = std::fs::read_to_string(application.path("deploy/web/file")).unwrap();
    application.put("deploy/web/file", &format!("{old}, changed"));
    let run = machines.built(node, application, more);
    assert_eq!(count(&run, "built"), 1, "{run}");
    let mark = mark(machines, node, application);
    (run, mark)
}

fn state_of_costly_step(run: &Run) -> &str {
    let is_it = |it: &&&Value| it["step"].as_str().unwrap().contains("RUN head");
    let steps = run.events("build-step");
    steps.iter().rfind(is_it).and_then(|it| it["state"].as_str()).unwrap()
}

#[test]
fn a_changed_file_costs_only_the_steps_after_it() {
    let machines = Machines::start();
    let application = with_costly_step(&machines);
    machines.built(0, &application, &[]);
    let first = mark(&machines, 0, &application);

    let second = application.cloned();
    let (run, taken_over) = changed(&machines, 1, &second, &[]);
    assert_eq!((state_of_costly_step(&run), codes(&run)), ("cached", vec![]), "{run}");
    assert_eq!(taken_over, first, "{run}");
    let run = machines.built(0, &second.cloned(), &["--load"]);
    assert_eq!((count(&run, "cached"), codes(&run)), (1, vec![]), "its id is its own: {run}");

    // What was taken over can be taken over again, by those who only look, too.
    forget_steps(&machines, 0);
    let (run, taken_over) = changed(&machines, 0, &second, &["--cache-read-only"]);
    assert_eq!((state_of_costly_step(&run), count(&run, "pushed")), ("cached", 0), "{run}");
    assert_eq!(taken_over, first, "{run}");

    // But not by those who want every step to run, who have no cache, or whose builder can't.
    let repository = machines.repository();
    let plain = ["build", "--repo", &repository, "--message-format", "json"];
    forget_steps(&machines, 0);
    let (run, anew) = changed(&machines, 0, &second, &["--no-cache", "--cache-read-only"]);
    assert!(!asked(&run) && anew != first, "{run}");
    forget_steps(&machines, 0);
    second.put("deploy/web/file", "without");
    let run = second.command_with(machines.node(0).host(), &plain).output().unwrap();
    let run = Run::of(run);
    assert!(!asked(&run) && mark(&machines, 0, &second) != first, "{run}");
    second.put("deploy/web/file", "classic");
    let mut classic = machines.command(0, &second, &["--cache-read-only"]);
    let run = Run::of(classic.env("DOCKER_BUILDKIT", "0").output().unwrap());
    assert_eq!((run.code, count(&run, "built"), codes(&run)), (Some(0), 1, vec![]), "{run}");
}

#[test]
fn steps_come_from_a_registry_that_wants_to_know_who_asks() {
    let machines = Machines::start_guarded(Some(&users()));
    let bases = [0, 1].map(|node| machines.base(node));
    let application = with_costly_step_on(bases[0]);
    let auths = json!({ "auths": { machines.cluster.registry(): { "auth": BASIC } } });
    application.put(".docker/config.json", &auths.to_string());
    machines.built(0, &application, &[]);
    let first = mark(&machines, 0, &application);
    let (run, taken_over) = changed(&machines, 1, &application.cloned(), &[]);
    assert_eq!((taken_over, codes(&run)), (first.clone(), vec![]), "{run}");

    // Who may not ask builds all of it.
    forget_steps(&machines, 1);
    let stranger = application.cloned();
    stranger.put(".docker/config.json", "{}");
    let (run, anew) = changed(&machines, 1, &stranger, &[]);
    assert!(!asked(&run) && anew != first, "{run}");
}

#[test]
fn steps_that_no_known_key_signed_are_run() {
    let machines = Machines::start();
    let (keys, others) = (Keys::new(), Keys::new());
    let application = with_costly_step(&machines);
    machines.built(0, &application, &[]);
    let first = mark(&machines, 0, &application);
    let second = application.cloned();
    let verify = ["--cache-read-only", "--cache-verify", &keys.public()];
    let (run, anew) = changed(&machines, 1, &second, &verify);
    assert!(!asked(&run) && anew != first, "{run}");
    // Who signs does not sign what somebody else may have put there.
    forget_steps(&machines, 1);
    let sign = ["--cache-read-only", "--cache-sign", &keys.private()];
    let (run, anew) = changed(&machines, 1, &second, &sign);
    assert!(!asked(&run) && anew != first, "{run}");

    machines.built(0, &application.cloned(), &["--force", "*", "--cache-sign", &keys.private()]);
    for trusting in [verify, sign] {
        forget_steps(&machines, 1);
        let (run, taken_over) = changed(&machines, 1, &second, &trusting);
        assert_eq!(taken_over, first, "{run}");
    }
    forget_steps(&machines, 1);
    let verify = ["--cache-read-only", "--cache-verify", &others.public()];
    let (run, anew) = changed(&machines, 1, &second, &verify);
    assert!(!asked(&run) && anew != first, "{run}");
}

#[test]
fn what_can_not_be_taken_over_is_built() {
    let machines = Machines::start();
    let application = with_costly_step(&machines);
    machines.built(0, &application, &[]);
    let first = mark(&machines, 0, &application);
    let registry = Manifests(machines.cluster.registry());
    let manifest = registry.get_as(&repository(&application), "latest", DOCKER);
    let blobs = machines.cluster.registry_data().join("blobs/sha256");
    let lose = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:");
        std::fs::remove_file(blobs.join(&digest[..2]).join(digest).join("data")).unwrap();
    };
    let second = application.cloned();
    // The layer of the costly step; then what says what the layers are.
    for lost in [&manifest["layers"][1], &manifest["config"]] {
        lose(lost);
        let (run, anew) = changed(&machines, 1, &second, &["--cache-read-only"]);
        assert!(asked(&run) && anew != first, "{run}");
        assert_eq!(codes(&run), [""; 0], "{run}");
        forget_steps(&machines, 1);
    }
    // A step that fails is what failed, and nothing else.
    let dockerfile = std::fs::read_to_string(second.path("deploy/web/Dockerfile")).unwrap();
    second.put("deploy/web/Dockerfile", &format!("{dockerfile}RUN exit 3\n"));
    let run = machines.build(1, &second, &["--cache-read-only"]);
    assert_eq!((run.code, asked(&run)), (Some(1), true), "{run}");
    let failure = &run.events("build-failed")[0]["failure"];
    assert_eq!((&failure["exit_code"], &failure["line"]), (&json!(3), &json!(4)), "{run}");
}
