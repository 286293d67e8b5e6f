//! One large context: how much is sent, and how long it takes, against `docker build`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use private_engine::PrivateEngine;

use super::docker_client::DockerClient;
use super::{Row, measure};
use crate::pass::Build;
use crate::{Outcome, files, table, terminal};

/// The context that [`super::generate::large`] writes, and one of its files.
const CONTEXT: &str = "api/Large";
const CHANGED_FILE: &str = "data/17/file04217.bin";

/// Times and bytes of the three builds.
type Builds = [(&'static str, Duration, Option<u64>); 3];

/// Measures on the application in `folder`; each builder has an engine of its own in `engines`, since
/// they would find each other's layers.
pub(super) fn measure(program: &Path, folder: &Path, engines: &Path) -> Outcome<Vec<Row>> {
    let context = folder.join(CONTEXT);
    terminal::status("Measuring", "a large context");
    let engine = PrivateEngine::start(&engines.join("ours"))?;
    let build = Build {
        program: program.to_owned(),
        application: folder.to_owned(),
        host: engine.host().to_owned(),
        variables: Vec::new(),
        arguments: Vec::new(),
    };
    let ours = three_builds(&context, "ours", || {
        let pass = build.done("large context")?;
        Ok((pass.time(), Some(pass.bytes_sent())))
    })?;
    engine.stop()?;
    Ok(rows(&ours, by_docker(&context, &engines.join("docker"))?.as_ref()))
}

/// The same builds by the Docker command, if there is one that can.
fn by_docker(context: &Path, engine: &Path) -> Outcome<Option<Builds>> {
    let engine = PrivateEngine::start(engine)?;
    let builds = match DockerClient::find(engine.host()) {
        Some(client) => {
            terminal::status("Measuring", "the same with `docker build`");
            Some(three_builds(context, "theirs", || client.build(context))?)
        }
        None => None,
    };
    engine.stop()?;
    Ok(builds)
}

/// Builds, builds again, changes one file and builds again; `mark` makes the change another one.
fn three_builds(
    context: &Path,
    mark: &str,
    mut build: impl FnMut() -> Outcome<(Duration, Option<u64>)>,
) -> Outcome<Builds> {
    let (first, first_sent) = build()?;
    let (unchanged, unchanged_sent) = build()?;
    let path = context.join(CHANGED_FILE);
    let mut bytes = fs::read(&path)?;
    bytes.extend_from_slice(mark.as_bytes());
    files::write(&path, &bytes)?;
    let (changed, changed_sent) = build()?;
    Ok([
        ("200 MB context: first build", first, first_sent),
        ("200 MB context: nothing changed", unchanged, unchanged_sent),
        ("200 MB context: one file changed", changed, changed_sent),
    ])
}

fn rows(ours: &Builds, theirs: Option<&Builds>) -> Vec<Row> {
    let shown = |time: Duration, sent: Option<u64>| {
        let sent = sent.map_or("?".to_owned(), table::bytes);
        format!("{}, {sent} sent", table::time(time))
    };
    let row = |(index, (what, time, sent)): (usize, &(&str, Duration, Option<u64>))| {
        let mine = shown(*time, *sent);
        match theirs.and_then(|theirs| theirs.get(index)) {
            Some((_, their_time, their_sent)) => Row {
                ours: mine,
                theirs: shown(*their_time, *their_sent),
                ..measure::times(what, *time, "`docker build`", *their_time, "")
            },
            None => measure::alone(what, mine, ""),
        }
    };
    ours.iter().enumerate().map(row).collect()
}
