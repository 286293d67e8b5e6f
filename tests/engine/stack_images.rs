//! Stack images: what is in them, and when they are built.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::push::forget;
use crate::support::{Run, TestApplication, client, identity, image_files, image_id, inspect_all};

/// What must not be in any image.
const HIDDEN: &str = "swordfish";

/// The stack images of [`nested`].
const STACKS: [&str; 3] = ["cart", "mail", "root"];

/// Files of a stack: `NAME-<stack>` has this design.
fn put_stack(application: &TestApplication, folder: &str, stack: &str, design: &str) {
    let name = &application.name;
    let deploy = format!(
        "module.exports = {{ name: '{name}-{stack}', contexts: {{ default: {{ file: 'c.yaml' }} }} }};\n"
    );
    application.put(&format!("{folder}/deploy.js"), &deploy);
    application.put(&format!("{folder}/c.yaml"), &design.replace("NAME", name));
}

/// The stack `root` runs the image `web` and the stacks `cart`, which runs the image `pay`, and
/// `mail`, which runs none of the application's images.
pub(crate) fn nested() -> TestApplication {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };\n"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY file /web\n"),
        ("deploy/web/file", "of the web"),
        ("deploy/hidden", "swordfish-file"),
        ("deploy/site.conf", "a plain file"),
        ("api/Cart/index.js", "module.exports = { name: 'Cart' };\n"),
        ("api/Cart/deploy/pay/Dockerfile", "FROM scratch\nCOPY file /pay\n"),
        ("api/Cart/deploy/pay/file", "of the pay"),
        ("api/Mail/index.js", "module.exports = { name: 'Mail' };\n"),
    ]);
    let pay =
        format!("module.exports = {{ pay: {{ dir: 'pay', tag: '{}-pay' }} }};", application.name);
    application.put("api/Cart/deploy/build.js", &pay);
    put_stack(
        &application,
        "deploy",
        "root",
        "services:\n  web:\n    image: NAME-web\n    environment: ['TOKEN=${GIT_TOKEN:-}']\n    \
         secrets: [hidden]\n    configs: [site]\n  cart:\n    image: NAME-cart\n  mail:\n    \
         image: NAME-mail\nsecrets:\n  hidden: { file: hidden }\nconfigs:\n  \
         site: { file: site.conf }\n",
    );
    put_stack(&application, "api/Cart/deploy", "cart", "services:\n  pay:\n    image: NAME-pay\n");
    let mail = "services:\n  post:\n    image: ailtire-test/busybox:1\n";
    put_stack(&application, "api/Mail/deploy", "mail", mail);
    application
}

fn fingerprints(run: &Run) -> BTreeMap<String, String> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let built = run.events("build-finished");
    built.iter().map(|event| (text(event, "image"), text(event, "fingerprint"))).collect()
}

#[test]
fn a_stack_image_is_built_after_what_it_runs_and_with_it_alone() {
    let application = nested();
    let run = application.built(&["-j", "4"]);
    assert_eq!(run.built(), ["cart", "mail", "pay", "root", "web"], "{run}");
    let order: Vec<_> = run.events("build-finished").iter().map(|it| it["image"].clone()).collect();
    let place = |image: &str| {
        order.iter().position(|built| *built == application.reference(image)).unwrap()
    };
    assert!(place("pay") < place("cart"), "{order:?}");
    assert!(["web", "cart", "mail"].iter().all(|it| place(it) < place("root")), "{order:?}");

    let run = application.built(&[]);
    assert_eq!((&run.summary()["fresh"], &run.summary()["bytes_sent"]), (&5.into(), &0.into()));

    application.put("api/Cart/deploy/pay/file", "changed");
    let why = application.run(&["why", &application.reference("root")]);
    assert!(why.stdout.contains(&application.reference("cart")), "{why}");
    let why = application.run(&["why", &application.reference("cart")]);
    assert!(why.stdout.contains(&application.reference("pay")), "{why}");
    let run = application.built(&[]);
    assert_eq!(run.built(), ["cart", "pay", "root"], "{run}");

    application.put("deploy/web/file", "changed");
    assert_eq!(application.built(&[]).built(), ["root", "web"]);
    application.put("deploy/site.conf", "another plain file");
    assert_eq!(application.built(&[]).built(), ["root"]);
    assert_eq!(application.built(&[]).built(), [""; 0]);
}

#[test]
fn a_stack_image_holds_its_design_and_no_secret() {
    let application = nested();
    let run = application.built(&["--env", "GIT_TOKEN=swordfish-variable"]);
    let codes: Vec<_> =
        run.events("diagnostic").iter().map(|it| it["diagnostic"]["code"].clone()).collect();
    assert_eq!(codes, ["secret-variable"], "{run}");
    let root = application.reference("root");
    let config = &inspect_all(&root)["Config"];
    assert_eq!(config["Entrypoint"], json!(["/ailtire-manager"]));
    assert_eq!(config["ExposedPorts"], json!({ "3000/tcp": {} }));
    assert_eq!(config["StopSignal"], "SIGTERM");
    let second = 1_000_000_000_u64;
    let check = json!({
        "Test": ["CMD", "/ailtire-manager", "healthy"],
        "Interval": second, "Timeout": 5 * second, "StartPeriod": 24 * 3600 * second, "Retries": 5,
    });
    assert_eq!(config["Healthcheck"], check);

    let files = image_files(&root);
    let program = &files["ailtire-manager"];
    assert!(program.mode == 0o755 && program.content.starts_with(b"\x7fELF"));
    let names: Vec<&str> =
        files.iter().filter(|(_, file)| file.kind == 'f').map(|(path, _)| path.as_str()).collect();
    let config = "stack/files/deploy/site.conf";
    let bundle = ["stack/compose.yaml", config, "stack/images.json", "stack/stack.json"];
    assert_eq!(names, [&["ailtire-manager"], &bundle[..]].concat());
    assert_eq!(files[config].content, b"a plain file");

    let json = |path: &str| serde_json::from_slice::<Value>(&files[path].content).unwrap();
    assert_eq!(json("stack/stack.json")["application"], application.name.as_str());
    let pinned = json("stack/images.json");
    let pinned = pinned.as_object().unwrap();
    let fingerprints = fingerprints(&run);
    assert_eq!(pinned.len(), 3, "{pinned:?}");
    for image in ["web", "cart", "mail"] {
        let reference = application.reference(image);
        assert_eq!(pinned[&reference]["id"], image_id(&reference).as_str());
        assert_eq!(pinned[&reference]["fingerprint"], fingerprints[&reference].as_str());
    }

    for stack in STACKS {
        let image = client().get(&format!("/images/{}/get", application.reference(stack))).unwrap();
        let hidden = HIDDEN.as_bytes();
        assert!(!image.body.windows(hidden.len()).any(|it| it == hidden), "{stack}");
    }
    assert!(!run.to_string().contains(HIDDEN), "{run}");
}

#[test]
fn where_an_application_is_does_not_change_its_stack_images() {
    let application = nested();
    let first = fingerprints(&application.built(&[]));
    let images = STACKS.map(|stack| identity(&application.reference(stack)));
    let clone = application.cloned();
    assert_eq!(fingerprints(&clone.built(&["--no-cache"])), first);
    let of_clone = STACKS.map(|stack| identity(&application.reference(stack)).0);
    assert_eq!(of_clone, images.map(|(config, _)| config));
}

#[test]
fn another_program_is_another_stack_image() {
    let application = nested();
    application.built(&[]);
    let missing = application.run(&["build", "--manager", "nowhere"]);
    assert_ne!(missing.code, Some(0), "{missing}");
    assert!(missing.stderr.contains("nowhere"), "{missing}");
    fs::write(application.path("program"), "another").unwrap();
    let run = application.built(&["--manager", "program"]);
    assert_eq!(run.built(), STACKS, "{run}");
    assert_eq!(image_files(&application.reference("mail"))["ailtire-manager"].content, b"another");
}

#[test]
fn without_the_program_everything_but_stack_images_is_built() {
    let application = nested();
    fs::write(application.path("program"), "").unwrap();
    let run = application.run(&["build", "--manager", "program", "--keep-going"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("cargo xtask manager"), "{run}");
    assert!(run.stderr.contains("--manager FILE"), "{run}");
    let leaves = ["web", "pay"].map(|image| application.reference(image));
    let arguments =
        [&["--manager", "program"], &leaves.each_ref().map(String::as_str)[..]].concat();
    let run = application.built(&arguments);
    assert_eq!((&run.summary()["fresh"], run.built()), (&2.into(), Vec::new()), "{run}");
    // With it, what is missing is built, and its absence is nobody's business any more.
    assert_eq!(application.built(&[]).built(), STACKS);
    assert_eq!(application.run(&["graph", "--manager", "program"]).code, Some(0));
}

#[test]
fn stack_images_are_pushed_like_any_other() {
    let registry = crate::push::plain_registry();
    let repository = format!("{}/team", registry.address());
    let application = nested();
    let arguments = ["build", "--push", "--message-format", "json", "--repo", &repository];
    let run = application.run(&arguments);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!((&run.summary()["built"], &run.summary()["pushed"]), (&5.into(), &5.into()));
    let run = application.run(&arguments);
    let pushed = run.events("image-pushed");
    assert!(pushed.len() == 5 && pushed.iter().all(|it| it["skipped"] == true), "{run}");
    forget(&repository);
}
