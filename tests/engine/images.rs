//! Building: order, selection, references, labels, arguments.

use std::fs;

use crate::support::{TestApplication, image_files, image_id, inspect_all};

#[test]
fn an_image_is_built_after_what_it_copies_from_mounts_and_is_on() {
    let application = TestApplication::new(&[]);
    let name = &application.name;
    application.put(
        "deploy/build.js",
        "module.exports = { d: { dir: 'd' }, c: { dir: 'c' }, b: { dir: 'b' }, a: { dir: 'a' } };",
    );
    application.put("deploy/a/Dockerfile", "FROM ailtire-test/busybox:1\nRUN echo a > /a\n");
    application.put("deploy/b/Dockerfile", &format!("FROM {name}-a\nRUN cat /a > /b\n"));
    application.put("deploy/c/Dockerfile", &format!("FROM scratch\nCOPY --from={name}-b /b /c\n"));
    let mount = format!(
        "FROM ailtire-test/busybox:1\nRUN --mount=type=bind,from={name}-c,target=/m cat /m/c > /d\n"
    );
    application.put("deploy/d/Dockerfile", &mount);
    let run = application.built(&["d", "-j", "4"]);
    let order: Vec<_> = run.events("build-finished").iter().map(|e| e["image"].clone()).collect();
    assert_eq!(order, ["a", "b", "c", "d"].map(|image| application.reference(image)));
    assert_eq!(image_files(&application.reference("d"))["d"].content, b"a\n");
}

#[test]
fn references_labels_and_default_command_reach_the_image() {
    let application = TestApplication::new(&[
        ("package.json", "{\n  \"version\": \"1.0.0\"\n}\n"),
        (
            "deploy/build.js",
            "module.exports = { web: { dir: '..', file: 'deploy/Dockerfile',
            cmd: 'node server.js', labels: { team: 'blue' } } };",
        ),
        ("deploy/Dockerfile", "FROM scratch\nCOPY package.json /\n"),
    ]);
    let repository = format!("{}-team", application.name);
    application.built(&["--repo", &repository, "--version", "2.3.4"]);
    let reference = |tag: &str| format!("{repository}/{}-web:{tag}", application.name);
    let image = inspect_all(&reference("latest"));
    assert_eq!(image_id(&reference("2.3.4")), image["Id"]);
    let labels = &image["Config"]["Labels"];
    assert_eq!(labels["team"], "blue");
    assert_eq!(labels["ailtire.application"], application.name.as_str());
    assert_eq!(labels["ailtire.package"], application.name.as_str());
    assert_eq!(labels["org.opencontainers.image.version"], "2.3.4");
    assert_eq!(image["Config"]["Cmd"], serde_json::json!(["node", "server.js"]));
    let files = image_files(&reference("latest"));
    assert_eq!(files["package.json"].content, b"{\n  \"version\": \"2.3.4\"\n}\n");
    let on_disk = fs::read_to_string(application.path("package.json")).unwrap();
    assert!(on_disk.contains("1.0.0"), "the file on disk stays as it is");
}

#[test]
fn a_new_reference_costs_no_build() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    application.built(&[]);
    let id = image_id(&application.reference("web"));
    let tag = format!("{}-second", application.name);
    let both = format!("module.exports = {{ web: {{ dir: 'web', tag: '{tag}' }} }};");
    application.put("deploy/build.js", &both);
    // Another name is another image to the records; the engine's cache makes it the same one.
    application.built(&[]);
    assert_eq!(image_id(&format!("{tag}:latest")), id);
}

#[test]
fn a_selection_builds_what_it_needs_and_no_more() {
    let application = TestApplication::new(&[]);
    let name = &application.name;
    application.put("deploy/build.js", "module.exports = { base: { dir: 'base' } };");
    application.put("deploy/base/Dockerfile", "FROM scratch\nCOPY . /\n");
    for package in ["Shop", "Shop/Cart", "Mail"] {
        let key = package.replace('/', "");
        let index = format!("module.exports = {{ name: '{key}', shortname: 's{key}' }};");
        application.put(&format!("api/{package}/index.js"), &index);
        let build =
            format!("module.exports = {{ service: {{ tag: '{name}-{}' }} }};", key.to_lowercase());
        application.put(&format!("api/{package}/deploy/build.js"), &build);
        let dockerfile = format!("FROM {name}-base\nCOPY . /x/\n");
        application.put(&format!("api/{package}/deploy/Dockerfile"), &dockerfile);
    }
    assert_eq!(application.built(&["Shop"]).built(), ["base", "shop"]);
    assert_eq!(application.built(&["sShop", "--recursive"]).built(), ["shopcart"]);
    assert_eq!(application.built(&[&format!("{name}-ma*")]).built(), ["mail"]);
    let run = application.build(&["Shopp", "nothing*"]);
    assert_eq!(run.code, Some(2));
    let run = application.run(&["build", "Shopp", "nothing*"]);
    assert!(run.stderr.contains("`Shopp`") && run.stderr.contains("`nothing*`"), "{run}");
    assert!(application.built(&[]).built().is_empty());
}

#[test]
fn secrets_reach_the_build_and_nothing_else() {
    let application = TestApplication::new(&[
        (
            "deploy/build.js",
            "module.exports = { web: { dir: 'web', secrets: {
            token: { env: 'TEST_TOKEN' }, key: { file: 'key.pem' } } } };",
        ),
        ("deploy/key.pem", "swordfish-file"),
        (
            "deploy/web/Dockerfile",
            "FROM ailtire-test/busybox:1
RUN --mount=type=secret,id=token --mount=type=secret,id=key \\
    cat /run/secrets/token /run/secrets/key | md5sum > /sum\n",
        ),
    ]);
    let mut command = application.command(&["build", "--message-format", "json", "-v"]);
    let run = crate::support::Run::of(command.env("TEST_TOKEN", "swordfish-env").output().unwrap());
    assert_eq!(run.code, Some(0), "{run}");
    let sum = String::from_utf8(image_files(&application.reference("web"))["sum"].content.clone());
    assert_eq!(sum.unwrap(), "84a65033e4032a0f922eb4617ad5707c  -\n");
    assert!(!run.to_string().contains("swordfish"));
    assert!(!inspect_all(&application.reference("web")).to_string().contains("swordfish"));
    for path in walk(&application.path(".ailtire")) {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"swordfish"), "{}", path.display());
    }
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_dry_run_builds_nothing() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    let run = application.built(&["--dry-run"]);
    assert_eq!(run.images("image-dirty").len(), 1);
    assert_eq!(application.built(&[]).built(), ["web"]);
}

#[test]
fn the_metadata_file_names_every_reference() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    application.built(&["--metadata-file", "metadata.json"]);
    let text = fs::read(application.path("metadata.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let entry = &metadata[application.reference("web")];
    assert_eq!(entry["image_id"], image_id(&application.reference("web")).as_str());
    assert_eq!(entry["fingerprint"].as_str().unwrap().len(), 64);
}

#[test]
fn no_cache_builds_fresh_images_too_and_uses_nothing_old() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM ailtire-test/busybox:1\nRUN cat /proc/uptime > /made\n"),
    ]);
    let made = || image_files(&application.reference("web"))["made"].content.clone();
    application.built(&[]);
    let first = made();
    assert_eq!(application.built(&["--force", "web"]).built(), ["web"]);
    assert_eq!(made(), first, "forcing uses the engine's cache");
    assert_eq!(application.built(&["--no-cache"]).built(), ["web"]);
    assert_ne!(made(), first);
}
