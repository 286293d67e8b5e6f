//! How a design has its stack's manager speak TLS: by the names of two secrets.

use crate::{Port, StackDesign};

/// The port on which a manager that has a certificate speaks TLS.
pub const TLS_PORT: u16 = 3443;

/// The secret with the certificate chain, in PEM form.
pub const TLS_CERTIFICATE: &str = "ailtire-tls-certificate";

/// The secret with the private key that belongs to it, in PEM form.
pub const TLS_KEY: &str = "ailtire-tls-key";

/// The port of web servers that speak TLS.
const HTTPS: u16 = 443;

impl StackDesign {
    /// Whether the stack's manager has a certificate, where the stack is the root.
    pub fn has_certificate(&self) -> bool {
        [TLS_CERTIFICATE, TLS_KEY].iter().all(|secret| self.secrets.contains_key(*secret))
    }
}

impl Port {
    /// Whether the port, one of a root stack, is one at which its manager speaks TLS. Designs lead
    /// all their ports to one and the same, so the number that browsers take for TLS counts, too.
    pub fn is_tls(&self, has_certificate: bool) -> bool {
        self.target == TLS_PORT || has_certificate && self.published == Some(HTTPS)
    }
}
