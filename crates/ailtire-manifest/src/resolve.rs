//! Following paths that definitions name.

use ailtire_tree::{EntryKind, ReadError, Resolved, Tree, file_name, parent};

/// Where `path` leads, as [`Tree::resolve`] has it; but what is not there in a directory that is
/// allowed outside the root is missing, not outside.
pub(crate) fn resolve(tree: &Tree, path: &str) -> Result<Resolved, ReadError> {
    if let Some(resolved) = resolve_without_links(tree, path) {
        return Ok(resolved);
    }
    let resolved = tree.resolve(path)?;
    let is_above = path == ".." || path.starts_with("../");
    if is_above && matches!(resolved, Resolved::Outside(_)) && is_missing(tree, path) {
        return Ok(Resolved::Missing);
    }
    Ok(resolved)
}

/// The answer for a path in which there is no link: nearly every one, and found much sooner.
fn resolve_without_links(tree: &Tree, path: &str) -> Option<Resolved> {
    if path.is_empty() {
        return Some(Resolved::Inside(String::new()));
    }
    if file_name(path) == ".." {
        return None;
    }
    let holder = tree.directory(parent(path))?;
    match tree.list(holder).ok()?.get(file_name(path)) {
        None => Some(Resolved::Missing),
        Some(entry) if entry.kind() == EntryKind::Symlink => None,
        Some(_) => Some(Resolved::Inside(path.to_owned())),
    }
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
