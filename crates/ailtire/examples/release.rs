//! A release of one's own: `cargo run --example release -- fixtures/myapp registry.example/team`.

use ailtire::{
    BuildOptions, Bump, CancellationToken, EndpointOptions, Engine, EventKind, EventSink,
    OpenOptions, ReleaseOptions, ReleaseRun, release,
};

/// Tells what is done.
struct Steps;

impl EventSink for Steps {
    #[allow(clippy::print_stdout, reason = "it is an example's way to tell")]
    fn emit(&self, kind: EventKind) {
        if let EventKind::Release { step } = kind {
            println!("{step:?}");
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("which application?")?.into();
    let open = OpenOptions { directory, repository: arguments.next(), ..OpenOptions::default() };
    let options = ReleaseOptions {
        bump: Bump::Patch,
        tag_prefix: "v".to_owned(),
        remote: None,
        push_commit: true,
        push_images: true,
    };
    let engine =
        Engine::connect(&EndpointOptions::from_environment(&std::env::vars().collect())).await?;
    let (build, cancel) = (BuildOptions::default(), CancellationToken::new());
    let run = ReleaseRun { open: &open, build, engine: &engine, sink: &Steps, cancel: &cancel };
    let released = release(&options, run).await?;
    released.is_complete.then_some(()).ok_or_else(|| "not released".into())
}
