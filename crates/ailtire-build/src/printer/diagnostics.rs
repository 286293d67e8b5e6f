//! Findings as rustc shows them: what, where, the line itself, and what to do next.

use std::ops::Range;

use ailtire_events::{Diagnostic, Location, Severity};
use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

/// A finding with colours, as paragraphs that end in an empty line.
pub(crate) fn render(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(&diagnostic.message).id(&*diagnostic.code);
    let mut group = Group::with_title(title);
    if let Some(location) = &diagnostic.location {
        group = show(group, location, AnnotationKind::Primary, None);
    }
    for related in &diagnostic.related {
        group = show(group, &related.location, AnnotationKind::Context, Some(&related.message));
    }
    if !diagnostic.details.is_empty() {
        let details: Vec<_> =
            diagnostic.details.iter().map(|line| normalize_untrusted_str(line)).collect();
        group = group.element(Level::NOTE.message(details.join("\n")));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
    }
    let mut text = Renderer::styled().render(&[group]);
    text.push_str("\n\n");
    text
}

/// Adds a place: with its line where the text of that is known.
fn show<'text>(
    group: Group<'text>,
    location: &'text Location,
    kind: AnnotationKind,
    label: Option<&'text str>,
) -> Group<'text> {
    let (Some(line), Some(excerpt)) = (location.line, &location.excerpt) else {
        let mut origin = Origin::path(normalize_untrusted_str(&location.file));
        if let Some(line) = location.line {
            origin = origin.line(line as usize);
        }
        if let Some(column) = location.column {
            origin = origin.char_column(column as usize);
        }
        let group = group.element(origin);
        return match label {
            Some(label) => group.element(Level::NOTE.message(normalize_untrusted_str(label))),
            None => group,
        };
    };
    let annotation: Annotation<'text> =
        kind.span(marked(excerpt, location)).label(label.map(normalize_untrusted_str));
    let snippet = Snippet::source(excerpt)
        .line_start(line as usize)
        .path(normalize_untrusted_str(&location.file))
        .annotation(annotation);
    group.element(snippet)
}

/// The bytes of `excerpt` that a location points at: what it says, else the text of the line.
fn marked(excerpt: &str, location: &Location) -> Range<usize> {
    let Some(column) = location.column else {
        let start = excerpt.len() - excerpt.trim_start().len();
        return start.min(excerpt.trim_end().len())..excerpt.trim_end().len();
    };
    let byte_of = |character: usize| {
        excerpt.char_indices().nth(character).map_or(excerpt.len(), |(byte, _)| byte)
    };
    let first = column.saturating_sub(1) as usize;
    let length = location.length.map_or(1, |length| length.max(1)) as usize;
    byte_of(first)..byte_of(first.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(diagnostic: &Diagnostic) -> String {
        anstream::adapter::strip_str(&render(diagnostic)).to_string()
    }

    #[test]
    fn everything_that_is_known_is_shown() {
        let text = "module.exports = {\n  web: { fiel: 'Dockerfile' },\n};\n";
        let place = Location::in_text("deploy/build.js", text, 2, Some(10)).with_length(4);
        let second = Location::in_text("api/deploy/build.js", "  web: {},\n", 1, Some(3));
        let diagnostic = Diagnostic::warning("unknown-field", "`fiel` is no field of an image")
            .at(place)
            .related(second, "also defined here")
            .detail("at a (deploy/build.js:1:1)")
            .detail("at b (deploy/build.js:2:1)")
            .help("did you mean `file`?");
        snapbox::assert_data_eq!(
            plain(&diagnostic),
            snapbox::str![[r#"
warning[unknown-field]: `fiel` is no field of an image
 --> deploy/build.js:2:10
  |
2 |   web: { fiel: 'Dockerfile' },
  |          ^^^^
  |
 ::: api/deploy/build.js:1:3
  |
1 |   web: {},
  |   - also defined here
  |
  = note: at a (deploy/build.js:1:1)
          at b (deploy/build.js:2:1)
  = help: did you mean `file`?


"#]]
        );
    }

    #[test]
    fn a_file_and_nothing_at_all_are_places_too() {
        let error = Diagnostic::error("unreadable", "`a` can't be read").at(Location::file("a"));
        assert_eq!(plain(&error), "error[unreadable]: `a` can't be read\n--> a\n\n");
        let note = Diagnostic::note("console", "hello");
        assert_eq!(plain(&note), "note[console]: hello\n\n");
    }

    #[test]
    fn odd_places_do_no_harm() {
        for column in [None, Some(0), Some(1), Some(3), Some(99), Some(u32::MAX)] {
            for excerpt in ["", "   ", "äöü", "\u{1b}[2J\tx"] {
                for length in [None, Some(0), Some(2), Some(u32::MAX)] {
                    let location = Location {
                        file: "ä\u{1b}[2J".into(),
                        line: Some(u32::MAX),
                        column,
                        length,
                        excerpt: Some(excerpt.into()),
                    };
                    let diagnostic = Diagnostic::error("odd", "odd\u{1b}[2J")
                        .at(location.clone())
                        .related(location, "related\u{1b}[2J")
                        .detail("detail\u{1b}[2J")
                        .help("help\u{1b}[2J");
                    let text = render(&diagnostic);
                    assert!(!text.contains("\u{1b}[2J"), "{text:?}");
                }
            }
        }
    }
}
