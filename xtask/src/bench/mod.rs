//! `cargo xtask bench`: what a synthetic application takes, against the bare minimum; what a second
//! machine takes, against building; what a deployment takes, against Docker's; and the program in stack
//! images, against Node and nginx.
//!
//! All numbers of one report come from one run on one machine, each the median of several. Only
//! ratios are worth comparing between machines.

mod cache;
mod deploy;
mod docker_client;
mod gateway;
mod generate;
mod large;
mod many;
mod measure;
mod stack_image;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::{Outcome, files, program, table, terminal};

/// Where the command keeps its state in an application.
const STATE: &str = ".ailtire";

/// What to measure, or what to write.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    size: generate::Size,
    /// Measure this `ailtire-build` instead of compiling one
    #[arg(long, global = true, value_name = "FILE")]
    program: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Only measure a fresh machine that finds in a registry what another one built.
    Cache {
        /// Decides content, sizes and folders.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Only measure a deployment with nothing to change, against `docker stack deploy`.
    Deploy,
    /// Only measure a stack image, against an image of Node that does the same.
    StackImage,
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
        Some(Action::Cache { seed }) => {
            let program = arguments.program()?;
            part(|folder| cache::measure(&program, &folder.join("cache"), *seed))
        }
        Some(Action::Deploy) => {
            let program = arguments.program()?;
            part(|folder| deploy::measure(&program, &folder.join("deploy")))
        }
        Some(Action::StackImage) => {
            let program = arguments.program()?;
            part(|folder| stack_image::measure(&program, &folder.join("stack")))
        }
        Some(Action::Gateway) => part(|folder| gateway::measure(&folder.join("gateway"))),
        None => measure_all(&arguments.program()?, &arguments.size),
    }
}

impl Arguments {
    /// The program to measure.
    fn program(&self) -> Outcome<PathBuf> {
        self.program.clone().map_or_else(program::build, Ok)
    }
}

/// Measures one part only.
fn part(measure: impl FnOnce(&Path) -> Outcome<Vec<Row>>) -> Outcome {
    let folder = files::target().join("bench");
    files::remove_folder(&folder)?;
    show(measure(&folder)?);
    Ok(files::remove_folder(&folder)?)
}

fn measure_all(program: &Path, size: &generate::Size) -> Outcome {
    let folder = files::target().join("bench");
    files::remove_folder(&folder)?;

    let many_folder = folder.join("many");
    let written = generate::application(size, &many_folder)?;
    report_written(written, &many_folder);
    let mut rows = many::measure(program, &many_folder, &folder.join("engine"))?;
    let large_folder = folder.join("large");
    report_written(generate::large(size.seed, &large_folder)?, &large_folder);
    rows.extend(large::measure(program, &large_folder, &folder.join("engines"))?);
    rows.extend(cache::measure(program, &folder.join("cache"), size.seed)?);
    rows.extend(deploy::measure(program, &folder.join("deploy"))?);
    rows.extend(stack_image::measure(program, &folder.join("stack"))?);
    rows.extend(gateway::measure(&folder.join("gateway"))?);

    terminal::line(&format!(
        "{} packages with {} files each, {} files in all, seed {}\n",
        size.packages, size.files, written.files, size.seed
    ));
    show(rows);
    files::remove_folder(&folder)?;
    Ok(())
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
