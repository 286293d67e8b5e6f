//! Paths relative to the root: joining and taking apart, without asking the disk.

/// A path that leads above the root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` leads out of the application root")]
pub struct Escape {
    /// What remains after taking out `.` and `..`: it starts with `..`.
    pub path: String,
}

/// Joins `relative` to the directory `base`, taking out `.`, `..` and double slashes.
///
/// # Errors
///
/// [`Escape`] where the result lies above the root, or `relative` is absolute.
pub fn join(base: &str, relative: &str) -> Result<String, Escape> {
    if relative.starts_with('/') {
        return Err(Escape { path: relative.to_owned() });
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if parts.first() == Some(&"..") { Err(Escape { path }) } else { Ok(path) }
}

/// The directory that holds `path`; `""` for what lies in the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The last part of `path`.
pub fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_takes_out_dots() {
        assert_eq!(join("api/Shop/deploy", "..").unwrap(), "api/Shop");
        assert_eq!(join("", "./a//b/").unwrap(), "a/b");
        assert_eq!(join("a", "../..").unwrap_err().path, "..");
        assert_eq!(join("a", "../../b/../..").unwrap_err().path, "../..");
        assert!(join("a", "/etc").is_err());
        assert_eq!(join("a/b", "../..").unwrap(), "");
    }

    #[test]
    fn parts_of_a_path() {
        assert_eq!((parent("a/b/c"), file_name("a/b/c")), ("a/b", "c"));
        assert_eq!((parent("a"), file_name("a")), ("", "a"));
    }
}
