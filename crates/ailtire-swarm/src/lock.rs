//! One deployment of an application at a time, whatever machine it is made from.
//!
//! The lock is a swarm config of a fixed name: the swarm makes only one of them. Its owner renews it
//! with a number that counts up; one that was not renewed for [`STALE`], by the clock of whoever
//! waits, was left by a run that was killed, and is taken away.

use std::collections::BTreeMap;
use std::time::Duration;

use ailtire_compose::{FILE_NAME_LIMIT, shorten};
use ailtire_docker::{Engine, EngineError};
use ailtire_events::{EventKind, EventSink};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::Identity;
use crate::calls::{self, Created};
use crate::observe::ObservedFile;
use crate::spec::ConfigSpec;

/// How often the owner renews the lock.
const BEAT: Duration = Duration::from_secs(4);

/// A lock that was not renewed for so long belongs to nobody.
const STALE: Duration = Duration::from_secs(20);

/// How often a lock that somebody else has is looked at.
const LOOK: Duration = Duration::from_secs(1);

const HOLDER: &str = "org.ailtire.lock.holder";
const BEATS: &str = "org.ailtire.lock.beats";

/// The right to change an application's stacks; [`DeploymentLock::release`] gives it back.
pub struct DeploymentLock {
    engine: Engine,
    id: String,
    lost: CancellationToken,
    beating: JoinHandle<()>,
}

impl DeploymentLock {
    /// Whether somebody deploys the application.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn is_held(engine: &Engine, identity: &Identity) -> Result<bool, EngineError> {
        Ok(find(engine, &lock_name(identity)).await?.is_some())
    }

    /// Waits until nobody else deploys the application, and keeps everybody else from it.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off.
    pub async fn take(
        engine: &Engine,
        identity: &Identity,
        holder: &str,
        sink: &dyn EventSink,
    ) -> Result<Self, EngineError> {
        let spec = spec(identity, holder);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen: Option<(String, u64, Instant)> = None;
        loop {
            looks.tick().await;
            match engine.post("/configs/create").body(&spec).json::<Created>().await {
                Ok(Created { id }) => return Ok(Self::hold(engine.clone(), id, spec)),
                Err(EngineError::Api { status: 409, .. }) => {}
                Err(error) => return Err(error),
            }
            let Some(held) = find(engine, &spec.name).await? else { continue };
            let beat = (held.id, held.version);
            match &seen {
                Some((id, version, since)) if (id, *version) == (&beat.0, beat.1) => {
                    if since.elapsed() > STALE {
                        calls::remove_config(engine, &beat.0).await?;
                        seen = None;
                    }
                }
                before => {
                    if before.as_ref().is_none_or(|(id, ..)| *id != beat.0) {
                        let holder = held.labels.get(HOLDER).cloned().unwrap_or_default();
                        sink.emit(EventKind::WaitingForDeployment { holder });
                    }
                    seen = Some((beat.0, beat.1, Instant::now()));
                }
            }
        }
    }

    fn hold(engine: Engine, id: String, spec: ConfigSpec) -> Self {
        let lost = CancellationToken::new();
        let beating = tokio::spawn(beat(engine.clone(), id.clone(), spec, lost.clone()));
        Self { engine, id, lost, beating }
    }

    /// Cancelled where somebody else took the lock away, because this machine slept or lost the
    /// engine for too long: nothing more may be changed then.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses or breaks off; the lock then ends by itself.
    pub async fn release(self) -> Result<(), EngineError> {
        self.beating.abort();
        calls::remove_config(&self.engine, &self.id).await
    }
}

impl Drop for DeploymentLock {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

fn lock_name(identity: &Identity) -> String {
    shorten(&format!("{}.lock", identity.root), FILE_NAME_LIMIT)
}

fn spec(identity: &Identity, holder: &str) -> ConfigSpec {
    let mut labels: BTreeMap<String, String> = identity.labels().into();
    labels.insert(HOLDER.to_owned(), holder.to_owned());
    labels.insert(BEATS.to_owned(), "0".to_owned());
    ConfigSpec {
        name: lock_name(identity),
        labels,
        // Swarm takes no empty config.
        data: STANDARD.encode("lock"),
        ..ConfigSpec::default()
    }
}

/// Renews the lock until it is lost. Trouble with the engine is not told here: whoever deploys meets
/// it as well.
async fn beat(engine: Engine, id: String, mut spec: ConfigSpec, lost: CancellationToken) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats.tick().await;
    for number in 1_u64.. {
        beats.tick().await;
        let held: Result<ObservedFile, _> = engine.get(format!("/configs/{id}")).json().await;
        let version = match held {
            Ok(held) => held.version,
            Err(EngineError::Api { status: 404, .. }) => return lost.cancel(),
            Err(_) => continue,
        };
        spec.labels.insert(BEATS.to_owned(), number.to_string());
        let update = engine.post(format!("/configs/{id}/update")).query("version", &version);
        // A renewal that fails is made up for by the next one.
        let _ = update.body(&spec).done().await;
    }
}

async fn find(engine: &Engine, name: &str) -> Result<Option<ObservedFile>, EngineError> {
    let found: Vec<ObservedFile> = engine.get("/configs").filter("name", name).json().await?;
    // The engine's filter takes beginnings of names too.
    Ok(found.into_iter().find(|held| held.name == name))
}
