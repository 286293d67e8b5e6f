//! From the tree to the design.

use crate::StackDesign;
use crate::document::Node;
use crate::findings::Findings;
use crate::reader::Reader;

/// The design that `document` describes; absent where nothing can be made of it.
pub(crate) fn decode(
    document: &Node,
    reader: &Reader<'_>,
    findings: &mut Findings,
) -> Option<StackDesign> {
    let _ = (document, reader, findings);
    None
}
