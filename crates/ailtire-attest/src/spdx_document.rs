//! Bills of materials: SPDX 2.3 as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::npm::{Found, found_in};
use crate::sha256;

/// What a statement with a bill of materials is called.
pub const SPDX: &str = "https://spdx.dev/Document/v2.3";

/// What a bill of materials is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'image> {
    /// The reference that names the image.
    pub name: &'image str,
    /// Its digest (`sha256:…`).
    pub digest: &'image str,
    /// When it was built (`2024-01-31T12:00:00Z`): such documents must have a time.
    pub created: &'image str,
    /// Version of this program.
    pub version: &'image str,
}

/// The packages that `files` (path and content) of an image's context speak of, as a document; and
/// the files that could not be read, with why. They are in its comment, too.
pub fn bill_of_materials(
    subject: &Subject<'_>,
    files: &[(String, Vec<u8>)],
) -> (Value, Vec<(String, String)>) {
    let (all, unread) = found_in(files);
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-image",
        "name": subject.name,
        "versionInfo": subject.digest,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "primaryPackagePurpose": "CONTAINER",
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-image",
    })];
    for ((name, version), found) in all {
        let locator = purl(&name, &version);
        let id = format!("SPDXRef-npm-{}", &sha256(locator.as_bytes())[..16]);
        packages.push(package_of(&name, &version, &locator, &id, found));
        relationships.push(json!({
            "spdxElementId": "SPDXRef-image",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": id,
        }));
    }
    let digits = subject.digest.trim_start_matches("sha256:");
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": format!("https://ailtire.org/spdx/{digits}"),
        "creationInfo": {
            "created": subject.created,
            "creators": [format!("Tool: ailtire-build-{}", subject.version)],
        },
        "packages": packages,
        "relationships": relationships,
    });
    if !unread.is_empty() {
        let lines = unread.iter().map(|(path, why)| format!("could not be read: {path}: {why}"));
        document["comment"] = json!(lines.collect::<Vec<_>>().join("\n"));
    }
    (document, unread)
}

/// A package of npm. What is stated of its license is kept, also where SPDX does not know it.
fn package_of(name: &str, version: &str, locator: &str, id: &str, found: Found) -> Value {
    let stated = found.license.as_deref();
    let valid = stated.filter(|it| spdx::Expression::parse(it).is_ok());
    let mut package = json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseDeclared": valid.unwrap_or("NOASSERTION"),
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": locator,
        }],
    });
    if let (Some(stated), None) = (stated, valid) {
        package["licenseComments"] = json!(format!("stated: {stated}"));
    }
    if let Some(digest) = found.sha512 {
        let checksum = json!({ "algorithm": "SHA512", "checksumValue": digest });
        package["checksums"] = json!([checksum]);
    }
    package
}

/// `pkg:npm/%40scope/name@1.2.3`.
fn purl(name: &str, version: &str) -> String {
    let encoded = |text: &str| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    encoded.push(byte.into());
                }
                // Writing to a string can't fail.
                other => drop(write!(encoded, "%{other:02X}")),
            }
            encoded
        })
    };
    let name: Vec<_> = name.split('/').map(encoded).collect();
    format!("pkg:npm/{}@{}", name.join("/"), encoded(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_names_packages_licenses_and_what_was_not_read() {
        let lock = r#"{ "packages": { "node_modules/@s/b": { "version": "2.0.0+x", "license": "MIT" },
            "node_modules/c": { "version": "1", "license": "SEE LICENSE" } } }"#;
        let files = [("package-lock.json", lock), ("package.json", "{")];
        let files = files.map(|(path, it)| (path.to_owned(), it.as_bytes().to_vec()));
        let subject = Subject {
            name: "r/a:1",
            digest: "sha256:aa",
            created: "2024-01-31T12:00:00Z",
            version: "1",
        };
        let (document, unread) = bill_of_materials(&subject, &files);
        assert_eq!(unread.len(), 1);
        let packages = document["packages"].as_array().unwrap();
        let locators: Vec<_> = packages[1..]
            .iter()
            .map(|it| it["externalRefs"][0]["referenceLocator"].as_str().unwrap())
            .collect();
        assert_eq!(locators, ["pkg:npm/%40s/b@2.0.0%2Bx", "pkg:npm/c@1"]);
        assert_eq!(packages[1]["licenseDeclared"], "MIT");
        assert_eq!(packages[2]["licenseDeclared"], "NOASSERTION");
        assert_eq!(packages[2]["licenseComments"], "stated: SEE LICENSE");
        assert_eq!(document["relationships"].as_array().unwrap().len(), 3);
        assert!(document["comment"].as_str().unwrap().contains("package.json"));
        assert_eq!(document, bill_of_materials(&subject, &files).0, "the same each time");
    }
}
