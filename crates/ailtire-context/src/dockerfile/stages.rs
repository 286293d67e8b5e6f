//! Stages of a Dockerfile: what each is built from, what it reads, and which of them are built.

use std::collections::{BTreeMap, BTreeSet};

use ailtire_events::{Diagnostic, Location};
use ailtire_manifest::ImageDefinition;

use super::expand::{ExpandError, expand};
use super::lines::{Instruction, Source};
use super::scope::Scope;
use crate::model::{Base, BaseKind};

/// What a stage starts from, or reads from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Stage(usize),
    Image(Base),
    /// Nothing, or something that only the build can tell.
    Nothing,
}

/// One stage.
struct Stage<'source> {
    /// Its name in lower case.
    name: Option<String>,
    parent: Origin,
    /// What `COPY --from`, `ADD --from` and `RUN --mount` name, stages among it.
    reads: Vec<Base>,
    /// The variables at its end.
    scope: Scope,
    instructions: Vec<&'source Instruction>,
}

/// A place where an instruction names something that may be an image.
pub(super) struct Mention<'source> {
    pub(super) instruction: &'source Instruction,
    /// The name as it is written, without quotes.
    pub(super) written: String,
    /// The name with its variables expanded.
    pub(super) reference: String,
    pub(super) kind: BaseKind,
}

/// All stages, in their order.
pub(super) struct Stages<'source> {
    all: Vec<Stage<'source>>,
    mentions: Vec<Mention<'source>>,
    /// The one that is built.
    target: usize,
}

impl<'source> Stages<'source> {
    /// Every place where an image is named, and no stage.
    pub(super) fn take_mentions(&mut self) -> Vec<Mention<'source>> {
        let mut mentions = std::mem::take(&mut self.mentions);
        mentions.retain(|mention| {
            mention.kind == BaseKind::From || stage_named(&self.all, &mention.reference).is_none()
        });
        mentions
    }

    /// The images that building the target reads, each once, by first mention.
    pub(super) fn bases(&self) -> Vec<Base> {
        let mut origins: BTreeMap<usize, Vec<Origin>> = BTreeMap::new();
        let mut pending = vec![self.target];
        while let Some(index) = pending.pop() {
            origins.entry(index).or_insert_with(|| {
                let found = self.origins(index);
                pending.extend(found.iter().filter_map(|origin| match origin {
                    Origin::Stage(stage) => Some(*stage),
                    _ => None,
                }));
                found
            });
        }
        let mut seen = BTreeSet::new();
        let images = origins.into_values().flatten().filter_map(|origin| match origin {
            Origin::Image(base) => Some(base),
            _ => None,
        });
        images.filter(|base| seen.insert((base.reference.clone(), base.platform.clone()))).collect()
    }

    fn origins(&self, index: usize) -> Vec<Origin> {
        let stage = &self.all[index];
        let reads = stage.reads.iter().map(|read| self.resolve(read, index));
        std::iter::once(stage.parent.clone()).chain(reads).collect()
    }

    /// What the stage `user` means by `read`: a stage, by number or name, else an image.
    fn resolve(&self, read: &Base, user: usize) -> Origin {
        if let Ok(index) = read.reference.parse::<usize>() {
            return if index < self.all.len() { Origin::Stage(index) } else { Origin::Nothing };
        }
        match stage_named(&self.all, &read.reference) {
            Some(stage) if stage != user => Origin::Stage(stage),
            _ => image(read.clone()),
        }
    }

    /// Whether the target, or a stage that it is built from, sets `CMD` or `ENTRYPOINT`.
    pub(super) fn has_command(&self) -> bool {
        let mut stage = &self.all[self.target];
        loop {
            let mut names = stage.instructions.iter().map(|instruction| instruction.name.as_str());
            if names.any(|name| matches!(name, "cmd" | "entrypoint")) {
                return true;
            }
            let Origin::Stage(parent) = stage.parent else { return false };
            stage = &self.all[parent];
        }
    }

    /// The last instruction of the target.
    pub(super) fn last_instruction(&self) -> Option<&Instruction> {
        self.all[self.target].instructions.last().copied()
    }
}

/// The last of `stages` that is called `name`.
fn stage_named(stages: &[Stage<'_>], name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    stages.iter().rposition(|stage| stage.name.as_ref() == Some(&name))
}

fn image(base: Base) -> Origin {
    if matches!(base.reference.as_str(), "" | "scratch") {
        Origin::Nothing
    } else {
        Origin::Image(base)
    }
}

/// Reads the stages of `source`, the Dockerfile with this `text`.
///
/// # Errors
///
/// Everything that makes it impossible to tell what the image is built from.
pub(super) fn read<'source>(
    source: &'source Source,
    text: &str,
    image: &ImageDefinition,
) -> Result<Stages<'source>, Vec<Diagnostic>> {
    let mut reader = Reader {
        escape: source.escape,
        given: &image.build_arguments,
        global: Scope::global(image),
        stages: Vec::new(),
        mentions: Vec::new(),
    };
    let mut errors = Vec::new();
    for instruction in &source.instructions {
        if let Err(error) = reader.instruction(instruction) {
            let location = Location::in_text(&image.dockerfile, text, instruction.line, None);
            let message = format!("the variables of this instruction can't be expanded: {error}");
            errors.push(Diagnostic::error("dockerfile-variable", message).at(location));
        }
    }
    let target = target(&reader.stages, image);
    match target {
        Ok(target) if errors.is_empty() => {
            Ok(Stages { all: reader.stages, mentions: reader.mentions, target })
        }
        target => {
            errors.extend(target.err().map(|error| *error));
            Err(errors)
        }
    }
}

struct Reader<'run, 'source> {
    escape: char,
    /// The build arguments of the definition.
    given: &'run BTreeMap<String, String>,
    /// The variables before the first `FROM`.
    global: Scope,
    stages: Vec<Stage<'source>>,
    mentions: Vec<Mention<'source>>,
}

impl<'source> Reader<'_, 'source> {
    fn instruction(&mut self, instruction: &'source Instruction) -> Result<(), ExpandError> {
        let (escape, given) = (self.escape, self.given);
        if instruction.name == "from" {
            return self.start_stage(instruction);
        }
        let Some(stage) = self.stages.last_mut() else {
            if instruction.name == "arg" {
                self.global.declare(&instruction.arguments, escape, given, None)?;
            }
            // Docker says best what is wrong with another instruction before the first stage.
            return Ok(());
        };
        stage.instructions.push(instruction);
        match instruction.name.as_str() {
            "arg" => {
                stage.scope.declare(&instruction.arguments, escape, given, Some(&self.global))?;
            }
            "env" => stage.scope.set(&instruction.arguments, escape)?,
            "copy" | "add" => {
                if let Some(from) = flag(instruction, "from") {
                    let read = stage.read(from, instruction, BaseKind::CopyFrom, escape)?;
                    self.mentions.extend(read);
                }
            }
            "run" => {
                for from in instruction.flags.iter().filter_map(|flag| mount_source(flag)) {
                    let read = stage.read(from, instruction, BaseKind::MountFrom, escape)?;
                    self.mentions.extend(read);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Starts a stage. One that can't be read is there all the same, so that others keep their
    /// numbers and names.
    fn start_stage(&mut self, instruction: &'source Instruction) -> Result<(), ExpandError> {
        // Docker takes no notice of quotes here.
        let mut words = instruction.arguments.split_whitespace();
        let base = words.next().unwrap_or_default();
        let name = match (words.next(), words.next()) {
            (Some(word), Some(name)) if word.eq_ignore_ascii_case("as") => {
                Some(name.to_lowercase())
            }
            _ => None,
        };
        let parent = self.parent(base, instruction);
        if let Ok(Origin::Image(image)) = &parent {
            let (written, reference) = (base.to_owned(), image.reference.clone());
            self.mentions.push(Mention { instruction, written, reference, kind: BaseKind::From });
        }
        let scope = match &parent {
            Ok(Origin::Stage(stage)) => self.stages[*stage].scope.clone(),
            _ => Scope::default(),
        };
        let (parent, result) = match parent {
            Ok(parent) => (parent, Ok(())),
            Err(error) => (Origin::Nothing, Err(error)),
        };
        let instructions = vec![instruction];
        self.stages.push(Stage { name, parent, reads: Vec::new(), scope, instructions });
        result
    }

    fn parent(&self, base: &str, instruction: &Instruction) -> Result<Origin, ExpandError> {
        let expand = |word| expand(word, self.escape, &|name| self.global.get(name));
        let platform = flag(instruction, "platform").map(expand).transpose()?.flatten();
        let Some(reference) = expand(base)? else { return Ok(Origin::Nothing) };
        if let Some(stage) = stage_named(&self.stages, &reference) {
            return Ok(Origin::Stage(stage));
        }
        Ok(image(Base { reference, line: instruction.line, kind: BaseKind::From, platform }))
    }
}

impl<'source> Stage<'source> {
    fn read(
        &mut self,
        from: &str,
        instruction: &'source Instruction,
        kind: BaseKind,
        escape: char,
    ) -> Result<Option<Mention<'source>>, ExpandError> {
        let Some(reference) = expand(from, escape, &|name| self.scope.get(name))? else {
            return Ok(None);
        };
        let base = Base { reference, line: instruction.line, kind, platform: None };
        let (written, reference) = (from.to_owned(), base.reference.clone());
        self.reads.push(base);
        Ok(Some(Mention { instruction, written, reference, kind }))
    }
}

fn flag<'instruction>(
    instruction: &'instruction Instruction,
    name: &str,
) -> Option<&'instruction str> {
    instruction
        .flags
        .iter()
        .find_map(|flag| flag.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
}

/// The `from` of a `--mount` flag.
fn mount_source(flag: &str) -> Option<&str> {
    flag.strip_prefix("--mount=")?.split(',').find_map(|field| {
        let (key, value) = field.trim_matches([' ', '"']).split_once('=')?;
        key.eq_ignore_ascii_case("from").then_some(value)
    })
}

/// The stage that is built.
fn target(stages: &[Stage<'_>], image: &ImageDefinition) -> Result<usize, Box<Diagnostic>> {
    let last = stages.len().checked_sub(1).ok_or_else(|| {
        let message = format!("the Dockerfile `{}` has no `FROM`", image.dockerfile);
        let error = Diagnostic::error("dockerfile-without-from", message)
            .at(Location::file(&image.dockerfile));
        Box::new(error.help("start it with `FROM <image>`, or `FROM scratch` for an empty image"))
    })?;
    let Some(target) = &image.target else { return Ok(last) };
    let number = || target.parse().ok().filter(|number| *number <= last);
    stage_named(stages, target).or_else(number).ok_or_else(|| {
        let names: Vec<String> =
            stages.iter().filter_map(|stage| Some(format!("`{}`", stage.name.as_ref()?))).collect();
        let help = if names.is_empty() {
            "no stage of the Dockerfile has a name; give one with `FROM … AS <name>`".to_owned()
        } else {
            format!("the Dockerfile has the stages {}", names.join(", "))
        };
        let message = format!("the Dockerfile `{}` has no stage `{target}`", image.dockerfile);
        Diagnostic::error("unknown-target", message).at(image.location.clone()).help(help).into()
    })
}
