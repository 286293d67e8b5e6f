//! Bringing an application up with managers: one service, and the whole tree follows.
//!
//! This makes what managers can't make themselves (the token, the secrets of designs, the root's
//! family network), frees the ports that an earlier deployment gave to the entry, and then makes or
//! updates the service of the root's manager. Everything else is the managers' work, of which this
//! knows how it has to end: the same designs are converted here, and waited for.

mod access;
mod tree;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ailtire_docker::Engine;
use ailtire_events::{DeploymentSummary, EventKind, EventSink, ObjectAction};
use ailtire_swarm::scale::keep_scales;
use ailtire_swarm::spec::PortConfig;
use ailtire_swarm::token::{self, Token};
use ailtire_swarm::{
    Changes, Deed, DeploymentLock, Desired, FollowOptions, Followed, Identity, Observed, Outcome,
    PlanOptions, Provisions, ResolveImage, RootService, WaitOptions, follow, observe, plan,
};
use tokio_util::sync::CancellationToken;

use crate::build::BuiltReference;
use crate::deploy::{Deployment, locked, record};
use crate::{Application, Error};

pub(crate) use access::require_whole;
pub use access::{NoToken, Rotation, read_token, require_no_managers, rotate_token};

/// How to bring an application up.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// Who does it, for others who wait.
    pub by: String,
    /// Whether registries are asked which image a reference means.
    pub resolve: ResolveImage,
    /// How long a service may take to run and be healthy, and how long nothing may get further.
    pub timeout: Duration,
    /// Whether nothing is waited for.
    pub detach: bool,
    /// Whether credentials of registries are sent to the nodes.
    pub with_registry_auth: bool,
    /// The token that is to open the managers; absent: a random one.
    pub token: Option<Token>,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct UpOutcome {
    /// What became of the services, the managers' too.
    pub outcome: Outcome,
    /// Instance of the application's root stack.
    pub instance: String,
    /// The ports that its manager is reached at.
    pub ports: Vec<PortConfig>,
    /// The application's token, where it was made just now.
    pub token: Option<Token>,
}

/// What runs and what is to run.
struct State {
    desired: Desired,
    roots: Vec<RootService>,
    /// What ran at the beginning.
    before: Observed,
    planned: Changes,
    provisions: Provisions,
    /// Name of the secret with the token, where there is one.
    has_token: bool,
}

impl State {
    /// Whether nobody has to do anything.
    fn is_nothing(&self, identity: &Identity) -> bool {
        let is_untouched = |root: &RootService| {
            root.compare(&self.before).0 == ObjectAction::Untouched
                && root.rivals(&self.before, identity).is_empty()
        };
        self.has_token && self.provisions.is_empty() && self.roots.iter().all(is_untouched)
    }
}

impl Application {
    /// Brings the application up: the managers of its stacks run, and all that they deploy. `built`
    /// is what its images are, stack images too; `deployment` is of [`Application::management`].
    ///
    /// Services that did not become what they are to be are in the outcome, and were told to `sink`.
    ///
    /// # Errors
    ///
    /// [`Error`] where the stacks can't run like this, or the engine can't be used.
    pub async fn up(
        &self,
        deployment: &Deployment,
        built: &BTreeMap<String, BuiltReference>,
        options: &UpOptions,
        engine: &Engine,
        sink: &dyn EventSink,
        cancel: &CancellationToken,
    ) -> Result<UpOutcome, Error> {
        let identity = self.identity();
        let find = || self.compare(deployment, built, options, engine, sink);
        let state = find().await?;
        if state.is_nothing(&identity) && !DeploymentLock::is_held(engine, &identity).await? {
            return Box::pin(self.bring_up(state, options, engine, sink, cancel)).await;
        }
        let by = ("up", &*options.by);
        let done = locked(&identity, by, engine, sink, cancel, async |cancel| {
            Box::pin(self.bring_up(find().await?, options, engine, sink, cancel)).await
        });
        Ok(Box::pin(done).await?.unwrap_or_else(|| UpOutcome {
            outcome: Outcome::cancelled(),
            instance: identity.root,
            ports: Vec::new(),
            token: None,
        }))
    }

    async fn compare(
        &self,
        deployment: &Deployment,
        built: &BTreeMap<String, BuiltReference>,
        options: &UpOptions,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<State, Error> {
        let identity = self.identity();
        let secret = token::find(engine, &identity).await?;
        let has_token = secret.is_some();
        let secret = secret.unwrap_or_else(|| token::secret_name(&identity.root));
        let tree = self.tree_of_managers(deployment, built, &secret, options, engine, sink).await?;
        let mut wanted = tree.desired.clone();
        if has_token {
            tree::name_token(&mut wanted, &secret);
        }
        let before = observe(engine, &wanted).await?;
        // As the managers do it, too.
        let mut desired = tree.desired;
        keep_scales(&mut wanted, &before);
        keep_scales(&mut desired, &before);
        let comparison = PlanOptions::default();
        let planned = plan(&wanted, &before, &comparison).map_err(Error::Definitions)?;
        let provisions = Provisions::missing(&wanted, tree.networks, &before);
        tree::name_token(&mut desired, &secret);
        Ok(State { desired, roots: tree.roots, before, planned, provisions, has_token })
    }

    async fn bring_up(
        &self,
        state: State,
        options: &UpOptions,
        engine: &Engine,
        sink: &dyn EventSink,
        cancel: &CancellationToken,
    ) -> Result<UpOutcome, Error> {
        let begin = Instant::now();
        let identity = self.identity();
        for diagnostic in &state.planned.warnings {
            sink.emit(EventKind::Diagnostic { diagnostic: diagnostic.clone() });
        }
        let is_nothing = state.is_nothing(&identity);
        let made = self.make_token(&state, options, engine, sink).await?;
        state.provisions.make(engine, sink).await?;
        let work = Box::pin(bring_up_roots(&state, options, engine, sink, cancel));
        let whose = (Deed::Deploy, &*options.by);
        let mut outcome = if is_nothing {
            work.await?
        } else {
            record(engine, &state.desired, &state.planned, whose, work).await?
        };
        outcome.summary.duration = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        sink.emit(EventKind::DeploymentFinished { summary: outcome.summary });
        // Without an address it runs just as well.
        let ports = match state.roots.first() {
            Some(root) => root.published(engine).await.unwrap_or_default(),
            None => Vec::new(),
        };
        Ok(UpOutcome { outcome, instance: identity.root, ports, token: made })
    }
}

/// Brings up what runs in no other stack, one after the other: what others depend on comes last in
/// the tree, and first here.
async fn bring_up_roots(
    state: &State,
    options: &UpOptions,
    engine: &Engine,
    sink: &dyn EventSink,
    cancel: &CancellationToken,
) -> Result<Outcome, Error> {
    let mut whole = Outcome::cancelled();
    whole.error = None;
    for root in state.roots.iter().rev() {
        for rival in root.rivals(&state.before, &state.desired.identity) {
            root.take_ports(engine, rival, options.timeout).await?;
        }
        let auth = if options.with_registry_auth {
            engine.registry_auth(&root.spec().task_template.container_spec.image).await
        } else {
            None
        };
        let observed = observe(engine, &state.desired).await?;
        let id = root.apply(engine, &observed, auth).await?;
        let (desired, planned) = tree::below(root, &state.desired, &state.planned);
        let (desired, planned, before) = (&desired, &planned, &state.before);
        let followed = Followed { desired, planned, before, root, root_id: &id };
        let outcome = if options.detach {
            followed.detached(sink)
        } else {
            let wait = WaitOptions { timeout: options.timeout, ..WaitOptions::default() };
            follow(engine, &followed, FollowOptions { wait }, sink, cancel).await
        };
        add(&mut whole, outcome);
        if whole.error.is_some() {
            break;
        }
    }
    Ok(whole)
}

fn add(whole: &mut Outcome, outcome: Outcome) {
    let DeploymentSummary { stacks, created, updated, untouched, failed, skipped, .. } =
        outcome.summary;
    let summary = &mut whole.summary;
    summary.stacks += stacks;
    summary.created += created;
    summary.updated += updated;
    summary.untouched += untouched;
    summary.failed += failed;
    summary.skipped += skipped;
    summary.interrupted += outcome.summary.interrupted;
    whole.left_changes |= outcome.left_changes;
    whole.services.extend(outcome.services);
    if let Some(error) = outcome.error {
        whole.error.get_or_insert(error);
    }
}

impl Application {
    /// Makes the token's secret where there is none; the token that was made.
    async fn make_token(
        &self,
        state: &State,
        options: &UpOptions,
        engine: &Engine,
        sink: &dyn EventSink,
    ) -> Result<Option<Token>, Error> {
        if state.has_token {
            if options.token.is_some() {
                sink.emit(EventKind::Diagnostic { diagnostic: access::other_token() });
            }
            return Ok(None);
        }
        let made = match &options.token {
            Some(token) => token.clone(),
            None => Token::random().map_err(Error::Token)?,
        };
        token::create(engine, &self.identity(), &made).await?;
        Ok(Some(made))
    }
}
