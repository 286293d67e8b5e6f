//! What changes a key and what does not, and that every change has a reason.

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeSet;
use std::sync::Arc;

use ailtire_context::{BuildContext, Content, ContextEntry, Dockerfile};
use ailtire_events::{Change, DirtyReason};
use ailtire_fingerprint::{BaseIdentity, ImageInputs, Settings, compare, fingerprint};
use ailtire_tree::Digest;

fn file(path: &str, content: &str) -> ContextEntry {
    ContextEntry {
        path: path.into(),
        mode: 0o644,
        content: Content::File {
            source: format!("source/{path}").into(),
            size: content.len() as u64,
            digest: Digest::of(content.as_bytes()),
        },
    }
}

fn context(dockerfile: &str, entries: Vec<ContextEntry>) -> BuildContext {
    BuildContext {
        entries,
        dockerfile: Dockerfile {
            source: "deploy/Dockerfile".into(),
            text: Arc::from(dockerfile),
            digest: Digest::of(dockerfile.as_bytes()),
            bases: Vec::new(),
            declared_arguments: BTreeSet::from(["DECLARED".to_owned()]),
        },
        diagnostics: Vec::new(),
    }
}

fn sample() -> (BuildContext, Settings) {
    let entries = vec![file("a", "1"), file("b", "2")];
    let settings = Settings { references: vec!["app:latest".into()], ..Settings::default() };
    (context("FROM scratch\nCOPY . /\n", entries), settings)
}

/// Whether the key changes, and the reasons given, when `change` is applied to the sample.
fn effect(change: impl Fn(&mut BuildContext, &mut Settings)) -> (bool, Vec<DirtyReason>) {
    let (old_context, old_settings) = sample();
    let (mut new_context, mut new_settings) = sample();
    change(&mut new_context, &mut new_settings);
    let old = ImageInputs { context: &old_context, settings: &old_settings };
    let new = ImageInputs { context: &new_context, settings: &new_settings };
    (old.key() != new.key(), compare(&old.record(), &new.record()))
}

#[test]
fn every_change_of_the_key_has_exactly_its_reason() {
    type Mutation = Box<dyn Fn(&mut BuildContext, &mut Settings)>;
    let cases: Vec<(&str, Mutation)> = vec![
        ("source/a changed", Box::new(|context, _| context.entries[0] = file("a", "x"))),
        (
            "c was added",
            Box::new(|context, _| {
                let content = Content::Directory;
                context.entries.push(ContextEntry { path: "c".into(), mode: 0o755, content });
            }),
        ),
        ("source/b was removed", Box::new(|context, _| drop(context.entries.pop()))),
        (
            "the mode of source/a changed from 0644 to 0755",
            Box::new(|context, _| {
                context.entries[0].mode = 0o755;
            }),
        ),
        (
            "a is a symbolic link and was a file",
            Box::new(|context, _| {
                context.entries[0].content = Content::Symlink { target: "b".into() };
            }),
        ),
        (
            "build argument DECLARED was added (`1`)",
            Box::new(|_, settings| {
                settings.build_arguments.insert("DECLARED".into(), "1".into());
            }),
        ),
        (
            "the target changed from the last stage to `test`",
            Box::new(|_, settings| {
                settings.target = Some("test".into());
            }),
        ),
        (
            "its platforms changed from none to linux/arm64",
            Box::new(|_, settings| {
                settings.platforms.push("linux/arm64".into());
            }),
        ),
        (
            "label a was added (`b`)",
            Box::new(|_, settings| {
                settings.labels.insert("a".into(), "b".into());
            }),
        ),
        (
            "its secrets changed from none to npm",
            Box::new(|_, settings| {
                settings.secrets.push("npm".into());
            }),
        ),
        (
            "deploy/Dockerfile changed at line 2",
            Box::new(|context, _| {
                let text = "FROM scratch\nCOPY a /\n";
                context.dockerfile.text = Arc::from(text);
                context.dockerfile.digest = Digest::of(text.as_bytes());
            }),
        ),
    ];
    for (words, change) in cases {
        let (changed, reasons) = effect(change);
        assert!(changed, "{words}: the key stays the same");
        let all: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(all, [words]);
    }
}

#[test]
fn what_does_not_matter_changes_nothing() {
    let (changed, reasons) = effect(|context, settings| {
        settings.build_arguments.insert("UNDECLARED".into(), "1".into());
        context.dockerfile.source = "elsewhere/Dockerfile".into();
    });
    assert!(!changed);
    assert_eq!(reasons, []);
}

#[test]
fn references_are_in_the_fingerprint_but_not_in_the_key() {
    let (changed, reasons) = effect(|_, settings| settings.references.push("app:v1".into()));
    assert!(!changed);
    assert!(matches!(reasons[..], [DirtyReason::References { .. }]), "{reasons:?}");
    let key = Digest::of(b"key");
    let one = fingerprint(key, &["app:latest".into()], &[]);
    let two = fingerprint(key, &["app:latest".into(), "app:v1".into()], &[]);
    assert_ne!(one, two);
}

#[test]
fn bases_are_in_the_fingerprint() {
    let (context, settings) = sample();
    let inputs = ImageInputs { context: &context, settings: &settings };
    let key = inputs.key();
    let external =
        |id: Option<&str>| vec![("base".to_owned(), BaseIdentity::External(id.map(str::to_owned)))];
    let built = vec![("base".to_owned(), BaseIdentity::Built(Digest::of(b"x")))];
    let all = [
        fingerprint(key, &[], &[]),
        fingerprint(key, &[], &external(None)),
        fingerprint(key, &[], &external(Some("sha256:1"))),
        fingerprint(key, &[], &external(Some("sha256:2"))),
        fingerprint(key, &[], &built),
    ];
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn moving_bytes_between_fields_is_not_the_same() {
    let (context, mut settings) = sample();
    settings.labels.insert("ab".into(), "c".into());
    let key = ImageInputs { context: &context, settings: &settings }.key();
    settings.labels.clear();
    settings.labels.insert("a".into(), "bc".into());
    assert_ne!(ImageInputs { context: &context, settings: &settings }.key(), key);
}

#[test]
fn values_that_look_like_secrets_are_not_written_down() {
    let (mut context, mut settings) = sample();
    context.dockerfile.declared_arguments.insert("NPM_TOKEN".into());
    settings.build_arguments.insert("NPM_TOKEN".into(), "hunter2".into());
    let record = ImageInputs { context: &context, settings: &settings }.record();
    let text = format!("{record:?}");
    assert!(text.contains("NPM_TOKEN") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_content_change_carries_both_digests() {
    let (_, reasons) = effect(|context, _| context.entries[1] = file("b", "new"));
    let DirtyReason::Entry { change: Change::Content { old, new }, .. } = &reasons[0] else {
        panic!("{reasons:?}");
    };
    assert_eq!(*old, Digest::of(b"2").to_string());
    assert_eq!(*new, Digest::of(b"new").to_string());
}
