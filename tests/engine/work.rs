//! How much is done: requests, bytes, files read. Counts, not times.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Run, TestApplication};
use crate::tap::Tap;

fn many_images(count: usize) -> TestApplication {
    let application = TestApplication::new(&[]);
    let definitions: Vec<_> = (0..count).map(|n| format!("i{n}: {{ dir: 'i{n}' }}")).collect();
    let build = format!("module.exports = {{ {} }};", definitions.join(", "));
    application.put("deploy/build.js", &build);
    for number in 0..count {
        let from = match number {
            0 => "scratch".to_owned(),
            number => format!("{}-i{}", application.name, number / 2),
        };
        let dockerfile = format!("FROM {from}\nCOPY . /{number}/\n");
        application.put(&format!("deploy/i{number}/Dockerfile"), &dockerfile);
        application.put(&format!("deploy/i{number}/file"), &number.to_string());
    }
    application
}

#[test]
fn nothing_changed_makes_at_most_two_requests_and_no_build_call() {
    let application = many_images(12);
    let tap = Tap::start();
    // Records belong to an address, so the first build goes through the tap as well.
    let run = |arguments: &[&str]| {
        let output = application.command(arguments).env("DOCKER_HOST", tap.address()).output();
        Run::of(output.unwrap())
    };
    let first = run(&["build", "--message-format", "json"]);
    assert_eq!(first.code, Some(0), "{first}");
    assert_eq!(first.built().len(), 12);
    tap.forget();
    let second = run(&["build", "--message-format", "json"]);
    assert_eq!(second.summary()["fresh"], 12, "{second}");
    let requests = tap.requests();
    assert!((1..=2).contains(&requests.len()), "{requests:?}");
    assert!(
        requests.iter().all(|request| request.starts_with("GET ") || request.starts_with("HEAD ")),
        "{requests:?}"
    );
}

#[test]
fn one_changed_file_does_not_send_the_others_again() {
    let application = TestApplication::new(&[
        ("deploy/build.js", "module.exports = { web: { dir: 'web' } };"),
        ("deploy/web/Dockerfile", "FROM scratch\nCOPY . /\n"),
    ]);
    for number in 0..200 {
        let content = format!("{number} ").repeat(5_000);
        application.put(&format!("deploy/web/src/d{}/f{number}", number % 7), &content);
    }
    let sent = |run: &Run| run.summary()["bytes_sent"].as_u64().unwrap();
    let all = sent(&application.built(&[]));
    assert!(all > 3_000_000, "{all}");
    assert_eq!(sent(&application.built(&[])), 0);
    application.put("deploy/web/src/d3/f3", "changed");
    let one = sent(&application.built(&[]));
    assert!(one < 100_000, "{one} bytes for one small file");
}

#[test]
fn images_without_each_other_build_at_once() {
    // Each waits for the other one's mark on a cache mount that both share: one after the other
    // they would wait in vain.
    let step = |own: &str, other: &str, cache: &str| {
        format!(
            "FROM ailtire-test/busybox:1\nRUN --mount=type=cache,target=/c,id={cache} touch /c/{own}; \
             n=0; until [ -e /c/{other} ] || [ $n -gt 200 ]; do n=$((n+1)); sleep 0.1; done; \
             [ -e /c/{other} ]\n"
        )
    };
    let application = TestApplication::new(&[(
        "deploy/build.js",
        "module.exports = { left: { dir: 'l' }, right: { dir: 'r' } };",
    )]);
    let cache = application.name.clone();
    application.put("deploy/l/Dockerfile", &step("left", "right", &cache));
    application.put("deploy/r/Dockerfile", &step("right", "left", &cache));
    assert_eq!(application.built(&["-j", "2"]).built(), ["left", "right"]);
}

#[test]
fn two_runs_at_once_wait_for_each_other() {
    let application = many_images(3);
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let mut command = application.command(&["build", "--message-format", "json"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let built = AtomicUsize::new(0);
    for run in runs {
        let run = Run::of(run.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{run}");
        built.fetch_add(run.built().len(), Ordering::Relaxed);
    }
    assert_eq!(built.into_inner(), 3, "each image is built once, by whichever run came first");
}
