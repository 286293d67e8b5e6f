//! Images of the application on several nodes.

use serde_json::json;

use crate::support::Lab;

pub(crate) fn what_nodes_can_not_get_is_refused(lab: &mut Lab) {
    for run in [lab.run(&["deploy"]), lab.run(&["plan", "--deploy"])] {
        run.expect(2).says(&["`shop-web", "3 nodes", "--repo", "ailtire-build build --push"]);
    }
    let run = lab.deploy(&[]).expect(2);
    run.says(&[
        "the registry does not have it",
        "`ailtire-build build --push` with the same `--repo`",
    ]);
    for part in ["/services", "/configs", "/secrets"] {
        assert_eq!(lab.client().get_json(part).unwrap(), json!([]), "{part}");
    }
    assert_eq!(lab.left_of("shop"), Vec::<String>::new());
}

pub(crate) fn every_node_runs_the_image_of_the_registry(lab: &mut Lab) {
    let (client, reference) = (lab.client(), lab.reference());
    lab.pushed();
    lab.deployed(&[]);
    let distribution = client.get_json(&format!("/distribution/{reference}/json")).unwrap();
    let digest = distribution["Descriptor"]["digest"].as_str().unwrap();
    for service in ["web", "agent"] {
        assert_eq!(lab.image_of(service), format!("{reference}@{digest}"));
        assert_eq!(lab.nodes_of(service), ["node-1", "node-2", "node-3"], "{service}");
    }
}

pub(crate) fn deploying_again_changes_nothing(lab: &mut Lab) {
    let before = lab.fingerprint();
    lab.deployed(&[]);
    assert_eq!(lab.fingerprint(), before);
    let plan = lab.run(&["plan", "--deploy", "--repo", &lab.repository]).expect(0);
    assert!(plan.to_string().contains("0 to"), "{plan}");
}

pub(crate) fn an_older_image_in_the_registry_is_refused(lab: &mut Lab) {
    let before = lab.fingerprint();
    lab.put("deploy/web/page", "second\n");
    lab.deploy(&[]).expect(2).says(&["another image", "ailtire-build build --push"]);
    assert_eq!(lab.fingerprint(), before);
    // A later step deploys it.
    lab.pushed();
}
