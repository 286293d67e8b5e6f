//! What comes before the first build: what the engine has, bases fetched again, the plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use ailtire_docker::{Engine, EngineError, ImageStore};
use ailtire_events::{Diagnostic, EventKind, EventSink, Location};
use ailtire_fingerprint::Records;

use crate::plan::{Action, Plan, PlanOptions};
use crate::{Application, BuildOptions, Error};

/// What a run begins with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) records: Arc<Records>,
}

impl Application {
    /// Plans a run, and tells `sink` what is planned.
    ///
    /// # Errors
    ///
    /// [`Error`] where the engine, the state or the definitions can't be used, or a base could not
    /// be fetched.
    pub(crate) async fn prepare(
        &self,
        options: &BuildOptions,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<Prepared, Error> {
        let records = Arc::new(self.state.records(&engine.describe())?);
        if let Some(diagnostic) = records.damage() {
            sink.emit(EventKind::Diagnostic { diagnostic });
        }
        if let Some(lock) = &self.lock
            && let Err(source) = records.tidy(lock)
        {
            let path = self.state.path().to_owned();
            return Err(Error::Io { action: "write", path, source });
        }
        if options.pull {
            self.pull_bases(options, engine, sink).await?;
        }
        let store = engine.images().await?;
        let plan = self.plan_aside(options.plan.clone(), Arc::clone(&records), store).await?;
        announce(&plan, sink);
        Ok(Prepared { plan, records })
    }

    /// Plans where it does not keep the caller from being cancelled: files may take long to read.
    async fn plan_aside(
        &self,
        options: PlanOptions,
        records: Arc<Records>,
        store: ImageStore,
    ) -> Result<Plan, Error> {
        let application = self.clone();
        let planning = tokio::task::spawn_blocking(move || {
            let plan = application.plan(&options, &records, Some(&store));
            let plan = plan.map_err(Error::Definitions)?;
            application.save()?;
            Ok(plan)
        });
        planning.await.unwrap_or_else(|error| {
            let (path, source) = (self.root().to_owned(), std::io::Error::other(error));
            Err(Error::Io { action: "plan the images of", path, source })
        })
    }

    /// Fetches again every base from elsewhere that the selection needs.
    async fn pull_bases(
        &self,
        options: &BuildOptions,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<(), Error> {
        let graph = self.graph();
        let order =
            graph.in_order(&options.plan.images, &self.definitions).map_err(Error::Definitions)?;
        let mut external = BTreeMap::new();
        for dockerfile in order.iter().filter_map(|&image| graph.dockerfiles[image].as_ref().ok()) {
            for base in &dockerfile.bases {
                if graph.builder(&base.reference).is_none() {
                    external.entry((&base.reference, &base.platform)).or_insert((dockerfile, base));
                }
            }
        }
        let mut failed = Vec::new();
        for ((reference, platform), (dockerfile, base)) in external {
            match engine.pull(reference, platform.as_deref(), sink).await {
                Ok(_) => {}
                Err(EngineError::Api { message, .. }) => {
                    let source = &*dockerfile.source;
                    let location = Location::in_text(source, &dockerfile.text, base.line, None);
                    failed.push(not_fetched(reference, &message).at(location));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Error::Bases(failed)) }
    }
}

fn not_fetched(reference: &str, why: &str) -> Diagnostic {
    let message = format!("the base image `{reference}` could not be fetched: {}", why.trim());
    Diagnostic::error("base-not-fetched", message).help(
        "check its name, and that the engine reaches the registry (`docker login` where it wants \
         to know who asks); without `--pull` the engine uses what it has",
    )
}

/// Tells what the plan says, image by image.
fn announce(plan: &Plan, sink: &dyn EventSink) {
    for diagnostic in &plan.diagnostics {
        sink.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
    }
    sink.emit(EventKind::PlanReady { images: plan.images.len(), dirty: plan.dirty() });
    for image in &plan.images {
        match (&image.action, &image.record) {
            (Action::Fresh, Some(record)) => sink.emit(EventKind::ImageFresh {
                image: image.reference.clone(),
                image_id: record.image_id.clone(),
            }),
            (action, _) => sink.emit(EventKind::ImageDirty {
                image: image.reference.clone(),
                reasons: action.reasons().to_vec(),
            }),
        }
    }
}
