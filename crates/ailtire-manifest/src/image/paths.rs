//! Where an image's files are.

use ailtire_events::{Diagnostic, Location};

use super::Image;
use crate::place::{Place, look, shown};

impl Image<'_, '_> {
    /// The directory and the Dockerfile, free of links; `None` after an error.
    pub(super) fn paths(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<(String, String)> {
        let directory = self.directory(diagnostics)?;
        let dockerfile = self.dockerfile(&directory, diagnostics)?;
        Some((directory, dockerfile))
    }

    fn directory(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
        const KEY: &str = "dir";
        let written =
            if self.fields.has(KEY) { self.fields.text(KEY, diagnostics)? } else { ".".to_owned() };
        let location = || self.fields.location(KEY);
        let (message, path) = match self.look(self.base, &written, KEY, diagnostics) {
            Place::Directory(path) => return Some(path),
            Place::Refused => return None,
            Place::File(path) => ("is not a directory", path),
            Place::Missing(path) => ("does not exist", path),
        };
        diagnostics.push(
            Diagnostic::error("invalid-directory", format!("the directory `{path}` {message}"))
                .at(location())
                .help(format!(
                    "`dir` is relative to the directory of `build.js`, `{}`",
                    shown(self.base)
                )),
        );
        None
    }

    /// Relative to `directory`, else to the directory of `build.js`.
    fn dockerfile(&self, directory: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
        const KEY: &str = "file";
        let written = if self.fields.has(KEY) {
            self.fields.text(KEY, diagnostics)?
        } else {
            "Dockerfile".to_owned()
        };
        let bases =
            if directory == self.base { vec![directory] } else { vec![directory, self.base] };
        let mut found: Vec<String> = Vec::new();
        let mut tried: Vec<String> = Vec::new();
        let mut refusals = Vec::new();
        for base in bases {
            match self.look(base, &written, KEY, &mut refusals) {
                Place::File(path) if found.contains(&path) => {}
                Place::File(path) => found.push(path),
                Place::Directory(path) => tried.push(format!("`{}` (a directory)", shown(&path))),
                Place::Missing(path) => tried.push(format!("`{path}`")),
                Place::Refused => {}
            }
        }
        if let Some(dockerfile) = found.first() {
            if let Some(other) = found.get(1) {
                diagnostics.push(
                    Diagnostic::warning(
                        "two-dockerfiles",
                        format!("`{dockerfile}` is used, and `{other}` could be meant as well"),
                    )
                    .at(self.fields.location(KEY))
                    .help("`file` is looked up relative to `dir` first, then to the directory of `build.js`"),
                );
            }
            return found.into_iter().next();
        }
        // A path that leads out from one place and to nothing from the other: both are told.
        refusals.dedup_by(|left, right| left.message == right.message);
        let refused = !refusals.is_empty();
        diagnostics.extend(refusals);
        if !tried.is_empty() || !refused {
            tried.dedup();
            diagnostics.push(
                Diagnostic::error(
                    "no-dockerfile",
                    format!("there is no Dockerfile for `{}`: looked for {}", self.name, tried.join(" and ")),
                )
                .at(self.fields.location(KEY))
                .help("`file` is looked up relative to `dir` first, then to the directory of `build.js`"),
            );
        }
        None
    }

    /// A secret's file; whether it is there is for the build to find out.
    pub(super) fn secret_file(
        &self,
        written: &str,
        location: Location,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        if written.is_empty() {
            let message = "the path of a secret's file is empty";
            diagnostics.push(Diagnostic::error("invalid-secret", message).at(location));
            return None;
        }
        match self.look_at(self.base, written, location, diagnostics) {
            Place::File(path) | Place::Missing(path) | Place::Directory(path) => Some(path),
            Place::Refused => None,
        }
    }

    fn look(
        &self,
        base: &str,
        written: &str,
        key: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Place {
        self.look_at(base, written, self.fields.location(key), diagnostics)
    }

    fn look_at(
        &self,
        base: &str,
        written: &str,
        location: Location,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Place {
        look(self.reader.tree, (base, "build.js"), written, location, diagnostics)
    }
}
