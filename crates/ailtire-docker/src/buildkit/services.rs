//! What a session serves: health, files, secrets, credentials.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use ailtire_context::ContentError;
use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use hyper::body::Incoming;
use tokio::sync::mpsc::UnboundedSender;
use tonic::body::Body;
use tonic::{Request, Response, Status};
use tower::Service;

use super::filesync::FileSyncService;
use crate::config_file::ConfigFile;
use crate::credentials::{look_up, user_and_secret};
use crate::{BuildRequest, SecretValueSource};

/// All services of one session, told apart by the path of the call.
#[derive(Clone)]
pub(super) struct Services {
    health: HealthServer<Healthy>,
    files: FileSyncServer<FileSyncService>,
    secrets: SecretsServer<SecretsService>,
    auth: AuthServer<AuthService>,
}

impl Services {
    pub(super) fn new(
        config: &ConfigFile,
        request: &BuildRequest,
        trouble: UnboundedSender<ContentError>,
    ) -> Self {
        Self {
            health: HealthServer::new(Healthy),
            files: FileSyncServer::new(FileSyncService::new(request, trouble)),
            secrets: SecretsServer::new(SecretsService(request.secrets.clone())),
            auth: AuthServer::new(AuthService(config.clone())),
        }
    }
}

impl Service<http::Request<Incoming>> for Services {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        let service = request.uri().path().split('/').nth(1).unwrap_or_default();
        match service {
            "grpc.health.v1.Health" => self.health.call(request),
            "moby.filesync.v1.FileSync" => self.files.call(request),
            "moby.buildkit.secrets.v1.Secrets" => self.secrets.call(request),
            "moby.filesync.v1.Auth" => self.auth.call(request),
            _ => Box::pin(async { Ok(Status::unimplemented("no such service").into_http()) }),
        }
    }
}

/// Always well.
struct Healthy;

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(
        &self,
        _request: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("list"))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watch"))
    }
}

/// Secrets of one build, read when they are asked for.
struct SecretsService(BTreeMap<String, SecretValueSource>);

#[tonic::async_trait]
impl Secrets for SecretsService {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let source = self.0.get(&id).cloned();
        let source =
            source.ok_or_else(|| Status::not_found(format!("the build has no secret `{id}`")))?;
        let read = tokio::task::spawn_blocking(move || source.read()).await;
        let data = read
            .map_err(|_| Status::internal("reading stopped"))?
            .map_err(|why| Status::not_found(format!("the secret `{id}` can't be read: {why}")))?;
        Ok(Response::new(GetSecretResponse { data }))
    }
}

/// Credentials of Docker's configuration.
struct AuthService(ConfigFile);

#[tonic::async_trait]
impl Auth for AuthService {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let found = look_up(&self.0, &request.into_inner().host).await;
        let (username, secret) = user_and_secret(found.unwrap_or_default());
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    // Without these the engine fetches tokens itself, with the credentials.

    async fn fetch_token(
        &self,
        _request: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("fetch token"))
    }

    async fn get_token_authority(
        &self,
        _request: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("get token authority"))
    }

    async fn verify_token_authority(
        &self,
        _request: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("verify token authority"))
    }
}
