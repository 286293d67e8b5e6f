//! What can go wrong between us and a registry.

/// Why a registry did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nothing usable answers there.
    #[error("the registry `{registry}` can't be reached: {why}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What was observed.
        why: String,
    },
    /// Its certificate is not signed by anybody who is trusted.
    #[error("the certificate of the registry `{registry}` is not trusted: {why}")]
    Certificate {
        /// The registry.
        registry: String,
        /// What is wrong with it.
        why: String,
    },
    /// It wants other credentials.
    #[error("the registry `{registry}` does not let `{repository}` be used: {message}")]
    Denied {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// What it said.
        message: String,
    },
    /// It is too busy, failed, or broke off, also when it was asked again.
    #[error("the registry `{registry}` could not do what it was asked for: {why}")]
    Busy {
        /// The registry.
        registry: String,
        /// What was observed.
        why: String,
    },
    /// It refused.
    #[error("the registry `{registry}` refused the request ({status}): {message}")]
    Refused {
        /// The registry.
        registry: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// Its answer makes no sense.
    #[error("the answer of the registry `{registry}` could not be understood: {why}")]
    Protocol {
        /// The registry.
        registry: String,
        /// What is wrong with it.
        why: String,
    },
}

impl RegistryError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Unreachable { .. } => {
                "check the registry's name, and that this machine reaches it".to_owned()
            }
            Self::Certificate { registry, .. } => format!(
                "if it is right, put the authority that signed it into \
                 `/etc/docker/certs.d/{registry}/ca.crt`, or name it in `SSL_CERT_FILE`"
            ),
            Self::Denied { registry, .. } => {
                format!("`docker login {registry}`, and check the name in `--repo`")
            }
            Self::Busy { .. } => "run the same command again later".to_owned(),
            Self::Refused { .. } | Self::Protocol { .. } => "see the registry's own log".to_owned(),
        }
    }

    /// Whether the registry as a whole can't be used, so that asking for more is of no use.
    pub fn is_registrys(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Certificate { .. } | Self::Busy { .. })
    }
}
