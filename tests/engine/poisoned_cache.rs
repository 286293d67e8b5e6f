//! Entries of the cache that somebody made who may write to the registry: none is used.

use serde_json::{Value, json};

use crate::cache::{Manifests, codes, count, sha256};
use crate::registry_faults::{Faulty, filled};
use crate::signed_cache::{Attached, Keys};
use crate::support::TestApplication;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Expects the image `doc` to be refused because of `why`, and to be built; the two others are used.
fn expect_refused(faulty: &Faulty, application: &TestApplication, more: &[&str], why: &str) {
    let more = [more, &["--cache-read-only"]].concat();
    let run = faulty.build(&application.cloned(), &more);
    assert_eq!((run.code, count(&run, "cached"), count(&run, "built")), (Some(0), 2, 1), "{run}");
    assert_eq!(codes(&run), ["cache-entry-refused"], "{run}");
    assert!(run.stdout.contains(why), "{why}: {run}");
    assert!(run.built()[0].ends_with("doc"), "{run}");
}

#[test]
fn statements_that_are_none_or_speak_of_something_else_are_refused() {
    let (faulty, application) = filled();
    let registry = Manifests(faulty.registry.address().to_owned());
    let name = |image: &str| format!("team/{}-{image}", application.name);
    let tag = |image: &str| registry.statements(&name(image)).remove(0);
    let (doc, doc_tag) = (name("doc"), tag("doc"));
    let good = registry.get(&doc, &doc_tag);
    let web = registry.get(&name("web"), &tag("web"));
    let put_as = |tag: &str, kind: &str, body: &str| {
        let kind = format!("Content-Type: {kind}");
        let arguments = ["--request", "PUT", "--header", &kind, "--data-binary", body];
        registry.request(&arguments, &format!("{doc}/manifests/{tag}"));
    };
    let field = |name: &str| format!("ailtire.statement.{name}");
    let refused = |change: &dyn Fn(&mut Value), why: &str| {
        let mut statement = good.clone();
        change(&mut statement);
        registry.put(&doc, &doc_tag, &statement);
        expect_refused(&faulty, &application, &[], why);
    };
    // The image of another repository, which is there under that digest.
    refused(
        &|it| {
            for name in ["digest", "image-id"] {
                it["annotations"][field(name)] = web["annotations"][field(name)].clone();
            }
        },
        "there is no `sha256:",
    );
    refused(
        &|it| it["annotations"][field("platform")] = json!("linux/s390x"),
        "it speaks of another platform",
    );
    refused(&|it| it["annotations"][field("format")] = json!("2"), "it is of another version");
    refused(&|it| it["annotations"][field("digest")] = json!("latest"), "is no digest");
    refused(&|it| it["artifactType"] = json!("text/plain"), "it is no statement about a build");
    refused(&|it| it["annotations"] = json!({}), "it has no `format`");

    // An index stands where the image's manifest is to be.
    let image = good["annotations"][field("digest")].clone();
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        { "mediaType": docker, "digest": image, "size": 1 },
    ] });
    put_as("index", INDEX, &index.to_string());
    let digest = sha256(index.to_string().as_bytes());
    refused(&|it| it["annotations"][field("digest")] = json!(digest), "is not the image that it");
    // One stands where the statement is to be.
    put_as(&doc_tag, INDEX, &index.to_string());
    expect_refused(&faulty, &application, &[], "it is no statement about a build");
    // A statement as large as a registry takes it is still none.
    let mut large = good.clone();
    large["annotations"] = json!({ "x": "y".repeat(100_000) });
    put_as(&doc_tag, crate::cache::OCI, &large.to_string());
    expect_refused(&faulty, &application, &[], "it has no `format`");
    registry.put(&doc, &doc_tag, &good);
    faulty.expect_found(&application);
}

#[test]
fn signatures_for_other_inputs_and_signatures_that_are_gone_are_refused() {
    let faulty = Faulty::new();
    let keys = Keys::new();
    let (sign, verify) = (keys.private(), keys.public());
    let (sign, verify) = (["--cache-sign", &*sign], ["--cache-verify", &*verify]);
    let application = crate::cache::three_images();
    assert_eq!(faulty.build(&application, &sign).code, Some(0));
    // The same image, made from other inputs: it does not copy the file.
    let before = application.cloned();
    application.put("deploy/doc/not-copied", "1");
    let run = faulty.build(&application, &sign);
    assert_eq!((run.code, count(&run, "built")), (Some(0), 1), "{run}");

    let doc = Attached::at(faulty.registry.address().to_owned(), &application, "doc");
    let index = doc.index();
    let both = index["manifests"].as_array().unwrap();
    assert_eq!(both.len(), 2, "{index}");
    let fingerprint = |entry: &Value| entry["annotations"]["ailtire.statement.fingerprint"].clone();
    assert_ne!(fingerprint(&both[0]), fingerprint(&both[1]));
    let found = |application: &TestApplication| {
        let run = faulty.build(&application.cloned(), &verify);
        assert_eq!((count(&run, "cached"), codes(&run)), (3, vec![]), "{run}");
    };
    found(&before);
    found(&application);
    // What was signed for the first inputs is listed as if it were for the second ones.
    let mut replayed = index.clone();
    replayed["manifests"] = json!([both[0]]);
    replayed["manifests"][0]["annotations"] = both[1]["annotations"].clone();
    doc.put_index(&replayed);
    expect_refused(&faulty, &application, &verify, "what was signed speaks of something else");
    replayed["manifests"][0]["annotations"] = both[0]["annotations"].clone();
    doc.put_index(&replayed);
    expect_refused(&faulty, &application, &verify, "it is not signed");
    found(&before);

    // Its content is longer than it says.
    let mut artifact = doc.artifact();
    doc.upload(&vec![b' '; 1024 * 1024]);
    let layer = &mut artifact["layers"][0];
    layer["digest"] = json!(sha256(&vec![b' '; 1024 * 1024]));
    layer["data"] = Value::Null;
    doc.put_index(&index);
    doc.replace(&artifact);
    expect_refused(&faulty, &before, &verify, "is not what it is called");

    // The index names what was deleted.
    doc.put_index(&index);
    let artifact = both[1]["digest"].as_str().unwrap();
    let path = format!("{}/manifests/{artifact}", doc.repository);
    doc.registry.request(&["--request", "DELETE"], &path);
    expect_refused(&faulty, &application, &verify, "its signature is not there any more");
    found(&before);
    // Who builds it again repairs the index, which names what is there.
    let run = faulty.build(&application, &[&sign[..], &verify, &["--force", "*doc*"]].concat());
    assert_eq!((run.code, codes(&run)), (Some(0), vec![]), "{run}");
    found(&application);
}
