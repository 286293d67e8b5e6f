//! Configs and secrets, named by what they hold.
//!
//! The engine does not let either be changed while a service uses it. New content is therefore a
//! new object with a new name, services are switched over, and the old one goes when nothing uses
//! it any more.

use std::collections::BTreeMap;

use ailtire_compose::{
    FILE_NAME_LIMIT, FileObject, FileReference, HASH_DIGITS, Service, TLS_CERTIFICATE, TLS_KEY,
    content_digest, shorten,
};
use ailtire_events::{Diagnostic, ObjectKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{StackToConvert, undefined};
use crate::External;
use crate::spec::{
    ConfigReference, ConfigSpec, Driver, FileTarget, RuntimeTarget, SecretReference, SecretSpec,
};

/// Bytes that a config may hold.
const CONFIG_LIMIT: usize = 1000 * 1024;

/// Bytes that a secret may hold.
const SECRET_LIMIT: usize = 500 * 1024;

/// Permissions of a file that says nothing of them: everybody may read it.
const DEFAULT_MODE: u32 = 0o444;

/// The objects of one kind.
pub(super) struct Files<T> {
    pub(super) made: Vec<T>,
    pub(super) external: Vec<External>,
    /// Names in the engine, by the keys that services use.
    pub(super) names: BTreeMap<String, String>,
}

/// The configs of a stack; all that it defines, as with Docker's client.
pub(super) fn configs(
    stack: &StackToConvert<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Files<ConfigSpec> {
    let design = stack.design;
    let used = |key: &str| {
        design.services.values().any(|service| config_keys(service).any(|used| used == key))
    };
    let hasher = || blake3::Hasher::new_derive_key("ailtire-build config name 1");
    let kind = Kind { object: ObjectKind::Config, limit: CONFIG_LIMIT, hasher: &hasher };
    files(stack, &design.configs, &kind, &used, diagnostics, |name, object, data| ConfigSpec {
        name,
        labels: stack.own_labels(&object.labels),
        data: data.unwrap_or_default(),
        templating: templating(object),
    })
}

/// The secrets of a stack; all that it defines, as with Docker's client.
pub(super) fn secrets(
    stack: &StackToConvert<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Files<SecretSpec> {
    let design = stack.design;
    let used = |key: &str| {
        // The manager of a root uses its certificate, which no service names.
        let is_managers = stack.parent.is_none() && [TLS_CERTIFICATE, TLS_KEY].contains(&key);
        let mut secrets = design.services.values().flat_map(|service| &service.secrets);
        is_managers || secrets.any(|used| used.source == key)
    };
    let hasher = || secret_hasher(stack.namespace);
    let kind = Kind { object: ObjectKind::Secret, limit: SECRET_LIMIT, hasher: &hasher };
    files(stack, &design.secrets, &kind, &used, diagnostics, |name, object, data| SecretSpec {
        name,
        labels: stack.own_labels(&object.labels),
        data,
        driver: object
            .driver
            .as_ref()
            .map(|driver| Driver { name: driver.clone(), options: object.driver_opts.clone() }),
        templating: templating(object),
    })
}

/// Names in the engine of the secrets with the certificate and the key of a root's manager, where
/// its design has them.
pub fn certificate(stack: &StackToConvert<'_>) -> Option<[String; 2]> {
    // What is wrong with secrets is said where the stack is converted.
    let mut names = secrets(stack, &mut Vec::new()).names;
    Some([names.remove(TLS_CERTIFICATE)?, names.remove(TLS_KEY)?])
}

/// The hash in a secret's name, which everybody sees who may list secrets.
///
/// Its key is the stack's namespace. So nobody sees from names that two stacks have the same secret,
/// and nobody has tables of hashes to look one up in. It does not keep a secret that can be guessed:
/// whoever sees the name can try candidates one after the other, as fast as hashing goes. A secret
/// that is as random as secrets are to be can't be found that way.
fn secret_hasher(namespace: &str) -> blake3::Hasher {
    blake3::Hasher::new_keyed(&blake3::derive_key(
        "ailtire-build secret name 1",
        namespace.as_bytes(),
    ))
}

/// What makes a difference between configs and secrets.
struct Kind<'a> {
    object: ObjectKind,
    limit: usize,
    hasher: &'a dyn Fn() -> blake3::Hasher,
}

/// The name of something that is named by its content: `name` and `hash`.
fn with_hash(name: &str, hash: &blake3::Hash) -> String {
    let hash = hash.to_hex();
    let digits = hash.get(..HASH_DIGITS).unwrap_or_default();
    format!("{}_{digits}", shorten(name, FILE_NAME_LIMIT - HASH_DIGITS - 1))
}

fn files<T>(
    stack: &StackToConvert<'_>,
    objects: &BTreeMap<String, FileObject>,
    kind: &Kind<'_>,
    used: &dyn Fn(&str) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
    make: impl Fn(String, &FileObject, Option<String>) -> T,
) -> Files<T> {
    let mut files = Files { made: Vec::new(), external: Vec::new(), names: BTreeMap::new() };
    for (key, object) in objects {
        if object.external {
            let name = object.name.clone().unwrap_or_else(|| key.clone());
            if used(key) {
                let location = object.location.clone();
                files.external.push(External { name: name.clone(), location });
            }
            files.names.insert(key.clone(), name);
            continue;
        }
        let name = object.name.clone().unwrap_or_else(|| stack.scope(key));
        let name = with_hash(&name, &hash((kind.hasher)(), kind.object, object));
        files.names.insert(key.clone(), name.clone());
        if object.digest.is_some() {
            if used(key) {
                let location = object.location.clone();
                files.external.push(External { name, location });
            }
            continue;
        }
        // A driver finds what it gives by itself.
        let data = object.data.as_deref().filter(|_| object.driver.is_none());
        if object.driver.is_none()
            && let Some(problem) = check_size(kind, key, object, data)
        {
            diagnostics.push(problem);
            continue;
        }
        files.made.push(make(name, object, data.map(|data| STANDARD.encode(data))));
    }
    files.external.sort_by(|one, other| one.name.cmp(&other.name));
    files.external.dedup_by(|one, other| one.name == other.name);
    files
}

/// What can't be changed in place: another hash is another object. This program's own labels are no
/// part of it.
fn hash(mut hasher: blake3::Hasher, kind: ObjectKind, object: &FileObject) -> blake3::Hash {
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let data = object.data.as_deref().filter(|_| object.driver.is_none()).unwrap_or_default();
    // A stack image has a secret's digest, and has to come to the same name.
    match (kind, &object.digest) {
        (_, Some(digest)) => field(digest.as_bytes()),
        (ObjectKind::Secret, None) if object.driver.is_none() => {
            field(content_digest(data).as_bytes());
        }
        _ => field(data),
    }
    field(object.template_driver.as_deref().unwrap_or_default().as_bytes());
    field(object.driver.as_deref().unwrap_or_default().as_bytes());
    for pairs in [&object.labels, &object.driver_opts] {
        field(&(pairs.len() as u64).to_le_bytes());
        for (name, value) in pairs {
            field(name.as_bytes());
            field(value.as_bytes());
        }
    }
    hasher.finalize()
}

/// Why the engine would not take it.
fn check_size(
    kind: &Kind<'_>,
    key: &str,
    object: &FileObject,
    data: Option<&[u8]>,
) -> Option<Diagnostic> {
    let Kind { object: kind, limit, .. } = kind;
    let size = data.map_or(0, <[u8]>::len);
    let problem = if size == 0 {
        format!("{kind} `{key}` is empty, which the engine does not take")
    } else if size >= *limit {
        format!("{kind} `{key}` has {size} bytes; the engine takes less than {limit}")
    } else {
        return None;
    };
    let diagnostic = Diagnostic::error("file-size", problem);
    Some(match &object.location {
        Some(location) => diagnostic.at(location.clone()),
        None => diagnostic,
    })
}

fn templating(object: &FileObject) -> Option<Driver> {
    let name = object.template_driver.clone()?;
    Some(Driver { name, options: BTreeMap::new() })
}

fn config_keys(service: &Service) -> impl Iterator<Item = &str> {
    let credentials = service.credential_spec.as_ref().and_then(|spec| spec.config.as_deref());
    service.configs.iter().map(|reference| reference.source.as_str()).chain(credentials)
}

/// The configs of a service. One that holds credentials is for the engine, not for the container.
pub(super) fn config_references(
    names: &BTreeMap<String, String>,
    name: &str,
    service: &Service,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<ConfigReference> {
    let mut references = Vec::new();
    for reference in &service.configs {
        match names.get(&reference.source) {
            Some(config_name) => references.push(ConfigReference {
                file: Some(target(reference)),
                config_name: config_name.clone(),
                ..ConfigReference::default()
            }),
            None => {
                diagnostics.push(undefined("config", &reference.source, name, &service.location));
            }
        }
    }
    let credentials = service.credential_spec.as_ref().and_then(|spec| spec.config.as_ref());
    if let Some(key) = credentials {
        match names.get(key) {
            Some(config_name) => references.push(ConfigReference {
                runtime: Some(RuntimeTarget {}),
                config_name: config_name.clone(),
                ..ConfigReference::default()
            }),
            None => diagnostics.push(undefined("config", key, name, &service.location)),
        }
    }
    references.sort_by(|one, other| {
        (&one.config_name, file_name(one.file.as_ref()))
            .cmp(&(&other.config_name, file_name(other.file.as_ref())))
    });
    references
}

/// The secrets of a service.
pub(super) fn secret_references(
    names: &BTreeMap<String, String>,
    name: &str,
    service: &Service,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<SecretReference> {
    let mut references = Vec::new();
    for reference in &service.secrets {
        match names.get(&reference.source) {
            Some(secret_name) => references.push(SecretReference {
                file: Some(target(reference)),
                secret_name: secret_name.clone(),
                ..SecretReference::default()
            }),
            None => {
                diagnostics.push(undefined("secret", &reference.source, name, &service.location));
            }
        }
    }
    references.sort_by(|one, other| {
        (&one.secret_name, file_name(one.file.as_ref()))
            .cmp(&(&other.secret_name, file_name(other.file.as_ref())))
    });
    references
}

fn file_name(file: Option<&FileTarget>) -> Option<&str> {
    file.map(|file| file.name.as_str())
}

fn target(reference: &FileReference) -> FileTarget {
    let root = || "0".to_owned();
    FileTarget {
        name: reference.target.clone().unwrap_or_else(|| reference.source.clone()),
        uid: reference.uid.clone().unwrap_or_else(root),
        gid: reference.gid.clone().unwrap_or_else(root),
        mode: reference.mode.unwrap_or(DEFAULT_MODE),
    }
}
