//! One engine, and the short requests to it.

use std::sync::Arc;
use std::time::Duration;

use ailtire_events::{EventKind, EventSink};
use ailtire_terms::reference;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderMap, Request};

use crate::config_file::ConfigFile;
use crate::dial::Dial;
use crate::endpoint::{BuilderKind, EndpointOptions, resolve};
use crate::http_client::HttpClient;
use crate::images::ImageStore;
use crate::{EngineError, credentials};

/// A Docker engine that answered. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    http: HttpClient,
    docker: Docker,
    config: ConfigFile,
    buildkit: bool,
    version: ClientVersion,
}

/// Requests have no time limit of their own (a pull may take hours), but bollard wants one.
const NO_TIMEOUT: u64 = 10 * 365 * 24 * 3600;
/// The first version of the API with BuildKit.
const BUILDKIT_VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 39 };

impl Engine {
    /// Finds the engine and asks it once what it is.
    ///
    /// # Errors
    ///
    /// [`EngineError::BadEndpoint`] where the options name nothing usable; `Unreachable`,
    /// `Permission`, `Api` or `Protocol` where nothing usable answers in time.
    pub async fn connect(options: &EndpointOptions) -> Result<Self, EngineError> {
        let config = ConfigFile::load(options.config_directory.as_deref())?;
        let endpoint = resolve(options, &config)?;
        let http = HttpClient::new(Dial::new(endpoint, options)?);
        let headers = match tokio::time::timeout(options.connect_timeout, ping(&http)).await {
            Ok(headers) => headers?,
            Err(_) => return Err(http.dial().timed_out()),
        };
        let version = api_version(&headers);
        let buildkit = match options.builder {
            BuilderKind::Automatic => has_buildkit(&headers, version),
            BuilderKind::BuildKit => true,
            BuilderKind::Classic => false,
        };
        let docker = bollard_client(&http, version)?;
        Ok(Self { inner: Arc::new(Inner { http, docker, config, buildkit, version }) })
    }

    /// The endpoint as text, for messages.
    pub fn describe(&self) -> String {
        self.inner.http.dial().describe()
    }

    /// Whether builds go through BuildKit.
    pub fn has_buildkit(&self) -> bool {
        self.inner.buildkit
    }

    /// Version of the API that is spoken: major and minor number.
    pub fn api_version(&self) -> (usize, usize) {
        (self.inner.version.major_version, self.inner.version.minor_version)
    }

    /// HTTP requests that were made so far; one for each upgraded connection.
    pub fn requests(&self) -> u64 {
        self.inner.http.requests()
    }

    /// The images that the engine has, in one request: all but those without a reference that others
    /// are made from.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn images(&self) -> Result<ImageStore, EngineError> {
        // Without those that only others are made from, which take an engine most of the time.
        let options = ListImagesOptionsBuilder::new().all(false).build();
        let listed = self.inner.docker.list_images(Some(options)).await;
        Ok(ImageStore::from_summaries(listed.map_err(|error| self.error(error))?))
    }

    /// The layers of the image `image_id`, by the digests of what they hold, the lowest one first.
    ///
    /// # Errors
    ///
    /// [`EngineError::Api`] with status 404 where there is no such image.
    pub async fn layers(&self, image_id: &str) -> Result<Vec<String>, EngineError> {
        let inspected = self.inner.docker.inspect_image(image_id).await;
        let root = inspected.map_err(|error| self.error(error))?.root_fs;
        Ok(root.and_then(|root| root.layers).unwrap_or_default())
    }

    /// Gives the image `image_id` the reference `reference`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Api`] with status 404 where there is no such image.
    pub async fn tag(&self, image_id: &str, reference: &str) -> Result<(), EngineError> {
        let (name, tag) = reference::split_tag(reference);
        let options = TagImageOptionsBuilder::new().repo(name).tag(tag.unwrap_or("latest")).build();
        let tagged = self.inner.docker.tag_image(image_id, Some(options)).await;
        tagged.map_err(|error| self.error(error))
    }

    /// Removes a reference, or the image with an id if no container uses it.
    ///
    /// # Errors
    ///
    /// [`EngineError::Api`] with status 404 where there is no such image, 409 where it is used.
    pub async fn remove_image(&self, reference_or_id: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::new().build();
        let removed = self.inner.docker.remove_image(reference_or_id, Some(options), None).await;
        removed.map(|_| ()).map_err(|error| self.error(error))
    }

    /// Makes the engine fetch an image, and returns its id.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the registry does not have it, refuses it, or can't be reached.
    pub async fn pull(
        &self,
        reference: &str,
        platform: Option<&str>,
        sink: &dyn EventSink,
    ) -> Result<String, EngineError> {
        sink.emit(EventKind::Pulling { reference: reference.to_owned() });
        let registry = reference::registry(reference);
        let credentials = credentials::look_up(&self.inner.config, registry)
            .await
            .map(|credentials| credentials::for_engine(credentials, registry));
        let canonical = reference::canonical(reference);
        let options = CreateImageOptionsBuilder::new()
            .from_image(&canonical)
            .platform(platform.unwrap_or_default())
            .build();
        let progress = self.inner.docker.create_image(Some(options), None, credentials);
        progress.try_for_each(|_| async { Ok(()) }).await.map_err(|error| self.error(error))?;
        let found = self.inner.docker.inspect_image(&canonical).await;
        let id = found.map_err(|error| self.error(error))?.id;
        id.ok_or_else(|| self.inner.http.protocol("an image has no id"))
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.inner.http
    }

    pub(crate) fn config(&self) -> &ConfigFile {
        &self.inner.config
    }

    #[cfg(feature = "build")]
    pub(crate) fn docker(&self) -> &Docker {
        &self.inner.docker
    }

    pub(crate) fn error(&self, error: bollard::errors::Error) -> EngineError {
        self.inner.http.engine_error(error)
    }
}

/// Asks what the engine is; the answer is in the headers.
async fn ping(http: &HttpClient) -> Result<HeaderMap, EngineError> {
    let request: Result<BollardRequest, _> =
        Request::get("http://docker/_ping").body(bollard::body_full(Bytes::new()));
    let request = request.map_err(|error| http.protocol(&error.to_string()))?;
    let response = http.request(request).await.map_err(|error| match http.lost(&error) {
        EngineError::Lost { endpoint, why } => EngineError::Unreachable { endpoint, why },
        known => known,
    })?;
    let (parts, body) = response.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.map_err(|error| http.lost(&error))?;
    if !parts.status.is_success() {
        let message = crate::http_client::api_message(&body.to_bytes());
        return Err(EngineError::from_api(parts.status.as_u16(), message));
    }
    Ok(parts.headers)
}

fn header<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
}

/// The newest version of the API that both sides know.
fn api_version(headers: &HeaderMap) -> ClientVersion {
    let ours = *API_DEFAULT_VERSION;
    let theirs = header(headers, "api-version").and_then(|text| {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse::<usize>().ok()?, minor.parse::<usize>().ok()?))
    });
    match theirs {
        Some(theirs) if theirs < (ours.major_version, ours.minor_version) => {
            ClientVersion { major_version: theirs.0, minor_version: theirs.1 }
        }
        _ => ours,
    }
}

/// Engines since 23 say which builder they prefer; those before have BuildKit and say nothing.
fn has_buildkit(headers: &HeaderMap, version: ClientVersion) -> bool {
    if let Some(builder) = header(headers, "builder-version") {
        return builder == "2";
    }
    let version = (version.major_version, version.minor_version);
    let first = (BUILDKIT_VERSION.major_version, BUILDKIT_VERSION.minor_version);
    // Podman speaks the same API without it.
    let podman = headers.contains_key("libpod-api-version");
    version >= first && !podman && header(headers, "ostype") != Some("windows")
}

fn bollard_client(http: &HttpClient, version: ClientVersion) -> Result<Docker, EngineError> {
    let client = http.clone();
    let transport = move |request: BollardRequest| {
        let client = client.clone();
        async move { client.request(request).await.map_err(bollard::errors::Error::from) }
    };
    Docker::connect_with_custom_transport(transport, Some("http://docker"), NO_TIMEOUT, &version)
        .map(|docker| docker.with_timeout(Duration::from_secs(NO_TIMEOUT)))
        .map_err(|error| http.engine_error(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            })
            .collect()
    }

    fn buildkit(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = headers(pairs);
        has_buildkit(&headers, api_version(&headers))
    }

    #[test]
    fn buildkit_is_used_where_it_is() {
        assert!(buildkit(&[("api-version", "1.45"), ("builder-version", "2")]));
        assert!(buildkit(&[("api-version", "1.41"), ("ostype", "linux")]));
        assert!(buildkit(&[("api-version", "1.41"), ("builder-version", "")]));
        assert!(!buildkit(&[("api-version", "1.41"), ("builder-version", "1")]));
        assert!(!buildkit(&[("api-version", "1.38")]));
        assert!(!buildkit(&[("api-version", "1.41"), ("libpod-api-version", "4.3.1")]));
        assert!(!buildkit(&[("api-version", "1.41"), ("ostype", "windows")]));
    }

    #[test]
    fn the_older_side_decides_the_version() {
        let version = api_version(&headers(&[("api-version", "1.41")]));
        assert_eq!((version.major_version, version.minor_version), (1, 41));
        let version = api_version(&headers(&[("api-version", "9.9")]));
        assert_eq!(version.minor_version, API_DEFAULT_VERSION.minor_version);
    }
}
