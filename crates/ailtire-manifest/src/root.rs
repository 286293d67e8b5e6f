//! Finds the application that a directory belongs to.

use std::path::{Path, PathBuf};

/// What a `deploy/` directory holds when it is a deployment strategy and not just called so.
const STRATEGY_FILES: [&str; 5] =
    ["build.js", "deploy.js", "services.js", "docker-compose.yaml", "docker-compose.yml"];

/// The root of the application that `start` lies in; `None` where there is none.
///
/// The nearest directory, from `start` upwards, that has an `api/index.js` is the root: nothing
/// but a root looks like that. Where there is none, packages and the root look alike (an
/// `index.js` beside a `deploy/`, `api/` or `package.json`, or a `deploy/` with a deployment
/// strategy in it), and the outermost one is taken; the search for it ends at the top of a git
/// repository, so that a stray file in a home directory does not count.
pub fn find_root(start: &Path) -> Option<PathBuf> {
    let start = std::fs::canonicalize(start).ok()?;
    if let Some(root) = start.ancestors().find(|path| path.join("api/index.js").is_file()) {
        return Some(root.to_owned());
    }
    let mut found = None;
    for directory in start.ancestors() {
        if looks_like_package(directory) {
            found = Some(directory.to_owned());
        }
        if directory.join(".git").is_dir() {
            break;
        }
    }
    found
}

fn looks_like_package(directory: &Path) -> bool {
    let deploy = directory.join("deploy");
    if directory.join("index.js").is_file() {
        let has_strategy = deploy.is_dir() || directory.join("api").is_dir();
        return has_strategy || directory.join("package.json").is_file();
    }
    STRATEGY_FILES.iter().any(|name| deploy.join(name).is_file())
        || STRATEGY_FILES.iter().any(|name| directory.join("api/deploy").join(name).is_file())
}
