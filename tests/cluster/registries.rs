//! Images from elsewhere on several nodes.

use private_engine::{BaseImage, Registry};
use serde_json::json;

use crate::support::{Lab, STACK, service};

/// `tester:swordfish-pass`, for `htpasswd`, for Docker's configuration and for the engine.
const USERS: &str = "tester:$2b$05$pFs4yt3cc4NeSFJvl/wd.empVt4k8AirGhYV4iKdRd18kjwdghNGy\n";
const BASIC: &str = "dGVzdGVyOnN3b3JkZmlzaC1wYXNz";
const REGISTRY_AUTH: &str = "eyJ1c2VybmFtZSI6InRlc3RlciIsInBhc3N3b3JkIjoic3dvcmRmaXNoLXBhc3MifQ==";

/// No credentials, as the engine wants them.
const NOBODY: &str = "e30=";

/// Puts an image into a registry that only that has.
fn publish(lab: &Lab, registry: &Registry, name: &str, credentials: &str) -> String {
    let client = lab.client();
    let repository = format!("{}/{name}", registry.address());
    let path = format!("/images/{}/tag?repo={repository}&tag=1", BaseImage::Busybox.reference());
    client.post_json(&path, &serde_json::Value::Null).unwrap().accepted(&path).unwrap();
    let reference = format!("{repository}:1");
    client.push(&reference, credentials).unwrap();
    client.delete(&format!("/images/{reference}")).unwrap();
    reference
}

/// A service that runs an image from elsewhere on another node than the manager.
fn tool(image: &str) -> serde_json::Value {
    let elsewhere = json!({ "placement": { "constraints": ["node.hostname == node-2"] } });
    let mut tool = service(image, &elsewhere);
    tool["command"] = json!(["sleep", "1d"]);
    tool
}

pub(crate) fn nodes_get_credentials_only_when_told_so(lab: &mut Lab) {
    let registry = lab.cluster().start_registry(Some(USERS)).unwrap();
    let reference = publish(lab, &registry, "guarded", REGISTRY_AUTH);
    lab.set("tool", tool(&reference));
    lab.deploy(&[]).expect(2).says(&[&reference, "no basic auth credentials"]);

    let auths = json!({ "auths": { registry.address(): { "auth": BASIC } } });
    lab.put(".docker/config.json", &auths.to_string());
    let before = lab.fingerprint();
    let run = lab.deploy(&[]).expect(1);
    run.says(&["No such image", "node-2", "--with-registry-auth"]);
    assert_eq!(lab.fingerprint(), before);

    // What is left as it failed gets the credentials, too.
    lab.deploy(&["--on-failure", "stop"]).expect(1);
    let run = lab.deployed(&["--with-registry-auth"]);
    assert!(!run.to_string().contains("swordfish"), "{run}");
    assert_eq!(lab.nodes_of("tool"), ["node-2"]);
    let before = lab.fingerprint();
    lab.deployed(&["--with-registry-auth"]);
    assert_eq!(lab.fingerprint(), before);
    std::fs::remove_file(lab.path(".docker/config.json")).unwrap();
    lab.unset("tool");
}

pub(crate) fn registries_are_asked_as_often_as_wanted(lab: &mut Lab) {
    let registry = lab.cluster().start_registry(None).unwrap();
    let reference = publish(lab, &registry, "tool", NOBODY);
    lab.set("tool", tool(&reference));
    lab.deployed(&["--prune"]);
    let pinned = lab.image_of("tool");
    assert!(pinned.starts_with(&format!("{reference}@sha256:")), "{pinned}");
    let before = lab.fingerprint();
    for (when, is_asked) in [("always", true), ("changed", false), ("never", false)] {
        let count = || {
            let own = lab.requests(lab.registry(), "/v2/team/shop-web/manifests/latest");
            [own, lab.requests(&registry, "/v2/tool/manifests/1")]
        };
        let before = count();
        lab.run(&["plan", "--deploy", "--repo", &lab.repository, "--resolve-image", when])
            .expect(0);
        let expected = if is_asked { before.map(|count| count + 1) } else { before };
        assert_eq!(count(), expected, "{when}: {before:?}");
    }
    lab.deployed(&["--resolve-image", "changed"]);
    assert_eq!(lab.fingerprint(), before);
}

pub(crate) fn what_runs_stays_without_its_registry(lab: &mut Lab) {
    // The other registry went with the step before.
    lab.stop_registry();
    let before = lab.fingerprint();
    let run = lab.deployed(&[]);
    for image in [lab.reference(), lab.image_of("tool").split('@').next().unwrap().to_owned()] {
        run.says(&[
            &format!(
                "warning[image-not-resolved]: `{image}` could not be looked up; what runs stays"
            ),
            "connection refused",
        ]);
    }
    assert_eq!(lab.fingerprint(), before, "{STACK}");
    let reference = lab.image_of("tool");
    let (address, _) = reference.split_once("/tool").unwrap();
    lab.set("tool", tool(&format!("{address}/tool:2")));
    let run = lab.deploy(&[]).expect(2);
    run.says(&[&format!("{address}/tool:2"), "connection refused"]);
    assert_eq!(lab.fingerprint(), before, "{STACK}");
    lab.unset("tool");
    lab.deployed(&["--prune"]);
}
