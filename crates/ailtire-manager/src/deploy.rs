//! Bringing the stack to its design, and keeping it there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ailtire_compose::{StackContext, StackDesign};
use ailtire_docker::{Engine, EngineError};
use ailtire_events::{Diagnostic, ObjectAction};
use ailtire_swarm::spec::NetworkSpec;
use ailtire_swarm::status::{ServiceCondition, StackStatus, Status, stack_status};
use ailtire_swarm::{
    ApplyOptions, Changes, Desired, Lookup, Observed, OnFailure, PinnedImage, PlanOptions,
    RemoveOptions, ResolveImage, ResolvedImages, WaitOptions, apply, label, observe, observe_all,
    plan, remove,
};
use ailtire_terms::reference::canonical;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::desired::{self, Setup};
use crate::failure::Failure;
use crate::log::{self, LogSink};
use crate::place::Place;
use crate::report::StackState;
use crate::state::{Manager, count, gateway_route};
use crate::update::Update;

/// How often a plan is made again because something changed since.
const PLANS: usize = 5;

/// Deploys one stack.
pub(crate) struct Deployer {
    pub(crate) manager: Arc<Manager>,
    pub(crate) engine: Engine,
    pub(crate) place: Arc<Place>,
    /// Name of the secret with the application's token.
    secret: String,
    /// The design in place of the stack image's, and the name of the config that has it.
    update: Option<(Update, String)>,
    /// Whether that was looked for.
    is_update_known: bool,
    /// Services that somebody changed by hand, as far as that was told.
    drifted: BTreeSet<String>,
}

impl Deployer {
    pub(crate) fn new(
        manager: Arc<Manager>,
        engine: Engine,
        place: Arc<Place>,
        secret: String,
    ) -> Self {
        let drifted = BTreeSet::new();
        Self { manager, engine, place, secret, update: None, is_update_known: false, drifted }
    }

    /// The stack's own family network, from the stack image's design.
    pub(crate) fn family(manager: &Manager, place: &Place) -> NetworkSpec {
        let context = place.context(&manager.settings, BTreeMap::new());
        // What is wrong with the design is said when it is deployed.
        let design = read(manager, &manager.content.design, &context).unwrap_or_default();
        let images = ResolvedImages::new();
        let setup = Setup { place, version: None, images: &images, token_secret: "" };
        setup.own_family(&design, &place.family_network(&design))
    }

    /// What is to run: the design, and what that means in the swarm.
    pub(crate) async fn want(
        &self,
        update: Option<&Update>,
    ) -> Result<(StackDesign, Desired, Observed), Failure> {
        let variables = update.map(|update| update.variables.clone()).unwrap_or_default();
        let context = self.place.context(&self.manager.settings, variables);
        let text = update.map_or(&self.manager.content.design, |update| &update.compose);
        let design = read(&self.manager, text, &context)?;
        let images = self.images(&design, update).await?;
        let version = self.manager.content.bundle.version.as_deref();
        let secret = &self.secret;
        let setup = Setup { place: &self.place, version, images: &images, token_secret: secret };
        let mut desired = setup.desired(&design)?;
        let observed = observe(&self.engine, &desired).await?;
        desired::keep_scales(&mut desired, &observed);
        let stopped = self.manager.state().stopped.clone();
        leave_out(&mut desired, &self.place, &stopped);
        Ok((design, desired, observed))
    }

    /// What services really run.
    async fn images(
        &self,
        design: &StackDesign,
        update: Option<&Update>,
    ) -> Result<ResolvedImages, Failure> {
        let engine = &self.engine;
        let mut pinned = self.manager.content.images.clone();
        pinned.extend(update.into_iter().flat_map(|update| update.images.clone()));
        let (info, mut store, running) =
            tokio::try_join!(engine.swarm_info(), engine.images(), observe_all(engine))?;
        let wanted = desired::images(design);
        if info.nodes > 1 {
            let absent = pinned.iter().filter(|(reference, image)| {
                wanted.contains_key(*reference) && !store.contains_id(&image.id)
            });
            let mut is_fetched = false;
            for (reference, _) in absent {
                // The lookup says what is wrong with one that can't be had.
                is_fetched |= engine.pull(reference, None, &LogSink).await.is_ok();
            }
            if is_fetched {
                store = engine.images().await?;
            }
        }
        let built = pinned.into_iter().map(|(reference, image)| {
            let image = PinnedImage { id: image.id, fingerprint: image.fingerprint, digest: None };
            (canonical(&reference), image)
        });
        let lookup = Lookup {
            engine,
            store: &store,
            built: built.collect(),
            running: running.running_images(&self.place.identity),
            nodes: info.nodes,
            resolve: ResolveImage::Changed,
            sink: &LogSink,
        };
        Ok(lookup.all(wanted).await?)
    }

    pub(crate) fn plan_options(&self) -> PlanOptions {
        let keep = self.update.iter().map(|(_, name)| name.clone()).collect();
        PlanOptions { prune: true, adopt: false, keep }
    }

    /// Brings everything to the design.
    pub(crate) async fn deploy(&mut self) -> Result<(), Failure> {
        if !self.is_update_known {
            let base = &self.manager.content.digest;
            self.update = Update::find(&self.engine, &self.place, base).await?;
            self.is_update_known = true;
        }
        for _ in 0..PLANS {
            let update = self.update.as_ref().map(|(update, _)| update);
            let (design, desired, observed) = self.want(update).await?;
            let options = self.plan_options();
            let changes = plan(&desired, &observed, &options)?;
            self.publish(design, &desired);
            let is_there = |name: &str| observed.service(name).is_some();
            if desired.stacks[0].services.iter().all(|it| is_there(&it.spec.name)) {
                // It was deployed before: what is changed now keeps nobody from using the rest.
                self.manager.set_ready();
            }
            if !self.apply(&desired, &changes, options).await? {
                continue;
            }
            self.remove_others(&desired).await?;
            self.manager.set_ready();
            self.drifted.clear();
            return self.refresh().await;
        }
        Err(Failure::Text("the stack changes all the time: somebody else deploys it".to_owned()))
    }

    /// Lets everybody know what is to run.
    fn publish(&self, design: StackDesign, desired: &Desired) {
        self.manager.set_routes(design.routes.iter().map(gateway_route).collect());
        let mut state = self.manager.state();
        let is_child = |name: &str| design.services.get(name).is_some_and(|it| it.is_stack);
        state.children.retain(|name, _| is_child(name));
        state.stopped.retain(|name| is_child(name));
        state.design = Some(Arc::new(design));
        state.desired = Some(Arc::new(desired.clone()));
    }

    /// Makes `changes`; whether they were still up to date.
    async fn apply(
        &self,
        desired: &Desired,
        changes: &Changes,
        options: PlanOptions,
    ) -> Result<bool, Failure> {
        for warning in &changes.warnings {
            log::diagnostic(warning);
        }
        let settings = ApplyOptions {
            plan: options,
            wait: WaitOptions { timeout: self.manager.settings.timeout, ..Default::default() },
            on_failure: OnFailure::Stop,
            ..ApplyOptions::default()
        };
        count(&self.manager.counters.applies);
        let cancel = CancellationToken::new();
        let outcome = apply(&self.engine, desired, changes, &settings, &LogSink, cancel).await;
        match outcome.error {
            None => Ok(true),
            Some(ailtire_swarm::ApplyError::OutOfDate) => Ok(false),
            Some(error) => {
                count(&self.manager.counters.failed_applies);
                Err(error.into())
            }
        }
    }

    /// Removes stacks that ran in this one and are not of the design any more.
    async fn remove_others(&self, desired: &Desired) -> Result<(), Failure> {
        let own = self.place.path_text();
        let observed = observe_all(&self.engine).await?;
        let wanted: Vec<&str> = desired.stacks[1..].iter().map(|it| it.path.as_str()).collect();
        let is_other = |path: &str| {
            is_below(path, &own) && !wanted.iter().any(|it| path == *it || is_below(path, it))
        };
        let others = below(&observed, &self.place, is_other);
        if others.is_empty() {
            return Ok(());
        }
        log::info("stacks that are not of the design any more are removed", json!(null));
        let options = RemoveOptions {
            namespaces: others,
            volumes: false,
            timeout: self.manager.settings.timeout,
            keep: BTreeSet::new(),
        };
        let cancel = CancellationToken::new();
        let removed =
            remove(&self.engine, &self.place.identity, None, &options, &LogSink, &cancel).await?;
        for failure in removed.failures {
            log::warn("something could not be removed", json!({ "why": failure }));
        }
        Ok(())
    }

    /// Brings back what disappeared, and leaves alone whatever somebody changed.
    pub(crate) async fn bring_back(&mut self) -> Result<(), Failure> {
        let Some(desired) = self.manager.state().desired.clone() else {
            return self.deploy().await;
        };
        let observed = observe(&self.engine, &desired).await?;
        if let Some(missing) = desired::missing(&desired, &observed) {
            let services = missing.stacks[0].services.iter().map(|service| &service.name);
            let services: Vec<&String> = services.collect();
            log::warn(
                "something disappeared, and is brought back",
                json!({ "services": services }),
            );
            let options = PlanOptions::default();
            let observed = observe(&self.engine, &missing).await?;
            let changes = plan(&missing, &observed, &options)?;
            if !self.apply(&missing, &changes, options).await? {
                // Somebody is about it just now; that is an event, too.
                self.manager.wake.notify_one();
            }
        }
        self.tell_drift(&desired).await?;
        self.refresh().await
    }

    /// Says which services somebody changed by hand, once.
    async fn tell_drift(&mut self, desired: &Desired) -> Result<(), Failure> {
        let observed = observe(&self.engine, desired).await?;
        let Ok(changes) = plan(desired, &observed, &self.plan_options()) else { return Ok(()) };
        let is_changed = |action: ObjectAction| action == ObjectAction::Updated;
        let services = changes.services().filter(|(_, it)| is_changed(it.action));
        let drifted: BTreeSet<String> = services.map(|(_, it)| it.name.clone()).collect();
        for (_, service) in changes.services() {
            if is_changed(service.action) && !self.drifted.contains(&service.name) {
                let fields = json!({ "service": service.name, "changes": service.changes });
                log::warn("somebody changed a service by hand; it stays so", fields);
            }
        }
        self.drifted = drifted;
        Ok(())
    }

    /// Looks how the stack is.
    pub(crate) async fn refresh(&self) -> Result<(), Failure> {
        let (phase, message) = self.condition().await?;
        self.manager.set_phase(phase, message);
        self.manager.tell();
        Ok(())
    }

    async fn condition(&self) -> Result<(StackState, Option<String>), EngineError> {
        let (engine, place) = (&self.engine, &self.place);
        let mut status = stack_status(engine, &place.identity, &place.instance).await?;
        let state = self.manager.state();
        if let Some(desired) = &state.desired {
            add_missing(&mut status, desired);
        }
        let services = status.stacks.iter().flat_map(|stack| &stack.services);
        let with = |conditions: &[ServiceCondition]| -> Vec<&str> {
            let services = services.clone().filter(|it| conditions.contains(&it.condition));
            services.map(|service| service.name.as_str()).collect()
        };
        let bad = with(&[
            ServiceCondition::Degraded,
            ServiceCondition::Paused,
            ServiceCondition::Missing,
        ]);
        if !bad.is_empty() {
            let message = format!("not as it is to be: {}", bad.join(", "));
            return Ok((StackState::Degraded, Some(message)));
        }
        let ill = state
            .children
            .iter()
            .filter(|(_, child)| matches!(child.state, StackState::Degraded | StackState::Failed));
        let ill: Vec<&str> = ill.map(|(service, _)| service.as_str()).collect();
        if !ill.is_empty() {
            let message = format!("stacks inside are not as they are to be: {}", ill.join(", "));
            return Ok((StackState::Degraded, Some(message)));
        }
        let changing = with(&[ServiceCondition::Updating]);
        if !changing.is_empty() {
            let message = format!("changing: {}", changing.join(", "));
            return Ok((StackState::Deploying, Some(message)));
        }
        let drifted: Vec<&str> = self.drifted.iter().map(String::as_str).collect();
        let message =
            (!drifted.is_empty()).then(|| format!("changed by hand: {}", drifted.join(", ")));
        Ok((StackState::Running, message))
    }

    /// From now on the design is another one.
    pub(crate) fn set_update(&mut self, update: Update, name: String) {
        self.update = Some((update, name));
        self.is_update_known = true;
    }

    /// A stack inside was shut down by somebody: it is not brought back.
    pub(crate) fn leave_out(&mut self, service: &str) {
        let mut state = self.manager.state();
        state.stopped.insert(service.to_owned());
        state.children.remove(service);
        if let Some(desired) = &state.desired {
            let mut desired = Desired::clone(desired);
            leave_out(&mut desired, &self.place, &[service.to_owned()].into());
            state.desired = Some(Arc::new(desired));
        }
    }
}

/// Takes services that run stacks out, and what is to be there of these stacks.
fn leave_out(desired: &mut Desired, place: &Place, services: &BTreeSet<String>) {
    let own = place.path_text();
    desired.stacks[0].services.retain(|service| !services.contains(&service.name));
    let is_out = |path: &str| services.iter().any(|service| path == format!("{own}/{service}"));
    desired.stacks.retain(|stack| !is_out(&stack.path));
}

/// Reads a design. What is odd about it is written into the log.
pub(crate) fn read(
    manager: &Manager,
    text: &str,
    context: &StackContext,
) -> Result<StackDesign, Vec<Diagnostic>> {
    let read = manager.content.read(text, context);
    match read.design {
        Some(design) => {
            for diagnostic in &read.diagnostics {
                log::debug(&diagnostic.message, json!({ "diagnostic": diagnostic }));
            }
            Ok(design)
        }
        None => Err(read.diagnostics),
    }
}

/// Adds services of the stack that are not there, even if none of them is.
pub(crate) fn add_missing(status: &mut Status, desired: &Desired) {
    let own = &desired.stacks[0];
    if status.stacks.iter().all(|stack| stack.instance != own.namespace) {
        status.stacks.push(StackStatus {
            path: own.path.clone(),
            instance: own.namespace.clone(),
            services: Vec::new(),
        });
    }
    status.add_missing(desired);
}

/// Whether a stack is inside of the stack `of`, by their paths.
pub(crate) fn is_below(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'))
}

/// Instances of stacks of the application that have something in the swarm, by their paths.
pub(crate) fn below(
    observed: &Observed,
    place: &Place,
    is_meant: impl Fn(&str) -> bool,
) -> BTreeSet<String> {
    let services = observed.services.iter().map(|service| &service.spec.labels);
    let networks = observed.networks.iter().map(|network| &network.labels);
    let files = observed.configs.iter().chain(&observed.secrets).map(|file| &file.labels);
    let ours = services.chain(networks).chain(files).filter(|it| place.identity.owns(it));
    ours.filter(|labels| labels.get(label::STACK_PATH).is_some_and(|path| is_meant(path)))
        .filter_map(|labels| labels.get(label::NAMESPACE).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_alike_is_not_inside() {
        assert!(is_below("shop-dev/orders", "shop-dev"));
        assert!(is_below("shop-dev/orders/mail", "shop-dev/orders"));
        assert!(!is_below("shop-dev/orders2", "shop-dev/orders"));
        assert!(!is_below("shop-dev", "shop-dev"));
    }
}
