//! What unit tests share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use ailtire_context::{BuildContext, Content, ContextEntry, Dockerfile};
use ailtire_events::{EventKind, EventSink};
use ailtire_tree::Digest;

use crate::BuildRequest;

pub(crate) fn entry(path: &str, mode: u32, content: Content) -> ContextEntry {
    ContextEntry { path: path.into(), mode, content }
}

pub(crate) fn file(path: &str, content: &[u8]) -> ContextEntry {
    let digest = Digest::of(content);
    entry(path, 0o644, Content::File { source: path.into(), size: content.len() as u64, digest })
}

pub(crate) fn request(root: &Path, entries: Vec<ContextEntry>, dockerfile: &str) -> BuildRequest {
    BuildRequest {
        image: "image".to_owned(),
        references: Vec::new(),
        context: Arc::new(BuildContext {
            entries,
            dockerfile: Dockerfile {
                source: "Dockerfile".to_owned(),
                text: Arc::from(dockerfile),
                digest: Digest::of(dockerfile.as_bytes()),
                bases: Vec::new(),
                declared_arguments: BTreeSet::new(),
            },
            diagnostics: Vec::new(),
        }),
        source_root: root.to_owned(),
        build_arguments: BTreeMap::new(),
        target: None,
        platforms: Vec::new(),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        no_cache: false,
        cache_from: Vec::new(),
        context_key: "key".to_owned(),
    }
}

/// Keeps steps and logs as lines.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Vec<String>>);

impl EventSink for Recorder {
    fn emit(&self, kind: EventKind) {
        let line = match kind {
            EventKind::BuildStep { step, state, .. } => format!("{step} {state:?}"),
            EventKind::BuildLog { step, text, .. } => format!("{step}: {text}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}
