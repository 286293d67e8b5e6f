//! Releases, whole and half: a real engine, a real registry, a real repository.

use std::fs;
use std::process::Command;

use private_engine::Registry;

use crate::push::{forget, private_registry};
use crate::registry::BASIC;
use crate::support::{Run, TestApplication, machine_address};

/// An application with a version in a repository with a remote, all committed.
struct Released {
    application: TestApplication,
    registry: Registry,
}

impl Released {
    fn new(registry: Registry) -> Self {
        let application = TestApplication::new(&[
            ("package.json", "{\n  \"name\": \"shop\",\n  \"version\": \"1.2.3\"\n}\n"),
            ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
            ("deploy/web/Dockerfile", "FROM scratch\nCOPY package.json /\n"),
            ("deploy/web/package.json", "{ \"name\": \"web\" }\n"),
            (
                "deploy/deploy.js",
                "module.exports = { contexts: { default: { file: 'c.yaml' } } };\n",
            ),
            ("deploy/c.yaml", "services: { web: { image: 'nothing:1' } }\n"),
            (".gitignore", ".ailtire\n.docker\norigin\n"),
        ]);
        let it = Self { application, registry };
        it.git(&["init", "--quiet", "--initial-branch", "main"]);
        it.git(&["config", "user.name", "t"]);
        it.git(&["config", "user.email", "t@t"]);
        it.git(&["init", "--quiet", "--bare", "origin"]);
        it.git(&["remote", "add", "origin", "origin"]);
        it.commit("feat: the first page");
        it.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
        it
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.application.root()).args(arguments);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn repository(&self) -> String {
        format!("{}/team", self.registry.address())
    }

    fn release(&self, arguments: &[&str]) -> Run {
        self.release_to(&self.repository(), arguments)
    }

    fn release_to(&self, repository: &str, arguments: &[&str]) -> Run {
        let mut command =
            self.application.command(&[&["release", "--repo", repository], arguments].concat());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        Run::of(command.output().unwrap())
    }

    /// Everything that a release may change here and at the remote.
    fn state(&self) -> String {
        let read = |path| fs::read_to_string(self.application.path(path)).unwrap_or_default();
        let git = |arguments: &[&str]| self.git(arguments);
        [
            read("package.json"),
            read("CHANGELOG.md"),
            git(&["status", "--porcelain"]),
            git(&["show-ref"]),
            git(&["ls-remote", "origin"]),
        ]
        .join("\n--\n")
    }

    fn tags_in_registry(&self) -> Vec<String> {
        self.tags_of("-web")
    }

    /// The tags of the image that is called as the application is, with `more` behind it.
    fn tags_of(&self, more: &str) -> Vec<String> {
        let name = format!("team/{}{more}/_manifests/tags", self.application.name);
        let folder = self.registry.data().join("repositories").join(name);
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut tags: Vec<String> = names.collect();
        tags.sort();
        tags
    }
}

impl Drop for Released {
    fn drop(&mut self) {
        forget(&self.repository());
    }
}

fn open_registry() -> Registry {
    Registry::start_at(machine_address(), None).unwrap()
}

#[test]
fn a_release_is_one_command() {
    let it = Released::new(open_registry());
    let before = it.state();
    let run = it.release(&["--bump", "minor", "--dry-run"]);
    assert_eq!(run.code, Some(0), "{run}");
    for words in ["1.2.3 → 1.3.0", "- the first page", "tag v1.3.0 on main", "git push --atomic"]
    {
        assert!(run.stdout.contains(words), "{run}");
    }
    assert_eq!(it.state(), before, "a dry run changes nothing");

    let run = it.release(&["--bump", "minor"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("Released 1.3.0"), "{run}");
    let package = fs::read_to_string(it.application.path("package.json")).unwrap();
    assert_eq!(package, "{\n  \"name\": \"shop\",\n  \"version\": \"1.3.0\"\n}\n");
    let changelog = fs::read_to_string(it.application.path("CHANGELOG.md")).unwrap();
    assert!(
        changelog.contains("## 1.3.0 - 2") && changelog.contains("### Added\n\n- the first page")
    );
    assert_eq!(it.git(&["status", "--porcelain"]), "");
    let head = it.git(&["rev-parse", "HEAD"]);
    let remote = it.git(&["ls-remote", "origin"]);
    assert!(remote.contains(&format!("{head}\trefs/heads/main")), "{remote}");
    assert!(remote.contains(&format!("{head}\trefs/tags/v1.3.0^{{}}")), "{remote}");
    assert_eq!(it.tags_in_registry(), ["1.3.0", "latest"]);
    assert_eq!(it.tags_of(""), ["1.3.0", "latest"], "the stack's image");

    it.application.put("deploy/web/package.json", "{ \"name\": \"web\", \"private\": true }\n");
    it.commit("fix: nobody publishes the page");
    let run = it.release(&["--bump", "patch"]);
    assert_eq!(run.code, Some(0), "{run}");
    let changelog = fs::read_to_string(it.application.path("CHANGELOG.md")).unwrap();
    let section = &changelog[..changelog.find("## 1.3.0").unwrap()];
    assert!(section.contains("- nobody publishes the page"), "{changelog}");
    assert!(!section.contains("the first page"), "{changelog}");
}

#[test]
fn what_a_release_needs_is_checked_before_anything_is_done() {
    let it = Released::new(open_registry());
    let refused = |arguments: &[&str], words: &str| {
        let before = it.state();
        let run = it.release(arguments);
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains(words), "{words}: {run}");
        assert_eq!(it.state(), before);
        assert_eq!(it.tags_in_registry(), [""; 0]);
    };
    it.application.put("deploy/web/other", "1");
    refused(&["--bump", "patch"], "the tree is not clean: deploy/web/other");
    it.commit("a file");
    it.git(&["tag", "v1.2.4"]);
    refused(&["--bump", "patch"], "the tag `v1.2.4` exists already");
    it.git(&["push", "--quiet", "origin", "v1.2.4"]);
    it.git(&["tag", "--delete", "v1.2.4"]);
    refused(&["--bump", "patch"], "the tag `v1.2.4` exists at `origin`");
    refused(&["--to", "1.2.3"], "`1.2.3` is not later than `1.2.3`");
    refused(&["--to", "2"], "`2` is no version");
    refused(&["--bump", "minor", "--remote", "nowhere"], "the remote `nowhere` can't be asked");
    it.git(&["switch", "--quiet", "--detach"]);
    refused(&["--bump", "minor"], "no branch is checked out");
}

#[test]
fn a_version_that_a_registry_has_or_may_have_is_not_released() {
    let it = Released::new(open_registry());
    let first = it.git(&["rev-parse", "HEAD"]);
    let run = it.release(&["--bump", "patch"]);
    assert_eq!(run.code, Some(0), "{run}");
    // As a repository is that does not know of the release.
    it.git(&["tag", "--delete", "v1.2.4"]);
    it.git(&["reset", "--quiet", "--hard", &first]);
    it.git(&["push", "--quiet", "--force", "origin", "main", ":refs/tags/v1.2.4"]);
    let before = it.state();
    let run = it.release(&["--bump", "patch"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("-web:1.2.4` exists in the registry already"), "{run}");
    assert_eq!(it.state(), before);

    let nobody = std::net::TcpListener::bind((machine_address(), 0)).unwrap().local_addr().unwrap();
    let run = it.release_to(&format!("{nobody}/team"), &["--bump", "minor"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("whether a registry has version 1.3.0 can't be told"), "{run}");
    assert_eq!(it.state(), before);

    let run = it.release(&["--bump", "patch", "--no-push"]);
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn a_build_that_fails_leaves_everything_as_it_was() {
    let it = Released::new(open_registry());
    it.application.put("deploy/web/Dockerfile", "FROM scratch\nCOPY missing /\n");
    it.commit("a mistake");
    let before = it.state();
    let run = it.release(&["--bump", "major"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("nothing was released"), "{run}");
    assert_eq!(it.state(), before);
    assert_eq!(it.tags_in_registry(), [""; 0]);
}

#[test]
fn a_commit_that_is_refused_leaves_everything_as_it_was() {
    let it = Released::new(open_registry());
    let hook = it.application.path(".git/hooks/pre-commit");
    it.application.put(".git/hooks/pre-commit", "#!/bin/sh\necho not today >&2\nexit 1\n");
    fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let before = it.state();
    let run = it.release(&["--bump", "major"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("not today"), "{run}");
    assert_eq!(it.state(), before);
}

#[test]
fn a_release_that_got_half_way_says_how_to_go_on() {
    let it = Released::new(private_registry());
    let run = it.release(&["--bump", "patch"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("version 1.2.4 is not wholly in the registry"), "{run}");
    assert!(run.stderr.contains("git reset --hard"), "{run}");
    // As it says.
    let auths = format!(
        "{{ \"auths\": {{ \"{}\": {{ \"auth\": \"{BASIC}\" }} }} }}",
        it.registry.address()
    );
    it.application.put(".docker/config.json", &auths);
    let push = it.application.run(&["push", "--version", "1.2.4", "--repo", &it.repository()]);
    assert_eq!(push.code, Some(0), "{push}");
    it.git(&["push", "--quiet", "--atomic", "origin", "HEAD:main", "v1.2.4"]);
    assert_eq!(it.git(&["status", "--porcelain"]), "");
}
