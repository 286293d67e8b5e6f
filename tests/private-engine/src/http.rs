//! Plain HTTP over the engine's socket, one connection a request.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Tried};

/// How long the engine may be silent before a request is given up, if nothing else is said.
const PATIENCE: Duration = Duration::from_mins(2);

/// A client of the engine that listens on one Unix socket. Each request opens a connection.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

/// An answer of the engine.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the engine that listens on `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), patience: PATIENCE }
    }

    /// The same client, giving a request up when the engine is silent for longer than `patience`.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The engine's process id, as this process sees it.
    pub(crate) fn process(&self) -> Result<u32, Error> {
        UnixStream::connect(&self.socket)
            .and_then(|stream| Ok(rustix::net::sockopt::socket_peercred(&stream)?))
            .map(|peer| peer.pid.as_raw_nonzero().get().cast_unsigned())
            .tried(|| format!("asking who is at {}", self.socket.display()))
    }

    /// Whether an engine answers.
    pub fn answers(&self) -> bool {
        self.get("/_ping").is_ok_and(|response| response.status == 200)
    }

    /// Asks for `path` (with its query).
    ///
    /// # Errors
    /// The engine can't be reached, or its answer is not HTTP. A status is never an error here.
    pub fn get(&self, path: &str) -> Result<Response, Error> {
        self.request("GET", path, "", &mut io::empty(), 0)
    }

    /// Asks for `path` and takes the answer for JSON.
    ///
    /// # Errors
    /// As [`Client::get`]; the engine refuses, or answers something else.
    pub fn get_json(&self, path: &str) -> Result<Value, Error> {
        let request = format!("GET {path}");
        self.get(path)?.accepted(&request)?.json(&request)
    }

    /// Deletes what `path` names.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn delete(&self, path: &str) -> Result<Response, Error> {
        self.request("DELETE", path, "", &mut io::empty(), 0)
    }

    /// Posts `length` bytes of `body` to `path`.
    ///
    /// # Errors
    /// As [`Client::get`]; and `body` can't be read.
    pub fn post(&self, path: &str, body: &mut dyn Read, length: u64) -> Result<Response, Error> {
        self.request("POST", path, "Content-Type: application/x-tar\r\n", body, length)
    }

    /// Posts JSON to `path`; [`Value::Null`] stands for no body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post_json(&self, path: &str, body: &Value) -> Result<Response, Error> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let header = "Content-Type: application/json\r\n";
        self.request("POST", path, header, &mut text.as_bytes(), text.len() as u64)
    }

    /// Has the engine push `reference` to the registry in its name, with these credentials (as
    /// the header `X-Registry-Auth` has them; `e30=`, an empty object, where it takes none).
    ///
    /// # Errors
    /// As [`Client::get`]; the engine or the registry refuses.
    pub fn push(&self, reference: &str, credentials: &str) -> Result<(), Error> {
        let (name, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let path = format!("/images/{name}/push?tag={tag}");
        let header = format!("X-Registry-Auth: {credentials}\r\n");
        let response = self.request("POST", &path, &header, &mut io::empty(), 0)?;
        response.accepted(&format!("POST {path}")).map(drop)
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &mut dyn Read,
        length: u64,
    ) -> Result<Response, Error> {
        let request = format!("{method} {path}");
        let mut stream = UnixStream::connect(&self.socket)
            .and_then(|stream| stream.set_read_timeout(Some(self.patience)).map(|()| stream))
            .tried(|| format!("connecting to {}", self.socket.display()))?;
        let head = format!(
            "{request} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\
             {headers}Content-Length: {length}\r\n\r\n"
        );
        // An engine that refuses early closes its side; what it answered is still there to read.
        let sent = stream
            .write_all(head.as_bytes())
            .and_then(|()| io::copy(&mut body.take(length), &mut stream).map(drop));
        let mut answer = Vec::new();
        let received = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            sent.and(received.map(drop)).tried(|| request.clone())?;
        }
        parse(&answer).ok_or(Error::Protocol { request })
    }
}

impl Response {
    /// The body as JSON; `request` is named in the error.
    ///
    /// # Errors
    /// It is something else.
    pub fn json(&self, request: &str) -> Result<Value, Error> {
        serde_json::from_slice(&self.body).map_err(|_| Error::NotJson { request: request.into() })
    }

    /// This response, or the error that it or its body is; `request` is named in the error.
    ///
    /// The engine reports a failure that comes late as `{"error": …}` in a body with status 200.
    ///
    /// # Errors
    /// The engine refused the request.
    pub fn accepted(self, request: &str) -> Result<Self, Error> {
        let refused = |status, message| Error::Refused { request: request.into(), status, message };
        let text = String::from_utf8_lossy(&self.body);
        let field = |line: &str, name: &str| {
            let value = serde_json::from_str::<Value>(line).ok()?;
            value.get(name)?.as_str().map(str::to_owned)
        };
        if !(200..300).contains(&self.status) {
            let message = field(&text, "message").unwrap_or_else(|| text.trim().to_owned());
            return Err(refused(self.status, message));
        }
        match text.lines().find_map(|line| field(line, "error")) {
            Some(message) => Err(refused(self.status, message)),
            None => Ok(self),
        }
    }
}

/// Takes a whole answer apart; absent where it is not HTTP.
fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let rest = answer.get(end + 4..)?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("transfer-encoding")
            && value.trim().eq_ignore_ascii_case("chunked")
    });
    let body = if chunked { join_chunks(rest)? } else { rest.to_vec() };
    Some(Response { status, body })
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = end + 2;
        let stop = start.checked_add(size)?;
        body.extend_from_slice(rest.get(start..stop)?);
        rest = rest.get(stop.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_body_is_taken_as_it_is() {
        let response = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK").unwrap();
        assert_eq!((response.status, response.body.as_slice()), (200, b"OK".as_slice()));
    }

    #[test]
    fn chunks_are_joined() {
        let answer = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let response = parse(answer).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (201, b"abcde".as_slice()));
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_no_answer() {
        for answer in [
            b"".as_slice(),
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 \r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
        ] {
            assert!(parse(answer).is_none(), "{answer:?}");
        }
    }

    #[test]
    fn a_refusal_in_the_body_is_an_error() {
        let body = b"{\"status\":\"loading\"}\n{\"error\":\"no space left\"}\n".to_vec();
        let error = Response { status: 200, body }.accepted("POST /images/create").unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        let body = b"{\"message\":\"page not found\"}".to_vec();
        let error = Response { status: 404, body }.accepted("GET /nothing").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the engine refused `GET /nothing` with status 404: page not found"
        );
    }
}
