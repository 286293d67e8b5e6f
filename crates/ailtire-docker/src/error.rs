//! What can go wrong between us and an engine.

/// Why something could not be done with an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Nothing answers there.
    #[error("no Docker engine answers at `{endpoint}`: {why}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// What was observed.
        why: String,
    },
    /// Something is there that this user may not use.
    #[error("no permission to use the Docker engine at `{endpoint}`")]
    Permission {
        /// Where it is.
        endpoint: String,
    },
    /// What says where the engine is can't be used.
    #[error("{message}")]
    BadEndpoint {
        /// What is wrong with it.
        message: String,
        /// What to do next.
        help: String,
    },
    /// The connection broke while it was used.
    #[error("the Docker engine at `{endpoint}` went away: {why}")]
    Lost {
        /// Where it was.
        endpoint: String,
        /// What was observed.
        why: String,
    },
    /// The engine's disk is full.
    #[error("the Docker engine has no space left: {message}")]
    NoSpace {
        /// What the engine said.
        message: String,
    },
    /// The engine refused a request.
    #[error("the Docker engine refused the request ({status}): {message}")]
    Api {
        /// HTTP status code.
        status: u16,
        /// What the engine said.
        message: String,
    },
    /// A registry refused what the engine asked of it.
    #[error("the registry `{registry}` does not let `{reference}` be read: {message}")]
    RegistryDenied {
        /// The image.
        reference: String,
        /// The registry.
        registry: String,
        /// What it said.
        message: String,
    },
    /// A registry did not answer the engine.
    #[error("the registry `{registry}` can't be reached by the Docker engine: {message}")]
    RegistryUnreachable {
        /// The registry.
        registry: String,
        /// What the engine said.
        message: String,
    },
    /// A registry refused an image.
    #[error("the registry `{registry}` does not let `{reference}` be pushed: {message}")]
    PushDenied {
        /// The image.
        reference: String,
        /// The registry.
        registry: String,
        /// What it said.
        message: String,
    },
    /// A registry is too busy, failed, or broke off: the same may go well in a while.
    #[error("the registry `{registry}` could not do what it was asked for: {message}")]
    RegistryBusy {
        /// The registry.
        registry: String,
        /// What was observed.
        message: String,
    },
    /// The engine's answer makes no sense to us.
    #[error("the answer of the Docker engine at `{endpoint}` could not be understood: {why}")]
    Protocol {
        /// Where it is.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
}

impl EngineError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Unreachable { endpoint, .. } if endpoint.starts_with("ssh://") => {
                "check that `ssh` reaches the host without asking and that `docker` is installed \
                 there"
                    .to_owned()
            }
            Self::Unreachable { .. } => "start the engine, or name another one with `DOCKER_HOST` \
                                         or `docker context use`"
                .to_owned(),
            Self::Permission { .. } => "add your user to the group that owns the socket (usually \
                                        `docker`) and log in again"
                .to_owned(),
            Self::BadEndpoint { help, .. } => help.clone(),
            Self::Lost { .. } => {
                "see the engine's own log; images that were finished before stay".to_owned()
            }
            Self::NoSpace { .. } => {
                "`docker system df` shows what uses the space, `docker builder \
                                     prune` frees the build cache"
                    .to_owned()
            }
            Self::RegistryDenied { registry, .. } => {
                format!("`docker login {registry}`, and check the image's name")
            }
            Self::PushDenied { registry, .. } => format!(
                "`docker login {registry}` as somebody who may push there, and check the name in \
                 `--repo`"
            ),
            Self::RegistryBusy { .. } => {
                "run the same command again: what the registry has by then is not sent again"
                    .to_owned()
            }
            Self::RegistryUnreachable { registry, message } => unreachable_help(registry, message),
            Self::Api { .. } | Self::Protocol { .. } => {
                "see the engine's own log, and `docker version`".to_owned()
            }
        }
    }

    /// The error that an engine's `message` with this `status` stands for.
    pub(crate) fn from_api(status: u16, message: String) -> Self {
        if is_no_space(&message) {
            Self::NoSpace { message }
        } else {
            Self::Api { status, message }
        }
    }
}

fn unreachable_help(registry: &str, message: &str) -> String {
    let message = message.to_ascii_lowercase();
    if message.contains("server gave http response") {
        return format!(
            "it speaks plain HTTP: add `{registry}` to `insecure-registries` in the engine's \
             `daemon.json`, or give the registry a certificate"
        );
    }
    if message.contains("x509") || message.contains("certificate") {
        return format!(
            "if the certificate is right, put the authority that signed it into \
             `/etc/docker/certs.d/{registry}/ca.crt` on the engine's machine"
        );
    }
    "check the registry's name and that the engine's machine reaches it".to_owned()
}

/// Whether an engine's message means that its disk is full.
pub(crate) fn is_no_space(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}

/// An error with all that it says of its causes, `: ` between them, no part said twice.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// The first error of type `E` in the chain of causes that begins at `error`.
pub(crate) fn find_cause<'error, E: std::error::Error + 'static>(
    error: &'error (dyn std::error::Error + 'static),
) -> Option<&'error E> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognised_and_says_what_to_do() {
        let error = EngineError::from_api(500, "write /x: no space left on device".to_owned());
        assert!(matches!(error, EngineError::NoSpace { .. }));
        assert!(error.help().contains("docker builder prune"));
        assert!(matches!(EngineError::from_api(404, "x".to_owned()), EngineError::Api { .. }));
    }

    #[test]
    fn causes_are_said_once() {
        let inner = std::io::Error::other("connection refused");
        let outer = std::io::Error::other(inner);
        assert_eq!(with_causes(&outer), "connection refused");
    }
}
