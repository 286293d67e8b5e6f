//! A registry that is slow, busy, breaks off, loses or changes what it has: what is looked up in it
//! is never used, and what can be built is built.

use private_engine::{Asked, Fate, Proxy, Registry, answer, need};

use crate::cache::{DOCKER, Manifests, codes, count, sha256, three_images};
use crate::push::{forget, plain_registry, private_registry};
use crate::support::{Run, TestApplication, machine_address};

/// A registry, and what stands before it.
pub(crate) struct Faulty {
    pub(crate) registry: Registry,
    proxy: Proxy,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        let registry = plain_registry();
        let proxy = Proxy::start(machine_address(), registry.address()).unwrap();
        Self { registry, proxy }
    }

    pub(crate) fn repository(&self) -> String {
        format!("{}/team", self.proxy.address())
    }

    /// Builds with the registry as the memory.
    pub(crate) fn build(&self, application: &TestApplication, more: &[&str]) -> Run {
        let repository = self.repository();
        let variable = format!("REPO={repository}/{}", application.name);
        let cache = ["--cache", "registry", "--repo", &repository, "--env", &variable];
        application.build(&[&cache[..], more].concat())
    }

    /// Expects nothing to be used, and everything to be built; nothing where the registry is
    /// required.
    fn expect_unusable(&self, application: &TestApplication, why: &str) {
        let clone = application.cloned();
        let run = self.build(&clone, &["--cache-timeout", "1"]);
        assert_eq!(
            (run.code, count(&run, "cached"), count(&run, "built")),
            (Some(0), 0, 3),
            "{run}"
        );
        assert_eq!(codes(&run), ["cache-unavailable"], "{run}");
        assert!(run.stdout.contains(why), "{why}: {run}");
        let clone = application.cloned();
        let run = self.build(&clone, &["--cache-timeout", "1", "--cache-required"]);
        assert_eq!((run.code, run.built().len()), (Some(1), 0), "{run}");
        assert!(run.stderr.contains(why), "{why}: {run}");
    }

    pub(crate) fn expect_found(&self, application: &TestApplication) {
        let run = self.build(&application.cloned(), &[]);
        assert_eq!((run.code, count(&run, "cached")), (Some(0), 3), "{run}");
        assert_eq!(codes(&run), [""; 0], "{run}");
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        forget(&self.repository());
    }
}

/// A registry that has three images, with their application.
pub(crate) fn filled() -> (Faulty, TestApplication) {
    let faulty = Faulty::new();
    let application = three_images();
    let run = faulty.build(&application, &[]);
    assert_eq!((run.code, count(&run, "pushed")), (Some(0), 3), "{run}");
    (faulty, application)
}

/// Has the first request for each path meet `fate`, all later ones pass.
fn once_each(fate: Fate) -> impl FnMut(&Asked) -> Fate + Send + 'static {
    let mut known = std::collections::HashSet::new();
    move |asked| if known.insert(asked.path.clone()) { fate.clone() } else { Fate::Pass }
}

fn is_manifest(asked: &Asked) -> bool {
    asked.path.contains("/manifests/")
}

#[test]
fn a_registry_that_is_busy_or_breaks_off_is_asked_again_and_given_up_in_the_end() {
    let (faulty, application) = filled();
    let busy = answer("429 Too Many Requests", "Retry-After: 0\r\n", "");
    let down = answer("502 Bad Gateway", "", "");
    for fate in [Fate::Answer(busy.clone()), Fate::Answer(down.clone()), Fate::CutAnswer(20)] {
        faulty.proxy.decide(once_each(fate));
        faulty.expect_found(&application);
    }
    faulty.proxy.decide(move |_| Fate::Answer(busy.clone()));
    faulty.expect_unusable(&application, "429 Too Many Requests");
    faulty.proxy.decide(
        move |asked| {
            if is_manifest(asked) { Fate::Answer(down.clone()) } else { Fate::Pass }
        },
    );
    faulty.expect_unusable(&application, "502 Bad Gateway");
    // The answer begins, and does not end.
    faulty.proxy.decide(|asked| if is_manifest(asked) { Fate::CutAnswer(400) } else { Fate::Pass });
    faulty.expect_unusable(&application, "could not do what it was asked for");
    faulty.proxy.decide(|_| Fate::Pass);
    faulty.expect_found(&application);
}

#[test]
fn a_registry_that_is_too_slow_is_waited_for_once() {
    let (faulty, application) = filled();
    for fate in [Fate::Silence, Fate::Dribble] {
        let slow = fate.clone();
        faulty.proxy.decide(move |_| slow.clone());
        faulty.expect_unusable(&application, "no answer within 1 s");
        faulty.proxy.decide(move |it| if is_manifest(it) { fate.clone() } else { Fate::Pass });
        faulty.expect_unusable(&application, "no answer within 1 s");
    }
    let run = faulty.build(&application.cloned(), &["--cache-timeout", "0"]);
    assert_eq!(run.code, Some(2), "{run}");
}

#[test]
fn an_image_that_was_deleted_in_the_registry_is_built_and_pushed_again() {
    let (faulty, application) = filled();
    let manifests = Manifests(faulty.registry.address().to_owned());
    let name = format!("team/{}-doc", application.name);
    let accept = format!("Accept: {DOCKER}");
    let path = format!("{name}/manifests/latest");
    let digest = sha256(&manifests.request(&["--header", &accept], &path));
    manifests.request(&["--request", "DELETE"], &format!("{name}/manifests/{digest}"));
    let run = faulty.build(&application.cloned(), &[]);
    let counts = (run.code, count(&run, "cached"), count(&run, "built"));
    assert_eq!(counts, (Some(0), 2, 1), "{run}");
    assert_eq!(codes(&run), ["cache-entry-refused"], "{run}");
    assert!(run.stdout.contains(&format!("there is no `{digest}`")), "{run}");
    faulty.expect_found(&application);
}

#[test]
fn a_password_that_is_wrong_is_said_to_be_and_appears_nowhere() {
    let registry = private_registry();
    let repository = format!("{}/team", registry.address());
    let application = three_images();
    // `tester:salmon-pass`
    let auths = format!(
        "{{ \"auths\": {{ \"{}\": {{ \"auth\": \"dGVzdGVyOnNhbG1vbi1wYXNz\" }} }} }}",
        registry.address()
    );
    application.put(".docker/config.json", &auths);
    let variable = format!("REPO={repository}/{}", application.name);
    let with = |command: &[&str], more: &[&str]| {
        let common = ["--repo", &repository, "--env", &variable];
        let run = application.run(&[command, &common, more].concat());
        assert!(!run.to_string().contains("salmon"), "{run}");
        assert!(run.to_string().contains("docker login"), "{run}");
        run
    };
    let cache = ["--cache", "registry"];
    let run = with(&["build"], &[&cache[..], &["--cache-read-only"]].concat());
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("[cache-unavailable]"), "{run}");
    assert_eq!(with(&["push"], &[]).code, Some(1));
    assert_eq!(with(&["verify", "doc"], &[]).code, Some(1));
    application.put("deploy/doc/file", "changed");
    let run = with(&["build"], &[&cache[..], &["--cache-required"]].concat());
    assert_eq!(run.code, Some(1), "{run}");
    forget(&repository);
}

#[test]
fn clocks_that_are_years_apart_change_nothing() {
    need("faketime", "faketime").unwrap();
    let faulty = Faulty::new();
    let keys = crate::signed_cache::Keys::new();
    let (private, public) = (keys.private(), keys.public());
    let application = three_images();
    let repository = faulty.repository();
    let variable = format!("REPO={repository}/{}", application.name);
    let at = |time: &str, application: &TestApplication, more: &[&str]| {
        let mut command = std::process::Command::new("faketime");
        let plain = application.command(&[]);
        command.arg(time).arg(plain.get_program()).current_dir(application.root());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let cache = ["--cache", "registry", "--repo", &repository, "--env", &variable];
        let trust = ["--cache-sign", &private, "--cache-verify", &public];
        command.args(["build", "--message-format", "json"]).args(cache).args(trust).args(more);
        let run = Run::of(command.output().unwrap());
        assert_eq!((run.code, codes(&run)), (Some(0), vec![]), "{time}: {run}");
        run
    };
    let run = at("2035-01-01", &application, &[]);
    assert_eq!(count(&run, "built"), 3, "{run}");
    let clone = application.cloned();
    for time in ["2001-01-01", "2045-01-01"] {
        let run = at(time, &clone, &["--load"]);
        let known = count(&run, "cached") + count(&run, "fresh");
        assert_eq!(known, 3, "{time}: {run}");
        assert_eq!(count(&at(time, &application, &[]), "fresh"), 3, "{time}");
    }
    // Written long before what is known of it, with the same size.
    clone.put("deploy/doc/file", "of the DOC");
    let run = at("2001-01-01", &clone, &[]);
    assert_eq!((count(&run, "fresh"), run.built().len()), (2, 1), "{run}");
}
