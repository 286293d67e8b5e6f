//! What a build context holds.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use crate::support::{Fixture, paths};
use ailtire_context::{Content, left_out};
use ailtire_manifest::{Modes, SecretSource};
use ailtire_tree::{Digest, StatIndex, Tree};
use proptest::prelude::*;

const DOCKERFILE: (&str, &str) = ("app/Dockerfile", "FROM scratch\nCOPY . /\n");

fn rows(fixture: &Fixture) -> Vec<String> {
    let tree = fixture.tree();
    let rows = left_out(&tree, &fixture.application, &fixture.application.images[0]).unwrap();
    rows.into_iter().map(|row| format!("{} ({})", row.path, row.rule)).collect()
}

#[test]
fn entries_are_sorted_part_by_part_with_every_directory() {
    let fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/a/x", "1"),
        ("app/a.b", "2"),
        ("app/a/sub/deep/y", "3"),
        ("app/a-c", "4"),
        ("app/empty/", ""),
    ]);
    assert_eq!(
        fixture.paths(),
        [
            "Dockerfile",
            "a/",
            "a/sub/",
            "a/sub/deep/",
            "a/sub/deep/y",
            "a/x",
            "a-c",
            "a.b",
            "empty/"
        ],
    );
}

#[test]
fn files_carry_source_size_and_digest() {
    let fixture = Fixture::new(&[DOCKERFILE, ("app/src/main.js", "hello")]);
    let context = fixture.assemble().unwrap();
    let main = context.entries.iter().find(|entry| &*entry.path == "src/main.js").unwrap();
    let expected =
        Content::File { source: "app/src/main.js".into(), size: 5, digest: Digest::of(b"hello") };
    assert_eq!(main.content, expected);
    assert_eq!(context.entries.iter().filter(|entry| entry.size() > 0).count(), 2);
    assert_eq!(context.total_bytes(), 5 + DOCKERFILE.1.len() as u64);
}

#[test]
fn modes_are_canonical_or_kept() {
    let mut fixture =
        Fixture::new(&[DOCKERFILE, ("app/run", ""), ("app/read", ""), ("app/d/", "")]);
    let set = |path: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(fixture.root().join(path), mode).unwrap();
    };
    set("app/run", 0o4700);
    set("app/read", 0o440);
    set("app/d", 0o1777);
    fixture.link("app/link", "run");
    let modes = |fixture: &Fixture| -> Vec<(String, u32)> {
        let entries = fixture.assemble().unwrap().entries;
        let rest = entries.iter().filter(|entry| &*entry.path != "Dockerfile");
        rest.map(|entry| (entry.path.to_string(), entry.mode)).collect()
    };
    let expected = |d, link, read, run| {
        [("d", d), ("link", link), ("read", read), ("run", run)]
            .map(|(path, mode): (&str, u32)| (path.to_owned(), mode))
    };
    assert_eq!(modes(&fixture), expected(0o755, 0o777, 0o644, 0o755));
    fixture.image().modes = Modes::Preserve;
    assert_eq!(modes(&fixture), expected(0o1777, 0o777, 0o440, 0o4700));
}

#[test]
fn without_an_ignore_file_dot_names_and_node_modules_are_left_out() {
    let fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/.env", ""),
        ("app/.git/HEAD", ""),
        ("app/lib/.cache/x", ""),
        ("app/lib/node_modules/m/index.js", ""),
        ("app/node_modules/m/index.js", ""),
        ("app/lib/kept", ""),
    ]);
    assert_eq!(fixture.paths(), ["Dockerfile", "lib/", "lib/kept"]);
    assert_eq!(
        rows(&fixture),
        [
            ".env (name starts with a dot, and no ignore file)",
            ".git (name starts with a dot, and no ignore file)",
            "lib/.cache (name starts with a dot, and no ignore file)",
            "lib/node_modules (`node_modules`, and no ignore file)",
            "node_modules (`node_modules`, and no ignore file)",
        ],
    );
}

#[test]
fn an_ignore_file_replaces_the_rules_for_names_and_is_in_the_context() {
    let fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/.dockerignore", "# logs\n*.log\n"),
        ("app/.env", ""),
        ("app/a.log", ""),
        ("app/sub/a.log", ""),
        ("app/node_modules/m", ""),
    ]);
    assert_eq!(
        fixture.paths(),
        [
            ".dockerignore",
            ".env",
            "Dockerfile",
            "node_modules/",
            "node_modules/m",
            "sub/",
            "sub/a.log"
        ],
    );
    assert_eq!(rows(&fixture), ["a.log (app/.dockerignore:2: `*.log`)"]);
}

#[test]
fn an_ignore_file_beside_the_dockerfile_takes_precedence() {
    let fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/.dockerignore", "a"),
        ("app/Dockerfile.dockerignore", "b\n*.dockerignore\n"),
        ("app/a", ""),
        ("app/b", ""),
    ]);
    assert_eq!(fixture.paths(), ["Dockerfile", "a"]);
}

#[test]
fn the_state_directory_is_left_out_whatever_the_patterns_say() {
    let fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/.dockerignore", "!.ailtire\n!**\n"),
        ("app/.ailtire/state", ""),
        ("app/sub/.ailtire/state", ""),
    ]);
    assert_eq!(fixture.paths(), [".dockerignore", "Dockerfile", "sub/"]);
}

#[test]
fn a_directory_that_is_left_out_is_there_for_what_an_exception_brings_back() {
    let fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/.dockerignore", "docs\nold\n!docs/*/README.md\n"),
        ("app/docs/a/README.md", ""),
        ("app/docs/a/other", ""),
        ("app/docs/b/other", ""),
        ("app/old/README.md", ""),
    ]);
    assert_eq!(
        fixture.paths(),
        [".dockerignore", "Dockerfile", "docs/", "docs/a/", "docs/a/README.md"],
    );
    assert_eq!(
        rows(&fixture),
        [
            "docs/a/other (app/.dockerignore:1: `docs`)",
            "docs/b (app/.dockerignore:1: `docs`)",
            "old (app/.dockerignore:2: `old`)",
        ],
    );
}

#[test]
fn what_is_left_out_as_a_whole_is_not_even_listed() {
    let fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/.dockerignore", "big\n!docs/x\n"),
        ("app/big/a/b/c", ""),
        ("app/docs/x", ""),
    ]);
    let tree = fixture.tree();
    ailtire_context::assemble(&tree, &fixture.application, &fixture.application.images[0]).unwrap();
    assert_eq!(tree.work().directories_listed, 3, "the root, `app` and `app/docs`");
}

#[test]
fn packages_are_placed_under_api_with_the_top_index() {
    let mut fixture = Fixture::new(&[
        DOCKERFILE,
        ("api/index.js", "top"),
        ("api/Billing/index.js", "billing"),
        ("api/Billing/models/Bill.js", "bill"),
        ("api/Billing/.hidden", ""),
    ]);
    assert_eq!(fixture.paths(), ["Dockerfile"], "nothing is placed unless it is asked for");
    fixture.place("Billing", "api/Billing");
    assert_eq!(
        fixture.paths(),
        [
            "Dockerfile",
            "api/",
            "api/Billing/",
            "api/Billing/index.js",
            "api/Billing/models/",
            "api/Billing/models/Bill.js",
            "api/index.js",
        ],
    );
}

#[test]
fn the_context_keeps_its_own_index() {
    let mut fixture = Fixture::new(&[
        DOCKERFILE,
        ("api/index.js", "top"),
        ("api/Billing/index.js", "billing"),
        ("app/api/index.js", "own"),
    ]);
    fixture.place("Billing", "api/Billing");
    let context = fixture.assemble().unwrap();
    let index = context.entries.iter().find(|entry| &*entry.path == "api/index.js").unwrap();
    assert!(
        matches!(&index.content, Content::File { source, .. } if &**source == "app/api/index.js")
    );
}

#[test]
fn later_layers_win_file_by_file() {
    let mut fixture = Fixture::new(&[
        DOCKERFILE,
        ("api/A/both", "package"),
        ("api/A/kind/inside", "package"),
        ("api/A/flat", "package"),
        ("app/api/A/both", "directory"),
        ("app/api/A/only", "directory"),
        ("app/api/A/kind", "directory"),
        ("app/api/A/flat/inside", "directory"),
    ]);
    fixture.place("A", "api/A");
    let context = fixture.assemble().unwrap();
    assert_eq!(
        paths(&context),
        [
            "Dockerfile",
            "api/",
            "api/A/",
            "api/A/both",
            "api/A/flat",
            "api/A/kind/",
            "api/A/kind/inside",
            "api/A/only",
        ],
    );
    let both = context.entries.iter().find(|entry| &*entry.path == "api/A/both").unwrap();
    assert!(matches!(&both.content, Content::File { source, .. } if &**source == "api/A/both"));
}

#[test]
fn a_package_that_holds_the_whole_application_is_placed_once() {
    let mut fixture =
        Fixture::new(&[DOCKERFILE, ("index.js", "top"), ("api/x", ""), (".ailtire/state", "")]);
    fixture.image().directory = String::new();
    fixture.application.packages[0].directory = String::new();
    fixture.application.packages[0].index_file = Some("index.js".to_owned());
    fixture.place("All", "");
    assert_eq!(
        fixture.paths(),
        [
            "api/",
            "api/All/",
            "api/All/api/",
            "api/All/api/x",
            "api/All/app/",
            "api/All/app/Dockerfile",
            "api/All/index.js",
            "api/index.js",
            "api/x",
            "app/",
            "app/Dockerfile",
            "index.js",
        ],
    );
}

#[test]
fn patterns_apply_to_placed_packages_at_their_path_in_the_context() {
    let mut fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/.dockerignore", "api/*/doc\n.dockerignore\nDockerfile\n"),
        ("api/A/doc/x", ""),
        ("api/A/src", ""),
    ]);
    fixture.place("A", "api/A");
    assert_eq!(fixture.paths(), ["api/", "api/A/", "api/A/src"]);
}

#[test]
fn package_names_that_are_no_directory_names_are_errors_and_reported_together() {
    let mut fixture = Fixture::new(&[DOCKERFILE, ("api/A/x", "")]);
    fixture.place("..", "api/A");
    fixture.place("a/b", "api/A");
    let errors = fixture.assemble().unwrap_err();
    assert_eq!(errors.iter().map(|error| &*error.code).collect::<Vec<_>>(), ["package-name"; 2]);
}

#[test]
fn a_dockerfile_from_elsewhere_is_placed_at_the_root() {
    let mut fixture = Fixture::new(&[
        DOCKERFILE,
        ("deploy/Dockerfile.web", "FROM busybox\n"),
        ("deploy/Dockerfile.web.dockerignore", "secret"),
        ("app/secret", ""),
    ]);
    fixture.image().dockerfile = "deploy/Dockerfile.web".to_owned();
    let context = fixture.assemble().unwrap();
    assert_eq!(paths(&context), ["Dockerfile"]);
    assert!(matches!(
        &context.entries[0].content,
        Content::File { source, .. } if &**source == "deploy/Dockerfile.web"
    ));
    assert_eq!(&*context.dockerfile.text, "FROM busybox\n");
}

#[test]
fn a_directory_with_a_similar_name_does_not_hold_the_dockerfile() {
    let mut fixture = Fixture::new(&[DOCKERFILE, ("app-two/Dockerfile", "FROM busybox\n")]);
    fixture.image().dockerfile = "app-two/Dockerfile".to_owned();
    let context = fixture.assemble().unwrap();
    assert!(matches!(
        &context.entries[0].content,
        Content::File { source, .. } if &**source == "app-two/Dockerfile"
    ));
}

#[test]
fn an_ignored_dockerfile_still_builds() {
    let fixture = Fixture::new(&[DOCKERFILE, ("app/.dockerignore", "*"), ("app/x", "")]);
    let context = fixture.assemble().unwrap();
    assert!(context.entries.is_empty());
    assert_eq!(&*context.dockerfile.text, DOCKERFILE.1);
}

#[test]
fn the_default_command_does_not_change_the_dockerfile_in_the_context() {
    let mut fixture = Fixture::new(&[DOCKERFILE]);
    fixture.image().command = Some("node server.js".to_owned());
    let context = fixture.assemble().unwrap();
    assert!(context.dockerfile.text.ends_with("CMD [\"node\", \"server.js\"]\n"));
    assert!(matches!(&context.entries[0].content, Content::File { size, .. }
        if *size == DOCKERFILE.1.len() as u64));
}

#[test]
fn secrets_never_enter_a_context() {
    let mut fixture = Fixture::new(&[DOCKERFILE, ("app/token", "s3cret"), ("app/other", "fine")]);
    fixture.image().secrets.insert("npm".to_owned(), SecretSource::File("app/token".to_owned()));
    let context = fixture.assemble().unwrap();
    assert_eq!(paths(&context), ["Dockerfile", "other"]);
    assert_eq!(context.diagnostics.len(), 1);
    assert_eq!(context.diagnostics[0].code, "secret-in-context");
    assert_eq!(rows(&fixture), ["token (source of the build secret `npm`)"]);
    fixture.write("app/.dockerignore", "token");
    assert!(fixture.assemble().unwrap().diagnostics.is_empty(), "it is left out on purpose");
}

#[test]
fn links_stay_links_and_those_that_lead_outside_are_warned_about() {
    let fixture = Fixture::new(&[DOCKERFILE, ("app/file", ""), ("lib/x", "")]);
    fixture.link("app/inside", "file");
    fixture.link("app/other-directory", "../lib");
    fixture.link("app/outside", "/etc/hostname");
    fixture.link("app/gone", "nowhere");
    let context = fixture.assemble().unwrap();
    let links = context.entries.iter().filter_map(|entry| match &entry.content {
        Content::Symlink { target } => Some((&*entry.path, &**target)),
        _ => None,
    });
    assert_eq!(
        links.collect::<Vec<_>>(),
        [
            ("gone", "nowhere"),
            ("inside", "file"),
            ("other-directory", "../lib"),
            ("outside", "/etc/hostname"),
        ],
    );
    assert_eq!(context.diagnostics.len(), 1);
    assert_eq!(context.diagnostics[0].location.as_ref().unwrap().file, "app/outside");
}

#[test]
fn special_files_are_skipped_with_a_warning() {
    let fixture = Fixture::new(&[DOCKERFILE]);
    let _socket =
        std::os::unix::net::UnixListener::bind(fixture.root().join("app/socket")).unwrap();
    let context = fixture.assemble().unwrap();
    assert_eq!(paths(&context), ["Dockerfile"]);
    assert_eq!(context.diagnostics[0].code, "special-file");
    assert_eq!(rows(&fixture), ["socket (neither file, directory nor link)"]);
}

#[test]
fn names_that_are_not_utf8_are_errors_unless_left_out() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new(&[DOCKERFILE, ("app/lib/x", "")]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::create_dir(fixture.root().join("app/lib").join(name)).unwrap();
    let errors = fixture.assemble().unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].message, "the name of `app/lib/caf\u{fffd}` is not UTF-8");
    fixture.write("app/.dockerignore", "lib/caf*");
    assert!(fixture.assemble().is_ok());
}

#[test]
fn errors_of_dockerfile_and_context_are_reported_together() {
    let fixture =
        Fixture::new(&[("app/Dockerfile", "RUN x\n"), ("app/.dockerignore", "a\n[\n!\n")]);
    let errors = fixture.assemble().unwrap_err();
    let shown: Vec<_> = errors
        .iter()
        .map(|error| format!("{}: {}", error.location.as_ref().unwrap(), error.message))
        .collect();
    assert_eq!(
        shown,
        [
            "app/Dockerfile: the Dockerfile `app/Dockerfile` has no `FROM`",
            "app/.dockerignore:2: `[` is no valid ignore pattern: the `[` has no `]`",
            "app/.dockerignore:3: `!` is no valid ignore pattern: there is nothing after the `!`",
        ],
    );
}

#[test]
fn a_release_version_is_put_into_the_root_package_json_only() {
    let mut fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/package.json", "{\n  \"name\": \"x\",\n  \"version\": \"0.0.1\"\n}\n"),
        ("app/sub/package.json", "{\"version\": \"0.0.1\"}"),
    ]);
    fixture.application.release_version = Some("2.0".to_owned());
    let context = fixture.assemble().unwrap();
    let generated = context.entries.iter().filter_map(|entry| match &entry.content {
        Content::Generated { bytes, digest } => {
            assert_eq!(*digest, Digest::of(bytes));
            Some((&*entry.path, std::str::from_utf8(bytes).unwrap()))
        }
        _ => None,
    });
    assert_eq!(
        generated.collect::<Vec<_>>(),
        [("package.json", "{\n  \"name\": \"x\",\n  \"version\": \"2.0\"\n}\n")],
    );
    fixture.write("app/package.json", "{\n  \"name\": \"x\",\n}\n");
    let errors = fixture.assemble().unwrap_err();
    assert_eq!(errors[0].location.as_ref().unwrap().to_string(), "app/package.json:3:1");
}

/// What every path of a context comes from, laid over one another the simple way: in one map.
fn overlaid(layers: &[(&str, &str, &Files)]) -> BTreeMap<Vec<String>, Option<String>> {
    let mut all: BTreeMap<Vec<String>, Option<String>> = BTreeMap::new();
    for (source, place, files) in layers {
        let mut put = |parts: &[&str], what: Option<String>| {
            let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            if what.is_some() {
                all.retain(|path, _| !path.starts_with(&parts));
            }
            let known = all.entry(parts).or_insert_with(|| what.clone());
            *known = what;
        };
        for path in *files {
            let full = format!("{place}{path}");
            let parts: Vec<&str> = full.split('/').collect();
            for end in 1..parts.len() {
                put(&parts[..end], None);
            }
            put(&parts, Some(format!("{source}/{path}")));
        }
    }
    all
}

type Files = BTreeSet<String>;

/// Sets of paths no two of which would need a name to be both file and directory.
fn files(pattern: &'static str) -> impl Strategy<Value = Files> {
    proptest::collection::btree_set(pattern, 1..8).prop_map(|paths| {
        let is_directory = |path: &str| paths.iter().any(|it| it.starts_with(&format!("{path}/")));
        paths.iter().filter(|path| !is_directory(path)).cloned().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn merging_equals_laying_files_over_one_another(
        own in files("(api/)?([AB]/)?[ab](/[ab-])?"),
        first in files("[ab-](/[ab])?(/a)?"),
        second in files("[ab-](/[ab])?(/a)?"),
    ) {
        let mut fixture = Fixture::new(&[("Dockerfile", "FROM scratch\n"), ("app/", "")]);
        fixture.image().dockerfile = "Dockerfile".to_owned();
        for (directory, files) in [("app", &own), ("lib/one", &first), ("lib/two", &second)] {
            for path in files {
                fixture.write(&format!("{directory}/{path}"), "");
            }
        }
        fixture.place("A", "lib/one");
        fixture.place("B", "lib/two");
        fixture.place("A", "lib/two");
        let dockerfile = Files::from(["Dockerfile".to_owned()]);
        let expected = overlaid(&[
            ("app", "", &own),
            ("lib/one", "api/A/", &first),
            ("lib/two", "api/B/", &second),
            ("lib/two", "api/A/", &second),
            ("", "", &dockerfile),
        ]);
        let context = fixture.assemble().unwrap();
        // A map's own order is the one of a context: part by part, parents first.
        let actual: Vec<(Vec<String>, Option<String>)> = context
            .entries
            .iter()
            .map(|entry| {
                let source = match &entry.content {
                    Content::File { source, .. } if &**source == "Dockerfile" => {
                        Some("/Dockerfile".to_owned())
                    }
                    Content::File { source, .. } => Some(source.to_string()),
                    _ => None,
                };
                (entry.path.split('/').map(str::to_owned).collect(), source)
            })
            .collect();
        prop_assert_eq!(actual, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_directory_and_a_dockerfile_behind_links_are_found() {
    let mut fixture = Fixture::new(&[
        DOCKERFILE,
        ("app/Dockerfile.dockerignore", "x\n*.dockerignore"),
        ("app/x", ""),
    ]);
    fixture.link("current", "app");
    fixture.image().directory = "current".to_owned();
    fixture.image().dockerfile = "current/Dockerfile".to_owned();
    assert_eq!(fixture.paths(), ["Dockerfile"]);
}

#[test]
fn a_finding_is_reported_once_for_a_file_that_is_there_twice() {
    let mut fixture = Fixture::new(&[DOCKERFILE, ("app/api/A/x", "")]);
    fixture.link("app/api/A/outside", "/etc/hostname");
    fixture.place("Again", "app/api/A");
    assert_eq!(fixture.assemble().unwrap().diagnostics.len(), 1);
}

#[test]
fn an_allowed_directory_outside_is_a_context_like_any_other() {
    let mut fixture = Fixture::new(&[
        ("root/app/Dockerfile", "FROM scratch\n"),
        ("root/api/index.js", ""),
        ("root/api/A/x", ""),
        ("shared/api/index.js", "own"),
        ("shared/.dockerignore", "left-out\n.dockerignore\n"),
        ("shared/left-out", ""),
    ]);
    fixture.image().directory = "../shared".to_owned();
    fixture.place("A", "api/A");
    let (root, outside) = (fixture.root().join("root"), fixture.root().join("shared"));
    let tree = Tree::open_with_outside(&root, &[outside], StatIndex::default()).unwrap();
    let image = &fixture.application.images[0];
    let context = ailtire_context::assemble(&tree, &fixture.application, image).unwrap();
    assert_eq!(paths(&context), ["Dockerfile", "api/", "api/A/", "api/A/x", "api/index.js"]);
    let index = context.entries.last().unwrap();
    assert!(
        matches!(&index.content, Content::File { source, .. } if &**source == "../shared/api/index.js")
    );
    context.write_tar(&root, &[], |_| 0, std::io::sink()).unwrap();
}
