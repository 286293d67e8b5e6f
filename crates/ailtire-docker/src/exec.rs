//! Running a program in a container that runs already.

use futures_util::TryStreamExt;
use serde::Deserialize;
use serde_json::json;

use crate::stream::LogLine;
use crate::{Engine, EngineError};

/// What a program in a container came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// What it wrote.
    pub output: Vec<LogLine>,
    /// Its exit code.
    pub code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    #[serde(default)]
    exit_code: Option<i64>,
}

impl Engine {
    /// Runs `command` in `container`, one of the engine's own node, to its end.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where there is no such container, it does not run, or the engine breaks off.
    pub async fn execute(
        &self,
        container: &str,
        command: &[&str],
    ) -> Result<Executed, EngineError> {
        let body = json!({"AttachStdout": true, "AttachStderr": true, "Cmd": command});
        let created = self.post(format!("/containers/{container}/exec")).body(&body);
        let Created { id } = created.json().await?;
        let start = self.post(format!("/exec/{id}/start"));
        let start = start.body(&json!({"Detach": false, "Tty": false}));
        let output = start.log_stream(false).await?.try_collect().await?;
        let Ended { exit_code } = self.get(format!("/exec/{id}/json")).json().await?;
        Ok(Executed { output, code: exit_code.unwrap_or(-1) })
    }
}
