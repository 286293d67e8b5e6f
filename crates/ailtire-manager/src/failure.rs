//! Why something could not be done, for the log, the status and the interface.

use ailtire_docker::EngineError;
use ailtire_events::Diagnostic;
use ailtire_swarm::ApplyError;
use http::StatusCode;
use serde_json::{Value, json};

/// Why something could not be done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The design, or what it would change, is wrong.
    Findings(Vec<Diagnostic>),
    /// The engine refused or could not be asked.
    Engine(EngineError),
    /// Something else.
    Text(String),
}

impl Failure {
    /// One line for people.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Findings(findings) => {
                let first = findings.iter().find(|finding| finding.is_error());
                let more = findings.iter().filter(|finding| finding.is_error()).count();
                match first.or_else(|| findings.first()) {
                    Some(finding) if more > 1 => {
                        format!("{} (and {} more)", finding.message, more - 1)
                    }
                    Some(finding) => finding.message.clone(),
                    None => "it was refused".to_owned(),
                }
            }
            Self::Engine(error) => error.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(findings: Vec<Diagnostic>) -> Self {
        Self::Findings(findings)
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(findings) => Self::Findings(findings),
            ApplyError::Engine(error) => Self::Engine(error),
            other => Self::Text(other.to_string()),
        }
    }
}

/// What the interface answers where it refuses.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    pub(crate) hint: String,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status, error: error.into(), hint: hint.into(), diagnostics: Vec::new() }
    }

    pub(crate) fn json(&self) -> Value {
        let mut body = json!({
            "api": crate::report::API_VERSION, "error": self.error, "hint": self.hint
        });
        if !self.diagnostics.is_empty() {
            body["diagnostics"] = json!(self.diagnostics);
        }
        body
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let error = failure.message();
        match failure {
            Failure::Findings(diagnostics) => {
                let help = diagnostics.iter().find_map(|finding| finding.help.clone());
                let hint = help.unwrap_or_else(|| "see `diagnostics`".to_owned());
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self { status, error, hint, diagnostics }
            }
            Failure::Engine(engine) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error, engine.help())
            }
            Failure::Text(_) => {
                Self::new(StatusCode::CONFLICT, error, "the manager's log may say more")
            }
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        Failure::Engine(error).into()
    }
}
