//! Snippets of compose files, and what becomes of them.

mod errors;
mod mutations;
mod objects;
mod services;

use std::collections::BTreeMap;

use ailtire_events::{Diagnostic, Severity};
use ailtire_tree::{StatIndex, Tree};
use serde_json::Value;

use super::decode;
use crate::findings::Findings;
use crate::interpolate::interpolate;
use crate::reader::Reader;
use crate::variables::Variables;
use crate::{StackContext, StackDesign, yaml};

/// What a compose file came to.
struct Outcome {
    design: Option<StackDesign>,
    diagnostics: Vec<Diagnostic>,
}

/// An application with files, and variables for its design.
#[derive(Default)]
struct Application<'text> {
    files: &'text [(&'text str, &'text [u8])],
    variables: &'text [(&'text str, &'text str)],
}

/// Where the design stands: paths are relative to `deploy`.
const FILE: &str = "deploy/docker-compose.yaml";

impl Application<'_> {
    fn read(&self, text: &str) -> Outcome {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("deploy")).unwrap();
        for (path, content) in self.files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "an input of the test")]
            std::fs::write(path, content).unwrap();
        }
        let outcome = self.read_in(root.path(), text);
        Outcome { design: outcome.design, diagnostics: outcome.diagnostics }
    }

    fn read_in(&self, root: &std::path::Path, text: &str) -> Outcome {
        let tree = Tree::open(root, StatIndex::default()).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let context = StackContext {
            application: "shop".to_owned(),
            process: self.variables.iter().map(own).collect(),
            ..StackContext::default()
        };
        let variables = Variables::new(&context, BTreeMap::new());
        let mut findings = Findings::new(FILE, text);
        let reader =
            Reader { tree: &tree, directory: "deploy", context: &context, variables: &variables };
        let mut document = yaml::parse(text, &mut findings);
        if let Some(document) = &mut document {
            interpolate(document, &variables, &mut findings);
        }
        let design = document.and_then(|document| decode(&document, &reader, &mut findings));
        Outcome { design, diagnostics: findings.into_diagnostics() }
    }
}

impl Outcome {
    /// The design, which has no errors.
    fn design(&self) -> &StackDesign {
        self.design.as_ref().unwrap_or_else(|| panic!("{}", self.findings()))
    }

    /// One finding a line, with what to do about it and the second places.
    fn findings(&self) -> String {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            let severity = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let location = diagnostic.location.as_ref().map(place).unwrap_or_default();
            let (code, message) = (&diagnostic.code, &diagnostic.message);
            text.extend([severity, "[", code, "] ", &location, ": ", message, "\n"]);
            for related in &diagnostic.related {
                text.extend(["  ", &place(&related.location), ": ", &related.message, "\n"]);
            }
            text.extend(diagnostic.help.iter().map(|help| format!("  help: {help}\n")));
        }
        text
    }
}

fn place(location: &ailtire_events::Location) -> String {
    let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
    format!("{}:{}", number(location.line), number(location.column))
}

fn read(text: &str) -> Outcome {
    Application::default().read(text)
}

/// A compose file whose service `web` has the lines `snippet`; line 1 of it is line 4.
fn with_web(snippet: &str) -> String {
    let lines: Vec<String> = snippet.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  web:\n    image: web\n{}", lines.concat())
}

/// What stands at `pointer` of a design, as JSON.
fn json(design: &StackDesign, pointer: &str) -> String {
    let value = serde_json::to_value(design).unwrap();
    value.pointer(pointer).unwrap_or(&Value::Null).to_string()
}
