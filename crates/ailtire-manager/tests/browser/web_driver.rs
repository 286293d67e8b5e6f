//! The protocol of web drivers: JSON over HTTP, one request at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

/// A session of a browser that a driver started.
#[derive(Debug)]
pub(crate) struct Session {
    port: u16,
    path: String,
}

/// A value, or why there is none.
pub(crate) type Answer = Result<Value, String>;

impl Session {
    /// Starts a browser.
    pub(crate) fn start(port: u16, capabilities: &Value) -> Result<Self, String> {
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let value = request(port, "POST", "/session", Some(&body))?;
        let id = value["sessionId"].as_str().ok_or_else(|| value.to_string())?;
        Ok(Self { port, path: format!("/session/{id}") })
    }

    /// Sends a command with a body.
    pub(crate) fn post(&self, command: &str, body: &Value) -> Answer {
        request(self.port, "POST", &format!("{}/{command}", self.path), Some(body))
    }

    /// Asks for something.
    pub(crate) fn get(&self, command: &str) -> Answer {
        request(self.port, "GET", &format!("{}/{command}", self.path), None)
    }

    /// Ends the session, and with it the browser.
    pub(crate) fn end(&self) -> Answer {
        request(self.port, "DELETE", &self.path, None)
    }
}

fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let told = |error: std::io::Error| format!("{method} {path}: {error}");
    let (status, answer) = exchange(port, method, path, body).map_err(told)?;
    let answer: Value =
        serde_json::from_slice(&answer).map_err(|error| format!("{method} {path}: {error}"))?;
    let value = answer["value"].clone();
    if status == 200 {
        return Ok(value);
    }
    let message = value["message"].as_str().unwrap_or_default();
    let first = message.lines().next().unwrap_or_default();
    Err(format!("{method} {path}: {}: {first}", value["error"]))
}

fn exchange(
    port: u16,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> std::io::Result<(u16, Vec<u8>)> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    Ok((status, answer))
}
