//! `cargo xtask bench`: what a synthetic application takes, against the bare minimum;
//! and its gateway, against nginx.
//!
//! All numbers of one report come from one run on one machine, each the median of several. Only
//! ratios are worth comparing between machines.

mod docker_client;
mod gateway;
mod generate;
mod large;
mod many;
mod measure;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::{Outcome, files, manager, process, table, terminal};

/// What to measure, or what to write.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    size: generate::Size,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Only measure the gateway of stack images, against nginx.
    Gateway,
    /// Only write a synthetic application of many packages, each with one image.
    Generate {
        #[command(flatten)]
        size: generate::Size,
        /// The folder to write; must not exist, or be empty.
        folder: PathBuf,
    },
    /// Only write an application with one image whose context has 10,000 files and 200 MB.
    GenerateLarge {
        /// Decides content, sizes and folders.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder to write; must not exist, or be empty.
        folder: PathBuf,
    },
}

/// One line of the report: ours against another's.
struct Row {
    what: String,
    ours: String,
    against: String,
    theirs: String,
    ratio: String,
    aim: &'static str,
}

/// Does it.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Some(Action::Generate { size, folder }) => {
            report_written(generate::application(size, folder)?, folder);
            Ok(())
        }
        Some(Action::GenerateLarge { seed, folder }) => {
            report_written(generate::large(*seed, folder)?, folder);
            Ok(())
        }
        Some(Action::Gateway) => {
            let folder = files::target().join("bench");
            let rows = gateway::measure(&folder.join("gateway"))?;
            show(rows);
            Ok(files::remove_folder(&folder)?)
        }
        None => measure_all(&arguments.size),
    }
}

fn measure_all(size: &generate::Size) -> Outcome {
    let program = program()?;
    let folder = files::target().join("bench");
    files::remove_folder(&folder)?;

    let many_folder = folder.join("many");
    let written = generate::application(size, &many_folder)?;
    report_written(written, &many_folder);
    let mut rows = many::measure(&program, &many_folder, &folder.join("engine"))?;
    let large_folder = folder.join("large");
    report_written(generate::large(size.seed, &large_folder)?, &large_folder);
    rows.extend(large::measure(&program, &large_folder, &folder.join("engines"))?);
    rows.extend(gateway::measure(&folder.join("gateway"))?);

    terminal::line(&format!(
        "{} packages with {} files each, {} files in all, seed {}\n",
        size.packages, size.files, written.files, size.seed
    ));
    show(rows);
    files::remove_folder(&folder)?;
    Ok(())
}

/// Compiles the command, with the manager that it carries.
fn program() -> Outcome<PathBuf> {
    manager::build()?;
    terminal::status("Compiling", "ailtire-build with optimisation");
    let mut compile = process::cargo();
    process::run(compile.args(["build", "--release", "--package", "ailtire-build"]))?;
    Ok(files::target().join("release/ailtire-build"))
}

fn show(rows: Vec<Row>) {
    let heads = ["measured", "ailtire-build", "against", "", "ratio", "aim"];
    let cells = rows.into_iter().map(|row| {
        vec![row.what, row.ours, row.against, row.theirs, row.ratio, row.aim.to_owned()]
    });
    for line in table::markdown(&heads, &cells.collect::<Vec<_>>()) {
        terminal::line(&line);
    }
}

fn report_written(written: generate::Written, folder: &Path) {
    let size = table::bytes(written.bytes);
    let text = format!("{} files, {size} in {}", written.files, folder.display());
    terminal::status("Wrote", &text);
}
