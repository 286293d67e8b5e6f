//! The format's own example, whole: three stacks that talk to each other.

use std::fs;
use std::path::Path;

use private_engine::{BaseImage, base_image};
use serde_json::Value;

use crate::support::{TestApplication, client, unique_name};

/// Where `cargo xtask` keeps base images.
const BASE_IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/base-images");

/// A copy of the example with another name in all its files, so that nothing of it is shared with
/// another copy.
fn myapp() -> TestApplication {
    let application = TestApplication::of_fixture("myapp", &unique_name());
    rename(application.root(), &application.name);
    // Two copies could not have the port at once.
    let design = application.path("deploy/services.js");
    let text = fs::read_to_string(&design).unwrap();
    let port = "  interface: { ports: { 80: 3000 } },\n";
    assert!(text.contains(port));
    fs::write(&design, text.replace(port, "")).unwrap();
    application
}

fn rename(folder: &Path, name: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rename(&path, name);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("myapp", name)).unwrap();
        }
    }
}

#[test]
fn the_example_takes_orders() {
    let runtime = base_image(&client(), BaseImage::Runtime, Path::new(BASE_IMAGES)).unwrap();
    let application = myapp();
    let bases =
        ["NODE_IMAGE", "REDIS_IMAGE", "JEKYLL_IMAGE"].map(|name| format!("{name}={runtime}"));
    let deploy = bases.iter().fold(vec!["deploy"], |mut arguments, base| {
        arguments.extend(["--env", base]);
        arguments
    });
    application.done(&deploy);
    let network = format!("{}-default-bus", application.name);
    let post = "wget -qO- --header 'Content-Type: application/json' \
                --post-data '{\"item\": \"apple\", \"quantity\": 2}' http://mservice1:3000/orders";
    let thanked = "wget -qO- http://mservice2:3000/";
    let stock = "wget -qO- http://mserviceA:3000/stock";
    // Events take a moment.
    let script = format!(
        "{post} >&2; n=0; until {thanked} | grep -q '\"thanked\":1' || [ $n -gt 50 ]; do n=$((n+1)); \
         sleep 0.1; done; {thanked}; echo; {stock}"
    );
    let busybox = BaseImage::Busybox.reference();
    let answer = client().run(&network, busybox, &["sh", "-c", &script]).unwrap();
    assert!(answer.contains("\"thanked\":1") && answer.contains("\"apple\":98"), "{answer}");

    let tasks = || {
        ["web", "doc", "pubsub", "mypackage/mservice1", "mypackage/mservice2"]
            .map(|service| application.tasks(service))
    };
    let before = tasks();
    application.done(&deploy);
    assert_eq!(tasks(), before);
    let status = application.done(&["status", "--format", "json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["stacks"].as_array().unwrap().len(), 3);
}
