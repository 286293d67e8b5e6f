//! Brings the engine up to date with the application in the working directory, or in the one that
//! is named, and prints what happens: `cargo run --example build -- fixtures/myapp`.

use ailtire::{
    Access, Application, BuildOptions, CancellationToken, EndpointOptions, Engine, EventKind,
    EventSink, OpenOptions, PlanOptions,
};

struct Print;

impl EventSink for Print {
    #[allow(clippy::print_stdout, reason = "an example that shows what it is told")]
    fn emit(&self, kind: EventKind) {
        println!("{kind:?}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()).into();
    let options = OpenOptions { directory, access: Access::Write, ..OpenOptions::default() };
    let application = Application::open(&options, &Print)?;
    application.require_sound()?;
    let endpoint = EndpointOptions::from_environment(&std::env::vars().collect());
    let engine = Engine::connect(&endpoint).await?;
    let images = (0..application.definitions().images.len()).collect();
    let plan = PlanOptions { images, ..PlanOptions::default() };
    let build = BuildOptions { plan, ..BuildOptions::default() };
    application.build(&build, &engine, &Print, &CancellationToken::new()).await?;
    Ok(())
}
