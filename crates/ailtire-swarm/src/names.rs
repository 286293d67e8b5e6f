//! stub
pub(crate) fn shorten(name: &str, limit: usize) -> String {
    name.chars().take(limit).collect()
}
