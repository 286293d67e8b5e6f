//! `cargo xtask bench`: synthetic applications, and what they take.

mod generate;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{Outcome, terminal};

/// What to measure, or what to write.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write a synthetic application of many packages, each with one image.
    Generate {
        #[command(flatten)]
        size: generate::Size,
        /// The folder to write; must not exist, or be empty.
        folder: PathBuf,
    },
    /// Write an application with one image whose context has 10,000 files and 200 MB.
    GenerateLarge {
        /// Decides content, sizes and folders.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder to write; must not exist, or be empty.
        folder: PathBuf,
    },
}

/// Does it.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let (written, folder) = match &arguments.action {
        Action::Generate { size, folder } => (generate::application(size, folder)?, folder),
        Action::GenerateLarge { seed, folder } => (generate::large(*seed, folder)?, folder),
    };
    terminal::status(
        "Wrote",
        &format!(
            "{} files, {} in {}",
            written.files,
            crate::table::bytes(written.bytes),
            folder.display()
        ),
    );
    Ok(())
}
