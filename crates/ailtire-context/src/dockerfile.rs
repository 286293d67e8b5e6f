//! What a Dockerfile says about the images that it is built from.
//!
//! Only what decides the order and the freshness of builds is read: stages, variables, references
//! to images, heredocs as far as needed to skip them. Everything else is left to the engine, whose
//! errors say best what is wrong with an instruction.

mod command;
mod expand;
mod lines;
mod own_names;
mod scope;
mod stages;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::sync::Arc;

use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::ImageDefinition;
use ailtire_tree::{Digest, Resolved, Tree};

use self::lines::Source;
use self::stages::Stages;
use crate::model::Dockerfile;

pub use self::own_names::OwnName;

/// The Dockerfile of `image`: its text, and the images that it reads; those of the application, by
/// whatever name `own` knows, under the reference that they have.
///
/// # Errors
///
/// Everything that makes it impossible to tell what the image is built from.
pub fn dockerfile(
    tree: &Tree,
    image: &ImageDefinition,
    own: OwnName<'_>,
) -> Result<Dockerfile, Vec<Diagnostic>> {
    let text = read(tree, image).map_err(|error| vec![*error])?;
    facts(text, image, own)
}

/// One instruction of a Dockerfile, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenInstruction {
    /// Line where it begins, counted from 1.
    pub line: u32,
    /// Its text, continued lines joined, comments between them left out.
    pub text: String,
    /// Whether here-documents follow it.
    pub has_heredoc: bool,
}

/// The instructions of the Dockerfile `text`; none where its `escape` directive can't be used.
pub fn instructions(text: &str) -> Vec<WrittenInstruction> {
    let instructions = lines::parse(text).map_or_else(|_| Vec::new(), |source| source.instructions);
    let written = instructions.into_iter().map(|instruction| WrittenInstruction {
        line: instruction.line,
        text: instruction.written,
        has_heredoc: instruction.heredocs > 0,
    });
    written.collect()
}

fn read(tree: &Tree, image: &ImageDefinition) -> Result<String, Box<Diagnostic>> {
    let path = &image.dockerfile;
    let error = |code, message| Box::new(Diagnostic::error(code, message).at(Location::file(path)));
    let resolved = tree.resolve(path).map_err(|it| error("unreadable", it.to_string()))?;
    let Resolved::Inside(inside) = resolved else {
        let message = format!("the Dockerfile `{path}` leads to nothing in the application");
        return Err(error("dockerfile-missing", message));
    };
    let content = tree.read(&inside).map_err(|it| error("unreadable", it.to_string()))?;
    String::from_utf8(content).map_err(|it| {
        let line = it.as_bytes()[..it.utf8_error().valid_up_to()].split(|byte| *byte == b'\n');
        let line = u32::try_from(line.count()).ok();
        let mut location = Location::file(path);
        location.line = line;
        let message = format!("the Dockerfile `{path}` is not UTF-8");
        Diagnostic::error("dockerfile-not-utf8", message)
            .at(location)
            .help("save it as UTF-8")
            .into()
    })
}

fn facts(
    text: String,
    image: &ImageDefinition,
    own: OwnName<'_>,
) -> Result<Dockerfile, Vec<Diagnostic>> {
    let source = lines::parse(&text).map_err(|invalid| {
        let location = Location::in_text(&image.dockerfile, &text, invalid.line, None);
        let message = "the escape character is neither a backslash nor a backtick";
        vec![Diagnostic::error("dockerfile-escape", message).at(location)]
    })?;
    if source.instructions.is_empty() {
        let message = format!("the Dockerfile `{}` has no instruction", image.dockerfile);
        return Err(vec![
            Diagnostic::error("dockerfile-empty", message)
                .at(Location::file(&image.dockerfile))
                .help("start it with `FROM <image>`"),
        ]);
    }
    let mut stages = stages::read(&source, &text, image)?;
    let mentions = stages.take_mentions();
    if let Some(whole) = own_names::whole(&text, &mentions, source.escape, own) {
        return facts(whole, image, &|_| None);
    }
    let bases = stages.bases();
    let declared_arguments = declared_arguments(&source, image);
    let with_command = with_command(&text, &source, &stages, image);
    let text: Arc<str> = with_command.unwrap_or(text).into();
    let digest = Digest::of(text.as_bytes());
    Ok(Dockerfile { source: image.dockerfile.clone(), text, digest, bases, declared_arguments })
}

/// The names of all build arguments that can change the build.
fn declared_arguments(source: &Source, image: &ImageDefinition) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for instruction in &source.instructions {
        let arguments = match instruction.name.as_str() {
            "arg" => instruction.arguments.as_str(),
            "onbuild" => match instruction.arguments.split_once(char::is_whitespace) {
                Some((name, arguments)) if name.eq_ignore_ascii_case("arg") => arguments,
                _ => continue,
            },
            _ => continue,
        };
        names.extend(scope::declared_names(arguments, source.escape).map(str::to_owned));
    }
    // A frontend of somebody else's may use arguments as it likes.
    let is_foreign = source.syntax.as_ref().is_some_and(|syntax| {
        let syntax = syntax.strip_prefix("docker.io/").unwrap_or(syntax);
        !["docker/dockerfile", "docker/dockerfile-upstream"]
            .iter()
            .any(|known| syntax.strip_prefix(known).is_some_and(|rest| !rest.starts_with('/')))
    });
    let given = image.build_arguments.keys();
    names.extend(given.filter(|name| is_foreign || scope::is_builtin(name)).cloned());
    names
}

/// `text` with the definition's default command, if that applies.
fn with_command(
    text: &str,
    source: &Source,
    stages: &Stages<'_>,
    image: &ImageDefinition,
) -> Option<String> {
    let command = command::instruction(image.command.as_deref()?, source.escape)?;
    let last = stages.last_instruction()?;
    if stages.has_command() {
        return None;
    }
    // A continuation that nothing follows would swallow the command.
    let kept = &text[..last.dangling.unwrap_or(last.end)];
    let line_end = if kept.ends_with('\n') { "" } else { "\n" };
    Some(format!("{kept}{line_end}{command}\n{}", &text[last.end..]))
}
