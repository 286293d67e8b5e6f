//! The invalidation matrix: what must rebuild does, what must not does not, and what results is
//! what a build from nothing gives.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use crate::support::{TestApplication, identity, image_files, image_id, tar_files};

const BUILD_JS: &str = "module.exports = {
  base: { dir: 'base' },
  web: { dir: 'web', env: { COLOUR: 'red', UNUSED: '1' } },
  other: { dir: 'other' },
};
";

/// `web` is on `base`; `other` is on its own. All only copy, so that they are reproducible.
fn sample() -> TestApplication {
    let application = TestApplication::new(&[
        ("deploy/build.js", BUILD_JS),
        ("deploy/base/Dockerfile", "FROM scratch\nCOPY shared /shared/\n"),
        ("deploy/base/shared/library.txt", "library"),
        ("deploy/base/not-copied.txt", "1"),
        ("deploy/web/Dockerfile", ""),
        ("deploy/web/src/a/one.txt", "one"),
        ("deploy/web/src/a/two.txt", "two"),
        ("deploy/web/src/b/three.txt", "three"),
        ("deploy/web/not-copied.txt", "1"),
        ("deploy/other/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("deploy/other/file.txt", "other"),
        ("deploy/unrelated.txt", "1"),
    ]);
    let dockerfile = format!(
        "ARG COLOUR=none\nFROM {}-base\nARG COLOUR\nLABEL colour=${{COLOUR}}\nCOPY src /src/\n",
        application.name
    );
    application.put("deploy/web/Dockerfile", &dockerfile);
    symlink("a/one.txt", application.path("deploy/web/src/link")).unwrap();
    application
}

/// Builds after `change`; checks which images were built, and that they are what a build from
/// nothing gives.
fn expect(what: &str, change: impl FnOnce(&TestApplication), built: &[&str]) {
    expect_with(what, change, &[], built);
}

fn expect_with(
    what: &str,
    change: impl FnOnce(&TestApplication),
    arguments: &[&str],
    built: &[&str],
) {
    let application = sample();
    assert_eq!(application.built(&[]).built(), ["base", "other", "web"], "{what}: first");
    change(&application);
    let run = application.built(arguments);
    assert_eq!(run.built(), built, "{what}: {run}");

    let images = ["base", "web", "other"].map(|image| application.reference(image));
    let incremental = images.each_ref().map(|image| identity(image));
    let again = application.built(arguments);
    assert_eq!(again.built(), [""; 0], "{what}: nothing changed, and yet: {again}");
    application.built(&[&["--no-cache", "--force", "*"], arguments].concat());
    for (image, incremental) in images.iter().zip(incremental) {
        let from_nothing = identity(image);
        assert!(
            incremental == from_nothing,
            "{what}: {image} is not what a build from nothing gives"
        );
    }
}

#[test]
fn content_of_a_file() {
    expect("content", |app| app.put("deploy/web/src/a/one.txt", "ONE"), &["web"]);
}

#[test]
fn content_of_the_same_size_and_time() {
    expect(
        "same size and time",
        |app| {
            let path = app.path("deploy/web/src/a/one.txt");
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            app.put("deploy/web/src/a/one.txt", "eno");
            let times = FileTimes::new().set_modified(time);
            File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        },
        &["web"],
    );
}

#[test]
fn a_file_added() {
    expect("added", |app| app.put("deploy/web/src/new.txt", ""), &["web"]);
}

#[test]
fn a_file_removed() {
    let remove = |app: &TestApplication| {
        fs::remove_file(app.path("deploy/web/src/a/two.txt")).unwrap();
    };
    expect("removed", remove, &["web"]);
}

#[test]
fn a_file_renamed() {
    let rename = |app: &TestApplication| {
        let from = app.path("deploy/web/src/a/two.txt");
        fs::rename(from, app.path("deploy/web/src/a/deux.txt")).unwrap();
    };
    expect("renamed", rename, &["web"]);
}

#[test]
fn a_file_moved_to_another_directory() {
    let rename = |app: &TestApplication| {
        let from = app.path("deploy/web/src/a/two.txt");
        fs::rename(from, app.path("deploy/web/src/b/two.txt")).unwrap();
    };
    expect("moved", rename, &["web"]);
}

#[test]
fn two_files_that_change_places() {
    let swap = |app: &TestApplication| {
        app.put("deploy/web/src/a/one.txt", "two");
        app.put("deploy/web/src/a/two.txt", "one");
    };
    expect("swapped", swap, &["web"]);
}

#[test]
fn the_case_of_a_name() {
    let rename = |app: &TestApplication| {
        let from = app.path("deploy/web/src/a/two.txt");
        fs::rename(from, app.path("deploy/web/src/a/Two.txt")).unwrap();
    };
    expect("case", rename, &["web"]);
}

#[test]
fn an_empty_directory() {
    let create = |app: &TestApplication| {
        fs::create_dir(app.path("deploy/web/src/empty")).unwrap();
    };
    expect("empty directory", create, &["web"]);
}

#[test]
fn the_executable_bit() {
    expect("mode", |app| app.set_mode("deploy/web/src/a/one.txt", 0o755), &["web"]);
}

#[test]
fn another_umask() {
    let other_umask = |app: &TestApplication| {
        app.set_mode("deploy/web/src/a/one.txt", 0o664);
        app.set_mode("deploy/web/src/a", 0o775);
    };
    expect("umask", other_umask, &[]);
}

#[test]
fn the_target_of_a_link() {
    let turn = |app: &TestApplication| {
        fs::remove_file(app.path("deploy/web/src/link")).unwrap();
        symlink("a/two.txt", app.path("deploy/web/src/link")).unwrap();
    };
    expect("link target", turn, &["web"]);
}

#[test]
fn a_link_that_becomes_a_file() {
    let replace = |app: &TestApplication| {
        fs::remove_file(app.path("deploy/web/src/link")).unwrap();
        app.put("deploy/web/src/link", "one");
    };
    expect("link to file", replace, &["web"]);
}

#[test]
fn a_file_that_becomes_a_directory() {
    let replace = |app: &TestApplication| {
        fs::remove_file(app.path("deploy/web/src/a/one.txt")).unwrap();
        app.put("deploy/web/src/a/one.txt/inside.txt", "x");
    };
    expect("file to directory", replace, &["web"]);
}

#[test]
fn the_dockerfile() {
    let extend = |app: &TestApplication| {
        let text = fs::read_to_string(app.path("deploy/web/Dockerfile")).unwrap();
        app.put("deploy/web/Dockerfile", &format!("{text}LABEL more=1\n"));
    };
    expect("Dockerfile", extend, &["web"]);
}

#[test]
fn a_declared_build_argument() {
    let change = |app: &TestApplication| {
        app.put("deploy/build.js", &BUILD_JS.replace("red", "green"));
    };
    expect("argument", change, &["web"]);
}

#[test]
fn an_undeclared_build_argument() {
    let change = |app: &TestApplication| {
        app.put("deploy/build.js", &BUILD_JS.replace("UNUSED: '1'", "UNUSED: '2'"));
    };
    expect("undeclared argument", change, &[]);
}

#[test]
fn a_build_argument_of_the_command_line() {
    expect_with("--env", |_| (), &["--env", "COLOUR=blue"], &["web"]);
}

#[test]
fn a_label() {
    let change = |app: &TestApplication| {
        let text = BUILD_JS.replace("dir: 'other'", "dir: 'other', labels: { a: 'b' }");
        app.put("deploy/build.js", &text);
    };
    expect("label", change, &["other"]);
}

#[test]
fn a_definition_that_only_looks_different() {
    let change = |app: &TestApplication| {
        app.put("deploy/build.js", &format!("// A comment.\n{BUILD_JS}"));
    };
    expect("comment in build.js", change, &[]);
}

#[test]
fn the_base_and_what_is_on_it() {
    let change = |app: &TestApplication| app.put("deploy/base/shared/library.txt", "new");
    expect("base", change, &["base", "web"]);
}

#[test]
fn a_base_that_comes_out_the_same_leaves_its_dependents_fresh() {
    expect("cut-off", |app| app.put("deploy/base/not-copied.txt", "2"), &["base"]);
}

#[test]
fn a_file_of_no_context() {
    expect("unrelated", |app| app.put("deploy/unrelated.txt", "2"), &[]);
}

#[test]
fn touching_a_file() {
    let touch = |app: &TestApplication| {
        let time = SystemTime::now() + Duration::from_mins(1);
        let file = File::options().write(true).open(app.path("deploy/web/src/a/one.txt"));
        file.unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    expect("touch", touch, &[]);
}

#[test]
fn an_image_that_the_engine_lost() {
    let application = sample();
    application.built(&[]);
    let (web, base) = (application.reference("web"), application.reference("base"));
    crate::support::client().delete(&format!("/images/{web}")).unwrap();
    let run = application.built(&[]);
    assert_eq!(run.built(), ["web"], "{run}");
    assert_eq!(run.reasons(&web), ["image-missing"]);

    // Someone else's image under the reference of ours.
    let path = format!("/images/{base}/tag?repo={}-web&tag=latest", application.name);
    crate::support::client().post(&path, &mut std::io::empty(), 0).unwrap();
    assert_eq!(image_id(&web), image_id(&base));
    let run = application.built(&[]);
    assert_eq!(run.reasons(&web), ["image-replaced"]);
    assert_ne!(image_id(&web), image_id(&base));
    assert!(application.built(&[]).built().is_empty());
}

#[test]
fn a_fresh_clone_elsewhere_has_the_same_fingerprints_and_images() {
    let application = sample();
    let fingerprints = |run: &crate::support::Run| {
        let built = run.events("build-finished");
        let pairs = built
            .iter()
            .map(|event| (event["image"].to_string(), event["fingerprint"].to_string()));
        pairs.collect::<std::collections::BTreeMap<_, _>>()
    };
    let here = fingerprints(&application.built(&[]));
    let images = ["base", "web", "other"].map(|image| application.reference(image));
    let before = images.each_ref().map(|image| identity(image));
    let clone = application.cloned();
    clone.set_mode("deploy/web/src/b/three.txt", 0o600);
    let there = fingerprints(&clone.built(&[]));
    assert_eq!(here, there);
    assert!(before == images.each_ref().map(|image| identity(image)));
}

#[test]
fn another_user_plans_the_same_fingerprints() {
    /// A user that owns nothing else: `nobody` on Debian.
    const NOBODY: u32 = 65534;
    let application = sample();
    let fingerprints = |mut command: std::process::Command| {
        let run = crate::support::Run::of(command.output().unwrap());
        assert_eq!(run.code, Some(0), "{run}");
        let plan: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let images = plan["images"].as_array().unwrap().iter();
        images.map(|image| image["fingerprint"].to_string()).collect::<Vec<_>>()
    };
    let mine = fingerprints(application.command(&["plan", "--format", "json"]));
    let clone = application.cloned();
    let given = std::process::Command::new("chown")
        .args(["-R", &format!("{NOBODY}:{NOBODY}")])
        .arg(clone.root())
        .status();
    assert!(given.unwrap().success());
    // The program itself lies where only its builder may look.
    let program = clone.path(".program");
    fs::copy(env!("CARGO_BIN_EXE_ailtire-build"), &program).unwrap();
    let mut theirs = std::process::Command::new("setpriv");
    theirs.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    theirs
        .env("HOME", clone.root())
        .arg(&program)
        .args(["plan", "--format", "json"])
        .current_dir(clone.root());
    assert_eq!(mine.len(), 3);
    assert_eq!(fingerprints(theirs), mine);
}

#[test]
fn time_zone_locale_umask_and_path_are_not_among_the_inputs() {
    let application = sample();
    // What a definition makes of a date and of letters is what it makes of them everywhere.
    let build = BUILD_JS.replace(
        "COLOUR: 'red'",
        "COLOUR: new Date(0).getHours() + new Date(2026, 6, 1).toISOString() + \
         new Date(0).toString() + 'title'.toLocaleUpperCase() + ['ä', 'z', 'a'].sort() + \
         (1234.5).toLocaleString()",
    );
    assert_ne!(build, BUILD_JS);
    application.put("deploy/build.js", &build);
    let fingerprints = |command: &mut std::process::Command| {
        let run = crate::support::Run::of(command.output().unwrap());
        assert_eq!(run.code, Some(0), "{run}");
        let plan: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let images = plan["images"].as_array().unwrap().iter();
        images.map(|image| image["fingerprint"].to_string()).collect::<Vec<_>>()
    };
    let plan = ["plan", "--format", "json"];
    let here = fingerprints(application.command(&plan).env("TZ", "UTC0").env("LC_ALL", "C"));
    assert_eq!(here.len(), 3);
    for (zone, locale, umask) in
        [("XYZ-14", "tr_TR.UTF-8", "000"), ("Asia/Kolkata", "de_DE@euro", "077"), ("", "", "027")]
    {
        // A clone as git makes one under that umask, deeper in another directory.
        let elsewhere = tempfile::tempdir().unwrap();
        let mut copy = std::process::Command::new("sh");
        let copy = copy.args(["-c", "umask $1 && mkdir -p \"$3\" && cp -r \"$2\" \"$3\"", "copy"]);
        let to = elsewhere.path().join("deep er/Ünder");
        assert!(copy.arg(umask).arg(application.root()).arg(&to).status().unwrap().success());
        let root = to.join(application.root().file_name().unwrap());
        let mut command = application.command(&plan);
        command.env("TZ", zone).env("LC_ALL", locale).env("LANG", locale).current_dir(&root);
        assert_eq!(fingerprints(&mut command), here, "{zone} {locale} {umask}");
    }
}

#[test]
fn the_listed_context_is_what_the_image_holds() {
    let application = sample();
    application.set_mode("deploy/other/file.txt", 0o755);
    fs::create_dir_all(application.path("deploy/other/deep/empty")).unwrap();
    symlink("../nowhere", application.path("deploy/other/deep/dangling")).unwrap();
    application.put("deploy/other/.hidden", "left out");
    application.put("deploy/other/node_modules/x/index.js", "left out");
    application.built(&["other"]);
    let tar = application.command(&["context", "other", "--tar", "-"]).output().unwrap();
    assert_eq!(tar.status.code(), Some(0), "{}", String::from_utf8_lossy(&tar.stderr));
    let context = tar_files(&tar.stdout);
    assert_eq!(context, image_files(&application.reference("other")));
    let paths: Vec<_> = context.keys().map(String::as_str).collect();
    assert_eq!(paths, ["Dockerfile", "deep", "deep/dangling", "deep/empty", "file.txt"]);
}
