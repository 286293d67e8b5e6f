//! An application's own `cargo xtask release`: what a project does with the crate `ailtire` in its own
//! chores. `cargo xtask release-myapp` runs it on a copy of `fixtures/myapp`.

use ailtire::{
    BuildOptions, Bump, CancellationToken, EndpointOptions, Engine, EventKind, EventSink,
    OpenOptions, ReleaseOptions, ReleasePlan, ReleaseRun, release,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, repository, manager, number, more @ ..] = &arguments[..] else {
        return Err("usage: DIRECTORY REPOSITORY MANAGER patch|minor|major [--dry-run]".into());
    };
    let bump = match number.as_str() {
        "major" => Bump::Major,
        "minor" => Bump::Minor,
        _ => Bump::Patch,
    };
    let options = ReleaseOptions { bump, ..ReleaseOptions::default() };
    if more.iter().any(|argument| argument == "--dry-run") {
        return show(&ReleasePlan::new(directory.as_ref(), &options)?);
    }
    run(directory, repository, manager, &options).await
}

/// The ten lines.
async fn run(app: &str, repository: &str, manager: &str, options: &ReleaseOptions) -> Outcome {
    let repository = Some(repository.to_owned());
    let manager = Some(std::fs::read(manager)?.into());
    let open = OpenOptions { directory: app.into(), repository, manager, ..Default::default() };
    let endpoint = EndpointOptions::from_environment(&std::env::vars().collect());
    let engine = Engine::connect(&endpoint).await?;
    let (build, cancel) = (BuildOptions::default(), CancellationToken::new());
    let run = ReleaseRun { open: &open, build, engine: &engine, sink: &Steps, cancel: &cancel };
    let released = release(options, run).await?;
    released.is_complete.then_some(()).ok_or_else(|| "nothing was released".into())
}

/// Tells of what is done, as it is done.
struct Steps;

impl EventSink for Steps {
    #[allow(clippy::print_stdout, reason = "it is this program's way to tell")]
    fn emit(&self, kind: EventKind) {
        match kind {
            EventKind::Release { step } => println!("{step:?}"),
            EventKind::BuildFinished { image, .. } => println!("built {image}"),
            EventKind::BuildFailed { image, failure } => println!("{image}: {}", failure.message),
            EventKind::ImagePushed { reference, .. } => println!("pushed {reference}"),
            EventKind::Diagnostic { diagnostic } => println!("{}", diagnostic.message),
            _ => {}
        }
    }
}

#[allow(clippy::print_stdout, clippy::unnecessary_wraps, reason = "it is what a dry run is for")]
fn show(plan: &ReleasePlan) -> Outcome {
    println!("{} → {}, {} on {}\n{}", plan.old, plan.new, plan.tag, plan.branch, plan.changelog);
    Ok(())
}
