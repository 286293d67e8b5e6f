//! What the tasks of a service write.

use std::collections::HashMap;

use ailtire_docker::{ApiStream, Engine, EngineError};
use ailtire_events::LogStream;
use futures_util::{StreamExt, TryStreamExt};

use crate::converge::Task;

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Whether to go on with what is written from now on.
    pub follow: bool,
    /// How many of the last lines of each task; all where absent.
    pub tail: Option<u64>,
    /// Only lines since then: seconds since the Unix epoch.
    pub since: Option<u64>,
}

/// A line that a task wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLine {
    /// The task's name: `service.slot`.
    pub task: String,
    /// Where it was written.
    pub stream: LogStream,
    /// When, as the engine writes times (RFC 3339).
    pub time: String,
    /// The text without its end of line.
    pub text: String,
}

/// What the tasks of a service wrote, and write; `name` is what its tasks are called by.
///
/// # Errors
///
/// [`EngineError`] where the engine refuses; later ones come through the stream.
pub async fn logs(
    engine: &Engine,
    service_id: &str,
    name: &str,
    tty: bool,
    options: &LogOptions,
) -> Result<ApiStream<TaskLine>, EngineError> {
    let tasks: Vec<Task> = engine.get("/tasks").filter("service", service_id).json().await?;
    let names: HashMap<String, String> =
        tasks.iter().map(|task| (task.id.clone(), task.name(name))).collect();
    let mut request = engine
        .get(format!("/services/{service_id}/logs"))
        .query("stdout", &true)
        .query("stderr", &true)
        .query("details", &true)
        .query("timestamps", &true)
        .query("follow", &options.follow);
    if let Some(tail) = options.tail {
        request = request.query("tail", &tail);
    }
    if let Some(since) = options.since {
        request = request.query("since", &since);
    }
    let lines = request.log_stream(tty).await?;
    let (engine, service) = (engine.clone(), name.to_owned());
    let split_lines = lines.map_ok(|line| (split(&line.text), line.stream));
    Ok(futures_util::stream::unfold((split_lines, names), move |state| {
        let (engine, service) = (engine.clone(), service.clone());
        async move {
            let (mut lines, mut names): (_, HashMap<String, String>) = state;
            let next = StreamExt::next(&mut lines).await?;
            let line = match next {
                Ok((parts, stream)) => {
                    Ok(name_line(&engine, &service, &mut names, parts, stream).await)
                }
                Err(error) => Err(error),
            };
            Some((line, (lines, names)))
        }
    })
    .boxed())
}

/// A line that was taken apart.
struct Parts {
    time: String,
    task_id: String,
    text: String,
}

/// Takes `time details text` apart; the details name the task.
fn split(line: &str) -> Parts {
    const TASK: &str = "com.docker.swarm.task.id=";
    let (time, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (details, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let task = details.split(',').find_map(|detail| detail.strip_prefix(TASK));
    Parts {
        time: time.to_owned(),
        task_id: task.unwrap_or_default().to_owned(),
        text: if task.is_some() { text } else { rest }.to_owned(),
    }
}

async fn name_line(
    engine: &Engine,
    service: &str,
    names: &mut HashMap<String, String>,
    parts: Parts,
    stream: LogStream,
) -> TaskLine {
    if !names.contains_key(&parts.task_id) {
        // A task that began later. One that is gone again keeps its id for a name.
        let task: Result<Task, _> = engine.get(format!("/tasks/{}", parts.task_id)).json().await;
        let name = task.map_or_else(|_| parts.task_id.clone(), |task| task.name(service));
        names.insert(parts.task_id.clone(), name);
    }
    let task = names.get(&parts.task_id).cloned().unwrap_or_default();
    TaskLine { task, stream, time: parts.time, text: parts.text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let parts = split(
            "2026-11-22T19:00:00.000000000Z com.docker.swarm.node.id=n,\
             com.docker.swarm.service.id=s,com.docker.swarm.task.id=t hello,  world",
        );
        assert_eq!(parts.time, "2026-11-22T19:00:00.000000000Z");
        assert_eq!((&*parts.task_id, &*parts.text), ("t", "hello,  world"));
        let empty = split("2026-11-22T19:00:00Z com.docker.swarm.task.id=t ");
        assert_eq!((&*empty.task_id, &*empty.text), ("t", ""));
        let odd = split("2026-11-22T19:00:00Z just text");
        assert_eq!((&*odd.task_id, &*odd.text), ("", "just text"));
    }
}
