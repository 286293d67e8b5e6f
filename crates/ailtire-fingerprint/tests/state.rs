//! The state directory: it survives kills, damage and being deleted.

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ailtire_events::DirtyReason;
use ailtire_fingerprint::{FORMAT, Record, RecordedInputs, Records, StateDirectory};
use ailtire_tree::Digest;

const ENDPOINT: &str = "unix:///somewhere.sock";

fn record(name: &str, image_id: &str) -> Record {
    Record {
        format: FORMAT,
        references: vec![name.to_owned()],
        key: Digest::of(name.as_bytes()),
        fingerprint: Digest::of(image_id.as_bytes()),
        bases: Vec::new(),
        image_id: image_id.to_owned(),
        built_at: 0,
    }
}

fn inputs() -> RecordedInputs {
    RecordedInputs {
        format: FORMAT,
        dockerfile: "Dockerfile".into(),
        dockerfile_digest: Digest::of(b""),
        dockerfile_lines: Vec::new(),
        entries: Vec::new(),
        build_arguments: BTreeMap::new(),
        target: None,
        platforms: Vec::new(),
        labels: BTreeMap::new(),
        secrets: Vec::new(),
        references: Vec::new(),
    }
}

fn put(records: &Records, name: &str, image_id: &str) {
    records.put(record(name, image_id), inputs(), vec![DirtyReason::NeverBuilt]).unwrap();
}

fn journal(root: &Path) -> PathBuf {
    let engines = root.join(".ailtire/engines");
    let engine = fs::read_dir(engines).unwrap().next().unwrap().unwrap();
    engine.path().join("records.jsonl")
}

#[test]
fn the_last_line_of_an_image_holds() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    let records = state.records(ENDPOINT).unwrap();
    put(&records, "one", "sha256:1");
    put(&records, "two", "sha256:2");
    put(&records, "one", "sha256:3");
    let records = state.records(ENDPOINT).unwrap();
    assert_eq!(records.get("one").unwrap().image_id, "sha256:3");
    assert_eq!(records.all().len(), 2);
    assert_eq!(records.explanation("one").unwrap().1, [DirtyReason::NeverBuilt]);
    assert!(state.records("tcp://elsewhere:2375").unwrap().is_empty());
}

#[test]
fn a_line_cut_off_by_a_kill_is_as_good_as_not_there() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    put(&state.records(ENDPOINT).unwrap(), "one", "sha256:1");
    put(&state.records(ENDPOINT).unwrap(), "two", "sha256:2");
    let path = journal(root.path());
    let whole = fs::read(&path).unwrap();
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in first_line..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let lock = state.lock(|_| panic!("nobody else is there")).unwrap();
        let records = state.records(ENDPOINT).unwrap();
        assert_eq!(records.damaged_lines(), 0, "cut at {length}");
        assert_eq!(records.get("one").unwrap().image_id, "sha256:1");
        // Without its newline the line may be whole; it must never be half.
        assert!(records.get("two").is_none_or(|two| two.image_id == "sha256:2"));
        records.tidy(&lock).unwrap();
        put(&records, "three", "sha256:3");
        let records = state.records(ENDPOINT).unwrap();
        assert_eq!(records.get("one").unwrap().image_id, "sha256:1");
        assert_eq!(records.get("three").unwrap().image_id, "sha256:3");
        assert_eq!(records.damaged_lines(), 0);
    }
}

#[test]
fn a_damaged_line_is_counted_and_costs_one_image() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    put(&state.records(ENDPOINT).unwrap(), "one", "sha256:1");
    put(&state.records(ENDPOINT).unwrap(), "two", "sha256:2");
    let path = journal(root.path());
    let text = fs::read_to_string(&path).unwrap().replacen("sha256:1", "sha256:9", 1);
    fs::write(&path, text).unwrap();
    let records = state.records(ENDPOINT).unwrap();
    assert_eq!(records.damaged_lines(), 1);
    assert!(records.get("one").is_none());
    assert!(records.get("two").is_some());
}

#[test]
fn outdated_lines_are_tidied_away() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    let records = state.records(ENDPOINT).unwrap();
    for number in 0..600 {
        records.update(record("one", &format!("sha256:{number}"))).unwrap();
    }
    let lock = state.lock(|_| ()).unwrap();
    state.records(ENDPOINT).unwrap().tidy(&lock).unwrap();
    assert_eq!(fs::read_to_string(journal(root.path())).unwrap().lines().count(), 1);
    assert_eq!(state.records(ENDPOINT).unwrap().get("one").unwrap().image_id, "sha256:599");
}

#[test]
fn deleting_everything_in_the_middle_of_a_run_loses_only_time() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    let lock = state.lock(|_| ()).unwrap();
    let records = state.records(ENDPOINT).unwrap();
    put(&records, "one", "sha256:1");
    fs::remove_dir_all(state.path()).unwrap();
    put(&records, "two", "sha256:2");
    state.write_log("two", b"log").unwrap();
    drop(lock);
    let lock = state.lock(|_| ()).unwrap();
    assert!(state.ensure_version(&lock).unwrap().is_none());
    let records = state.records(ENDPOINT).unwrap();
    assert!(records.get("one").is_none());
    assert!(records.get("two").is_some());
}

#[test]
fn the_second_run_is_told_who_holds_the_lock() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    let first = state.lock(|_| ()).unwrap();
    assert!(state.try_lock().is_none());
    let (tell, told) = std::sync::mpsc::channel();
    let second = std::thread::spawn({
        let state = state.clone();
        move || state.lock(|holder| tell.send(holder.to_owned()).unwrap()).map(drop)
    });
    let holder = told.recv().unwrap();
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    drop(first);
    second.join().unwrap().unwrap();
    assert!(state.try_lock().is_some());
}

#[test]
fn state_of_another_version_is_reported_and_emptied() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    let lock = state.lock(|_| ()).unwrap();
    assert!(state.ensure_version(&lock).unwrap().is_none(), "a new directory is no foreign one");
    put(&state.records(ENDPOINT).unwrap(), "one", "sha256:1");
    assert!(state.ensure_version(&lock).unwrap().is_none());
    assert!(state.records(ENDPOINT).unwrap().get("one").is_some());
    fs::write(state.path().join("version"), "99\n").unwrap();
    assert_eq!(state.ensure_version(&lock).unwrap().unwrap().code, "foreign-state");
    assert!(state.records(ENDPOINT).unwrap().is_empty());
}

#[test]
fn it_tells_backups_and_git_to_leave_it_alone() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::of(root.path());
    let _lock = state.lock(|_| ()).unwrap();
    let tag = fs::read_to_string(state.path().join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
    assert_eq!(fs::read_to_string(state.path().join(".gitignore")).unwrap(), "*\n");
}
