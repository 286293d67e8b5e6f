//! Saying why a service failed: the task, its node, its last lines, what to do.

use std::time::Duration;

use ailtire_docker::Engine;
use ailtire_events::{ServiceFailure, ServiceState};
use futures_util::StreamExt;

use super::judge::{Failure, has_terminal};
use super::{Seen, Wait, WaitError};
use crate::converge::Task;
use crate::observe::ObservedNode;

/// Lines of a failed task that are shown.
const LINES: usize = 20;
/// How long a node may take to give them.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

impl Wait<'_> {
    /// The failure with all that can be found out about it.
    pub(super) async fn describe(&self, seen: &Seen, failure: Failure) -> ServiceFailure {
        let engine = self.monitor.engine();
        let service = seen.snapshot.services.get(self.id);
        let name = service.map_or(self.service, |service| service.name());
        let Some(task) = failure.task else {
            let help = help(&failure.message, name);
            return ServiceFailure {
                message: failure.message,
                help: Some(help),
                ..ServiceFailure::default()
            };
        };
        let started = task.status.state != "rejected" && task.status.container_status.is_some();
        let log = if started { tail(engine, &task, LINES).await } else { Vec::new() };
        ServiceFailure {
            help: Some(help(&failure.message, name)),
            message: failure.message,
            task: Some(task.name(name)),
            node: node_name(engine, &task).await,
            exit_code: task.exit_code().filter(|_| started),
            log,
        }
    }

    pub(super) async fn timed_out(&self, seen: &Seen) -> WaitError {
        let after = crate::fields::duration(
            i64::try_from(self.options.timeout.as_nanos()).unwrap_or(i64::MAX),
        );
        let state = seen.view.as_ref().map_or("nothing is known of it", |view| match view.state {
            ServiceState::Waiting => "it waits",
            ServiceState::Pending => "its tasks have no node",
            ServiceState::Preparing => "nodes still fetch its image or make its containers",
            ServiceState::Starting => "its containers are not healthy yet",
            ServiceState::Running => "its tasks run, but not all for long enough",
            ServiceState::Completed => "its tasks ended",
            ServiceState::Stopped => "its tasks did not stop",
        });
        let why = seen.view.as_ref().and_then(|view| view.message.clone());
        let why = why.map_or_else(|| state.to_owned(), |why| format!("{state}: {why}"));
        let tasks = seen.snapshot.tasks.get(self.id).into_iter().flatten();
        let newest = tasks.filter(|task| task.is_wanted()).max_by_key(|task| task.age_key());
        let failure = Failure {
            message: format!("it is not what it is to be after {after}: {why}"),
            task: newest.map(|task| Box::new(task.clone())),
        };
        WaitError::TimedOut(Box::new(self.describe(seen, failure).await))
    }
}

/// What to do about a failure.
fn help(message: &str, service: &str) -> String {
    let has = |mark: &str| message.contains(mark);
    if has("unhealthy") || has("not healthy") {
        "the health check fails: try its command in the container, and see whether it needs a \
         longer `start_period`"
            .to_owned()
    } else if has("No such image") || has("pull access denied") || has("no basic auth") {
        "push the image to a registry that every node reaches (`--repo`); where the registry asks \
         for credentials, `--with-registry-auth` sends yours to the nodes"
            .to_owned()
    } else if has("port already in use") {
        "publish another port, or remove what has this one: `docker service ls` shows ports, and a \
         program of the node itself may have it"
            .to_owned()
    } else if has("no suitable node") || has("have no node") {
        "compare `deploy.placement` and `deploy.resources.reservations` with what `docker node ls` \
         shows"
            .to_owned()
    } else if has("bind source path") {
        "create the folder on every node that may run the service, or use a volume".to_owned()
    } else if has("keep ending with exit code 0") {
        "for a task that is to run once, set `deploy.restart_policy.condition` to `on-failure` or \
         `deploy.mode` to `replicated-job`; otherwise see why its command ends"
            .to_owned()
    } else {
        format!("`docker service ps --no-trunc {service}` and its logs tell more")
    }
}

/// The last lines that a task's container wrote; none where its node does not give them in time.
pub(crate) async fn tail(engine: &Engine, task: &Task, lines: usize) -> Vec<String> {
    let mut found = Vec::new();
    let read = async {
        let request = engine.get(format!("/tasks/{}/logs", task.id));
        let request = request.query("stdout", "true").query("stderr", "true").query("tail", &lines);
        let Ok(mut stream) = request.log_stream(has_terminal(task)).await else { return };
        while let Some(Ok(line)) = stream.next().await {
            found.push(line.text);
        }
    };
    // What came in time is shown.
    let _ = tokio::time::timeout(LOG_PATIENCE, read).await;
    let surplus = found.len().saturating_sub(lines);
    found.split_off(surplus)
}

async fn node_name(engine: &Engine, task: &Task) -> Option<String> {
    if task.node_id.is_empty() {
        return None;
    }
    let request = engine.get(format!("/nodes/{}", task.node_id));
    let node: ObservedNode = request.json().await.ok()?;
    node.host_name().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::help;

    #[test]
    fn a_taken_port_is_no_matter_of_placement() {
        let said = help("no suitable node (host-mode port already in use on 1 node)", "web");
        assert!(said.contains("another port"), "{said}");
        assert!(help("no suitable node (3 nodes)", "web").contains("placement"));
    }
}
