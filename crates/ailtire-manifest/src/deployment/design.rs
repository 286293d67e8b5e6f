//! Where the design of a stack is.

use ailtire_events::{Diagnostic, Location};

use super::{Stack, warn_about_functions};
use crate::fields::{Definition, quoted_list};
use crate::place::{Place, look, shown};
use ailtire_terms::DesignSource;

/// What is looked for beside `deploy.js` where it names no design.
const BESIDE: [&str; 3] = ["services.js", "docker-compose.yaml", "docker-compose.yml"];

/// What is wrong with a path that is no file.
enum Absence {
    /// Nothing is there; the path that was looked at.
    Missing(String),
    /// An error was reported.
    Told,
}

impl Stack<'_, '_> {
    /// `file` where it exists, else `design`; without either what lies beside `deploy.js`.
    pub(super) fn design(
        &self,
        location: &Location,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<DesignSource> {
        let path = match (self.fields.has("file"), self.fields.has("design")) {
            (false, false) => self.beside(location, diagnostics)?,
            (true, true) => self.one_of_two(diagnostics)?,
            (is_file, _) => {
                let key = if is_file { "file" } else { "design" };
                match self.find(key, diagnostics) {
                    Ok(path) => path,
                    Err(Absence::Missing(tried)) => {
                        diagnostics.push(self.no_design(&[tried]).at(self.fields.location(key)));
                        return None;
                    }
                    Err(Absence::Told) => return None,
                }
            }
        };
        self.source(path, location, diagnostics)
    }

    /// The file that the field `key` names.
    fn find(&self, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Result<String, Absence> {
        let written = self.fields.text(key, diagnostics).ok_or(Absence::Told)?;
        let location = self.fields.location(key);
        match look(self.reader.tree, (self.base, FILE), &written, location, diagnostics) {
            Place::File(path) => Ok(path),
            Place::Missing(path) => Err(Absence::Missing(format!("`{path}`"))),
            Place::Directory(path) => {
                Err(Absence::Missing(format!("`{}` (a directory)", shown(&path))))
            }
            Place::Refused => Err(Absence::Told),
        }
    }

    fn one_of_two(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
        let missing = match self.find("file", diagnostics) {
            Ok(path) => return Some(path),
            Err(Absence::Missing(path)) => path,
            Err(Absence::Told) => return None,
        };
        let location = self.fields.location("file");
        match self.find("design", diagnostics) {
            Ok(path) => {
                let message = format!("{missing} does not exist, and `{path}` is used instead");
                diagnostics.push(
                    Diagnostic::warning("missing-file", message)
                        .at(location)
                        .related(self.fields.location("design"), "because of `design`")
                        .help("take out `file`, or `design`: a stack has one design"),
                );
                Some(path)
            }
            Err(Absence::Missing(other)) => {
                diagnostics.push(self.no_design(&[missing, other]).at(location));
                None
            }
            Err(Absence::Told) => None,
        }
    }

    fn beside(&self, location: &Location, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
        for name in BESIDE {
            let base = (self.base, FILE);
            match look(self.reader.tree, base, name, location.clone(), diagnostics) {
                Place::File(path) => return Some(path),
                Place::Missing(_) | Place::Directory(_) => {}
                Place::Refused => return None,
            }
        }
        let names = quoted_list(&BESIDE);
        let message = format!("the stack has no design: there is none of {names} beside `{FILE}`");
        let diagnostic = Diagnostic::error("no-design", message).at(location.clone());
        diagnostics.push(diagnostic.help("name one with `design: 'services.js'`"));
        None
    }

    fn no_design(&self, tried: &[String]) -> Diagnostic {
        let message = format!("the stack has no design: looked for {}", tried.join(" and "));
        Diagnostic::error("no-design", message).help(format!(
            "`file` and `design` are relative to the directory of `{FILE}`, `{}`",
            shown(self.base)
        ))
    }

    /// What the design at `path` is; a `services.js` is evaluated.
    fn source(
        &self,
        path: String,
        location: &Location,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<DesignSource> {
        let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        match extension.as_deref() {
            Some("yaml" | "yml") => Some(DesignSource::Compose { path }),
            Some("js") => {
                let mut outcome = self.reader.evaluator.evaluate(&path);
                diagnostics.append(&mut outcome.diagnostics);
                let definition = Definition::new(&path, &outcome);
                definition.export(diagnostics)?;
                warn_about_functions(&outcome, &definition, diagnostics);
                let path = definition.file.to_owned();
                let exported = outcome.node?;
                Some(DesignSource::Services { path, exported })
            }
            _ => {
                let key = if self.fields.has("file") { "file" } else { "design" };
                let location =
                    if self.fields.has(key) { self.fields.location(key) } else { location.clone() };
                let message = format!("`{path}` is neither a compose file nor a `services.js`");
                diagnostics.push(
                    Diagnostic::error("invalid-design", message)
                        .at(location)
                        .help("a design is a `.js`, `.yaml` or `.yml` file"),
                );
                None
            }
        }
    }
}

/// What paths are relative to.
const FILE: &str = "deploy.js";
