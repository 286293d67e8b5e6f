//! The format's own example, under names that nothing else has.

use std::fs;
use std::path::Path;

use private_engine::{BaseImage, base_image};

use crate::support::{TestApplication, client, unique_name};

/// Where `cargo xtask` keeps base images.
const BASE_IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/base-images");

/// A copy of the example with another name in all its files, so that nothing of it is shared with
/// another copy, and with other `ports`.
pub(crate) fn myapp(ports: &str) -> TestApplication {
    let application = TestApplication::of_fixture("myapp", &unique_name());
    rename(application.root(), &application.name);
    let design = application.path("deploy/services.js");
    let text = fs::read_to_string(&design).unwrap();
    let old = "ports: { 80: 3000 }";
    assert!(text.contains(old));
    fs::write(&design, text.replace(old, &format!("ports: {ports}"))).unwrap();
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

/// Arguments that name base images which need no network.
pub(crate) fn bases() -> Vec<String> {
    let runtime = base_image(&client(), BaseImage::Runtime, Path::new(BASE_IMAGES)).unwrap();
    ["NODE_IMAGE", "REDIS_IMAGE", "JEKYLL_IMAGE"]
        .into_iter()
        .flat_map(|name| ["--env".to_owned(), format!("{name}={runtime}")])
        .collect()
}
