//! Builds, and the images that come of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{
    Project, Recorder, api, classic_engine, engine, expected_files, host, image_files,
};
use ailtire_docker::{BuildError, BuilderKind, EngineError, SecretValueSource};
use ailtire_events::{EventKind, NullSink, StepState};
use private_engine::{Launch, PrivateEngine};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const COPY_ALL: &str = "FROM scratch\nCOPY . /copied/\n";

#[tokio::test]
async fn connecting_and_listing_take_two_requests() {
    let engine = engine().await;
    engine.images().await.unwrap();
    assert_eq!(engine.requests(), 2);
    assert_eq!(engine.describe(), host());
    assert!(engine.has_buildkit());
}

#[tokio::test]
async fn an_image_is_built_and_listed_by_its_id() {
    let engine = engine().await;
    let project = Project::new("FROM scratch\nCOPY . /\n");
    project.write("a.txt", "hello").write("sub/b.txt", "you");
    let recorder = Recorder::default();
    let built = engine.build(&project.request(), &recorder).await.unwrap();
    let store = engine.images().await.unwrap();
    assert_eq!(store.id_of(&project.name), Some(built.image_id.as_str()));
    assert!(store.contains_id(&built.image_id));
    assert_eq!(image_files(&built.image_id, "").await, expected_files(&project.request()));
    let sent = recorder.events().into_iter().rev().find_map(|event| match event {
        EventKind::BytesSent { bytes, .. } => Some(bytes),
        _ => None,
    });
    assert_eq!(sent, Some(built.bytes_sent));
}

/// Everything that a context can hold.
fn odd_files(dockerfile: &str) -> Project {
    let project = Project::new(dockerfile);
    project
        .write("plain", &project.name)
        .write("empty", "")
        .write("run.sh", "2")
        .mode("run.sh", 0o755)
        .write("dir/deep/er/file", vec![b'x'; 300_000])
        .directory("dir/hollow")
        .write("dir.txt", "sorts behind `dir/`")
        .write("ä name with blanks", "3")
        .write("secret", "4")
        .mode("secret", 0o600)
        .link("link", "plain")
        .link("dangling", "../no/where")
        .link("dir/absolute", "/etc/passwd")
        .link("linked-directory", "dir/deep")
        .write(&format!("{0}/{0}", "long".repeat(40)), "5");
    project
}

#[tokio::test]
async fn modes_links_and_empty_directories_arrive_as_they_are() {
    let engine = engine().await;
    let project = odd_files(COPY_ALL);
    let built = project.build(&engine).await.unwrap();
    let expected = expected_files(&project.request());
    assert_eq!(image_files(&built.image_id, "copied").await, expected);
}

#[tokio::test]
async fn the_classic_builder_makes_the_same_files() {
    let engine = classic_engine().await;
    assert!(!engine.has_buildkit());
    let project = odd_files(COPY_ALL);
    let recorder = Recorder::default();
    let built = engine.build(&project.request(), &recorder).await.unwrap();
    let expected = expected_files(&project.request());
    assert_eq!(image_files(&built.image_id, "copied").await, expected);
    let step = ("[2/2] COPY . /copied/".to_owned(), StepState::Completed);
    assert!(recorder.steps().contains(&step), "{:?}", recorder.steps());
    let again = project.build(&engine).await.unwrap();
    assert_eq!(again.image_id, built.image_id);
    assert_eq!(again.steps_cached, 1);
    let store = engine.images().await.unwrap();
    assert_eq!(store.id_of(&project.name), Some(built.image_id.as_str()));
}

#[tokio::test]
async fn nothing_changed_is_all_cached_and_one_changed_file_is_all_that_is_sent() {
    let engine = engine().await;
    let project = Project::new(COPY_ALL);
    for number in 0..50 {
        project.write(&format!("d{}/f{number}", number % 7), vec![number; 100_000]);
    }
    let first = project.build(&engine).await.unwrap();
    assert!(first.bytes_sent > 5_000_000, "{first:?}");
    let again = project.build(&engine).await.unwrap();
    assert_eq!(again.image_id, first.image_id);
    assert_eq!((again.steps_cached, again.steps_total), (1, 1));
    assert!(again.bytes_sent < 20_000, "{again:?}");
    project.write("d3/f3", vec![99; 100_000]);
    let changed = project.build(&engine).await.unwrap();
    assert_ne!(changed.image_id, first.image_id);
    assert!((100_000..130_000).contains(&changed.bytes_sent), "{changed:?}");
    let expected = expected_files(&project.request());
    assert_eq!(image_files(&changed.image_id, "copied").await, expected);
}

#[tokio::test]
async fn equal_size_and_an_old_time_do_not_hide_a_change() {
    let engine = engine().await;
    let project = Project::new(COPY_ALL);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for content in ["one", "two", "one"] {
        project.write("file", content);
        let file = std::fs::File::options().write(true).open(project.folder.path().join("file"));
        file.unwrap().set_modified(old).unwrap();
        let built = project.build(&engine).await.unwrap();
        let files = image_files(&built.image_id, "copied").await;
        assert_eq!(files["file"].content, content.as_bytes());
    }
    project.mode("file", 0o755);
    let built = project.build(&engine).await.unwrap();
    assert_eq!(image_files(&built.image_id, "copied").await["file"].mode, 0o755);
}

#[tokio::test]
async fn a_failing_step_is_reported_whole() {
    let engine = engine().await;
    let project =
        Project::with_shell("RUN /bin/busybox true\nRUN echo one; \\\n  echo two; exit 3\n");
    let recorder = Recorder::default();
    let outcome = engine.build(&project.request(), &recorder).await;
    let Err(BuildError::Failed(failure)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.exit_code, Some(3));
    assert_eq!(failure.line, Some(5));
    assert_eq!(failure.log, "one\ntwo\n");
    let step = failure.step.unwrap();
    assert!(step.contains("RUN echo one;"), "{step}");
    let states: Vec<_> =
        recorder.steps().into_iter().filter(|told| told.0 == step).map(|told| told.1).collect();
    assert_eq!(states, [StepState::Started, StepState::Failed]);
    assert_eq!(recorder.log(), "one\ntwo\n");
}

#[tokio::test]
async fn the_classic_builder_reports_a_failing_step_too() {
    let engine = classic_engine().await;
    let project = Project::with_shell("RUN echo one; \\\n  echo two; exit 3\n");
    let outcome = project.build(&engine).await;
    let Err(BuildError::Failed(failure)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.exit_code, failure.line), (Some(3), Some(4)));
    assert_eq!(failure.log, "one\ntwo\n");
    assert_eq!(engine.images().await.unwrap().id_of(&project.name), None);
}

#[tokio::test]
async fn a_dockerfile_that_cannot_be_read_names_its_line() {
    for engine in [engine().await, classic_engine().await] {
        let project = Project::new("FROM scratch\n\nFOO bar\n");
        let outcome = project.build(&engine).await;
        let Err(BuildError::Failed(failure)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((failure.line, failure.exit_code), (Some(3), None), "{failure:?}");
        assert!(failure.message.contains("unknown instruction: FOO"), "{failure:?}");
    }
}

#[tokio::test]
async fn an_image_that_is_nowhere_fails_the_build() {
    let engine = engine().await;
    let project = Project::new("FROM localhost:1/no/such/image:1\n");
    let outcome = project.build(&engine).await;
    let Err(BuildError::Failed(failure)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.line, Some(1), "{failure:?}");
}

#[tokio::test]
async fn arguments_labels_target_and_references_reach_the_image() {
    for engine in [engine().await, classic_engine().await] {
        let project = Project::new(
            "FROM scratch AS one\nARG WHAT\nCOPY $WHAT /\nFROM scratch\nCOPY wrong /\n",
        );
        project.write("right", "1").write("wrong", "2");
        let mut request = project.request();
        request.build_arguments.insert("WHAT".to_owned(), "right".to_owned());
        request.labels.insert("test.label".to_owned(), "a, b=c".to_owned());
        request.target = Some("one".to_owned());
        request.references = vec![
            format!("{}:1", project.name),
            format!("registry.invalid:5000/{}:2", project.name),
        ];
        let built = engine.build(&request, &NullSink).await.unwrap();
        let store = engine.images().await.unwrap();
        for reference in &request.references {
            assert_eq!(store.id_of(reference), Some(built.image_id.as_str()), "{reference}");
        }
        let files = image_files(&built.image_id, "").await;
        assert_eq!(files.keys().collect::<Vec<_>>(), ["right"]);
        let (_, image) = api("GET", &format!("/images/{}/json", built.image_id)).await;
        let image: serde_json::Value = serde_json::from_slice(&image).unwrap();
        assert_eq!(image["Config"]["Labels"]["test.label"], "a, b=c");
    }
}

#[tokio::test]
async fn secrets_are_mounted_and_leave_no_trace() {
    let engine = engine().await;
    let project = Project::with_shell(
        "RUN --mount=type=secret,id=a --mount=type=secret,id=b \
         /bin/busybox cat /run/secrets/a /run/secrets/b | /bin/busybox sha256sum > /sum\n",
    );
    project.write("outside", "from the file ");
    let mut request = project.request();
    let file = SecretValueSource::File(project.folder.path().join("outside"));
    let variable = SecretValueSource::Env("PATH".to_owned());
    request.secrets = BTreeMap::from([("a".to_owned(), file), ("b".to_owned(), variable)]);
    let built = engine.build(&request, &NullSink).await.unwrap();
    let files = image_files(&built.image_id, "").await;
    assert!(files["sum"].content.len() > 64);
    let path = std::env::var("PATH").unwrap();
    assert!(files.values().all(|file| !String::from_utf8_lossy(&file.content).contains(&path)));

    request.secrets.insert("c".to_owned(), SecretValueSource::File("/no/such/file".into()));
    let before = engine.requests();
    let error = engine.build(&request, &NullSink).await.unwrap_err();
    assert!(error.to_string().contains("`/no/such/file`"), "{error}");
    assert_eq!(engine.requests(), before, "nothing is asked before all secrets are there");
    let error = classic_engine().await.build(&project_with_secret(), &NullSink).await.unwrap_err();
    assert!(matches!(error, BuildError::NeedsBuildKit { .. }), "{error}");
}

fn project_with_secret() -> ailtire_docker::BuildRequest {
    let mut request = Project::new(COPY_ALL).request();
    request.secrets.insert("a".to_owned(), SecretValueSource::File("/dev/null".into()));
    request
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_makes_no_image() {
    for engine in [engine().await, classic_engine().await] {
        let project = Project::new(COPY_ALL);
        project.write("a", "one").write("b", vec![1; 1_000_000]);
        let request = project.request();
        project.write("b", vec![2; 1_000_000]);
        let error = engine.build(&request, &NullSink).await.unwrap_err();
        assert!(matches!(&error, BuildError::SourceChanged { path } if path == "b"), "{error}");
        assert_eq!(engine.images().await.unwrap().id_of(&project.name), None);
        // What the engine kept of the broken transfer must not be taken for the real thing.
        for content in [1, 2] {
            project.write("b", vec![content; 1_000_000]);
            let built = project.build(&engine).await.unwrap();
            let files = image_files(&built.image_id, "copied").await;
            assert_eq!(files, expected_files(&project.request()));
        }
        std::fs::remove_file(project.folder.path().join("a")).unwrap();
        let mut request = project.request();
        request.no_cache = true;
        request.context_key.push_str("-fresh");
        std::fs::remove_file(project.folder.path().join("b")).unwrap();
        let error = engine.build(&request, &NullSink).await.unwrap_err();
        assert!(matches!(&error, BuildError::SourceChanged { path } if path == "b"), "{error}");
    }
}

#[tokio::test]
async fn a_dropped_build_ends_in_the_engine() {
    let engine = engine().await;
    // Like no other on this machine.
    let endless =
        format!("while true; do /bin/busybox sleep 0.1; done; echo {}", std::process::id());
    let project = Project::with_shell(&format!("RUN echo ready; {endless}\nRUN touch /never\n"));
    let recorder = Recorder::default();
    let request = project.request();
    tokio::select! {
        outcome = engine.build(&request, &recorder) => panic!("{outcome:?}"),
        () = recorder.wait_for_log("ready") => {}
    }
    // What a cancelled build leaves behind in the engine: no process.
    for shell in running(&endless) {
        // One that can't be opened is gone already.
        if let Ok(shell) = pidfd_open(shell, PidfdFlags::empty()) {
            let end = move || poll(&mut [PollFd::new(&shell, PollFlags::IN)], None);
            tokio::task::spawn_blocking(end).await.unwrap().unwrap();
        }
    }
    assert_eq!(running(&endless), []);
    assert_eq!(engine.images().await.unwrap().id_of(&project.name), None);
}

/// Processes on this machine with `text` in their arguments.
fn running(text: &str) -> Vec<Pid> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let line = std::fs::read(path.join("cmdline")).ok()?;
            let number = path.file_name()?.to_str()?.parse().ok()?;
            String::from_utf8_lossy(&line).contains(text).then(|| Pid::from_raw(number)).flatten()
        })
        .collect()
}

#[tokio::test]
async fn ten_thousand_files_are_sent_and_then_only_looked_at() {
    let engine = engine().await;
    let project = Project::in_memory(COPY_ALL);
    for number in 0..10_000 {
        project.write(&format!("d{}/f{number}", number % 100), number.to_string());
    }
    let first = project.build(&engine).await.unwrap();
    project.write("d7/f7", "changed");
    let second = project.build(&engine).await.unwrap();
    assert!(second.bytes_sent < 1_000_000, "{first:?} {second:?}");
    assert_eq!(image_files(&second.image_id, "copied").await, expected_files(&project.request()));
}

#[tokio::test]
async fn images_are_tagged_and_removed() {
    let engine = engine().await;
    let project = Project::new(COPY_ALL);
    project.write("file", project.name.clone());
    let built = project.build(&engine).await.unwrap();
    let other = format!("registry.invalid:5000/{}", project.name);
    engine.tag(&built.image_id, &other).await.unwrap();
    let store = engine.images().await.unwrap();
    assert_eq!(store.id_of(&format!("{other}:latest")), Some(built.image_id.as_str()));
    engine.remove_image(&other).await.unwrap();
    engine.remove_image(&format!("{}:latest", project.name)).await.unwrap();
    assert!(!engine.images().await.unwrap().contains_id(&built.image_id));
    let error = engine.tag(&built.image_id, &other).await.unwrap_err();
    assert!(matches!(error, EngineError::Api { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn what_no_registry_has_cannot_be_pulled() {
    let engine = engine().await;
    let recorder = Recorder::default();
    let error = engine.pull("localhost:1/no/such", None, &recorder).await.unwrap_err();
    assert!(matches!(error, EngineError::Api { .. }), "{error}");
    assert!(matches!(&recorder.events()[..], [EventKind::Pulling { .. }]));
}

#[tokio::test]
async fn an_ignore_file_in_the_context_is_a_file_like_any_other() {
    let engine = engine().await;
    let project = Project::new("FROM scratch\nCOPY . /copied/\nCOPY .dockerignore /copied/again\n");
    project.write(".dockerignore", "kept\n").write("kept", "1").write("Dockerfile", "2");
    let built = project.build(&engine).await.unwrap();
    let files = image_files(&built.image_id, "copied").await;
    assert_eq!(files.keys().collect::<Vec<_>>(), [".dockerignore", "Dockerfile", "again", "kept"]);
    assert_eq!(files["again"].content, b"kept\n");
    let classic = classic_engine().await;
    let built = project.build(&classic).await.unwrap();
    let by_classic = image_files(&built.image_id, "copied").await;
    assert_eq!(by_classic.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    let project = Project::new("FROM scratch\nCOPY .dockerignore /copied/again\n");
    project.write(".dockerignore", "kept\n");
    let built = project.build(&engine).await.unwrap();
    assert_eq!(image_files(&built.image_id, "copied").await["again"].content, b"kept\n");
}

#[tokio::test]
async fn an_engine_that_dies_is_noticed_at_once() {
    for builder in [BuilderKind::BuildKit, BuilderKind::Classic] {
        let folder = tempfile::tempdir().unwrap();
        let private = PrivateEngine::start(folder.path()).unwrap();
        let engine = crate::support::engine_at(private.host(), builder).await;
        let project = Project::with_shell("RUN echo ready; /bin/busybox sleep 1000\n");
        let request = project.request();
        let recorder = Recorder::default();
        let build = engine.build(&request, &recorder);
        let kill = async {
            recorder.wait_for_log("ready").await;
            private.kill().unwrap();
        };
        let (outcome, ()) = tokio::join!(build, kill);
        let Err(BuildError::Engine(error)) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(error, EngineError::Lost { .. }), "{error:?}");
        let error = engine.images().await.unwrap_err();
        assert!(
            matches!(error, EngineError::Unreachable { .. } | EngineError::Lost { .. }),
            "{error:?}"
        );
    }
}

/// A folder for an engine, with 50 MB for all its data.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(disk.data()).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=50m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(disk.data()).status();
        assert!(mounted.unwrap().success());
        disk
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A folder with a mount in it could not be removed.
        let _ = Command::new("umount").arg("-l").arg(self.data()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_one() {
    let disk = SmallDisk::new();
    let private = Launch::new(disk.0.path()).keep_data().start().unwrap();
    for builder in [BuilderKind::BuildKit, BuilderKind::Classic] {
        let engine = crate::support::engine_at(private.host(), builder).await;
        let project = Project::new(COPY_ALL);
        project.write("large", vec![7; 60_000_000]);
        let outcome = project.build(&engine).await;
        let Err(BuildError::Engine(error)) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(error, EngineError::NoSpace { .. }), "{error:?}");
        assert!(error.help().contains("docker builder prune"));
    }
}
