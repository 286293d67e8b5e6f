//! Names that mean images of the application: `FROM base` where `--repo R` calls the image `R/base`.
//!
//! A definition is written without the repository of a run, and so is what is built on it. The
//! engine knows the image by its whole reference only, so that stands in the text that is built.

use std::ops::Range;

use super::lines::{Instruction, lines};
use super::stages::Mention;
use crate::model::BaseKind;

/// The reference that an image of the application has in this run, for a name that is not that
/// reference itself. Absent for every other image.
pub type OwnName<'run> = &'run (dyn Fn(&str) -> Option<String> + Sync);

/// `text` with the whole reference in place of every name that means an image of the application;
/// absent where there is none.
pub(super) fn whole(
    text: &str,
    mentions: &[Mention<'_>],
    escape: char,
    own: OwnName<'_>,
) -> Option<String> {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for mention in mentions {
        let Some(reference) = own(&mention.reference) else { continue };
        let Some(start) = start_of(text, mention.instruction) else { continue };
        let written = &text[start..mention.instruction.end];
        let found = match mention.kind {
            BaseKind::From => base(written, &mention.written, escape),
            // Several mounts of one instruction may name the same image.
            _ => sources(written, &mention.written)
                .find(|found| edits.iter().all(|(range, _)| range.start != start + found.start)),
        };
        if let Some(found) = found {
            edits.push((start + found.start..start + found.end, reference));
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut whole = text.to_owned();
    for (range, reference) in edits.iter().rev() {
        whole.replace_range(range.clone(), reference);
    }
    (!edits.is_empty()).then_some(whole)
}

fn start_of(text: &str, instruction: &Instruction) -> Option<usize> {
    lines(text).find(|line| line.number == instruction.line).map(|line| line.start)
}

/// Where `FROM` names its base: the first word behind it and its flags.
fn base(instruction: &str, name: &str, escape: char) -> Option<Range<usize>> {
    let words = instruction.split_whitespace().skip(1);
    let mut words = words.filter(|word| !word.starts_with("--"));
    let word = words.find(|word| word.trim_end_matches(escape) == name)?;
    // Words are parts of the instruction.
    let start = word.as_ptr().addr() - instruction.as_ptr().addr();
    Some(start..start + name.len())
}

/// Where flags name an image: `from=name`, with or without quotes.
fn sources<'text>(
    instruction: &'text str,
    name: &'text str,
) -> impl Iterator<Item = Range<usize>> + 'text {
    let is_end = |next: char| next.is_whitespace() || matches!(next, ',' | '"' | '\'' | '\\' | '`');
    instruction.match_indices(name).map(|(start, _)| start..start + name.len()).filter(
        move |range| {
            let before = instruction[..range.start].trim_end_matches(['"', '\'']);
            let key = before.len().checked_sub(5).and_then(|start| before.get(start..));
            key.is_some_and(|key| key.eq_ignore_ascii_case("from="))
                && instruction[range.end..].chars().next().is_none_or(is_end)
        },
    )
}
