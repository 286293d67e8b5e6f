//! Following paths that definitions name.

use ailtire_tree::{ReadError, Resolved, Tree, parent};

/// Where `path` leads, as [`Tree::resolve`] has it; but what is not there in a directory that is
/// allowed outside the root is missing, not outside.
pub(crate) fn resolve(tree: &Tree, path: &str) -> Result<Resolved, ReadError> {
    let resolved = tree.resolve(path)?;
    let is_above = path == ".." || path.starts_with("../");
    if is_above && matches!(resolved, Resolved::Outside(_)) && is_missing(tree, path) {
        return Ok(Resolved::Missing);
    }
    Ok(resolved)
}

/// Whether the nearest directory above `path` that is allowed holds nothing of that name.
fn is_missing(tree: &Tree, path: &str) -> bool {
    let mut path = path;
    while !path.is_empty() {
        let holder = parent(path);
        if let Ok(Resolved::Inside(real)) = tree.resolve(holder) {
            let name = path.strip_prefix(holder).unwrap_or(path).trim_start_matches('/');
            let is_allowed = tree.directory(&real).is_some() && name != "..";
            return is_allowed && tree.find(&format!("{real}/{name}")).is_none();
        }
        path = holder;
    }
    false
}
