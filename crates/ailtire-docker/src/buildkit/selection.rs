//! Which entries of a context the engine wants to see.
//!
//! The engine names paths that the Dockerfile copies. Showing more than it wants costs time,
//! showing less gives a wrong image; so whatever is not plain shows everything.

use std::collections::BTreeSet;

use ailtire_context::{Content, ContextEntry};

/// Links that lead on to links; more is a cycle.
const LINK_LIMIT: usize = 255;

/// The indexes of the entries at, below and above `paths`, links followed; all without `paths`.
pub(super) fn select(entries: &[ContextEntry], paths: &[String]) -> Vec<usize> {
    match wanted(entries, paths) {
        None => (0..entries.len()).collect(),
        Some(wanted) => entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| wanted.iter().any(|path| is_related(&entry.path, path)))
            .map(|(index, _)| index)
            .collect(),
    }
}

/// The plain paths that cover `paths`, or `None` for everything.
fn wanted(entries: &[ContextEntry], paths: &[String]) -> Option<BTreeSet<String>> {
    if paths.is_empty() {
        return None;
    }
    let has_links = entries.iter().any(|entry| matches!(entry.content, Content::Symlink { .. }));
    let mut wanted = BTreeSet::new();
    for path in paths {
        let plain = literal_prefix(path);
        // A pattern can match links that no plain path names.
        if plain.len() != path.trim_matches('/').len() && has_links {
            return None;
        }
        let plain = clean("", plain);
        if plain.is_empty() {
            return None;
        }
        follow(entries, plain, &mut wanted)?;
    }
    Some(wanted)
}

/// The directories before the first part of `path` that holds a character of patterns.
fn literal_prefix(path: &str) -> &str {
    let path = path.trim_matches('/');
    match path.find(['*', '?', '[', '\\']) {
        Some(at) => path[..at].rfind('/').map_or("", |slash| &path[..slash]),
        None => path,
    }
}

/// `path` seen from `directory`, without `.` and `..`; never leads out of the context.
fn clean(directory: &str, path: &str) -> String {
    let base = if path.starts_with('/') { "" } else { directory };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Adds `path`, and where the links on it lead.
fn follow(entries: &[ContextEntry], path: String, wanted: &mut BTreeSet<String>) -> Option<()> {
    let mut pending = vec![path];
    let mut steps = 0;
    while let Some(path) = pending.pop() {
        if !wanted.insert(path.clone()) {
            continue;
        }
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            let Some(target) = link_target(entries, &path[..end]) else { continue };
            steps += 1;
            if steps > LINK_LIMIT {
                return None;
            }
            let directory = path[..end].rfind('/').map_or("", |slash| &path[..slash]);
            let resolved = clean(directory, target);
            let through = clean(&resolved, path[end..].trim_start_matches('/'));
            if through.is_empty() {
                return None;
            }
            pending.push(through);
        }
    }
    Some(())
}

fn link_target<'context>(entries: &'context [ContextEntry], path: &str) -> Option<&'context str> {
    let parts = || path.split('/');
    let found = entries.binary_search_by(|entry| entry.path.split('/').cmp(parts())).ok()?;
    match &entries[found].content {
        Content::Symlink { target } => Some(target),
        _ => None,
    }
}

/// Whether one is the other, or above it.
fn is_related(entry: &str, wanted: &str) -> bool {
    let (short, long) = if entry.len() <= wanted.len() { (entry, wanted) } else { (wanted, entry) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ailtire_tree::Digest;

    fn context(paths: &[&str]) -> Vec<ContextEntry> {
        paths
            .iter()
            .map(|path| match path.split_once(" -> ") {
                Some((path, target)) => ContextEntry {
                    path: path.into(),
                    mode: 0o777,
                    content: Content::Symlink { target: target.into() },
                },
                None if path.ends_with('/') => ContextEntry {
                    path: path.trim_end_matches('/').into(),
                    mode: 0o755,
                    content: Content::Directory,
                },
                None => ContextEntry {
                    path: (*path).into(),
                    mode: 0o644,
                    content: Content::File {
                        source: (*path).into(),
                        size: 0,
                        digest: Digest::of(b""),
                    },
                },
            })
            .collect()
    }

    fn selected(entries: &[&str], paths: &[&str]) -> Vec<String> {
        let entries = context(entries);
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let indexes = select(&entries, &paths);
        indexes.into_iter().map(|index| entries[index].path.to_string()).collect()
    }

    const PLAIN: [&str; 6] = ["a/", "a/b/", "a/b/c", "a.txt", "d/", "d/e"];

    #[test]
    fn plain_paths_select_what_is_at_below_and_above() {
        assert_eq!(selected(&PLAIN, &["a/b"]), ["a", "a/b", "a/b/c"]);
        assert_eq!(selected(&PLAIN, &["/d/"]), ["d", "d/e"]);
        assert_eq!(selected(&PLAIN, &["a.txt", "d/../a/b/c"]), ["a", "a/b", "a/b/c", "a.txt"]);
        assert!(selected(&PLAIN, &[".dockerignore"]).is_empty());
    }

    #[test]
    fn no_path_the_root_and_patterns_select_more() {
        assert_eq!(selected(&PLAIN, &[]).len(), 6);
        assert_eq!(selected(&PLAIN, &["d", "."]).len(), 6);
        assert_eq!(selected(&PLAIN, &["d/*"]), ["d", "d/e"]);
        assert_eq!(selected(&PLAIN, &["*.txt"]).len(), 6);
    }

    #[test]
    fn links_are_followed() {
        let entries =
            ["link -> real/dir", "other -> link", "real/", "real/dir/", "real/dir/f", "x"];
        let followed = ["link", "real", "real/dir", "real/dir/f"];
        assert_eq!(selected(&entries, &["link/f"]), followed);
        assert_eq!(selected(&entries, &["link"]), followed);
        assert_eq!(selected(&entries, &["other"]).len(), 5);
        assert_eq!(selected(&entries, &["li*"]).len(), 6);
        assert_eq!(selected(&["a -> b", "b -> a"], &["a"]), ["a", "b"]);
        assert_eq!(selected(&["a -> /", "b"], &["a"]).len(), 2);
        assert_eq!(selected(&["a -> a/b", "b"], &["a"]).len(), 2);
    }
}
