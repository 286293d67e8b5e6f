//! What is at a path that a definition names.

use ailtire_events::{Diagnostic, Location};
use ailtire_tree::{Resolved, Tree, join};

use crate::resolve::resolve;
use crate::script::VIRTUAL_ROOT;

/// What is at a path; paths are free of links where something is there.
pub(crate) enum Place {
    Directory(String),
    File(String),
    /// Nothing; the path that was looked at.
    Missing(String),
    /// An error was reported.
    Refused,
}

/// What is at `written`, relative to the directory of `base`, where the definition `base.1` is.
pub(crate) fn look(
    tree: &Tree,
    base: (&str, &str),
    written: &str,
    location: Location,
    diagnostics: &mut Vec<Diagnostic>,
) -> Place {
    // What was put together from `__dirname` starts with the root as definitions see it.
    let virtual_rest =
        written.strip_prefix(VIRTUAL_ROOT).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let (directory, relative) = match virtual_rest {
        Some(rest) => ("", rest.trim_start_matches('/')),
        None => (base.0, written),
    };
    if relative.starts_with('/') {
        diagnostics.push(
            Diagnostic::error("absolute-path", format!("`{written}` is an absolute path"))
                .at(location)
                .help(format!(
                    "write it relative to the directory of `{}`: it would mean something else on \
                     another machine",
                    base.1
                )),
        );
        return Place::Refused;
    }
    // What lies outside the root may have been allowed; the tree knows.
    let path = join(directory, relative).unwrap_or_else(|escape| escape.path);
    match resolve(tree, &path) {
        Ok(Resolved::Inside(real)) if tree.directory(&real).is_some() => Place::Directory(real),
        Ok(Resolved::Inside(real)) if tree.is_file(&real) => Place::File(real),
        Ok(Resolved::Inside(_) | Resolved::Missing) => Place::Missing(path),
        Ok(Resolved::Outside(_)) => {
            let message = format!("`{written}` leads out of the application root");
            diagnostics.push(Diagnostic::error("path-outside", message).at(location).help(
                "permit the directory with `--allow-outside DIR`, or keep what is needed in the \
                 application",
            ));
            Place::Refused
        }
        Err(error) => {
            diagnostics.push(Diagnostic::error("unreadable", error.to_string()).at(location));
            Place::Refused
        }
    }
}

/// A path for messages: the root has no name of its own.
pub(crate) fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}
