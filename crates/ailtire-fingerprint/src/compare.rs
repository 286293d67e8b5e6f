//! The one place where recorded inputs are compared with present ones.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use ailtire_events::{Change, DirtyReason};

use crate::inputs::{RecordedEntry, RecordedInputs};

/// Every difference between the inputs of the recorded image and those of now.
///
/// Empty where there is none. The order is that of [`DirtyReason`]'s variants, then of paths and
/// names.
pub fn compare(old: &RecordedInputs, new: &RecordedInputs) -> Vec<DirtyReason> {
    if old.format != new.format {
        return vec![DirtyReason::FingerprintFormat { old: old.format, new: new.format }];
    }
    let mut reasons = Vec::new();
    if old.dockerfile_digest != new.dockerfile_digest {
        reasons.push(DirtyReason::Dockerfile {
            path: new.dockerfile.clone(),
            old: old.dockerfile_digest.to_string(),
            new: new.dockerfile_digest.to_string(),
            line: first_difference(&old.dockerfile_lines, &new.dockerfile_lines),
        });
    }
    compare_entries(&old.entries, &new.entries, &mut reasons);
    compare_maps(&old.build_arguments, &new.build_arguments, |name, old, new| {
        reasons.push(DirtyReason::BuildArgument { name, old, new });
    });
    compare_maps(&old.labels, &new.labels, |name, old, new| {
        reasons.push(DirtyReason::Label { name, old, new });
    });
    if old.target != new.target {
        let (old, new) = (old.target.clone(), new.target.clone());
        reasons.push(DirtyReason::Target { old, new });
    }
    if old.platforms != new.platforms {
        let (old, new) = (old.platforms.clone(), new.platforms.clone());
        reasons.push(DirtyReason::Platforms { old, new });
    }
    if old.references != new.references {
        let (old, new) = (old.references.clone(), new.references.clone());
        reasons.push(DirtyReason::References { old, new });
    }
    if old.secrets != new.secrets {
        let (old, new) = (old.secrets.clone(), new.secrets.clone());
        reasons.push(DirtyReason::Secrets { old, new });
    }
    reasons
}

fn first_difference(old: &[String], new: &[String]) -> Option<u32> {
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    // A text that only lost lines at its end differs at its last remaining line.
    let line = (same + 1).min(new.len().max(1));
    u32::try_from(line).ok()
}

/// Merges two sorted lists of entries.
fn compare_entries(old: &[RecordedEntry], new: &[RecordedEntry], reasons: &mut Vec<DirtyReason>) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.split('/').cmp(new.path.split('/')),
        };
        let (entry, change) = match order {
            Ordering::Less => (old.next(), Some(Change::Removed)),
            Ordering::Greater => (new.next(), Some(Change::Added)),
            Ordering::Equal => match (old.next(), new.next()) {
                (Some(old), Some(new)) => (Some(new), change_of(old, new)),
                _ => return,
            },
        };
        if let (Some(entry), Some(change)) = (entry, change) {
            let (path, source) = (entry.path.clone(), entry.source.clone());
            reasons.push(DirtyReason::Entry { path, source, change });
        }
    }
}

fn change_of(old: &RecordedEntry, new: &RecordedEntry) -> Option<Change> {
    if old.kind() != new.kind() {
        return Some(Change::Kind { old: old.kind().into(), new: new.kind().into() });
    }
    if let (Some(old), Some(new)) = (old.digest, new.digest)
        && old != new
    {
        return Some(Change::Content { old: old.to_string(), new: new.to_string() });
    }
    if let (Some(old), Some(new)) = (&old.target, &new.target)
        && old != new
    {
        return Some(Change::LinkTarget { old: old.clone(), new: new.clone() });
    }
    (old.mode != new.mode).then_some(Change::Mode { old: old.mode, new: new.mode })
}

fn compare_maps(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    mut differ: impl FnMut(String, Option<String>, Option<String>),
) {
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (old, new) = (old.get(name), new.get(name));
        if old != new {
            differ(name.clone(), old.cloned(), new.cloned());
        }
    }
}
