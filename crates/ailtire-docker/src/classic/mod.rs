//! Builds with the classic builder, for engines without BuildKit: the context goes as one tar
//! stream, made while it is sent.

mod output;
mod tar_body;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ailtire_events::{BuildFailure, EventSink};
use ailtire_terms::reference::registry;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder};
use futures_util::StreamExt;

use crate::config_file::ConfigFile;
use crate::dockerfile_lines::{line_in_message, line_of_number, needs_buildkit};
use crate::error::is_no_space;
use crate::progress::Reporter;
use crate::{BuildError, BuildRequest, BuiltImage, Engine, EngineError, credentials};
use output::Output;
use tar_body::TarBody;

/// How often the number of bytes sent is told.
const BYTES_INTERVAL: Duration = Duration::from_millis(100);

/// Builds an image; dropping the future breaks the request off, and the engine gives up.
pub(crate) async fn build(
    engine: &Engine,
    config: &ConfigFile,
    request: &BuildRequest,
    sink: &dyn EventSink,
) -> Result<BuiltImage, BuildError> {
    check(request)?;
    let credentials = base_credentials(config, request).await;
    let mut body = TarBody::new(request);
    let mut reporter = Reporter::new(&request.image, sink);
    let mut output = Output::default();
    let stream = body.take_stream().map(bollard::body_try_stream);
    let mut news = engine.docker().build_image(options(request), Some(credentials), stream);
    let mut tick = tokio::time::interval(BYTES_INTERVAL);
    let ended = loop {
        tokio::select! {
            biased;
            Some(trouble) = body.trouble.recv() => return Err(trouble.into()),
            item = news.next() => match item {
                Some(Ok(info)) => output.take(info, &reporter),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            },
            _ = tick.tick() => reporter.bytes(body.sent.load(Ordering::Relaxed)),
        }
    };
    let bytes_sent = body.sent.load(Ordering::Relaxed);
    reporter.bytes(bytes_sent);
    if let Ok(trouble) = body.trouble.try_recv() {
        return Err(trouble.into());
    }
    output.end(ended.is_ok(), &reporter);
    if let Err(error) = ended {
        return Err(failure(engine, request, &output, error));
    }
    let (steps_cached, steps_total) = output.counts();
    let image_id = output.into_image_id().ok_or_else(|| EngineError::Protocol {
        endpoint: engine.describe(),
        why: "the build gave no image id".to_owned(),
    })?;
    // Only now: a build that broke off must not have moved a reference.
    for reference in &request.references {
        engine.tag(&image_id, reference).await?;
    }
    Ok(BuiltImage { image_id, bytes_sent, steps_cached, steps_total })
}

/// An error for what only BuildKit can do.
fn check(request: &BuildRequest) -> Result<(), BuildError> {
    let needed = if !request.secrets.is_empty() {
        Some("a build secret".to_owned())
    } else if request.platforms.len() > 1 {
        Some("an image for several platforms".to_owned())
    } else {
        needs_buildkit(&request.context.dockerfile.text).map(|(what, line)| {
            format!("{what} in line {line} of `{}`", request.context.dockerfile.source)
        })
    };
    needed.map_or(Ok(()), |what| Err(BuildError::NeedsBuildKit { what }))
}

fn options(request: &BuildRequest) -> BuildImageOptions {
    let arguments: HashMap<String, String> = request.build_arguments.clone().into_iter().collect();
    let labels: HashMap<String, String> = request.labels.clone().into_iter().collect();
    let mut options = BuildImageOptionsBuilder::new()
        .dockerfile(&tar_body::dockerfile_name(request))
        .nocache(request.no_cache)
        .rm(true)
        .forcerm(true)
        .buildargs(&arguments)
        .labels(&labels);
    if let Some(target) = &request.target {
        options = options.target(target);
    }
    if let Some(platform) = request.platforms.first() {
        options = options.platform(platform);
    }
    options.build()
}

/// Credentials for the registries of the images that the Dockerfile names.
async fn base_credentials(
    config: &ConfigFile,
    request: &BuildRequest,
) -> HashMap<String, DockerCredentials> {
    let mut found = HashMap::new();
    for base in &request.context.dockerfile.bases {
        let registry = registry(&base.reference);
        if let Some(credentials) = credentials::look_up(config, registry).await {
            found.insert(
                credentials::key_of(registry).to_owned(),
                crate::credentials::for_engine(credentials, registry),
            );
        }
    }
    found
}

fn failure(engine: &Engine, request: &BuildRequest, output: &Output, error: Error) -> BuildError {
    let message = match error {
        Error::DockerStreamError { error } => error,
        // What a Dockerfile that can't be read gets.
        Error::DockerResponseServerError { status_code: 400..500, message } => message,
        other => return engine.error(other).into(),
    };
    if is_no_space(&message) {
        return EngineError::NoSpace { message }.into();
    }
    let dockerfile = &request.context.dockerfile.text;
    let step = output.current();
    BuildError::Failed(Box::new(BuildFailure {
        line: step
            .and_then(|step| line_of_number(dockerfile, step.number))
            .or_else(|| line_in_message(&message)),
        step: step.map(|step| step.name.clone()),
        exit_code: message
            .rsplit_once("non-zero code: ")
            .and_then(|(_, code)| code.trim().parse().ok()),
        log: step.map(|step| step.log.clone()).unwrap_or_default(),
        message,
        ..BuildFailure::default()
    }))
}
