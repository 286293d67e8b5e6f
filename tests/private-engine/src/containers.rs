//! Containers that do one thing and go.

use serde_json::{Value, json};

use crate::Client;
use crate::error::Error;

impl Client {
    /// Runs a command of `image` in a container on `network` (one that services are on has to be
    /// attachable), and returns all that it prints.
    ///
    /// # Errors
    /// As [`Client::get`]; the engine refuses; the command fails.
    pub fn run(&self, network: &str, image: &str, command: &[&str]) -> Result<String, Error> {
        let container = json!({
            "Image": image,
            "Entrypoint": [],
            "Cmd": command,
            // Its two streams come as one, with nothing between.
            "Tty": true,
            "HostConfig": { "NetworkMode": network },
        });
        let created = self.ask("/containers/create", &container)?;
        let path = format!("/containers/{}", created["Id"].as_str().unwrap_or_default());
        let outcome = self.run_container(&path);
        // What can't be removed goes with the engine.
        let _ = self.delete(&format!("{path}?force=true&v=true"));
        match outcome? {
            (0, output) => Ok(output),
            (_, output) => Err(Error::Command { command: command.join(" "), output }),
        }
    }

    /// Exit code and output.
    fn run_container(&self, path: &str) -> Result<(i64, String), Error> {
        let start = format!("{path}/start");
        self.post_json(&start, &Value::Null)?.accepted(&start)?;
        let ended = self.ask(&format!("{path}/wait"), &Value::Null)?;
        let logs = format!("{path}/logs?stdout=true&stderr=true");
        // A line of its own that looks like a refusal is not one.
        let output = self.get(&logs)?.body;
        let output = String::from_utf8_lossy(&output).replace("\r\n", "\n");
        Ok((ended["StatusCode"].as_i64().unwrap_or(-1), output))
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let request = format!("POST {path}");
        self.post_json(path, body)?.accepted(&request)?.json(&request)
    }
}
