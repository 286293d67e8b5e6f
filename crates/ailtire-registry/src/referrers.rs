//! What is attached to manifests: artifacts that name one as their subject.
//!
//! A registry that knows of it (version 1.1 of the distribution protocol) lists them. For all others
//! the writers keep an index under a tag that follows from the digest. No registry promises to
//! change a tag only if nobody else did meanwhile, so a writer looks again after writing, and
//! writes again where its entry is gone. One that another writer removes after that look is lost:
//! whoever reads finds less than there was, never something else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::client::{Ask, Client, Manifest, accepted, protocol};
use crate::digest::sha256;
use crate::error::RegistryError;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The configuration of an artifact that has none.
const NOTHING: &[u8] = b"{}";
/// Content up to here is in the manifest itself too, so that one request reads both.
const EMBEDDED: usize = 16 * 1024;
/// How many pages of a list are read.
const PAGES: usize = 32;
/// How often an index is written that others write too.
const ATTEMPTS: usize = 8;

/// What names a blob or a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind it is of.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// What an artifact is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What an artifact says of itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The bytes themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// Something to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What it is.
    pub artifact_type: String,
    /// What its content is.
    pub media_type: String,
    /// Its content.
    pub content: Bytes,
    /// What is said of it where it is listed.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    subject: Descriptor,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: String,
    manifests: Vec<Descriptor>,
}

impl Client {
    /// The artifacts of the type `artifact_type` that are attached to the manifest with `digest`.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked, or what it lists makes no
    /// sense.
    pub async fn referrers(
        &self,
        registry: &str,
        repository: &str,
        digest: &str,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("artifactType", artifact_type);
        let path = format!("/v2/{repository}/referrers/{digest}?{}", query.finish());
        let ask = |path| Ask { method: Method::GET, path, repository, content: None };
        let known = self.lists_referrers(registry);
        let mut first = None;
        let lists = known.get_or_try_init(|| async {
            let answer = self.ask(registry, &ask(path.clone())).await?;
            let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let lists = answer.status.is_success() && kind.is_some_and(|it| it.starts_with(INDEX));
            if !lists && matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                return accepted(registry, repository, answer).map(|_| false);
            }
            first = lists.then_some(answer);
            Ok(lists)
        });
        let mut found = Vec::new();
        if *lists.await? {
            let mut next = Some(path);
            for _ in 0..PAGES {
                let Some(path) = next else { break };
                let answer = match first.take() {
                    Some(answer) => answer,
                    None => self.ask(registry, &ask(path)).await?,
                };
                let answer = accepted(registry, repository, answer)?;
                found.extend(entries(registry, &answer.body)?);
                next = next_page(&answer.headers);
            }
            if next.is_some() {
                let why = format!("what is attached to `{digest}` has more than {PAGES} pages");
                return Err(protocol(registry, why));
            }
        } else if let Some(index) = self.manifest(registry, repository, &tag_of(digest)).await? {
            found = entries(registry, &index.bytes)?;
        }
        // Neither an index nor every registry leaves out what is of another type.
        found.retain(|listed| listed.artifact_type.as_deref() == Some(artifact_type));
        Ok(found)
    }

    /// The content of the artifact that `listed` names, if it is attached to the manifest with
    /// the digest `subject`, and what it is. `None` where the registry does not have it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked; where it has something
    /// else, or more than `most` bytes.
    pub async fn attached(
        &self,
        registry: &str,
        repository: &str,
        subject: &str,
        listed: &Descriptor,
        most: u64,
    ) -> Result<Option<(String, Bytes)>, RegistryError> {
        let wrong = |why: &str| protocol(registry, format!("`{}` {why}", listed.digest));
        if !listed.digest.starts_with("sha256:") {
            return Err(wrong("is no digest"));
        }
        let Some(manifest) = self.manifest(registry, repository, &listed.digest).await? else {
            return Ok(None);
        };
        let written: Written = serde_json::from_slice(&manifest.bytes)
            .map_err(|_| wrong("is nothing that is attached"))?;
        if written.subject.digest != subject {
            return Err(wrong("is attached to another image"));
        }
        let [layer] = &written.layers[..] else { return Err(wrong("has not one content")) };
        if layer.size > most {
            return Err(wrong("is too large"));
        }
        let kind = layer.media_type.clone();
        if let Some(data) = &layer.data {
            let content = STANDARD
                .decode(data)
                .ok()
                .filter(|it| it.len() as u64 == layer.size && sha256(it) == layer.digest);
            let content = content.ok_or_else(|| wrong("has another content than it names"))?;
            return Ok(Some((kind, content.into())));
        }
        let content = self.blob(registry, repository, &layer.digest, most).await?;
        Ok(content.map(|content| (kind, content)))
    }

    /// Attaches `artifacts` to `subject`. What is attached already is left alone.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry refuses or can't be asked, or where others keep
    /// removing what is attached.
    pub async fn attach(
        &self,
        registry: &str,
        repository: &str,
        subject: &Manifest,
        artifacts: &[Artifact],
    ) -> Result<(), RegistryError> {
        let mut unlisted = Vec::new();
        for artifact in artifacts {
            let content = artifact.content.clone();
            self.put_blob(registry, repository, NOTHING).await?;
            self.put_blob(registry, repository, content).await?;
            let (manifest, listed) = manifest_of(subject, artifact);
            let is_listed =
                self.put_referrer(registry, repository, &manifest.digest, &manifest).await?;
            if !is_listed {
                unlisted.push(listed);
            }
        }
        if unlisted.is_empty() {
            return Ok(());
        }
        self.list(registry, repository, &subject.digest, &unlisted).await
    }

    /// Sees to it that the index of what is attached to `digest` has `wanted`.
    async fn list(
        &self,
        registry: &str,
        repository: &str,
        digest: &str,
        wanted: &[Descriptor],
    ) -> Result<(), RegistryError> {
        let tag = tag_of(digest);
        let mut dangling = false;
        for _ in 0..ATTEMPTS {
            let index = self.manifest(registry, repository, &tag).await?;
            // What is no index is of no use to anybody.
            let index = index.and_then(|index| entries(registry, &index.bytes).ok());
            let mut listed = index.unwrap_or_default();
            let is_there = |it: &Descriptor| listed.iter().any(|other| other.digest == it.digest);
            let missing: Vec<_> = wanted.iter().filter(|it| !is_there(it)).cloned().collect();
            if missing.is_empty() {
                return Ok(());
            }
            if dangling {
                listed = self.present(registry, repository, listed).await?;
            }
            listed.extend(missing);
            let index =
                Index { schema_version: 2, media_type: INDEX.to_owned(), manifests: listed };
            let index = manifest(INDEX, &index);
            match self.put_manifest(registry, repository, &tag, &index).await {
                // A registry may refuse an index that names what is not there any more.
                Err(RegistryError::Refused { .. }) if !dangling => dangling = true,
                other => other?,
            }
        }
        Err(protocol(registry, format!("others keep changing what is attached to `{digest}`")))
    }

    /// Those of `listed` that are there.
    async fn present(
        &self,
        registry: &str,
        repository: &str,
        listed: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let mut present = Vec::new();
        for entry in listed {
            if self.manifest_digest(registry, repository, &entry.digest).await?.is_some() {
                present.push(entry);
            }
        }
        Ok(present)
    }
}

/// Where a list goes on: what the header `Link` calls `next`.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let mut links = values.flat_map(|value| value.split('<').skip(1));
    let link = links.find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let mut parameters = parameters.split([';', ',']).map(str::trim);
        let is_next = |it: &str| matches!(it, "rel=\"next\"" | "rel=next");
        parameters.any(is_next).then_some(target)
    });
    link.map(str::to_owned)
}

/// The tag of the index of what is attached to `digest`.
fn tag_of(digest: &str) -> String {
    digest.replace(':', "-")
}

fn entries(registry: &str, index: &[u8]) -> Result<Vec<Descriptor>, RegistryError> {
    let index: Index = serde_json::from_slice(index)
        .map_err(|_| protocol(registry, "what is attached is in no index".to_owned()))?;
    Ok(index.manifests)
}

fn descriptor(media_type: &str, content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: sha256(content),
        size: content.len() as u64,
        artifact_type: None,
        annotations: BTreeMap::new(),
        data: (content.len() <= EMBEDDED).then(|| STANDARD.encode(content)),
    }
}

fn manifest(media_type: &str, content: &impl Serialize) -> Manifest {
    // Strings, numbers and maps of strings always have a form in JSON.
    let bytes = serde_json::to_vec(content).unwrap_or_default();
    Manifest { digest: sha256(&bytes), media_type: media_type.to_owned(), bytes: bytes.into() }
}

/// An artifact as a manifest, and as it is listed.
fn manifest_of(subject: &Manifest, artifact: &Artifact) -> (Manifest, Descriptor) {
    let written = Written {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: artifact.artifact_type.clone(),
        config: descriptor(EMPTY, NOTHING),
        layers: vec![descriptor(&artifact.media_type, &artifact.content)],
        subject: Descriptor { data: None, ..descriptor(&subject.media_type, &subject.bytes) },
        annotations: artifact.annotations.clone(),
    };
    let manifest = manifest(MANIFEST, &written);
    let listed = Descriptor {
        artifact_type: Some(artifact.artifact_type.clone()),
        annotations: artifact.annotations.clone(),
        data: None,
        ..descriptor(MANIFEST, &manifest.bytes)
    };
    (manifest, listed)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_list_goes_on_where_its_link_says() {
        let next = |link: &'static str| {
            next_page(&HeaderMap::from_iter([(LINK, HeaderValue::from_static(link))]))
        };
        assert_eq!(next("</v2/a?n=1,2>; rel=\"next\""), Some("/v2/a?n=1,2".to_owned()));
        assert_eq!(next("</b>; rel=prev, </c>; title=x; rel=next"), Some("/c".to_owned()));
        assert_eq!(next("</b>; rel=\"prev\""), None);
        assert_eq!(next("rel=\"next\""), None);
        assert_eq!(next_page(&HeaderMap::new()), None);
    }
}
