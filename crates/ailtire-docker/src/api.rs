//! The engine's API as it is: JSON in, JSON out.
//!
//! For what generated models would lose fields of. A request is put together with [`Engine::get`],
//! [`Engine::post`] or [`Engine::delete`], and answered by [`ApiRequest::json`],
//! [`ApiRequest::done`] or one of the streams of [`crate::stream`].

use std::collections::BTreeMap;

use bollard::BollardRequest;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http_client::api_message;
use crate::{Engine, EngineError};

/// A request to the engine's API that was not made yet.
#[must_use = "nothing is asked before `json`, `done` or a stream"]
pub struct ApiRequest<'engine> {
    engine: &'engine Engine,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    filters: BTreeMap<String, Vec<String>>,
    body: Option<Result<Vec<u8>, String>>,
    registry_auth: Option<String>,
}

impl Engine {
    /// A request that reads. `path` begins with a slash and has no version.
    pub fn get(&self, path: impl Into<String>) -> ApiRequest<'_> {
        ApiRequest::new(self, Method::GET, path.into())
    }

    /// A request that makes or changes something.
    pub fn post(&self, path: impl Into<String>) -> ApiRequest<'_> {
        ApiRequest::new(self, Method::POST, path.into())
    }

    /// A request that removes something.
    pub fn delete(&self, path: impl Into<String>) -> ApiRequest<'_> {
        ApiRequest::new(self, Method::DELETE, path.into())
    }

    /// Requests so far that may have changed something in the engine: all but those that read.
    pub fn mutating_requests(&self) -> u64 {
        self.http().mutating_requests()
    }
}

impl<'engine> ApiRequest<'engine> {
    fn new(engine: &'engine Engine, method: Method, path: String) -> Self {
        Self {
            engine,
            method,
            path,
            query: Vec::new(),
            filters: BTreeMap::new(),
            body: None,
            registry_auth: None,
        }
    }

    pub(crate) fn engine(&self) -> &'engine Engine {
        self.engine
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a value of a filter; values of one filter are alternatives, but for labels.
    pub fn filter(mut self, name: &str, value: impl Into<String>) -> Self {
        self.filters.entry(name.to_owned()).or_default().push(value.into());
        self
    }

    /// Gives the request a body.
    pub fn body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.body = Some(serde_json::to_vec(body).map_err(|error| error.to_string()));
        self
    }

    /// Sends credentials of a registry along, made by [`Engine::registry_auth`].
    pub fn registry_auth(mut self, header: Option<String>) -> Self {
        self.registry_auth = header;
        self
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses, breaks off, or answers something else.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, EngineError> {
        let engine = self.engine;
        let body = self.bytes().await?;
        serde_json::from_slice(&body).map_err(|error| engine.http().protocol(&error.to_string()))
    }

    /// Asks, and drops what the answer says.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn done(self) -> Result<(), EngineError> {
        self.bytes().await.map(drop)
    }

    async fn bytes(self) -> Result<Bytes, EngineError> {
        let engine = self.engine;
        let response = self.send().await?;
        let body = response.into_body().collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| engine.http().lost(&error))
    }

    /// Asks; the answer is a success whose body was not read yet.
    pub(crate) async fn send(self) -> Result<Response<Incoming>, EngineError> {
        let http = self.engine.http();
        let request = self.into_request()?;
        let response = http.request(request).await.map_err(|error| http.lost(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|error| http.lost(&error))?;
        Err(EngineError::from_api(status, api_message(&body.to_bytes())))
    }

    fn into_request(mut self) -> Result<BollardRequest, EngineError> {
        let protocol = |why: String| self.engine.http().protocol(&why);
        if !self.filters.is_empty() {
            let filters = serde_json::to_string(&self.filters);
            let filters = filters.map_err(|error| protocol(error.to_string()))?;
            self.query.push(("filters".to_owned(), filters));
        }
        let (major, minor) = self.engine.api_version();
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let uri = format!("http://docker/v{major}.{minor}{}{mark}{query}", self.path);
        let mut request = Request::builder().method(self.method).uri(uri);
        if let Some(header) = self.registry_auth {
            let header = HeaderValue::from_str(&header);
            let mut header = header.map_err(|error| protocol(error.to_string()))?;
            header.set_sensitive(true);
            request = request.header("x-registry-auth", header);
        }
        let body = match self.body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                body.map_err(protocol)?.into()
            }
        };
        request.body(bollard::body_full(body)).map_err(|error| protocol(error.to_string()))
    }
}
