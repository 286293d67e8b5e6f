//! The manager's life: deploy, watch, do what is asked, until the end.
//!
//! One task does everything that changes the swarm, so that nothing of it happens at the same time.
//! What the interface asks for comes first: it interrupts whatever is waited for, and a deployment
//! that was interrupted begins again. That is cheap, since what is as it is to be is left alone.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use ailtire_docker::{Engine, EngineError};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::auth::Access;
use crate::deploy::Deployer;
use crate::failure::Failure;
use crate::place::Place;
use crate::report::StackState;
use crate::setup::{self, Setup};
use crate::state::{Command, Manager};
use crate::{children, commands, log, shutdown, watch, whoami};

/// The time before the second try of something that failed, and the longest one.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The longest time before another try where the engine is away: asking costs nothing, and whoever
/// waits for the stack waits for that.
const AWAY: Duration = Duration::from_secs(2);

/// How long things may settle after an event: they come in crowds.
const SETTLE: Duration = Duration::from_millis(200);

/// How often is looked without an event: engines tell only of their own node.
const LOOK: Duration = Duration::from_secs(15);

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Somebody told the process to stop; the stack stays.
    Told,
    /// The stack was removed.
    Removed,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Bring everything to the design.
    Deploy,
    /// Bring back what disappeared.
    Look,
    /// Nothing until something happens.
    Nothing,
}

/// Lives until `stop`, or until the stack is removed.
pub(crate) async fn live(
    manager: Arc<Manager>,
    mut commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
) -> End {
    let begun = tokio::select! {
        () = stop.cancelled() => return End::Told,
        begun = begin(&manager) => begun,
    };
    let Some((engine, place, secret)) = begun else {
        // The swarm replaces this task, and stops it.
        stop.cancelled().await;
        return End::Told;
    };
    let watching = tokio::spawn(watch::watch(Arc::clone(&manager), engine.clone()));
    let registering = tokio::spawn(children::register(Arc::clone(&manager), Arc::clone(&place)));
    let deployer = Deployer::new(Arc::clone(&manager), engine, place, secret);
    let mut life = Life { manager, deployer, due: Due::Deploy, wait: TRY_AGAIN.0 };
    let end = loop {
        let command = tokio::select! {
            biased;
            () = stop.cancelled() => break life.told_to_stop().await,
            command = commands.recv() => command,
            () = life.work() => None,
        };
        let Some(command) = command else { continue };
        if life.obey(command).await.is_break() {
            break End::Removed;
        }
    };
    watching.abort();
    registering.abort();
    end
}

/// Finds the engine and this manager's place, and makes sure that it has what it needs.
async fn begin(manager: &Arc<Manager>) -> Option<(Engine, Arc<Place>, String)> {
    let mut wait = TRY_AGAIN.0;
    loop {
        let failure = match try_to_begin(manager).await {
            Ok(begun) => return begun,
            Err(failure) => failure,
        };
        wait = wait.min(longest_wait(&failure));
        fail(manager, &failure, wait);
        pause(wait).await;
        wait *= 2;
    }
}

/// The longest time before something that failed is tried again.
fn longest_wait(failure: &Failure) -> Duration {
    match failure {
        Failure::Engine(EngineError::Lost { .. } | EngineError::Unreachable { .. }) => AWAY,
        _ => TRY_AGAIN.1,
    }
}

async fn try_to_begin(
    manager: &Arc<Manager>,
) -> Result<Option<(Engine, Arc<Place>, String)>, Failure> {
    let engine = if let Some(engine) = manager.engine() {
        engine.clone()
    } else {
        let engine = Engine::connect(&manager.settings.engine).await?;
        manager.set_engine(engine.clone());
        engine
    };
    let own = whoami::find(&engine).await?;
    let place = Arc::new(Place::find(&manager.settings, &manager.content.bundle, own));
    manager.state().place = Some(Arc::clone(&place));
    let fields = json!({
        "application": place.identity.application, "environment": place.identity.environment,
        "instance": place.instance, "path": place.path_text(),
        "container": place.own.container.as_ref().map(|container| &container.id),
        "service": place.own.service.as_ref().map(|service| &service.name),
    });
    log::info("this manager knows its place", fields);
    let family = Deployer::family(manager, &place);
    let token_file = &manager.settings.token_file;
    match setup::prepare(&engine, &place, token_file, &family).await? {
        Setup::Replaced => {
            log::info("the own service was updated; the swarm replaces this task", json!({}));
            Ok(None)
        }
        Setup::Ready { token, secret } => {
            let mut state = manager.state();
            state.access = Some(Arc::new(Access::new(&token)));
            state.token = Some(token);
            drop(state);
            Ok(Some((engine, place, secret)))
        }
    }
}

/// Says why something failed, and when it is tried again.
fn fail(manager: &Manager, failure: &Failure, wait: Duration) {
    let mut fields = json!({ "try_again_in": wait.as_secs() });
    match failure {
        Failure::Findings(findings) => fields["diagnostics"] = json!(findings),
        Failure::Engine(error) => fields["hint"] = error.help().into(),
        Failure::Text(_) => {}
    }
    log::error(&failure.message(), fields);
    manager.set_phase(StackState::Failed, Some(failure.message()));
}

/// Waits.
pub(crate) async fn pause(duration: Duration) {
    let _ = tokio::time::timeout(duration, std::future::pending::<()>()).await;
}

struct Life {
    manager: Arc<Manager>,
    deployer: Deployer,
    due: Due,
    /// The time before the next try.
    wait: Duration,
}

impl Life {
    /// Does what is due, then waits for the next thing. Dropping it loses nothing: what was not
    /// done stays due.
    async fn work(&mut self) {
        let done = match self.due {
            Due::Deploy => {
                self.manager.set_phase(StackState::Deploying, None);
                self.deployer.deploy().await
            }
            Due::Look => self.deployer.bring_back().await,
            Due::Nothing => {
                let woken = self.manager.wake.notified();
                if tokio::time::timeout(LOOK, woken).await.is_ok() {
                    pause(SETTLE).await;
                }
                self.due = Due::Look;
                return;
            }
        };
        match done {
            Ok(()) => {
                self.due = Due::Nothing;
                self.wait = TRY_AGAIN.0;
            }
            Err(failure) => {
                // What was due stays so: a deployment that broke off is not done by looking.
                self.wait = self.wait.min(longest_wait(&failure));
                fail(&self.manager, &failure, self.wait);
                pause(self.wait).await;
                self.wait *= 2;
            }
        }
    }

    /// Does what the interface asks for.
    async fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Scale { service, replicas, reply } => {
                let _ = reply.send(commands::scale(&mut self.deployer, &service, replicas).await);
                self.manager.wake.notify_one();
            }
            Command::Redeploy { service, reply } => {
                let done = commands::redeploy(&mut self.deployer, service.as_deref()).await;
                if done.is_ok() {
                    // Without a name, everything is brought to the design, too.
                    let due = if service.is_none() { Due::Deploy } else { Due::Look };
                    self.due = if self.due == Due::Deploy { Due::Deploy } else { due };
                }
                let _ = reply.send(done);
            }
            Command::Update { update, reply } => {
                let done = commands::update(&mut self.deployer, *update).await;
                if done.is_ok() {
                    self.due = Due::Deploy;
                    self.wait = TRY_AGAIN.0;
                }
                let _ = reply.send(done);
            }
            Command::Stopped { service, reply } => {
                self.deployer.leave_out(&service);
                let _ = reply.send(Ok(json!({ "service": service })));
            }
            Command::Shutdown { volumes, reply } => {
                let answer = json!({ "api": crate::report::API_VERSION, "state": "stopping" });
                if let Some(reply) = reply {
                    let _ = reply.send(Ok(answer));
                }
                shutdown::remove_stack(&self.manager, &self.deployer, volumes).await;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    async fn told_to_stop(&mut self) -> End {
        if !self.manager.settings.removes_on_stop {
            return End::Told;
        }
        shutdown::remove_stack(&self.manager, &self.deployer, false).await;
        End::Removed
    }
}
