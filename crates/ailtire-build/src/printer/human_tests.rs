//! What a person reads, word for word.

use ailtire_events::LogStream;
use snapbox::{assert_data_eq, str};

use super::*;

fn read(human: &mut Human, events: &[EventKind]) -> String {
    let text: String = events.iter().map(|event| human.lines(event)).collect();
    anstream::adapter::strip_str(&text).to_string()
}

fn added(path: &str) -> DirtyReason {
    DirtyReason::Entry { path: path.into(), source: None, change: ailtire_events::Change::Added }
}

/// A run of four images: one is fresh, one built, one tagged, one turns out to be fresh.
fn a_run() -> Vec<EventKind> {
    [the_plan(), the_builds()].concat()
}

fn the_plan() -> Vec<EventKind> {
    vec![
        EventKind::WaitingForLock { holder: "process 12 (build)".into() },
        EventKind::PlanReady { images: 4, dirty: 3 },
        EventKind::ImageFresh { image: "base:latest".into(), image_id: "sha256:1".into() },
        EventKind::ImageDirty {
            image: "web:latest".into(),
            reasons: vec![added("web/a.js"), added("web/b.js"), added("web/c.js")],
        },
        EventKind::ImageDirty { image: "doc:latest".into(), reasons: vec![DirtyReason::Forced] },
        EventKind::ImageDirty {
            image: "api:latest".into(),
            reasons: vec![DirtyReason::BaseDirty { reference: "web:latest".into() }],
        },
        EventKind::Pulling { reference: "debian:bookworm".into() },
    ]
}

fn the_builds() -> Vec<EventKind> {
    vec![
        EventKind::BuildStarted { image: "web:latest".into() },
        EventKind::BuildStep {
            image: "web:latest".into(),
            step: "[1/2] FROM base".into(),
            state: StepState::Cached,
        },
        EventKind::BuildStep {
            image: "web:latest".into(),
            step: "[2/2] RUN make".into(),
            state: StepState::Started,
        },
        EventKind::BuildLog {
            image: "web:latest".into(),
            step: "[2/2] RUN make".into(),
            stream: LogStream::Stdout,
            text: "one\ntw".into(),
        },
        EventKind::BuildLog {
            image: "web:latest".into(),
            step: "[2/2] RUN make".into(),
            stream: LogStream::Stderr,
            text: "o".into(),
        },
        EventKind::BuildStep {
            image: "web:latest".into(),
            step: "[2/2] RUN make".into(),
            state: StepState::Completed,
        },
        EventKind::BytesSent { image: "web:latest".into(), bytes: 10 },
        EventKind::BuildFinished {
            image: "web:latest".into(),
            references: vec!["web:latest".into()],
            image_id: "sha256:2".into(),
            fingerprint: "3".into(),
            duration: 1234,
            bytes_sent: 4120,
        },
        EventKind::ImageTagged {
            image: "doc:latest".into(),
            references: vec!["doc:latest".into(), "doc:1.0".into()],
        },
        EventKind::ImageFresh { image: "api:latest".into(), image_id: "sha256:4".into() },
        EventKind::RunFinished {
            summary: Summary {
                fresh: 2,
                built: 1,
                tagged: 1,
                bytes_sent: 4120,
                duration: 3249,
                ..Summary::default()
            },
        },
    ]
}

#[test]
fn a_run_reads_like_one_of_cargo() {
    let mut human = Human::new(Verbosity::Normal, false);
    assert_data_eq!(
        read(&mut human, &a_run()),
        str![[r#"
    Blocking waiting for another run in this application: process 12 (build)
       Fresh base:latest
       Dirty web:latest because web/a.js was added (and 2 more)
       Dirty doc:latest because the command line forces it
       Dirty api:latest because its base web:latest is dirty
     Pulling debian:bookworm
    Building web:latest
       Built web:latest in 1.2s, 4.1 kB sent
      Tagged doc:latest, doc:1.0
       Fresh api:latest (its bases came out the same)
    Finished 1 built, 1 tagged, 2 fresh, 0 failed in 3.2s, 4.1 kB sent

"#]]
    );
}

#[test]
fn verbose_has_all_reasons_steps_and_whole_log_lines() {
    let mut human = Human::new(Verbosity::Verbose, false);
    assert_data_eq!(
        read(&mut human, &a_run()[3..13]),
        str![[r#"
       Dirty web:latest because web/a.js was added
             and web/b.js was added
             and web/c.js was added
       Dirty doc:latest because the command line forces it
       Dirty api:latest because its base web:latest is dirty
     Pulling debian:bookworm
    Building web:latest
             web:latest [1/2] FROM base (cached)
             web:latest [2/2] RUN make
             web:latest | one
             web:latest | two

"#]]
    );
}

#[test]
fn bars_replace_the_lines_about_what_is_under_way() {
    let mut human = Human::new(Verbosity::Verbose, true);
    let text = read(&mut human, &a_run());
    assert!(!text.contains("Building") && !text.contains("| one"), "{text}");
    assert!(text.contains("Built web:latest"));
}

#[test]
fn quiet_says_nothing_but_what_went_wrong() {
    let mut human = Human::new(Verbosity::Quiet, false);
    assert_eq!(read(&mut human, &a_run()), "");
    let warning = Diagnostic::warning("odd", "odd");
    assert_eq!(read(&mut human, &[EventKind::Diagnostic { diagnostic: warning }]), "");
    let failure = BuildFailure { message: "no".into(), ..BuildFailure::default() };
    let event = EventKind::BuildFailed { image: "web:latest".into(), failure };
    assert!(read(&mut human, &[event]).contains("could not be built: no"));
}

#[test]
fn many_fresh_images_are_one_line() {
    let mut events = vec![EventKind::PlanReady { images: 1000, dirty: 0 }];
    for number in 0..1000 {
        let image = format!("image-{number}:latest");
        events.push(EventKind::ImageFresh { image, image_id: String::new() });
    }
    let text = read(&mut Human::new(Verbosity::Normal, false), &events);
    assert_eq!(text, "       Fresh 1000 images\n");
    let text = read(&mut Human::new(Verbosity::Verbose, false), &events);
    assert_eq!(text.lines().count(), 1000);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a file of the test, not of the state")]
fn a_failure_shows_log_line_code_and_definition() {
    let folder = tempfile::tempdir().unwrap();
    let dockerfile = "FROM base\nCOPY . .\nRUN npm ci\n";
    std::fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
    let failure = BuildFailure {
        message: "process \"/bin/sh -c npm ci\" did not complete successfully".into(),
        dockerfile: Some("Dockerfile".into()),
        line: Some(3),
        step: Some("[3/3] RUN npm ci".into()),
        exit_code: Some(127),
        log: "\u{1b}[31m/bin/sh: npm: not found\u{1b}[0m".into(),
        definition: Some("deploy/build.js:2:3".into()),
        help: Some("install npm in the image".into()),
    };
    let mut human = Human::new(Verbosity::Normal, false);
    human.set_root(folder.path().to_owned());
    let events = [
        EventKind::BuildFailed { image: "web:latest".into(), failure },
        EventKind::ImageSkipped { image: "api:latest".into(), because: Some("web:latest".into()) },
        EventKind::ImageSkipped { image: "doc:latest".into(), because: None },
        EventKind::BuildCancelled { image: "sub:latest".into() },
        EventKind::RunFinished {
            summary: Summary { failed: 1, skipped: 2, cancelled: 1, ..Summary::default() },
        },
    ];
    assert_data_eq!(
        read(&mut human, &events),
        str![[r#"
      Failed web:latest
------
 > [3/3] RUN npm ci:
/bin/sh: npm: not found
------
error[build-failed]: `web:latest` could not be built: process "/bin/sh -c npm ci" did not complete successfully
 --> Dockerfile:3:1
  |
3 | RUN npm ci
  | ^^^^^^^^^^
  |
  = note: the step `[3/3] RUN npm ci` failed with exit code 127
          the image is defined at deploy/build.js:2:3
  = help: install npm in the image

     Skipped api:latest because web:latest failed
     Skipped doc:latest because the run stopped before it
   Cancelled sub:latest
    Finished 0 built, 0 fresh, 1 failed, 2 skipped, 1 cancelled in 0.00s, 0 B sent

"#]]
    );
}

#[test]
fn foreign_text_cannot_reach_the_terminal() {
    let mut human = Human::new(Verbosity::Verbose, false);
    let image = "web\u{1b}[2J".to_owned();
    let step = "x\u{1b}]0;t\u{7}".to_owned();
    let failure = BuildFailure { message: step.clone(), log: step.clone(), ..Default::default() };
    let events = [
        EventKind::BuildStarted { image: image.clone() },
        EventKind::BuildStep { image: image.clone(), step, state: StepState::Started },
        EventKind::BuildFailed { image, failure },
    ];
    let text = read(&mut human, &events);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}
