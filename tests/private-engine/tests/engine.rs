//! A private engine works, and leaves nothing.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod leftovers;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use private_engine::{BaseImage, Error, Launch, PrivateEngine, base_image, is_running, stop};

/// Tells a copy of this program to start an engine in that folder and to wait to be killed.
const OWNER: &str = "PRIVATE_ENGINE_TEST_OWNER";

fn assert_nothing_left(folder: &Path, device: &str) {
    leftovers::assert_none(folder, device);
    let left: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["dockerd.log"]);
}

#[test]
fn an_engine_takes_a_base_image_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("engine");
    let engine = PrivateEngine::start(&folder).unwrap();
    assert!(engine.client().answers());
    assert_eq!(is_running(&folder).as_deref(), Some(engine.host()));
    let cache = temporary.path().join("cache");
    let reference = base_image(&engine.client(), BaseImage::Busybox, &cache).unwrap();
    let image = engine.client().get(&format!("/images/{reference}/json")).unwrap();
    assert_eq!(image.status, 200);
    let device = leftovers::device_of(&folder);
    engine.stop().unwrap();
    assert_nothing_left(&folder, &device);
}

#[test]
fn a_second_engine_in_one_folder_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let engine = PrivateEngine::start(temporary.path()).unwrap();
    let error = PrivateEngine::start(temporary.path()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert!(matches!(stop(temporary.path()), Err(Error::InUse { .. })));
    assert!(engine.client().answers());
}

#[test]
fn a_panic_of_the_owner_stops_the_engine() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().to_owned();
    let owner = std::thread::spawn(move || {
        let _engine = PrivateEngine::start(&folder).unwrap();
        std::panic::panic_any(leftovers::device_of(&folder));
    });
    let device = *owner.join().unwrap_err().downcast::<String>().unwrap();
    assert_nothing_left(temporary.path(), &device);
}

#[test]
fn a_killed_engine_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = PrivateEngine::start(folder.path()).unwrap();
    let device = leftovers::device_of(folder.path());
    let client = engine.client();
    engine.kill().unwrap();
    assert!(!client.answers());
    assert_nothing_left(folder.path(), &device);
}

#[test]
fn a_detached_engine_runs_until_it_is_stopped_and_may_keep_its_data() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("engine");
    let cache = temporary.path().join("cache");
    Launch::new(&folder).keep_data().detached().unwrap();
    let device = leftovers::device_of(&folder);
    assert!(stop(&folder).unwrap());
    assert!(!stop(&folder).unwrap());
    assert!(is_running(&folder).is_none());
    let engine = Launch::new(&folder).keep_data().start().unwrap();
    let reference = base_image(&engine.client(), BaseImage::Busybox, &cache).unwrap();
    engine.stop().unwrap();
    let engine = Launch::new(&folder).keep_data().start().unwrap();
    assert_eq!(engine.client().get(&format!("/images/{reference}/json")).unwrap().status, 200);
    engine.stop().unwrap();
    fs::remove_dir_all(folder.join("data")).unwrap();
    assert_nothing_left(&folder, &device);
}

#[test]
fn a_start_that_fails_shows_the_log() {
    let temporary = tempfile::tempdir().unwrap();
    let error = Launch::new(temporary.path()).argument("--no-such-flag").start().unwrap_err();
    assert!(error.to_string().contains("unknown flag: --no-such-flag"), "{error}");
    assert_nothing_left(temporary.path(), "none");
}

#[test]
fn a_folder_too_deep_for_a_socket_is_fine() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("deep".repeat(30));
    let engine = PrivateEngine::start(&folder).unwrap();
    assert!(engine.client().answers());
    let socket = engine.client().socket().to_owned();
    engine.stop().unwrap();
    assert!(!socket.parent().unwrap().exists());
}

#[test]
fn a_killed_owner_takes_its_engine_with_it() {
    // This test, run again as a process of its own, is the owner that is killed.
    if let Some(folder) = std::env::var_os(OWNER) {
        let engine = PrivateEngine::start(Path::new(&folder)).unwrap();
        println!("\ndevice {}", leftovers::device_of(Path::new(&folder)));
        std::io::stdin().read_line(&mut String::new()).unwrap();
        drop(engine);
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_owner_takes_its_engine_with_it", "--nocapture"])
        .env(OWNER, temporary.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let device = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .find_map(|line| Some(line.unwrap().strip_prefix("device ")?.to_owned()))
        .unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    // The last process of the engine holds the lock of its log.
    fs::File::open(temporary.path().join("dockerd.log")).unwrap().lock().unwrap();
    assert_nothing_left(temporary.path(), &device);
}
