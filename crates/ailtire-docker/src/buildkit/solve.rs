//! The call that builds.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::{
    CacheOptions, CacheOptionsEntry, SolveRequest, SolveResponse,
};

use super::filesync::DOCKERFILE_NAME;
use super::session::unique_id;
use crate::BuildRequest;

/// The frontend that reads Dockerfiles.
const FRONTEND: &str = "dockerfile.v0";
/// The exporter that puts the image into the engine's own store.
const EXPORTER: &str = "moby";

/// The call that has the engine run the steps of `request`, or take them over from images in
/// registries, and makes no image.
pub(super) fn fetch(request: &BuildRequest, session: &str) -> SolveRequest {
    let mut call = self::request(request, session);
    call.frontend_attrs.insert("cache-from".to_owned(), request.cache_from.join(","));
    call.exporter_deprecated.clear();
    call.exporter_attrs_deprecated.clear();
    call.cache = None;
    call
}

/// The call for `request`, with the files of the session.
pub(super) fn request(request: &BuildRequest, session: &str) -> SolveRequest {
    let mut frontend = HashMap::from([("filename".to_owned(), DOCKERFILE_NAME.to_owned())]);
    if let Some(target) = &request.target {
        frontend.insert("target".to_owned(), target.clone());
    }
    if !request.platforms.is_empty() {
        frontend.insert("platform".to_owned(), request.platforms.join(","));
    }
    if request.no_cache {
        // Empty: every stage.
        frontend.insert("no-cache".to_owned(), String::new());
    }
    for (name, value) in &request.build_arguments {
        frontend.insert(format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &request.labels {
        frontend.insert(format!("label:{name}"), value.clone());
    }
    let mut exporter = HashMap::new();
    if !request.references.is_empty() {
        exporter.insert("name".to_owned(), request.references.join(","));
    }
    SolveRequest {
        r#ref: unique_id(),
        session: session.to_owned(),
        frontend: FRONTEND.to_owned(),
        frontend_attrs: frontend,
        exporter_deprecated: EXPORTER.to_owned(),
        exporter_attrs_deprecated: exporter,
        cache: Some(CacheOptions {
            exports: vec![CacheOptionsEntry { r#type: "inline".to_owned(), ..Default::default() }],
            ..CacheOptions::default()
        }),
        ..SolveRequest::default()
    }
}

/// The id of the image, as the engine lists it.
///
/// The image's digest is the id in both kinds of image store: in the engine's own it is the digest
/// of the configuration, in containerd's that of the manifest or index.
pub(super) fn image_id(response: &SolveResponse) -> Option<String> {
    ["containerimage.digest", "containerimage.config.digest"]
        .iter()
        .find_map(|key| response.exporter_response.get(*key))
        .filter(|id| !id.is_empty())
        .cloned()
}
