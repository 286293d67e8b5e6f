//! Tasks as the engine has them.

use serde::Deserialize;
use serde_json::Value;

use crate::observe::Version;

/// A task.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// The service's id.
    #[serde(rename = "ServiceID")]
    pub service_id: String,
    /// The node's id; empty until it has one.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// Which of the service's tasks it is, counted from 1; absent for those of one a node.
    pub slot: Option<u64>,
    /// What the service's tasks were when it was made.
    pub spec: Value,
    /// How it is.
    pub status: TaskStatus,
    /// What it is to be: `running`, `ready`, `complete`, `shutdown`, `remove`.
    pub desired_state: String,
    /// When it was made, as the engine writes it.
    pub created_at: String,
    /// Which run of a job it belongs to.
    pub(crate) job_iteration: Option<Version>,
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskStatus {
    /// When it became so, as the engine writes it.
    pub timestamp: String,
    /// `new`, `pending`, `assigned`, `accepted`, `preparing`, `ready`, `starting`, `running`,
    /// `complete`, `shutdown`, `failed`, `rejected`, `remove` or `orphaned`.
    pub state: String,
    /// More about it.
    pub message: String,
    /// What went wrong.
    pub err: String,
    /// Its container.
    pub container_status: Option<ContainerStatus>,
}

/// The container of a task.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerStatus {
    /// Its id.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// Its exit code.
    pub exit_code: Option<i64>,
}

/// Which of a service's tasks one is: its number, or the node that it is the one of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Number(u64),
    Node(String),
}

impl Task {
    pub(crate) fn place(&self) -> Slot {
        match self.slot {
            Some(number) if number > 0 => Slot::Number(number),
            _ => Slot::Node(self.node_id.clone()),
        }
    }

    /// Its name, as Docker's own client has it.
    pub fn name(&self, service: &str) -> String {
        match self.place() {
            Slot::Number(number) => format!("{service}.{number}"),
            Slot::Node(node) => format!("{service}.{node}"),
        }
    }

    /// Whether it ended, well or not.
    pub fn has_ended(&self) -> bool {
        let ended = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"];
        ended.contains(&self.status.state.as_str())
    }

    /// Whether the swarm wants it to run, or to run to its end.
    pub fn is_wanted(&self) -> bool {
        ["running", "ready", "complete", "accepted"].contains(&self.desired_state.as_str())
    }

    /// The exit code of its container, if it has one that ended.
    pub fn exit_code(&self) -> Option<i64> {
        self.status.container_status.as_ref().and_then(|status| status.exit_code)
    }

    /// Whether it is a task of the spec `template`. Placement does not count: a change of it leaves
    /// tasks alone that are on a node that it still allows.
    pub fn is_of(&self, template: &Value) -> bool {
        let fields = |value: &Value| {
            let mut fields = value.as_object().cloned().unwrap_or_default();
            fields.remove("Placement");
            // The engine names it in services and not in tasks.
            fields.remove("Runtime");
            fields.retain(|_, value| !is_nothing(value));
            if !template.as_object().is_some_and(|it| it.contains_key("Networks")) {
                // Where older clients wrote them into the service.
                fields.remove("Networks");
            }
            fields
        };
        fields(&self.spec) == fields(template)
    }

    /// When it was made, in a form that sorts.
    pub(crate) fn age_key(&self) -> (String, String) {
        sortable(&self.created_at)
    }
}

/// What the engine writes or leaves out as it likes.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A time of the engine (`2026-01-02T03:04:05.678Z`) in a form that sorts, whatever number of digits
/// it has.
fn sortable(time: &str) -> (String, String) {
    let time = time.trim_end_matches('Z');
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    (seconds.to_owned(), fraction.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_known_by_its_spec_whatever_the_engine_adds() {
        let spec = |image: &str| serde_json::json!({"ContainerSpec": {"Image": image}});
        let mut template = spec("a");
        template["Runtime"] = "container".into();
        template["Placement"] = serde_json::json!({"Constraints": ["node.role==manager"]});
        template["Resources"] = serde_json::json!({});
        let task = |image| Task { spec: spec(image), ..Task::default() };
        assert!(task("a").is_of(&template) && !task("b").is_of(&template));
    }

    #[test]
    fn times_sort_whatever_their_digits() {
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.51Z"];
        assert!(times.windows(2).all(|pair| sortable(pair[0]) < sortable(pair[1])));
    }
}
