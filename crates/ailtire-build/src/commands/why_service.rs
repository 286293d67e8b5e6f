//! `why` for a service: from what its tasks run back to the image, its fingerprint and the file
//! that changed.

use std::fmt::Write as _;

use ailtire::swarm::status::ServiceStatus;
use ailtire::swarm::{Deed, Entry, History};
use ailtire::{Application, Engine};
use ailtire_events::FieldChange;
use serde::Serialize;

use super::DATA_VERSION;
use crate::error::Failure;
use crate::printer::style::{STRONG, styled};
use crate::printer::words::{self, short_digest};

/// What a service runs, and since when.
#[derive(Debug, Serialize)]
pub(super) struct ServiceAnswer {
    version: u32,
    service: String,
    /// Reference of its image, as the design has it.
    pub(super) image: String,
    /// What really runs: a digest or an id.
    runs: String,
    /// Fingerprint of the image that runs.
    pub(super) fingerprint: Option<String>,
    /// The deployment that changed it last; absent where the history does not know.
    changed: Option<Changed>,
}

#[derive(Debug, Serialize)]
struct Changed {
    deployment: u64,
    /// Milliseconds since the Unix epoch.
    at: u64,
    by: String,
    what: Deed,
    application_version: Option<String>,
    /// Why; empty where it was made then.
    reasons: Vec<FieldChange>,
}

impl ServiceAnswer {
    /// Looks at a service, and for it in the history.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where the engine can't be asked.
    pub(super) async fn find(
        application: &Application,
        engine: &Engine,
        service: ServiceStatus,
    ) -> Result<Self, Failure> {
        let history = History::read(engine, &application.identity()).await?;
        let changed = history.entries().iter().rev().find_map(|entry| {
            let reasons = entry.changes.get(&service.full_name)?;
            Some(changed(entry, reasons))
        });
        Ok(Self {
            version: DATA_VERSION,
            service: service.full_name,
            image: service.image,
            runs: service.runs,
            fingerprint: service.fingerprint,
            changed,
        })
    }

    pub(super) fn text(&self, now: u64) -> String {
        let mut text = format!(
            "{} runs {} ({})\n",
            styled(STRONG, &self.service),
            words::printable(&self.image),
            short_digest(self.fingerprint.as_deref().unwrap_or(&self.runs)),
        );
        let Some(changed) = &self.changed else { return text };
        let what = match changed.what {
            Deed::Deploy => String::new(),
            Deed::Rollback { to } => format!(", which went back to {to}"),
        };
        let version = changed.application_version.as_ref();
        let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "  since deployment {}{what}, {} by {}{}",
            changed.deployment,
            words::ago(now.saturating_sub(changed.at)),
            words::printable(&changed.by),
            words::printable(&version),
        );
        if changed.reasons.is_empty() {
            text.push_str("    because it was not there before\n");
        }
        for reason in &changed.reasons {
            let _ = writeln!(text, "    because {}", words::printable(&reason.to_string()));
        }
        text
    }
}

fn changed(entry: &Entry, reasons: &[FieldChange]) -> Changed {
    Changed {
        deployment: entry.number,
        at: entry.at,
        by: entry.by.clone(),
        what: entry.what,
        application_version: entry.desired.version.clone(),
        reasons: reasons.to_vec(),
    }
}
