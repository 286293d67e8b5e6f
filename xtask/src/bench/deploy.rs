//! A deployment that has nothing to change, against `docker stack deploy` of the same file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use private_engine::{BaseImage, Launch, PrivateEngine, base_image};

use super::Row;
use super::measure::{alone, command, median, nothing, quietly, times};
use crate::{Outcome, files, process, terminal};

const SERVICES: usize = 100;

const FILE: &str = "deploy/stack.yaml";

const DEFINITIONS: [(&str, &str); 2] = [
    ("api/index.js", "module.exports = { name: 'bench' };\n"),
    (
        "deploy/deploy.js",
        "module.exports = { name: 'bench', contexts: { default: { file: 'stack.yaml' } } };\n",
    ),
];

/// Measures in `folder`.
pub(super) fn measure(program: &Path, folder: &Path) -> Outcome<Vec<Row>> {
    let application = folder.join("application");
    for (path, text) in DEFINITIONS {
        files::write(&application.join(path), text.as_bytes())?;
    }
    files::write(&application.join(FILE), stack().as_bytes())?;
    // It then tells of each request.
    let engine = Launch::new(folder.join("engine")).argument("--debug").start()?;
    let rows = measure_on(&engine, program, &application)?;
    engine.stop()?;
    Ok(rows)
}

/// Services of no tasks: what is measured is what is asked, not what containers take.
fn stack() -> String {
    let mut text = "version: '3.8'\nservices:\n".to_owned();
    for number in 0..SERVICES {
        let _ = write!(
            text,
            "  service{number:03}:\n    image: {}\n    command: [sleep, '1000']\n    \
             environment: {{ NUMBER: '{number}' }}\n    deploy: {{ replicas: 0, endpoint_mode: dnsrr }}\n",
            BaseImage::Busybox.reference()
        );
    }
    text
}

fn measure_on(engine: &PrivateEngine, program: &Path, application: &Path) -> Outcome<Vec<Row>> {
    engine.init_swarm()?;
    base_image(&engine.client(), BaseImage::Busybox, &files::base_images())?;
    let ours = || {
        let mut deploy = command(program, engine.host());
        deploy.args(["deploy", "--app"]).arg(application);
        deploy
    };
    let theirs = || {
        let mut deploy = command(Path::new("docker"), engine.host());
        deploy.args(["stack", "deploy", "--resolve-image", "never", "--compose-file"]);
        deploy.arg(application.join(FILE)).arg("theirs");
        deploy
    };
    terminal::status("Measuring", "a deployment of a hundred services with nothing changed");
    let mine = second_time(engine, ours)?;
    terminal::status("Measuring", "the same with `docker stack deploy`");
    let docker = second_time(engine, theirs)?;
    let asked = |(all, changes): (usize, usize)| format!("{all}, {changes} of them changes");
    let what = format!("{SERVICES} services as they should be (`deploy`)");
    Ok(vec![
        times(&what, mine.0, "`docker stack deploy`", docker.0, ""),
        Row {
            against: "`docker stack deploy`".to_owned(),
            theirs: asked(docker.1),
            ..alone("its requests to the engine", asked(mine.1), "no change")
        },
    ])
}

/// The time of a deployment that is there already, how many requests it makes, and how many of them
/// are more than questions.
fn second_time(
    engine: &PrivateEngine,
    deploy: impl Fn() -> Command,
) -> Outcome<(Duration, (usize, usize))> {
    process::output(&mut deploy())?;
    let time = median(nothing, || quietly(&mut deploy()))?;
    let before = fs::metadata(engine.log())?.len();
    quietly(&mut deploy())?;
    let log = fs::read(engine.log())?;
    let new = log.get(usize::try_from(before)?..).unwrap_or_default();
    Ok((time, requests(&String::from_utf8_lossy(new))))
}

/// All requests that an engine tells of, and those that change something.
fn requests(log: &str) -> (usize, usize) {
    let methods = log.lines().filter_map(|line| line.split("Calling ").nth(1)?.split(' ').next());
    let methods: Vec<&str> = methods.collect();
    (methods.len(), methods.iter().filter(|method| !["GET", "HEAD"].contains(method)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_do() {
        let log = "time=\"t\" level=debug msg=\"Calling HEAD /_ping\"\n\
            time=\"t\" level=info msg=\"something else\"\n\
            time=\"t\" level=debug msg=\"Calling GET /v1.41/services\"\n\
            time=\"t\" level=debug msg=\"Calling POST /v1.41/services/x/update?version=1\"\n";
        assert_eq!(requests(log), (3, 1));
    }
}
