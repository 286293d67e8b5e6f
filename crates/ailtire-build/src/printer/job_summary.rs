//! What a job of a CI service shows of a run: a table of the images, in Markdown.

use std::fmt::Write as _;

use ailtire_events::{DirtyReason, EventKind, Summary};

use super::words::{bytes, count, milliseconds};

/// Collects what a run tells of its images.
#[derive(Debug, Default)]
pub(crate) struct JobSummary {
    /// Images in the order of the plan.
    rows: Vec<Row>,
    summary: Option<Summary>,
}

#[derive(Debug, Default)]
struct Row {
    image: String,
    result: &'static str,
    reason: String,
    duration: Option<u64>,
    bytes: Option<u64>,
}

impl JobSummary {
    /// Takes one event.
    pub(crate) fn take(&mut self, kind: &EventKind) {
        match kind {
            EventKind::ImageFresh { image, .. } => self.row(image).result = "fresh",
            EventKind::ImageDirty { image, reasons } => {
                let row = self.row(image);
                (row.result, row.reason) = ("to build", worded(reasons));
            }
            EventKind::ImageTagged { image, .. } => self.row(image).result = "tagged",
            EventKind::ImageCached { image, .. } => self.row(image).result = "cached",
            EventKind::BuildFinished { image, duration, bytes_sent, .. } => {
                let row = self.row(image);
                row.result = "built";
                (row.duration, row.bytes) = (Some(*duration), Some(*bytes_sent));
            }
            EventKind::BuildFailed { image, failure } => {
                let row = self.row(image);
                (row.result, row.reason) = ("**failed**", failure.message.clone());
            }
            EventKind::ImageSkipped { image, because } => {
                let row = self.row(image);
                row.result = "skipped";
                if let Some(other) = because {
                    row.reason = format!("{other} failed");
                }
            }
            EventKind::BuildCancelled { image } => self.row(image).result = "cancelled",
            EventKind::RunFinished { summary } => self.summary = Some(*summary),
            _ => {}
        }
    }

    fn row(&mut self, image: &str) -> &mut Row {
        let known = self.rows.iter().position(|row| row.image == image);
        let index = known.unwrap_or_else(|| {
            self.rows.push(Row { image: image.to_owned(), ..Row::default() });
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }

    /// The table; nothing where the run looked at no image.
    pub(crate) fn markdown(&self) -> Option<String> {
        let summary = self.summary.as_ref()?;
        let mut text = format!(
            "### {}: {} built, {} fresh{}{} in {}\n\n",
            count(self.rows.len(), "image"),
            summary.built,
            summary.fresh + summary.tagged,
            some(summary.cached, "cached"),
            some(summary.failed, "failed"),
            milliseconds(summary.duration),
        );
        if self.rows.is_empty() {
            return Some(text);
        }
        text.push_str("| image | | reason | time | sent |\n| --- | --- | --- | ---: | ---: |\n");
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                cell(&row.image),
                row.result,
                cell(&row.reason),
                row.duration.map(milliseconds).unwrap_or_default(),
                row.bytes.map(bytes).unwrap_or_default(),
            );
        }
        text.push('\n');
        Some(text)
    }
}

fn some(number: usize, what: &str) -> String {
    if number == 0 { String::new() } else { format!(", {number} {what}") }
}

/// The root cause, and how many others there are.
fn worded(reasons: &[DirtyReason]) -> String {
    match reasons {
        [] => String::new(),
        [one] => one.to_string(),
        [first, others @ ..] => format!("{first} (and {} more)", others.len()),
    }
}

/// Foreign text as it is, in one cell of a table: no markup, no second line.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for character in text.chars() {
        match character {
            '|' | '<' | '>' | '&' | '`' | '*' | '_' | '[' | ']' | '\\' => {
                let _ = write!(cell, "&#{};", u32::from(character));
            }
            character if character.is_control() => cell.push(' '),
            character => cell.push(character),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use ailtire_events::BuildFailure;

    use super::*;

    #[test]
    fn a_run_as_a_table() {
        let mut summary = JobSummary::default();
        let dirty = |image: &str, reasons| EventKind::ImageDirty { image: image.into(), reasons };
        let entry = |path: &str| DirtyReason::Entry {
            path: path.into(),
            source: None,
            change: ailtire_events::Change::Removed,
        };
        for event in [
            EventKind::ImageFresh { image: "base:latest".into(), image_id: "sha256:1".into() },
            dirty("web:latest", vec![entry("a|b"), entry("c")]),
            dirty("api:latest", vec![DirtyReason::NeverBuilt]),
            EventKind::BuildFinished {
                image: "web:latest".into(),
                references: vec![],
                image_id: "sha256:2".into(),
                fingerprint: "f".into(),
                duration: 1500,
                bytes_sent: 2048,
            },
            EventKind::BuildFailed {
                image: "api:latest".into(),
                failure: BuildFailure {
                    message: "<script>\nexit 1".into(),
                    ..BuildFailure::default()
                },
            },
            EventKind::RunFinished {
                summary: Summary {
                    fresh: 1,
                    built: 1,
                    failed: 1,
                    duration: 2000,
                    ..Summary::default()
                },
            },
        ] {
            summary.take(&event);
        }
        let expected = "\
### 3 images: 1 built, 1 fresh, 1 failed in 2.0s

| image | | reason | time | sent |
| --- | --- | --- | ---: | ---: |
| `base:latest` | fresh |  |  |  |
| `web:latest` | built | a&#124;b was removed (and 1 more) | 1.5s | 2.0 kB |
| `api:latest` | **failed** | &#60;script&#62; exit 1 |  |  |

";
        assert_eq!(summary.markdown().unwrap(), expected);
    }

    #[test]
    fn what_is_no_build_has_no_table() {
        assert_eq!(JobSummary::default().markdown(), None);
    }
}
