//! The files that an evaluation asks for, and what it was told.

use ailtire_tree::{Digest, EntryKind, Resolved, Tree, join};
use serde::{Deserialize, Serialize};

use super::engine::VIRTUAL_ROOT;
use crate::resolve::resolve;

/// One question that an evaluation asked of the source tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The path that was looked at, relative to the root.
    pub(crate) path: String,
    /// Where links lead it to, where that is another path.
    resolved: Option<String>,
    answer: Answer,
}

/// What the source tree answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Answer {
    /// A file with this content.
    File(Digest),
    /// No file: nothing, or a directory.
    NoFile,
    /// Something outside the root.
    Outside,
}

impl Input {
    /// Whether the tree would still give the same answer.
    pub(crate) fn holds(&self, tree: &Tree) -> bool {
        let Answer::File(digest) = &self.answer else { return self.holds_without_file(tree) };
        let path = match &self.resolved {
            None => &self.path,
            Some(resolved) => match resolve(tree, &self.path) {
                Ok(Resolved::Inside(path)) if path == *resolved => resolved,
                _ => return false,
            },
        };
        tree.find(path).is_some_and(|(directory, entry)| {
            entry.kind() == EntryKind::File
                && tree.digest(directory, entry).is_ok_and(|found| found == *digest)
        })
    }

    fn holds_without_file(&self, tree: &Tree) -> bool {
        match resolve(tree, &self.path) {
            Ok(Resolved::Inside(path)) => self.answer == Answer::NoFile && !tree.is_file(&path),
            Ok(Resolved::Missing) => self.answer == Answer::NoFile,
            Ok(Resolved::Outside(_)) => self.answer == Answer::Outside,
            Err(_) => false,
        }
    }
}

/// A module's path, free of links, and its text.
pub(super) type Module = (String, String);

/// What comes of looking at one path.
enum Probe {
    Found(Module),
    NoFile,
    /// It can't be used, and why.
    Refused(String),
}

/// Answers an evaluation's questions and keeps them.
pub(super) struct Trace<'tree> {
    tree: &'tree Tree,
    pub(super) inputs: Vec<Input>,
    /// Every module that was handed out.
    pub(super) modules: Vec<Module>,
    /// Whether a file could not be read, so that another run may go otherwise.
    pub(super) uncertain: bool,
}

impl<'tree> Trace<'tree> {
    pub(super) fn new(tree: &'tree Tree) -> Self {
        Self { tree, inputs: Vec::new(), modules: Vec::new(), uncertain: false }
    }

    /// The module that is to be evaluated.
    pub(super) fn main(&mut self, path: &str) -> Result<Module, String> {
        match self.probe(path) {
            Probe::Found(module) => Ok(module),
            Probe::NoFile => Err(format!("`{path}` is not a file")),
            Probe::Refused(message) => Err(message),
        }
    }

    /// What `require(specifier)` means in a module of the directory `base`.
    pub(super) fn load(&mut self, base: &str, specifier: &str) -> Result<Module, String> {
        let path = locate(base, specifier)?;
        let mut candidates = vec![path.clone(), format!("{path}.js"), format!("{path}.json")];
        let last = specifier.rsplit('/').next().unwrap_or(specifier);
        if matches!(last, "" | "." | "..") {
            candidates.clear();
        }
        let index =
            if path.is_empty() { "index.js".to_owned() } else { format!("{path}/index.js") };
        candidates.push(index);
        for candidate in &candidates {
            match self.probe(candidate) {
                Probe::Found(module) => return Ok(module),
                Probe::NoFile => {}
                Probe::Refused(message) => return Err(message),
            }
        }
        let tried: Vec<String> = candidates.iter().map(|path| format!("`{path}`")).collect();
        Err(format!("there is no module `{specifier}`: looked for {}", tried.join(", ")))
    }

    fn probe(&mut self, path: &str) -> Probe {
        let real = match resolve(self.tree, path) {
            Ok(Resolved::Inside(real)) => real,
            Ok(Resolved::Missing) => return self.note(path, None, Answer::NoFile, Probe::NoFile),
            Ok(Resolved::Outside(_)) => {
                let message = format!("`{path}` leads out of the application root");
                return self.note(path, None, Answer::Outside, Probe::Refused(message));
            }
            Err(error) => {
                self.uncertain = true;
                return Probe::Refused(error.to_string());
            }
        };
        if !self.tree.is_file(&real) {
            return self.note(path, None, Answer::NoFile, Probe::NoFile);
        }
        let content = match self.tree.read(&real) {
            Ok(content) => content,
            Err(error) => {
                self.uncertain = true;
                return Probe::Refused(error.to_string());
            }
        };
        let answer = Answer::File(Digest::of(&content));
        let extension = real.rsplit_once('.').map_or("", |(_, extension)| extension);
        let found = if !matches!(extension, "js" | "cjs" | "json") {
            Probe::Refused(format!("`{real}` is neither a .js nor a .json file"))
        } else if content.contains(&0) {
            Probe::Refused(format!("`{real}` is not text: it holds a NUL character"))
        } else {
            match String::from_utf8(content) {
                Ok(text) => Probe::Found((real.clone(), text)),
                Err(error) => {
                    let bytes = error.as_bytes();
                    let good = error.utf8_error().valid_up_to();
                    let line = bytes[..good].split(|byte| *byte == b'\n').count();
                    Probe::Refused(format!("`{real}` is not UTF-8 at line {line}"))
                }
            }
        };
        if let Probe::Found(module) = &found {
            self.modules.push(module.clone());
        }
        self.note(path, (real != path).then_some(real), answer, found)
    }

    fn note(
        &mut self,
        path: &str,
        resolved: Option<String>,
        answer: Answer,
        probe: Probe,
    ) -> Probe {
        let input = Input { path: path.to_owned(), resolved, answer };
        if !self.inputs.contains(&input) {
            self.inputs.push(input);
        }
        probe
    }
}

/// The path that `specifier` means in a module of the directory `base`.
fn locate(base: &str, specifier: &str) -> Result<String, String> {
    let inside = specifier
        .strip_prefix(VIRTUAL_ROOT)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .map(|rest| ("", rest.trim_start_matches('/')));
    let relative = matches!(specifier, "." | "..")
        || specifier.starts_with("./")
        || specifier.starts_with("../");
    let (base, rest) = match inside {
        Some(inside) => inside,
        None if relative => (base, specifier),
        None => {
            return Err(format!(
                "the module `{specifier}` is not available in a definition: it can require \
                 `path`, and .js and .json files of the application by a path that starts with \
                 `./` or `../`"
            ));
        }
    };
    // What lies outside may still be allowed; the tree knows.
    Ok(join(base, rest).unwrap_or_else(|escape| escape.path))
}
