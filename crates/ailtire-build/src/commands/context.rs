//! `context`: exactly what the engine would get.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ailtire::{Application, ContextReport, LeftOut, ListedEntry};
use clap::Args;
use serde::Serialize;

use super::{DATA_VERSION, DataFormat};
use crate::arguments::{GlobalArguments, ReleaseArguments};
use crate::error::Failure;
use crate::printer::Printer;
use crate::printer::style::{FAINT, STRONG, styled};
use crate::printer::words::{bytes, count, printable};
use crate::{exit, files, opening};

const EXAMPLES: &str = "\
Examples:
  ailtire-build context web                    sizes, and what was left out by which rule
  ailtire-build context web --list             every entry
  ailtire-build context web --tar - | tar tv   as the classic builder would get it";

/// Show the build context of an image, and what was left out by which rule
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ContextArguments {
    /// The image: its name or tag
    image: String,

    /// List every entry with its mode, size and path
    #[arg(long, conflicts_with_all = ["tar", "format"])]
    list: bool,

    /// Write the context as a tar archive to this file; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    tar: Option<PathBuf>,

    #[command(flatten)]
    release: ReleaseArguments,

    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: DataFormat,
}

/// Writes the context.
///
/// # Errors
///
/// A [`Failure`] where there is no such image, or its context can't be put together or written.
pub(crate) fn run(
    global: &GlobalArguments,
    arguments: &ContextArguments,
    printer: &Printer,
) -> Result<u8, Failure> {
    let to_stdout = arguments.tar.as_deref() == Some(Path::new("-"));
    if to_stdout && Printer::data_is_shown() {
        return Err(Failure::usage("a tar archive is nothing for a terminal")
            .hint("name a file (`--tar context.tar`), or pipe it (`--tar - | tar tv`)"));
    }
    let application = opening::with_stacks(global, &arguments.release, printer)?;
    let image = opening::select_one(&application, &arguments.image)?;
    let report = application.context(image)?;
    printer.diagnostics(&report.diagnostics);
    application.save()?;
    if let Some(file) = &arguments.tar {
        write_tar(&application, &report, file, to_stdout)?;
    } else if arguments.list {
        printer.data(&listed(&report.entries))?;
    } else if arguments.format == DataFormat::Json {
        printer.pretty_json(&Document::of(&report))?;
    } else {
        printer.data(&summary(&report))?;
    }
    Ok(exit::DONE)
}

fn write_tar(
    application: &Application,
    report: &ContextReport,
    file: &Path,
    to_stdout: bool,
) -> Result<(), Failure> {
    if to_stdout {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = application.write_context(report, &mut out).and_then(|()| out.flush());
        return written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => error.into(),
            // The source may be at fault as well as the output; the error says which.
            _ => Failure::io("write", "the build context", &error),
        });
    }
    files::replace(file, |out| application.write_context(report, out))
}

/// One line an entry: mode, size, path.
fn listed(entries: &[ListedEntry]) -> String {
    let width = entries.iter().map(|entry| entry.size.to_string().len()).max().unwrap_or(0);
    let lines = entries.iter().map(|entry| {
        let kind = match entry.kind {
            "directory" => 'd',
            "symlink" => 'l',
            _ => '-',
        };
        let (permissions, path) = (permissions(entry.mode), printable(&entry.path));
        let size = entry.size;
        match &entry.target {
            Some(target) => {
                format!("{kind}{permissions} {size:>width$} {path} -> {}\n", printable(target))
            }
            None => format!("{kind}{permissions} {size:>width$} {path}\n"),
        }
    });
    lines.collect()
}

/// `rwxr-xr-x`.
fn permissions(mode: u32) -> String {
    let letters = "rwxrwxrwx".chars().enumerate();
    letters.map(|(bit, letter)| if mode & (0o400 >> bit) == 0 { '-' } else { letter }).collect()
}

fn summary(report: &ContextReport) -> String {
    let of_kind =
        |kind: &[&str]| report.entries.iter().filter(|entry| kind.contains(&entry.kind)).count();
    let counts = [
        Some(count(of_kind(&["file", "generated"]), "file")),
        Some(of_kind(&["directory"])).filter(|number| *number > 0).map(directories),
        Some(of_kind(&["symlink"])).filter(|number| *number > 0).map(|links| count(links, "link")),
    ];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    let mut text = format!(
        "{}: {}, {}\n",
        styled(STRONG, &report.reference),
        counts.join(", "),
        bytes(report.total_bytes)
    );
    if report.left_out.is_empty() {
        text.push_str("nothing was left out\n");
        return text;
    }
    text.push_str("left out:\n");
    let longest = report.left_out.iter().map(|left_out| left_out.path.chars().count()).max();
    let width = longest.unwrap_or(0).min(50);
    for LeftOut { path, rule } in &report.left_out {
        let rule = styled(FAINT, &rule.to_string());
        let _ = writeln!(text, "  {:<width$}  {rule}", printable(path));
    }
    text
}

fn directories(number: usize) -> String {
    if number == 1 { "1 directory".to_owned() } else { format!("{number} directories") }
}

#[derive(Debug, Serialize)]
struct Document<'report> {
    version: u32,
    image: &'report str,
    bytes: u64,
    entries: &'report [ListedEntry],
    left_out: Vec<Omission<'report>>,
}

#[derive(Debug, Serialize)]
struct Omission<'report> {
    path: &'report str,
    rule: String,
}

impl<'report> Document<'report> {
    fn of(report: &'report ContextReport) -> Self {
        let left_out = report
            .left_out
            .iter()
            .map(|left_out| Omission { path: &left_out.path, rule: left_out.rule.to_string() });
        Self {
            version: DATA_VERSION,
            image: &report.reference,
            bytes: report.total_bytes,
            entries: &report.entries,
            left_out: left_out.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_like_that_of_ls() {
        let entry = |path: &str, kind, mode, size| ListedEntry {
            path: path.into(),
            kind,
            mode,
            size,
            source: None,
            digest: None,
            target: (kind == "symlink").then(|| "a\u{1b}".into()),
        };
        let entries = [
            entry("bin", "directory", 0o755, 0),
            entry("bin/run", "file", 0o755, 1234),
            entry("link", "symlink", 0o777, 0),
            entry("package.json", "generated", 0o644, 20),
        ];
        // Compared as it is: a snapshot takes backslashes for those of Windows paths.
        assert_eq!(
            listed(&entries),
            r"drwxr-xr-x    0 bin
-rwxr-xr-x 1234 bin/run
lrwxrwxrwx    0 link -> a\u{1b}
-rw-r--r--   20 package.json
"
        );
    }
}
