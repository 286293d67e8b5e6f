//! Who asks.

/// What a registry may be shown. No `Debug`: it must not reach a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User; empty where there is none.
    pub user: String,
    /// Password of the user.
    pub password: String,
    /// A token that is exchanged for others, instead of a password.
    pub identity_token: String,
    /// A token that goes to the registry as it is.
    pub registry_token: String,
}
