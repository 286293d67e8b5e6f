//! Bad input and faults: what is said, what is lost, what the exit code is.

use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use crate::support::{Run, TestApplication, image_files, machine_address};

const TWO: &str =
    "module.exports = { bad: { dir: 'bad' }, good: { dir: 'good' }, on: { dir: 'on' } };";

fn with_a_failing_image() -> TestApplication {
    let application = TestApplication::new(&[
        ("deploy/build.js", TWO),
        (
            "deploy/bad/Dockerfile",
            "FROM ailtire-test/busybox:1\n\nRUN echo some output; echo more >&2; exit 42\n",
        ),
        ("deploy/good/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    let on = format!("FROM {}-bad\nCOPY . /\n", application.name);
    application.put("deploy/on/Dockerfile", &on);
    application
}

#[test]
fn a_failed_step_is_shown_whole_and_stops_only_what_is_on_it() {
    let application = with_a_failing_image();
    let run = application.run(&["build", "--keep-going", "--progress", "plain"]);
    assert_eq!(run.code, Some(1), "{run}");
    for part in
        ["some output", "more", "exit code 42", "deploy/bad/Dockerfile:3", "deploy/build.js:1"]
    {
        assert!(run.stderr.contains(part), "`{part}` is not said in {run}");
    }
    let run = application.build(&["--keep-going"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.images("build-failed").into_iter().collect::<Vec<_>>(), ["bad"]);
    assert_eq!(run.images("image-skipped").into_iter().collect::<Vec<_>>(), ["on"]);
    assert_eq!(run.images("image-fresh").into_iter().collect::<Vec<_>>(), ["good"]);
    let failure = &run.events("build-failed")[0]["failure"];
    assert_eq!(failure["exit_code"], 42);
    assert_eq!(failure["line"], 3);
}

#[test]
fn without_an_engine_it_says_so() {
    let application = with_a_failing_image();
    let mut command = application.command(&["build"]);
    let run = Run::of(command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap());
    assert_eq!(run.code, Some(3), "{run}");
    assert!(run.stderr.contains("/nowhere/docker.sock"), "{run}");
    let mut command = application.command(&["plan"]);
    let run = Run::of(command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap());
    assert_eq!(run.code, Some(0), "planning needs no engine: {run}");
}

#[test]
fn an_interrupt_cancels_what_runs_and_keeps_what_is_done() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { a: { dir: 'a' }, b: { dir: 'b' } };"),
        ("deploy/a/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    let slow = format!(
        "FROM {}-a AS a\nFROM ailtire-test/busybox:1\nCOPY --from=a / /a/\nRUN echo running; sleep 600\n",
        application.name
    );
    application.put("deploy/b/Dockerfile", &slow);
    let mut command = application.command(&["build", "--message-format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = Vec::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    loop {
        let mut line = String::new();
        assert_ne!(std::io::BufRead::read_line(&mut output, &mut line).unwrap(), 0, "{lines:?}");
        let running = line.contains("build-log") && line.contains("running");
        lines.push(line);
        if running {
            break;
        }
    }
    let process = child.id().to_string();
    let kill = std::process::Command::new("kill").args(["-INT", &process]).status();
    assert!(kill.unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("build-cancelled"), "{rest}");
    let run = application.built(&["a"]);
    assert_eq!(run.summary()["fresh"], 1, "the finished image stays recorded: {run}");
}

/// Interrupts a build once `ready` says so of its messages, and returns all of them; it must end
/// with the exit code of a cancelled run.
fn interrupted(
    application: &TestApplication,
    arguments: &[&str],
    mut ready: impl FnMut(u32, &str) -> bool,
) -> String {
    let arguments = [&["build", "--message-format", "json"], arguments].concat();
    let mut child = application.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut all = String::new();
    while !ready(child.id(), &all) {
        let read = std::io::BufRead::read_line(&mut output, &mut all).unwrap();
        assert_ne!(read, 0, "it ended too early: {all}");
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    std::io::Read::read_to_string(&mut output, &mut all).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{all}");
    assert!(all.lines().last().unwrap_or_default().contains("run-finished"), "{all}");
    all
}

#[test]
fn an_interrupt_does_not_wait_for_files_to_be_read() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { a: { dir: 'a' } };"),
        ("deploy/a/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    // Nobody reads this much in a test, and on the disk it takes no space.
    let huge = std::fs::File::create(application.path("deploy/a/huge")).unwrap();
    huge.set_len(1 << 42).unwrap();
    let read_so_far = |process: u32| -> u64 {
        let counts = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
        counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    };
    let all = interrupted(&application, &[], |process, _| {
        while read_so_far(process) < 64 << 20 {
            std::thread::yield_now();
        }
        true
    });
    assert!(!all.contains("plan-ready"), "{all}");
}

#[test]
fn an_interrupt_does_not_wait_for_a_registry() {
    // It takes calls and never answers.
    let registry = std::net::TcpListener::bind((machine_address(), 0)).unwrap();
    let address = registry.local_addr().unwrap();
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { a: { dir: 'a' } };"),
        ("deploy/a/Dockerfile", &format!("FROM {address}/base:1\n")),
    ]);
    interrupted(&application, &["--pull"], |_, all| all.contains("pulling"));
}

#[test]
fn every_base_that_cannot_be_fetched_is_named_at_its_line() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { a: { dir: 'a' } };"),
        (
            "deploy/a/Dockerfile",
            "FROM one.invalid/base:1 AS one\nFROM two.invalid/base:2\nCOPY --from=one / /\n",
        ),
    ]);
    let run = application.run(&["build", "--pull"]);
    assert_eq!(run.code, Some(1), "{run}");
    for part in [
        "`one.invalid/base:1` could not be fetched",
        "deploy/a/Dockerfile:1",
        "`two.invalid/base:2` could not be fetched",
        "deploy/a/Dockerfile:2",
        "error: 2 base images could not be fetched",
    ] {
        assert!(run.stderr.contains(part), "`{part}` is not said in {run}");
    }
}

#[test]
fn a_dry_run_ends_as_every_run_does() {
    let application = with_a_failing_image();
    let run = application.built(&["--dry-run"]);
    assert_eq!(run.summary()["dry_run"], true, "{run}");
    assert_eq!(run.summary()["skipped"], 3, "{run}");
    assert_eq!(run.events("run-finished").len(), 1, "{run}");
    let run = application.run(&["build", "--dry-run"]);
    assert!(run.stderr.contains("dry run: 3 to bring up to date, 0 fresh in"), "{run}");
}

#[test]
fn messages_that_cannot_be_written_are_not_lost_in_silence() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { a: { dir: 'a' } };"),
        ("deploy/a/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = application.command(&["build", "--message-format", "json"]);
    let run = Run::of(command.stdout(full).output().unwrap());
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr.contains("cannot write to standard output"), "{run}");
    assert_eq!(application.built(&[]).summary()["fresh"], 1, "what was built stays recorded");
}

#[test]
fn a_file_that_changes_while_it_is_built_is_never_recorded_as_fresh() {
    // The first image's build rewrites nothing; the second one's file is changed between planning
    // and sending, by waiting for the first one's end.
    let application = TestApplication::new(&[
        (
            "deploy/build.js",
            "module.exports = { first: { dir: 'first' }, second: { dir: 'second' } };",
        ),
        ("deploy/first/Dockerfile", "FROM ailtire-test/busybox:1\nRUN echo started; sleep 1\n"),
        ("deploy/second/file", "before"),
    ]);
    let second = format!("FROM {}-first\nCOPY file /\n", application.name);
    application.put("deploy/second/Dockerfile", &second);
    let mut command = application.command(&["build", "--message-format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut changed = false;
    let mut line = String::new();
    while std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0 {
        if !changed && line.contains("build-started") {
            application.put("deploy/second/file", "after!");
            changed = true;
        }
        line.clear();
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let run = application.built(&[]);
    assert_eq!(run.built(), ["second"], "{run}");
    assert_eq!(image_files(&application.reference("second"))["file"].content, b"after!");
}

#[test]
fn every_broken_definition_is_reported_and_nothing_is_built() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("api/One/index.js", "module.exports = { name: 'One' };"),
        ("api/One/deploy/build.js", "throw new Error('first problem');"),
        ("api/Two/index.js", "module.exports = { name: 'Two' };"),
        ("api/Two/deploy/build.js", "module.exports = { x: { file: 'nowhere/Dockerfile' } };"),
    ]);
    let run = application.run(&["build"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("first problem"), "{run}");
    assert!(run.stderr.contains("nowhere/Dockerfile"), "{run}");
    let response =
        crate::support::client().get(&format!("/images/{}/json", application.reference("web")));
    assert_eq!(response.unwrap().status, 404);
}

#[test]
fn a_cycle_of_images_is_printed() {
    let application = TestApplication::new(&[(
        "deploy/build.js",
        "module.exports = { a: { dir: 'a' }, b: { dir: 'b' } };",
    )]);
    let name = &application.name;
    application.put("deploy/a/Dockerfile", &format!("FROM {name}-b\n"));
    application.put("deploy/b/Dockerfile", &format!("FROM scratch\nCOPY --from={name}-a / /\n"));
    let run = application.run(&["build"]);
    assert_eq!(run.code, Some(2), "{run}");
    let cycle = format!("{name}-a:latest → {name}-b:latest → {name}-a:latest");
    assert!(run.stderr.contains(&cycle), "{run}");
    assert!(run.stderr.contains("deploy/b/Dockerfile:2"), "{run}");
}

#[test]
fn a_step_that_prints_its_secrets_tells_nobody() {
    let dockerfile = "FROM ailtire-test/busybox:1
RUN --mount=type=secret,id=file --mount=type=secret,id=variable \\
    cat /run/secrets/*; echo; echo shown; exit 3
";
    let application = TestApplication::new(&[
        (
            "deploy/build.js",
            "module.exports = { a: { dir: 'a', secrets: {
                file: { file: '../key' }, variable: { env: 'TEST_SECRET' },
            } } };",
        ),
        ("key", "hidden-in-a-file\n"),
    ]);
    for (dockerfile, code) in
        [(dockerfile.to_owned(), 1), (dockerfile.replace("exit 3", "exit 0"), 0)]
    {
        application.put("deploy/a/Dockerfile", &dockerfile);
        for format in ["json", "human"] {
            let arguments = ["build", "-v", "--force", "a", "--no-cache", "--message-format"];
            let mut command = application.command(&arguments);
            let command = command.arg(format).env("TEST_SECRET", "hidden-in-a-variable");
            let run = Run::of(command.output().unwrap());
            assert_eq!(run.code, Some(code), "{run}");
            assert!(run.to_string().contains("shown"), "{run}");
            assert!(!run.to_string().contains("hidden-in"), "{run}");
        }
    }
    let state = application.path(".ailtire");
    for file in walk(&state) {
        let content = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!content.contains("hidden-in"), "it is in {}", file.display());
    }
}

/// Stands between the command and the engine, and can be taken away.
struct Between {
    connections: std::sync::Arc<std::sync::Mutex<Vec<UnixStream>>>,
    socket: std::path::PathBuf,
}

impl Between {
    fn start(socket: std::path::PathBuf) -> Self {
        let engine = crate::support::host();
        let engine = engine.strip_prefix("unix://").unwrap().to_owned();
        let listener = UnixListener::bind(&socket).unwrap();
        let connections = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let known = std::sync::Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&engine) else { break };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    });
                }
                known.lock().unwrap().extend([client, server]);
            }
        });
        Self { connections, socket }
    }

    fn take_away(&self) {
        std::fs::remove_file(&self.socket).unwrap();
        for connection in self.connections.lock().unwrap().iter() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }
}

#[test]
fn an_engine_that_goes_away_ends_the_run_whatever_is_left() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { a: { dir: 'a' }, b: { dir: 'b' }, c: {} };"),
        ("deploy/a/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("deploy/b/Dockerfile", "FROM ailtire-test/busybox:1\nRUN echo running; sleep 600\n"),
        ("deploy/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    let engine = Between::start(application.path("engine.sock"));
    let mut command =
        application.command(&["build", "--keep-going", "-j", "1", "--message-format", "json"]);
    let command = command.env("DOCKER_HOST", format!("unix://{}", engine.socket.display()));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut all = String::new();
    while !(all.contains("build-log") && all.contains("running\\n")) {
        assert_ne!(std::io::BufRead::read_line(&mut output, &mut all).unwrap(), 0, "{all}");
    }
    engine.take_away();
    std::io::Read::read_to_string(&mut output, &mut all).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{all}");
    let last: serde_json::Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    let summary = &last["summary"];
    assert_eq!([&summary["built"], &summary["failed"], &summary["skipped"]], [1, 1, 1], "{all}");
}

/// All files below `directory`.
fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
