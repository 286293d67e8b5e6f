//! What packages of npm the files of a context speak of.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::hex;

/// A package, by name and version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The license that is stated.
    pub license: Option<String>,
    /// SHA-512 of what the registry has, in hexadecimal digits.
    pub sha512: Option<String>,
}

/// Packages by name and version.
type All = BTreeMap<(String, String), Found>;

/// A file that says which packages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageFile {
    /// `package.json`.
    Package,
    /// `package-lock.json`, `npm-shrinkwrap.json`.
    NpmLock,
    /// `yarn.lock`.
    YarnLock,
    /// `pnpm-lock.yaml`.
    PnpmLock,
    /// A lock file that is not read: `bun.lock`.
    Other,
}

impl PackageFile {
    /// What the file with this path is, if it is one.
    pub fn of(path: &str) -> Option<Self> {
        match path.rsplit('/').next()? {
            "package.json" => Some(Self::Package),
            "package-lock.json" | "npm-shrinkwrap.json" => Some(Self::NpmLock),
            "yarn.lock" => Some(Self::YarnLock),
            "pnpm-lock.yaml" => Some(Self::PnpmLock),
            "bun.lock" | "bun.lockb" => Some(Self::Other),
            _ => None,
        }
    }
}

/// The packages that files of a context (path and content) speak of, and which files could not be
/// read, with why.
pub fn found_in(files: &[(String, Vec<u8>)]) -> (All, Vec<(String, String)>) {
    let (mut all, mut unread) = (All::new(), Vec::new());
    for (path, content) in files {
        let read = match PackageFile::of(path) {
            Some(PackageFile::Package) => json(content).map(|it| package(&it, &mut all)),
            Some(PackageFile::NpmLock) => json(content).and_then(|it| npm_lock(&it, &mut all)),
            Some(PackageFile::YarnLock) => yarn_lock(content, &mut all),
            Some(PackageFile::PnpmLock) => pnpm_lock(content, &mut all),
            Some(PackageFile::Other) => Err("such lock files are not read".to_owned()),
            None => Ok(()),
        };
        if let Err(why) = read {
            unread.push((path.clone(), why));
        }
    }
    (all, unread)
}

fn json(content: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(content).map_err(|error| error.to_string())
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    text_in(object, name).map(str::to_owned)
}

fn text_in<'object>(object: &'object Map<String, Value>, name: &str) -> Option<&'object str> {
    object.get(name)?.as_str()
}

fn license(object: &Map<String, Value>) -> Option<String> {
    // Old packages have an object, or several.
    let stated = object.get("license")?;
    stated.as_str().or_else(|| stated.get("type")?.as_str()).map(str::to_owned)
}

fn put(all: &mut All, name: String, version: String, found: Found) {
    let known = all.entry((name, version)).or_default();
    known.license = known.license.take().or(found.license);
    known.sha512 = known.sha512.take().or(found.sha512);
}

/// The package that a `package.json` is of; one without name or version is nobody's package.
fn package(object: &Map<String, Value>, all: &mut All) {
    if let (Some(name), Some(version)) = (text(object, "name"), text(object, "version")) {
        put(all, name, version, Found { license: license(object), sha512: None });
    }
}

fn npm_lock(object: &Map<String, Value>, all: &mut All) -> Result<(), String> {
    if let Some(packages) = object.get("packages").and_then(Value::as_object) {
        for (path, entry) in packages {
            let Some(entry) = entry.as_object() else { continue };
            let name = text(entry, "name")
                .or_else(|| Some(path.rsplit_once("node_modules/")?.1.to_owned()));
            if let (Some(name), Some(version)) = (name, text(entry, "version")) {
                let found = Found { license: license(entry), sha512: integrity(entry) };
                put(all, name, version, found);
            }
        }
        return Ok(());
    }
    match object.get("dependencies").and_then(Value::as_object) {
        Some(dependencies) => old_npm_lock(dependencies, all),
        None if object.contains_key("lockfileVersion") => {}
        None => return Err("it is no lock file".to_owned()),
    }
    Ok(())
}

/// Version 1: packages inside packages.
fn old_npm_lock(dependencies: &Map<String, Value>, all: &mut All) {
    // Files nest no deeper than `serde_json` reads.
    for (name, entry) in dependencies {
        let Some(entry) = entry.as_object() else { continue };
        if let Some(version) = text(entry, "version") {
            let found = Found { license: None, sha512: integrity(entry) };
            put(all, name.clone(), version, found);
        }
        if let Some(inner) = entry.get("dependencies").and_then(Value::as_object) {
            old_npm_lock(inner, all);
        }
    }
}

fn integrity(entry: &Map<String, Value>) -> Option<String> {
    sha512(entry.get("integrity")?.as_str()?)
}

fn sha512(integrity: &str) -> Option<String> {
    let found = integrity.split(' ').find_map(|it| it.strip_prefix("sha512-"))?;
    STANDARD.decode(found).ok().filter(|it| it.len() == 64).map(|it| hex(&it))
}

/// The mappings that are the documents of a YAML file.
fn yaml(text: &str) -> Result<impl Iterator<Item = Map<String, Value>>, String> {
    let documents = crate::yaml::documents(text)?;
    Ok(documents.into_iter().filter_map(|it| match it {
        Value::Object(document) => Some(document),
        _ => None,
    }))
}

/// `name@rest`; a scope begins with the same sign.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let at = text.get(1..)?.find('@')? + 1;
    Some((&text[..at], &text[at + 1..]))
}

/// Packages under `/name/1.2.3_peers` (version 5), `/name@1.2.3(peers)` (6), `name@1.2.3` (9).
fn pnpm_lock(content: &[u8], all: &mut All) -> Result<(), String> {
    let content = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    let mut is_lock = false;
    for document in yaml(content)?.filter(|it| it.contains_key("lockfileVersion")) {
        is_lock = true;
        let packages = document.get("packages").and_then(Value::as_object);
        for (key, entry) in packages.into_iter().flatten() {
            let Some(entry) = entry.as_object() else { continue };
            let key = key.strip_prefix('/').unwrap_or(key);
            let key = key.split('(').next().unwrap_or(key);
            let old = || {
                let (name, version) = key.rsplit_once('/')?;
                Some((name, version.split('_').next().unwrap_or(version)))
            };
            let version = text_in(&document, "lockfileVersion").unwrap_or_default();
            let parts = if version.starts_with('5') { old() } else { split_name(key) };
            let name = text(entry, "name").or_else(|| Some(parts?.0.to_owned()));
            let version = text(entry, "version").or_else(|| Some(parts?.1.to_owned()));
            if let (Some(name), Some(version)) = (name, version) {
                let resolution = entry.get("resolution").and_then(Value::as_object);
                let found = Found { license: None, sha512: resolution.and_then(integrity) };
                put(all, name, version, found);
            }
        }
    }
    if is_lock { Ok(()) } else { Err("it is no lock file".to_owned()) }
}

fn yarn_lock(content: &[u8], all: &mut All) -> Result<(), String> {
    let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    if text.contains("# yarn lockfile v1") {
        old_yarn_lock(text, all);
        return Ok(());
    }
    let mut documents = yaml(text)?;
    let Some(lock) = documents.next().filter(|it| it.contains_key("__metadata")) else {
        return Err("it is no lock file".to_owned());
    };
    for entry in lock.values().filter_map(Value::as_object) {
        // `name@npm:1.2.3`, whatever the package is called where it is asked for. Its checksum is
        // that of the archive that yarn makes of it.
        let resolution = text_in(entry, "resolution").and_then(split_name);
        if let (Some((name, place)), Some(version)) = (resolution, text_in(entry, "version")) {
            // Its own `package.json` says which version that is.
            if !place.starts_with("workspace:") {
                put(all, name.to_owned(), version.to_owned(), Found::default());
            }
        }
    }
    Ok(())
}

/// Version 1: blocks of `name@range, name@range:` with indented fields.
fn old_yarn_lock(text: &str, all: &mut All) {
    let mut name = None;
    let mut last = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let field = line.trim();
        if !line.starts_with(' ') {
            name = split_name(field.trim_matches(['"', ':'])).map(|(name, _)| name.to_owned());
        } else if !line.starts_with("   ") {
            let Some((key, value)) = field.split_once(' ') else { continue };
            let value = value.trim_matches('"');
            if key == "version" {
                last = name.take().map(|name| (name, value.to_owned()));
                if let Some((name, version)) = last.clone() {
                    put(all, name, version, Found::default());
                }
            } else if let ("integrity", Some((name, version))) = (key, last.clone()) {
                put(all, name, version, Found { license: None, sha512: sha512(value) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, content: &str) -> Vec<String> {
        let (all, unread) = found_in(&[(path.to_owned(), content.as_bytes().to_vec())]);
        assert_eq!(unread, []);
        all.keys().map(|(name, version)| format!("{name} {version}")).collect()
    }

    #[test]
    fn lock_files_of_all_versions_are_read() {
        let new = r#"{ "lockfileVersion": 3, "packages": { "": { "name": "app", "version": "1.0.0" },
            "node_modules/a": { "version": "1.2.3", "license": "MIT" },
            "node_modules/a/node_modules/@s/b": { "version": "2.0.0" } } }"#;
        assert_eq!(names("x/package-lock.json", new), ["@s/b 2.0.0", "a 1.2.3", "app 1.0.0"]);
        let old = r#"{ "lockfileVersion": 1, "dependencies": { "a": { "version": "1.2.3",
            "dependencies": { "@s/b": { "version": "2.0.0" } } } } }"#;
        assert_eq!(names("npm-shrinkwrap.json", old), ["@s/b 2.0.0", "a 1.2.3"]);
        let yarn = "# yarn lockfile v1\n\n\"@s/b@^2.0.0\", \"@s/b@^2.1.0\":\n  version \"2.1.0\"\n  \
                    dependencies:\n    a \"1\"\n\na@1:\n  version \"1.2.3\"\n";
        assert_eq!(names("yarn.lock", yarn), ["@s/b 2.1.0", "a 1.2.3"]);
    }

    #[test]
    fn lock_files_of_newer_yarns_are_read() {
        let lock = "# This file is generated by running \"yarn install\"\n\n__metadata:\n  version: 8\n\
                    \x20 cacheKey: 10c0\n\n\"@s/b@npm:^2.0.0, @s/b@npm:^2.1.0\":\n  version: 2.1.0\n\
                    \x20 resolution: \"@s/b@npm:2.1.0\"\n  checksum: 10c0/ab\n  linkType: hard\n\n\
                    \"alias@npm:a@1\":\n  version: 1.10\n  resolution: \"a@npm:1.10\"\n\n\
                    \"t@patch:t@npm%3A5.0.2#x\":\n  version: 5.0.2\n  resolution: \"t@patch:t@npm%3A5.0.2#x\"\n\n\
                    \"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n";
        assert_eq!(names("yarn.lock", lock), ["@s/b 2.1.0", "a 1.10", "t 5.0.2"]);
    }

    #[test]
    fn lock_files_of_pnpm_are_read() {
        let digest = STANDARD.encode([7; 64]);
        let new = format!(
            "lockfileVersion: '9.0'\n\npackages:\n\n  '@s/b@2.0.0':\n    resolution: {{integrity: \
             sha512-{digest}}}\n\n  a@1.2.3:\n    resolution: {{integrity: x}}\n\n  \
             c@https://codeload.example/c/tar.gz/1:\n    resolution: {{tarball: x}}\n    version: \
             3.0.0\n\nsnapshots:\n\n  '@s/b@2.0.0(a@1.2.3)': {{}}\n"
        );
        assert_eq!(names("pnpm-lock.yaml", &new), ["@s/b 2.0.0", "a 1.2.3", "c 3.0.0"]);
        let (all, _) = found_in(&[("pnpm-lock.yaml".to_owned(), new.into_bytes())]);
        let sha512 = all[&("@s/b".to_owned(), "2.0.0".to_owned())].sha512.clone();
        assert_eq!(sha512, Some(hex(&[7; 64])));
        let six = "lockfileVersion: '6.0'\npackages:\n  /@s/b@2.0.0(a@1.2.3):\n    dev: true\n  \
                   /a@1.2.3:\n    dev: false\n";
        assert_eq!(names("pnpm-lock.yaml", six), ["@s/b 2.0.0", "a 1.2.3"]);
        let five = "lockfileVersion: 5.4\npackages:\n  /@s/b/2.0.0_a@1.2.3:\n    dev: true\n  \
                    /a/1.2.3:\n    dev: false\n";
        assert_eq!(names("pnpm-lock.yaml", five), ["@s/b 2.0.0", "a 1.2.3"]);
        // A document of its own may stand before it.
        let two = format!("---\nx: 1\n---\n{six}");
        assert_eq!(names("pnpm-lock.yaml", &two), ["@s/b 2.0.0", "a 1.2.3"]);
    }

    #[test]
    fn what_several_files_say_is_put_together() {
        let digest = STANDARD.encode([7; 64]);
        let lock = format!(
            "{{\"packages\":{{\"node_modules/a\":{{\"version\":\"1\",\"integrity\":\"sha512-{digest}\"}}}}}}"
        );
        let package = r#"{ "name": "a", "version": "1", "license": { "type": "ISC" } }"#;
        let files = [("package-lock.json", &*lock), ("node_modules/a/package.json", package)];
        let files = files.map(|(path, it)| (path.to_owned(), it.as_bytes().to_vec()));
        let (all, _) = found_in(&files);
        let found = Found { license: Some("ISC".to_owned()), sha512: Some(hex(&[7; 64])) };
        assert_eq!(all, All::from([(("a".to_owned(), "1".to_owned()), found)]));
    }

    #[test]
    fn what_can_not_be_read_is_listed() {
        let names =
            ["a/package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"];
        let files = [&names[..], &["x.js"]].concat();
        for content in ["{", "[1]", ""] {
            let files = files.iter().map(|path| ((*path).to_owned(), content.as_bytes().to_vec()));
            let (all, unread) = found_in(&files.collect::<Vec<_>>());
            assert_eq!(all, All::new());
            let unread: Vec<_> = unread.iter().map(|(path, _)| &**path).collect();
            assert_eq!(unread, names, "{content}");
        }
    }
}
