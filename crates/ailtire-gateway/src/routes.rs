//! Which route a path belongs to, and the path behind it.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;

use crate::Route;
use crate::metrics::RouteCounters;

/// A route in use.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) route: Route,
    pub(crate) counters: Arc<RouteCounters>,
    /// The prefix without a slash at its end: empty for the root.
    prefix: Box<str>,
    /// The same of what replaces it.
    path: Box<str>,
    /// The part of the prefix that the service does not see.
    hidden: Box<str>,
}

impl Entry {
    pub(crate) fn new(route: Route, counters: Arc<RouteCounters>) -> Self {
        let prefix = route.prefix.trim_end_matches('/');
        let path = route.path.trim_end_matches('/');
        let hidden = prefix.strip_suffix(path).unwrap_or(prefix);
        let [prefix, path, hidden] = [prefix, path, hidden].map(Box::from);
        Self { route, counters, prefix, path, hidden }
    }

    fn matches(&self, path: &str) -> bool {
        path.strip_prefix(&*self.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What `X-Forwarded-Prefix` says of it.
    pub(crate) fn hidden_prefix(&self) -> &str {
        &self.hidden
    }

    /// The path that the service gets: nothing is decoded, and the query stays.
    pub(crate) fn rewrite(&self, original: &PathAndQuery) -> Option<PathAndQuery> {
        let rest = original.path().strip_prefix(&*self.prefix)?;
        if self.prefix == self.path && !rest.starts_with("//") && !rest.is_empty() {
            return Some(original.clone());
        }
        // Two slashes at the begin would name a host.
        let relative = rest.trim_start_matches('/');
        let mut path = String::with_capacity(original.as_str().len() + self.path.len() + 1);
        path.push_str(&self.path);
        if !rest.is_empty() || path.is_empty() {
            path.push('/');
        }
        path.push_str(relative);
        if let Some(query) = original.query() {
            path.push('?');
            path.push_str(query);
        }
        PathAndQuery::from_maybe_shared(Bytes::from(path)).ok()
    }
}

/// All routes, longest prefix first.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Arc<Entry>>,
}

impl Table {
    pub(crate) fn new(mut entries: Vec<Entry>) -> Self {
        // A stable sort: of equal prefixes the first stays the first.
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.prefix.len()));
        Self { entries: entries.into_iter().map(Arc::new).collect() }
    }

    pub(crate) fn find(&self, path: &str) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.matches(path))
    }

    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(prefix: &str, path: &str) -> Entry {
        let route = Route {
            prefix: prefix.to_owned(),
            service: format!("{prefix} {path}"),
            path: path.to_owned(),
            port: 80,
            timeout: None,
            retries: None,
        };
        Entry::new(route, Arc::default())
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let prefixes = ["/", "/doc", "/doc/api", "/doc", "/web/"];
        let entries = prefixes.iter().enumerate().map(|(i, it)| entry(it, &format!("/{i}")));
        let table = Table::new(entries.collect());
        let found = |path| table.find(path).map(|entry| entry.route.path.clone());
        for (path, index) in [
            ("/doc", "/1"),
            ("/doc/", "/1"),
            ("/doc/x", "/1"),
            ("/docs", "/0"),
            ("/doc/api", "/2"),
            ("/doc/api/x", "/2"),
            ("/doc/apis", "/1"),
            ("/DOC", "/0"),
            ("/web", "/4"),
            ("/web/x", "/4"),
            ("/", "/0"),
        ] {
            assert_eq!(found(path).as_deref(), Some(index), "{path}");
        }
        assert!(Table::new(vec![entry("/doc", "/")]).find("/").is_none());
    }

    #[test]
    fn the_prefix_is_replaced() {
        for (prefix, path, original, expected) in [
            ("/doc", "/", "/doc", "/"),
            ("/doc", "/", "/doc/", "/"),
            ("/doc", "/", "/doc/x/?a=/doc", "/x/?a=/doc"),
            ("/doc", "/", "/doc?x", "/?x"),
            ("/doc", "/", "/doc//evil.example/x", "/evil.example/x"),
            ("/doc", "/docs", "/doc", "/docs"),
            ("/doc", "/docs", "/doc?x=%2F", "/docs?x=%2F"),
            ("/doc", "/docs/", "/doc/", "/docs/"),
            ("/doc", "/docs", "/doc/a%2Fb%20c", "/docs/a%2Fb%20c"),
            ("/doc", "/doc", "/doc/a//b", "/doc/a//b"),
            ("/", "/", "/x?y", "/x?y"),
            ("/", "/app", "/", "/app/"),
            ("/", "/app", "/x", "/app/x"),
        ] {
            let original = PathAndQuery::from_static(original);
            let rewritten = entry(prefix, path).rewrite(&original);
            assert_eq!(rewritten.unwrap().as_str(), expected, "{prefix} {path} {original}");
        }
    }

    #[test]
    fn what_is_hidden_is_what_a_service_must_put_before_its_paths() {
        for (prefix, path, hidden) in [
            ("/doc", "/", "/doc"),
            ("/doc", "/doc", ""),
            ("/a/doc", "/doc", "/a"),
            ("/", "/", ""),
            ("/doc", "/other", "/doc"),
        ] {
            assert_eq!(entry(prefix, path).hidden_prefix(), hidden);
        }
    }
}
