//! What goes when everything is as it is to be: what is not wanted any more.

use std::collections::BTreeSet;

use ailtire_docker::EngineError;
use ailtire_events::{EventKind, ObjectAction, ObjectKind};
use tokio::time::Instant;

use super::{Outcome, Run};
use crate::calls;
use crate::plan::Orphan;

impl Run<'_> {
    /// Removes orphans: services, then what they used. What can't be removed is warned about; the
    /// deployment itself is done.
    pub(super) async fn cleanup(&self, outcome: &mut Outcome) {
        let deadline = Instant::now() + self.options.wait.timeout;
        let orphans = || self.changes.orphans.iter().filter(|it| it.removed && !it.first);
        let services = || orphans().filter(|it| it.kind == ObjectKind::Service);
        outcome.summary.removed += self.changes.orphans.iter().filter(|it| it.first).count();
        let mut tasks = BTreeSet::new();
        for orphan in services() {
            match calls::remove_service(self.engine, &orphan.id).await {
                Ok(ended) => {
                    tasks.extend(ended);
                    outcome.summary.removed += 1;
                    self.removed(orphan);
                }
                Err(error) => self.not_removed(orphan, &error),
            }
        }
        // Only a network has to wait for what was on it.
        let others = || orphans().filter(|it| it.kind != ObjectKind::Service);
        if others().any(|orphan| orphan.kind == ObjectKind::Network)
            && let Err(error) = calls::wait_for_end(self.engine, &tasks, deadline).await
        {
            self.warn("not-removed", format!("waiting for removed tasks failed: {error}"));
        }
        for orphan in others() {
            if self.cancel.is_cancelled() {
                continue;
            }
            match calls::remove_object(self.engine, orphan.kind, &orphan.id, deadline).await {
                Ok(()) => self.removed(orphan),
                // Somebody else's service has it.
                Err(error) if calls::is_in_use(&error) && orphan.kind != ObjectKind::Network => {}
                Err(error) => self.not_removed(orphan, &error),
            }
        }
    }

    fn removed(&self, orphan: &Orphan) {
        let short = orphan.name.strip_prefix(&format!("{}_", orphan.namespace));
        let name = match orphan.kind {
            ObjectKind::Service => short.unwrap_or(&orphan.name),
            _ => &orphan.name,
        };
        self.sink.emit(EventKind::ObjectChanged {
            stack: orphan.path.clone(),
            kind: orphan.kind,
            name: name.to_owned(),
            action: ObjectAction::Removed,
            changes: Vec::new(),
        });
    }

    fn not_removed(&self, orphan: &Orphan, error: &EngineError) {
        let Orphan { kind, name, .. } = orphan;
        self.warn("not-removed", format!("the {kind} `{name}` could not be removed: {error}"));
    }
}
