//! The program in stack images.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use ailtire_context::Content;
use ailtire_tree::Digest;

/// The program that stack images run: `ailtire-manager`. Clones share it.
#[derive(Clone)]
pub struct ManagerProgram(Arc<Program>);

struct Program {
    bytes: Cow<'static, [u8]>,
    /// As a context has it: most runs have no use for that.
    content: OnceLock<(Arc<[u8]>, Digest)>,
}

impl ManagerProgram {
    /// The program as an entry of a context.
    pub(crate) fn content(&self) -> Content {
        let Program { bytes, content } = &*self.0;
        let (bytes, digest) =
            content.get_or_init(|| (Arc::from(&**bytes), Digest::of(bytes))).clone();
        Content::Generated { bytes, digest }
    }
}

impl From<&'static [u8]> for ManagerProgram {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Arc::new(Program { bytes: Cow::Borrowed(bytes), content: OnceLock::new() }))
    }
}

impl From<Vec<u8>> for ManagerProgram {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Program { bytes: Cow::Owned(bytes), content: OnceLock::new() }))
    }
}

impl fmt::Debug for ManagerProgram {
    /// Without its millions of bytes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ManagerProgram").field("bytes", &self.0.bytes.len()).finish()
    }
}
