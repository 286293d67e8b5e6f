//! Against a real engine, named by `AILTIRE_TEST_DOCKER_HOST`.

mod support;

use ailtire_docker::BuildError;
use ailtire_events::{EventKind, NullSink, StepState};
use support::{Project, Recorder, engine, expected_files, image_files};

#[tokio::test]
async fn connecting_and_listing_take_two_requests() {
    let engine = engine().await;
    engine.images().await.unwrap();
    assert_eq!(engine.requests(), 2);
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

#[tokio::test]
async fn a_failing_step_is_reported_whole() {
    let engine = engine().await;
    let project =
        Project::with_shell("RUN /bin/busybox true\nRUN echo one; \\\n  echo two; exit 3\n");
    let Err(BuildError::Failed(failure)) = project.build(&engine).await else { panic!() };
    assert_eq!(failure.exit_code, Some(3));
    assert_eq!(failure.line, Some(5));
    assert_eq!(failure.log, "one\ntwo\n");
    assert!(failure.step.as_ref().unwrap().contains("RUN echo one;"), "{failure:?}");
    let _ = (NullSink, StepState::Cached);
}
