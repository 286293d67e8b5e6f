//! The requests.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ailtire_connect::Credentials;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::auth::{self, Challenge, bearer};
use crate::connect::{ConnectError, Connector, host_of, is_loopback};
use crate::digest::sha256;
use crate::error::RegistryError;

/// Answers that are longer are not read.
const LONGEST: usize = 32 * 1024 * 1024;
/// How often something is asked that a registry was too busy for.
const ATTEMPTS: u32 = 3;
/// How long it waits before it asks again, the first time; four times as long the time after.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest that a registry may have it wait.
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// What manifests are taken: of images, and of images for several platforms.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json";
/// The domain of references to Docker Hub, and the host that answers for it.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// How to speak to registries.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Folders that hold, in a folder for each registry, the authorities (`*.crt`) that signed its
    /// certificate. Those of the system count always.
    pub certificates: Vec<PathBuf>,
    /// Registries, or their hosts, that may speak plain HTTP; those of this machine always may.
    pub insecure: HashSet<String>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            certificates: vec![PathBuf::from("/etc/docker/certs.d")],
            insecure: HashSet::new(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
        }
    }
}

/// A manifest, as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its digest, worked out from the bytes.
    pub digest: String,
    /// What kind of manifest it is.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// Speaks to registries. Clones share connections, and what is known of the registries.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: ClientOptions,
    connector: Connector,
    http: legacy::Client<Connector, Full<Bytes>>,
    credentials: HashMap<String, Credentials>,
    registries: Mutex<HashMap<String, Once<Known>>>,
    tokens: Mutex<Tokens>,
    /// Which registries list what is attached to a manifest.
    referrers: Mutex<HashMap<String, Arc<OnceCell<bool>>>>,
    requests: AtomicU64,
}

/// What is found out once, also that it can't be: nobody waits for a registry that is down again.
type Once<T> = Arc<OnceCell<Result<T, RegistryError>>>;

/// Headers by registry and what they are good for there.
type Tokens = HashMap<(String, String), Once<Option<HeaderValue>>>;

/// What is known of a registry.
#[derive(Debug, Clone)]
struct Known {
    /// `https://registry.example`.
    base: String,
    challenge: Challenge,
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: String,
}

/// What is asked for.
pub(crate) struct Ask<'ask> {
    pub(crate) method: Method,
    /// Everything behind the registry, or a whole address.
    pub(crate) path: String,
    pub(crate) repository: &'ask str,
    pub(crate) content: Option<(&'ask str, Bytes)>,
}

impl Client {
    /// A client that shows each registry what `credentials` has for it.
    pub fn new(options: ClientOptions, credentials: HashMap<String, Credentials>) -> Self {
        let connector = Connector {
            certificates: Arc::new(options.certificates.clone()),
            timeout: options.connect_timeout,
        };
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector.clone());
        let inner = Inner {
            options,
            connector,
            http,
            credentials,
            registries: Mutex::default(),
            tokens: Mutex::default(),
            referrers: Mutex::default(),
            requests: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Requests that were made so far.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// The digest of the manifest that `reference`, a tag or a digest, names in `repository`;
    /// `None` where there is none, or where the registry does not say.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked.
    pub async fn manifest_digest(
        &self,
        registry: &str,
        repository: &str,
        reference: &str,
    ) -> Result<Option<String>, RegistryError> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let ask = Ask { method: Method::HEAD, path, repository, content: None };
        let answer = self.ask(registry, &ask).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = accepted(registry, repository, answer)?;
        let digest = answer.headers.get("docker-content-digest");
        Ok(digest.and_then(|digest| digest.to_str().ok()).map(str::to_owned))
    }

    /// The manifest that `reference`, a tag or a digest, names in `repository`; `None` where there
    /// is none.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked, or where what it has is not
    /// what the digest says.
    pub async fn manifest(
        &self,
        registry: &str,
        repository: &str,
        reference: &str,
    ) -> Result<Option<Manifest>, RegistryError> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let ask = Ask { method: Method::GET, path, repository, content: None };
        let answer = self.ask(registry, &ask).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = accepted(registry, repository, answer)?;
        let digest = sha256(&answer.body);
        if reference.starts_with("sha256:") && reference != digest {
            let why = format!("the manifest `{reference}` has the digest `{digest}`");
            return Err(protocol(registry, why));
        }
        let media_type = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        Ok(Some(Manifest { digest, media_type, bytes: answer.body }))
    }

    /// Has `reference`, a tag or a digest, name `manifest` in `repository`.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked.
    pub async fn put_manifest(
        &self,
        registry: &str,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        self.put_referrer(registry, repository, reference, manifest).await.map(drop)
    }

    /// As [`Client::put_manifest`]; whether the registry lists it for the subject that it names.
    pub(crate) async fn put_referrer(
        &self,
        registry: &str,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<bool, RegistryError> {
        let content = Some((&*manifest.media_type, manifest.bytes.clone()));
        let path = format!("/v2/{repository}/manifests/{reference}");
        let ask = Ask { method: Method::PUT, path, repository, content };
        let answer = accepted(registry, repository, self.ask(registry, &ask).await?)?;
        Ok(answer.headers.contains_key("oci-subject"))
    }

    /// Whether `registry` lists what is attached to a manifest, found out by who asks first.
    pub(crate) fn lists_referrers(&self, registry: &str) -> Arc<OnceCell<bool>> {
        let known = self.inner.referrers.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(registry.to_owned()).or_default())
    }

    /// The blob with `digest`; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked, or where what it has is not
    /// what the digest says, or longer than `most` bytes.
    pub async fn blob(
        &self,
        registry: &str,
        repository: &str,
        digest: &str,
        most: u64,
    ) -> Result<Option<Bytes>, RegistryError> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let ask = Ask { method: Method::GET, path, repository, content: None };
        let answer = self.ask(registry, &ask).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = accepted(registry, repository, answer)?.body;
        if body.len() as u64 > most || sha256(&body) != digest {
            return Err(protocol(
                registry,
                format!("the blob `{digest}` is not what it is called"),
            ));
        }
        Ok(Some(body))
    }

    /// Sees to it that `repository` has a blob of some kilobytes.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked.
    pub async fn put_blob(
        &self,
        registry: &str,
        repository: &str,
        content: impl Into<Bytes>,
    ) -> Result<(), RegistryError> {
        let content = content.into();
        let digest = sha256(&content);
        let ask = |method, path, content| Ask { method, path, repository, content };
        let path = format!("/v2/{repository}/blobs/{digest}");
        let there = self.ask(registry, &ask(Method::HEAD, path, None)).await?;
        if there.status.is_success() {
            return Ok(());
        }
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = self.ask(registry, &ask(Method::POST, path, None)).await?;
        let begun = accepted(registry, repository, begun)?;
        let location = begun.headers.get(LOCATION).and_then(|place| place.to_str().ok());
        let Some(location) = location else {
            return Err(protocol(registry, "an upload has no place to go to".to_owned()));
        };
        let mark = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{mark}digest={digest}");
        let content = Some(("application/octet-stream", content));
        let done = self.ask(registry, &ask(Method::PUT, path, content)).await?;
        accepted(registry, repository, done).map(drop)
    }

    /// Asks, with what the registry wants to be shown; again, if it is too busy.
    pub(crate) async fn ask(&self, registry: &str, ask: &Ask<'_>) -> Result<Answer, RegistryError> {
        let known = self.known(registry).await?;
        let uri = if ask.path.starts_with('/') {
            format!("{}{}", known.base, ask.path)
        } else if ask.path.strip_prefix(&known.base).is_some_and(|rest| rest.starts_with('/')) {
            ask.path.clone()
        } else {
            // What it is shown is for nobody else.
            let why = "it sends its clients to another host".to_owned();
            return Err(protocol(registry, why));
        };
        let shown = self.shown(registry, &known, ask).await?;
        self.patiently(registry, || {
            let mut request = Request::builder().method(ask.method.clone()).uri(&uri);
            request = request.header(ACCEPT, MANIFESTS);
            if let Some(shown) = &shown {
                request = request.header(AUTHORIZATION, shown.clone());
            }
            let mut body = Bytes::new();
            if let Some((kind, content)) = &ask.content {
                request = request.header(CONTENT_TYPE, *kind);
                body = content.clone();
            }
            request.body(Full::new(body)).map_err(|error| protocol(registry, error.to_string()))
        })
        .await
    }

    /// What is known of a registry, found out by the first request to it.
    async fn known(&self, registry: &str) -> Result<Known, RegistryError> {
        let cell = {
            let registries = self.inner.registries.lock();
            let mut registries = registries.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(registries.entry(registry.to_owned()).or_default())
        };
        let known = cell.get_or_init(|| async {
            let authority = if registry == HUB.0 { HUB.1 } else { registry };
            let insecure = &self.inner.options.insecure;
            let may_be_plain = is_loopback(authority)
                || insecure.contains(authority)
                || insecure.contains(host_of(authority));
            let speaks_tls = !may_be_plain
                || self
                    .inner
                    .connector
                    .speaks_tls(authority)
                    .await
                    .map_err(|error| connect_error(registry, &error))?;
            let scheme = if speaks_tls { "https" } else { "http" };
            let base = format!("{scheme}://{authority}");
            let answer = self.patiently(registry, || {
                let request = Request::get(format!("{base}/v2/")).body(Full::default());
                request.map_err(|error| protocol(registry, error.to_string()))
            });
            let answer = answer.await?;
            let challenge = match answer.status {
                StatusCode::UNAUTHORIZED => {
                    Challenge::of(answer.headers.get_all(WWW_AUTHENTICATE).iter())
                        .ok_or_else(|| protocol(registry, "it asks for nothing known".to_owned()))?
                }
                StatusCode::NOT_FOUND => {
                    return Err(protocol(registry, "it is no registry".to_owned()));
                }
                _ => Challenge::Nothing,
            };
            Ok(Known { base, challenge })
        });
        known.await.clone()
    }

    /// What a registry is shown with a request.
    async fn shown(
        &self,
        registry: &str,
        known: &Known,
        ask: &Ask<'_>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let credentials = self.inner.credentials.get(registry);
        let Challenge::Bearer { realm, service } = &known.challenge else {
            let is_basic = known.challenge == Challenge::Basic;
            return Ok(credentials.filter(|_| is_basic).and_then(auth::basic));
        };
        if let Some(credentials) = credentials
            && !credentials.registry_token.is_empty()
        {
            return Ok(bearer(&credentials.registry_token));
        }
        let repository = ask.repository;
        // Who may only read is not refused for what it does not do.
        let actions = if ask.method.is_safe() { "pull" } else { "pull,push" };
        let scope = format!("repository:{repository}:{actions}");
        let cell = {
            let mut tokens = self.inner.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tokens.entry((registry.to_owned(), scope.clone())).or_default())
        };
        let token = cell.get_or_init(|| async {
            let request =
                || token_request(registry, realm, service.as_deref(), &scope, credentials);
            let answer = accepted(registry, repository, self.patiently(registry, request).await?)?;
            let token: Token = serde_json::from_slice(&answer.body)
                .map_err(|error| protocol(registry, error.to_string()))?;
            Ok(bearer(&token.token))
        });
        token.await.clone()
    }

    /// Asks again what a registry was too busy for, a few times.
    async fn patiently(
        &self,
        registry: &str,
        request: impl Fn() -> Result<Request<Full<Bytes>>, RegistryError>,
    ) -> Result<Answer, RegistryError> {
        let mut delay = FIRST_DELAY;
        for attempt in 1.. {
            let (why, wait) = match self.once(registry, request()?).await {
                Ok(answer) if is_busy(answer.status) => {
                    (answer.status.to_string(), retry_after(&answer.headers))
                }
                Err(RegistryError::Busy { why, .. }) => (why, None),
                other => return other,
            };
            if attempt == ATTEMPTS {
                return Err(RegistryError::Busy { registry: registry.to_owned(), why });
            }
            let wait = wait.unwrap_or(delay).min(LONGEST_DELAY);
            // The time itself is what is waited for.
            let _ = tokio::time::timeout(wait, std::future::pending::<()>()).await;
            delay *= 4;
        }
        unreachable!("the last attempt returns")
    }

    async fn once(
        &self,
        registry: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, RegistryError> {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
        let busy = |why: String| RegistryError::Busy { registry: registry.to_owned(), why };
        let exchange = async {
            let response =
                self.inner.http.request(request).await.map_err(
                    |error| match find_connect_error(&error) {
                        Some(error) => connect_error(registry, error),
                        None => busy(with_causes(&error)),
                    },
                )?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LONGEST).collect().await;
            let body = body.map_err(|error| {
                // It would be too long the next time, too.
                if error.is::<LengthLimitError>() {
                    protocol(registry, format!("it is longer than {LONGEST} bytes"))
                } else {
                    busy(error.to_string())
                }
            })?;
            let body = body.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        let answered = tokio::time::timeout(self.inner.options.timeout, exchange).await;
        answered.unwrap_or_else(|_| {
            let seconds = self.inner.options.timeout.as_secs_f32();
            let why = format!("no answer within {seconds} s");
            // Whoever is that slow is not waited for again.
            Err(RegistryError::Unreachable { registry: registry.to_owned(), why })
        })
    }
}

fn token_request(
    registry: &str,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    credentials: Option<&Credentials>,
) -> Result<Request<Full<Bytes>>, RegistryError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("scope", scope);
    if let Some(service) = service {
        form.append_pair("service", service);
    }
    let identity = credentials.filter(|it| !it.identity_token.is_empty());
    let request = if let Some(identity) = identity {
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", "ailtire-build");
        form.append_pair("refresh_token", &identity.identity_token);
        let request = Request::post(realm);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Full::new(form.finish().into()))
    } else {
        let mark = if realm.contains('?') { '&' } else { '?' };
        let mut request = Request::get(format!("{realm}{mark}{}", form.finish()));
        if let Some(basic) = credentials.and_then(auth::basic) {
            request = request.header(AUTHORIZATION, basic);
        }
        request.body(Full::default())
    };
    request.map_err(|error| protocol(registry, error.to_string()))
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

pub(crate) fn accepted(
    registry: &str,
    repository: &str,
    answer: Answer,
) -> Result<Answer, RegistryError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let registry = registry.to_owned();
    let message = message_of(&answer);
    Err(match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            RegistryError::Denied { registry, repository: repository.to_owned(), message }
        }
        status => RegistryError::Refused { registry, status: status.as_u16(), message },
    })
}

/// What a refusal says of itself.
fn message_of(answer: &Answer) -> String {
    let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let message = body.as_ref().and_then(|body| {
        let message = body.pointer("/errors/0/message").or_else(|| body.get("details"));
        message?.as_str()
    });
    message.map_or_else(|| answer.status.to_string(), str::to_owned)
}

pub(crate) fn protocol(registry: &str, why: String) -> RegistryError {
    RegistryError::Protocol { registry: registry.to_owned(), why }
}

fn connect_error(registry: &str, error: &ConnectError) -> RegistryError {
    let (registry, why) = (registry.to_owned(), error.to_string());
    match error {
        ConnectError::Certificate(_) => RegistryError::Certificate { registry, why },
        ConnectError::Unreachable(_) | ConnectError::Plain => {
            RegistryError::Unreachable { registry, why }
        }
    }
}

fn find_connect_error(error: &legacy::Error) -> Option<&ConnectError> {
    let mut current = std::error::Error::source(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<ConnectError>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
