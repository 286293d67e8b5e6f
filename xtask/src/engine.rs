//! `cargo xtask engine`: a private engine that goes on until it is stopped.

use std::path::PathBuf;

use clap::Subcommand;
use private_engine::{BaseImage, Client, Launch, base_image};

use crate::{Outcome, files, terminal};

/// What to do with the engine.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start it, if it does not run, and print the line that makes a shell use it.
    Start,
    /// Stop it. Its images and build cache are kept for the next start.
    Stop,
    /// Print its address, or fail where it does not run.
    Status,
}

/// Does it.
pub(crate) fn run(action: &Action) -> Outcome {
    let folder = folder();
    match action {
        Action::Start => {
            let host = match private_engine::is_running(&folder) {
                Some(host) => host,
                None => Launch::new(&folder).keep_data().detached()?,
            };
            let client = Client::new(host.trim_start_matches("unix://"));
            let address = client.init_swarm()?;
            terminal::status("Running", &format!("a swarm of one node; ports are at {address}"));
            // What the fixtures stand on.
            base_image(&client, BaseImage::Busybox, &files::base_images())?;
            terminal::line(&format!("export DOCKER_HOST={host}"));
        }
        Action::Stop => {
            let stopped = private_engine::stop(&folder)?;
            terminal::status("Stopped", if stopped { "the engine" } else { "nothing: none ran" });
        }
        Action::Status => match private_engine::is_running(&folder) {
            Some(host) => terminal::line(&host),
            None => return Err("no engine runs; `cargo xtask engine start` starts one".into()),
        },
    }
    Ok(())
}

fn folder() -> PathBuf {
    files::target().join("engine")
}
