//! Showing the exact build context of an image.

use std::io::Write;

use ailtire_context::{BuildContext, Content, LeftOut};
use ailtire_events::Diagnostic;
use serde::Serialize;

use crate::{Application, Error};

/// One entry of a context, to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedEntry {
    /// Path in the context.
    pub path: String,
    /// `file`, `directory`, `symlink` or `generated`.
    pub kind: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes; 0 for what has no content.
    pub size: u64,
    /// Where its content is in the source tree, relative to the application root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Digest of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Target of a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// The context of an image, and what is not in it.
#[derive(Debug)]
pub struct ContextReport {
    /// The image.
    pub reference: String,
    /// Every entry.
    pub entries: Vec<ListedEntry>,
    /// What was left out, and by which rule.
    pub left_out: Vec<LeftOut>,
    /// Bytes of content in all.
    pub total_bytes: u64,
    /// Warnings.
    pub diagnostics: Vec<Diagnostic>,
    context: BuildContext,
}

impl Application {
    /// The context of the image with this index in the definitions.
    ///
    /// # Errors
    ///
    /// [`Error::Definitions`] with everything that is wrong with it.
    pub fn context(&self, image: usize) -> Result<ContextReport, Error> {
        let definition = &self.definitions.images[image];
        let (context, left_out) = if definition.is_stack {
            (self.stack_context(image).map_err(Error::Definitions)?, Vec::new())
        } else {
            let (tree, definitions) = (&self.tree, &self.definitions);
            let context = ailtire_context::assemble(tree, definitions, definition)
                .map_err(Error::Definitions)?;
            let left_out = ailtire_context::left_out(tree, definitions, definition)
                .map_err(Error::Definitions)?;
            (context, left_out)
        };
        Ok(ContextReport {
            reference: definition.reference().to_owned(),
            entries: context.entries.iter().map(listed).collect(),
            left_out,
            total_bytes: context.total_bytes(),
            diagnostics: context.diagnostics.clone(),
            context,
        })
    }

    /// Writes the context of a report as a tar archive, the same bytes for the same content.
    ///
    /// # Errors
    ///
    /// An I/O error, also where a file changed since the report was made.
    pub fn write_context(&self, report: &ContextReport, out: impl Write) -> std::io::Result<()> {
        report.context.write_tar(self.root(), &[], |_| 0, out).map(drop)
    }
}

fn listed(entry: &ailtire_context::ContextEntry) -> ListedEntry {
    let (path, mode) = (entry.path.to_string(), entry.mode);
    let bare = |kind| ListedEntry {
        path: path.clone(),
        kind,
        mode,
        size: 0,
        source: None,
        digest: None,
        target: None,
    };
    match &entry.content {
        Content::Directory => bare("directory"),
        Content::Symlink { target } => {
            ListedEntry { target: Some(target.to_string()), ..bare("symlink") }
        }
        Content::File { source, size, digest } => ListedEntry {
            size: *size,
            source: Some(source.to_string()),
            digest: Some(digest.to_string()),
            ..bare("file")
        },
        Content::Generated { bytes, digest } => ListedEntry {
            size: bytes.len() as u64,
            digest: Some(digest.to_string()),
            ..bare("generated")
        },
    }
}
