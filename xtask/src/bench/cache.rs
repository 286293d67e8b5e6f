//! A fresh clone on a machine with an empty engine, after another machine has built the same: what it
//! takes to find everything in their registry, against building it.

use std::path::Path;
use std::time::Duration;

use private_engine::{Cluster, PrivateEngine, RegistryRequest};

use super::docker_client::DockerClient;
use super::generate::{self, Size};
use super::measure::{alone, median, times};
use super::{Row, STATE};
use crate::pass::{Build, Pass};
use crate::{Outcome, files, table, terminal};

const IMAGES: usize = 100;
const FILES: usize = 10;

/// Measures in `folder`.
pub(super) fn measure(program: &Path, folder: &Path, seed: u64) -> Outcome<Vec<Row>> {
    let [one, two] = ["one", "two"].map(|name| folder.join(name));
    let written = generate::application(&Size { packages: IMAGES, files: FILES, seed }, &one)?;
    super::report_written(written, &one);
    let machines = Cluster::start(&folder.join("machines"), 2)?;
    let build = |number: usize, application: &Path, arguments: &[&str]| {
        let engine = machines.node(number).ok_or("an engine is gone")?;
        let repository = format!("{}/team", machines.registry());
        let words = ["--repo", &repository].into_iter().chain(arguments.iter().copied());
        Outcome::Ok(Build {
            program: program.to_owned(),
            application: application.to_owned(),
            host: engine.host().to_owned(),
            variables: Vec::new(),
            arguments: words.map(str::to_owned).collect(),
        })
    };
    terminal::status("Building", &format!("{IMAGES} images on one machine, for a registry"));
    let shared = build(0, &one, &["--cache", "registry"])?.done("the first machine")?;
    shared.expect(shared.built() == IMAGES, "builds every image")?;

    terminal::status("Measuring", "a second machine with the same files and an empty engine");
    let reading = build(1, &two, &["--cache", "registry", "--cache-read-only"])?;
    let found = second_machine(&machines, &one, &two, &reading)?;
    terminal::status("Measuring", "the same machine without the registry");
    files::remove_folder(&two.join(STATE))?;
    let alone = build(1, &two, &[])?.done("the second machine by itself")?;
    alone.expect(alone.built() == IMAGES, "builds every image")?;
    drop(machines);
    let by_docker = by_docker(&two, &folder.join("docker"))?;
    Ok(rows(&shared, &found, alone.time(), by_docker))
}

/// What it took the second machine.
struct Found {
    time: Duration,
    requests: Vec<RegistryRequest>,
}

fn second_machine(machines: &Cluster, one: &Path, two: &Path, reading: &Build) -> Outcome<Found> {
    let log = machines.registry_log().ok_or("the registry has no log")?;
    let clone = || {
        files::copy_folder(one, two)?;
        files::remove_folder(&two.join(STATE))?;
        log.settled()?;
        Ok(())
    };
    let time = median(clone, || {
        let pass = reading.done("the second machine")?;
        let is_all = pass.cached() == IMAGES && pass.built() == 0 && pass.bytes_sent() == 0;
        pass.expect(is_all, "finds every image in the registry")
    })?;
    let requests = log.settled()?;
    if let Some(layer) = requests.iter().find(|it| it.uri.contains("/blobs/")) {
        return Err(format!("a layer travelled: {} {}", layer.method, layer.uri).into());
    }
    Ok(Found { time, requests })
}

/// The same images by the Docker command on an empty engine, if there is one that can.
fn by_docker(application: &Path, engine: &Path) -> Outcome<Option<Duration>> {
    let engine = PrivateEngine::start(engine)?;
    let mut time = None;
    if let Some(client) = DockerClient::find(engine.host()) {
        let bake = if client.has_buildx() { "is not compared" } else { "is not here" };
        let text = format!("the same with `docker build` for each (`docker buildx bake` {bake})");
        terminal::status("Measuring", &text);
        let mut sum = Duration::ZERO;
        for number in 0..IMAGES {
            sum += client.build(&application.join("api").join(generate::package(number)))?.0;
        }
        time = Some(sum);
    }
    engine.stop()?;
    Ok(time)
}

fn rows(shared: &Pass, found: &Found, built: Duration, docker: Option<Duration>) -> Vec<Row> {
    let first = format!("{} built and pushed in {}", shared.built(), table::time(shared.time()));
    let what = format!("{IMAGES} images that a registry has");
    let bytes = found.requests.iter().map(|request| request.bytes).sum();
    let asked = format!("{} requests, {}", found.requests.len(), table::bytes(bytes));
    let mut rows = vec![
        alone(&format!("{IMAGES} images on a first machine"), first, ""),
        times(&what, found.time, "building them", built, ""),
    ];
    rows.extend(docker.map(|docker| times("", found.time, "`docker build` of each", docker, "")));
    rows.push(alone("its requests at the registry", asked, "2 an image"));
    rows.push(alone("its builds, context and layers", "0, 0 B and 0 B".to_owned(), "0"));
    rows
}
