//! Builds through BuildKit: a session that serves files, secrets and credentials, and the calls
//! that build and tell the progress.

mod failure;
mod filesync;
mod selection;
mod services;
mod session;
mod solve;
mod steps;

use std::time::Duration;

use ailtire_context::ContentError;
use ailtire_events::EventSink;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{
    SolveRequest, SolveResponse, StatusRequest, StatusResponse,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use crate::build_error::BuildError;
use crate::config_file::ConfigFile;
use crate::error::is_no_space;
use crate::http_client::HttpClient;
use crate::progress::Reporter;
use crate::{BuildRequest, BuiltImage, EngineError};
use session::Session;
use steps::Steps;

/// How often the number of bytes sent is told.
const BYTES_INTERVAL: Duration = Duration::from_millis(100);
/// How long the engine may take to tell the rest of the progress after the result.
const REST_OF_STATUS: Duration = Duration::from_secs(5);
/// Progress comes in one message for all vertexes; logs can be long.
const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;

/// Builds an image; dropping the future drops session and call, and the engine gives up.
pub(crate) async fn build(
    http: &HttpClient,
    config: &ConfigFile,
    request: &BuildRequest,
    sink: &dyn EventSink,
) -> Result<BuiltImage, BuildError> {
    let (mut session, trouble) = Session::start(http, config, request).await?;
    let control = control_client(http).await?;
    let mut build = Build {
        http,
        request,
        session: &mut session,
        trouble,
        steps: Steps::default(),
        reporter: Reporter::new(&request.image, sink),
    };
    let outcome = build.run(control).await;
    build.finish(outcome)
}

/// A client on a connection of its own.
async fn control_client(http: &HttpClient) -> Result<ControlClient<Channel>, EngineError> {
    let mut hijacked = Some(http.hijack("/grpc", &[]).await?);
    let connector = tower::service_fn(move |_| {
        // Once: a build can't go on with another connection.
        let connection = hijacked.take();
        async move { connection.ok_or_else(|| std::io::Error::other("the connection broke")) }
    });
    let channel = Endpoint::from_static("http://docker")
        .connect_with_connector(connector)
        .await
        .map_err(|error| http.lost(&error))?;
    Ok(ControlClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT))
}

/// One build while it runs.
struct Build<'build> {
    http: &'build HttpClient,
    request: &'build BuildRequest,
    session: &'build mut Session,
    trouble: UnboundedReceiver<ContentError>,
    steps: Steps,
    reporter: Reporter<'build>,
}

/// How the call to the engine ended.
enum Outcome {
    Answered(Box<Result<SolveResponse, Status>>),
    Trouble(ContentError),
}

impl Build<'_> {
    async fn run(&mut self, control: ControlClient<Channel>) -> Outcome {
        // In what an image says of its layers, engines leave out those that came from another image
        // in the same build, and nobody could take them over from there. Of layers that it has, an
        // engine leaves out none: it fetches them first.
        if !self.request.cache_from.is_empty() {
            let fetch = solve::fetch(self.request, self.session.id());
            match self.solve(control.clone(), fetch).await {
                Outcome::Answered(answer) if answer.is_ok() => {}
                failed => return failed,
            }
        }
        let solve = solve::request(self.request, self.session.id());
        self.solve(control, solve).await
    }

    async fn solve(&mut self, control: ControlClient<Channel>, solve: SolveRequest) -> Outcome {
        let reference = solve.r#ref.clone();
        let mut solving = {
            let mut control = control.clone();
            Box::pin(async move { control.solve(solve).await })
        };
        let mut opening = {
            let mut control = control.clone();
            Box::pin(async move { control.status(StatusRequest { r#ref: reference }).await })
        };
        let mut status: Option<Streaming<StatusResponse>> = None;
        let mut opened = false;
        let mut tick = tokio::time::interval(BYTES_INTERVAL);
        let answer = loop {
            tokio::select! {
                biased;
                Some(trouble) = self.trouble.recv() => return Outcome::Trouble(trouble),
                answer = &mut solving => break answer,
                answer = &mut opening, if !opened => {
                    opened = true;
                    status = answer.ok().map(tonic::Response::into_inner);
                }
                news = next(&mut status), if status.is_some() => self.take_news(news, &mut status),
                _ = tick.tick() => self.reporter.bytes(self.session.bytes_sent()),
            }
        };
        if answer.as_ref().err().is_none_or(|error| !is_broken(error)) {
            self.take_rest(opening, opened, status).await;
        }
        Outcome::Answered(Box::new(answer.map(tonic::Response::into_inner)))
    }

    fn take_news(
        &mut self,
        news: Option<StatusResponse>,
        status: &mut Option<Streaming<StatusResponse>>,
    ) {
        match news {
            Some(news) => self.steps.update(news, &self.reporter),
            None => *status = None,
        }
    }

    /// What the engine still has to tell: the log of the failed step may be behind the result.
    async fn take_rest(
        &mut self,
        opening: impl Future<Output = Result<tonic::Response<Streaming<StatusResponse>>, Status>>,
        opened: bool,
        mut status: Option<Streaming<StatusResponse>>,
    ) {
        let rest = async {
            if !opened {
                status = opening.await.ok().map(tonic::Response::into_inner);
            }
            while status.is_some() {
                let news = next(&mut status).await;
                self.take_news(news, &mut status);
            }
        };
        // An engine that says no more than this has said what matters.
        let _ = tokio::time::timeout(REST_OF_STATUS, rest).await;
    }

    fn finish(mut self, outcome: Outcome) -> Result<BuiltImage, BuildError> {
        let bytes_sent = self.session.bytes_sent();
        self.reporter.bytes(bytes_sent);
        // Whatever the engine made of it: what it was sent was not what the context says.
        if let Ok(trouble) = self.trouble.try_recv() {
            return Err(trouble.into());
        }
        let answer = match outcome {
            Outcome::Trouble(trouble) => return Err(trouble.into()),
            Outcome::Answered(answer) => *answer,
        };
        let response = answer.map_err(|status| self.error(&status))?;
        let image_id = solve::image_id(&response)
            .ok_or_else(|| self.http.protocol("the build gave no image id"))?;
        let (steps_cached, steps_total) = self.steps.counts();
        Ok(BuiltImage { image_id, bytes_sent, steps_cached, steps_total })
    }

    fn error(&self, status: &Status) -> BuildError {
        if is_broken(status) {
            return self.http.lost(status).into();
        }
        if is_no_space(status.message()) {
            let message = failure::plain_message(status.message());
            return EngineError::NoSpace { message }.into();
        }
        if status.code() == Code::Cancelled {
            return BuildError::Cancelled;
        }
        let dockerfile = &self.request.context.dockerfile.text;
        BuildError::Failed(Box::new(failure::failure(status, &self.steps, dockerfile)))
    }
}

/// The next message, `None` at the end, however that came.
async fn next(status: &mut Option<Streaming<StatusResponse>>) -> Option<StatusResponse> {
    status.as_mut()?.message().await.ok().flatten()
}

/// Whether the connection broke, as opposed to the engine having answered with an error.
fn is_broken(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}
