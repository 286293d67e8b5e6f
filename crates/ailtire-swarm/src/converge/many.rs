//! Waiting for several services at once.

use std::collections::BTreeSet;

use ailtire_docker::Engine;
use ailtire_events::{EventSink, ServiceState, TaskCounts};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::{Converged, Monitor, Progress, Wait, WaitError, WaitOptions};
use crate::undo::ServiceName;

/// A service that was changed, and is waited for.
pub(crate) struct Awaited {
    pub(crate) name: ServiceName,
    pub(crate) id: String,
    /// Tasks that were there before it was changed.
    pub(crate) before: BTreeSet<String>,
    /// Whether all of its tasks are replaced.
    pub(crate) replaced: bool,
}

/// How the waiting for one of them ended.
pub(crate) enum Waited {
    Ended(Result<Converged, WaitError>),
    /// It was cancelled; how far the service was, as far as is known.
    Interrupted(Option<(ServiceState, TaskCounts)>),
}

/// Waits for all, also where some fail, unless it is cancelled. `tell` is told of each end when it
/// comes.
pub(crate) async fn wait_for_all(
    engine: &Engine,
    services: &[Awaited],
    options: WaitOptions,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
    tell: impl Fn(&Awaited, &Result<Converged, WaitError>),
) -> Vec<Waited> {
    let monitor = Monitor::new(engine.clone());
    let mut ends: Vec<Option<Result<Converged, WaitError>>> = vec![None; services.len()];
    let progress: Vec<Progress> = services.iter().map(|_| Progress::default()).collect();
    let all = async {
        let waits = services.iter().zip(&progress).enumerate();
        let waits = waits.map(|(index, (service, progress))| {
            let wait = Wait {
                monitor: &monitor,
                sink,
                stack: &service.name.stack,
                service: &service.name.short,
                id: &service.id,
                before: service.before.clone(),
                changed: true,
                replaced: service.replaced,
                must_complete: false,
                options,
                progress,
            };
            async move { (index, wait.run().await) }
        });
        let mut waits: FuturesUnordered<_> = waits.collect();
        while let Some((index, end)) = waits.next().await {
            tell(&services[index], &end);
            ends[index] = Some(end);
        }
    };
    tokio::select! {
        () = all => {}
        () = monitor.run() => {}
        () = cancel.cancelled() => {}
    }
    let ends = ends.into_iter().zip(progress);
    ends.map(|(end, progress)| match end {
        Some(end) => Waited::Ended(end),
        None => Waited::Interrupted(progress.last()),
    })
    .collect()
}
