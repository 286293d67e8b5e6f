//! HTTP and web sockets by hand: what a client of the application's one port sends and gets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends a request without a body; `None` where nobody answers.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Option<Answer> {
    let mut stream = connect(address)?;
    let headers: String =
        headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\
         Content-Length: 0\r\n{headers}\r\n"
    );
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunk(body) } else { body.to_owned() };
    Some(Answer { status, body })
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

fn unchunk(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        text.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    text
}

/// Says `text` over a web socket at `path`; what comes back.
pub(crate) fn echo(address: SocketAddr, path: &str, text: &str) -> String {
    let mut stream = connect(address).unwrap();
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{path}: {answer}");
    // The example of RFC 6455.
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{path}: {answer}");
    let mask = [7, 77, 177, 7];
    let masked = text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let length = u8::try_from(text.len()).unwrap() | 0x80;
    let frame: Vec<u8> = [0x81, length].into_iter().chain(mask).chain(masked).collect();
    stream.write_all(&frame).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut said = vec![0; head[1].into()];
    stream.read_exact(&mut said).unwrap();
    String::from_utf8(said).unwrap()
}

/// The first `count` server-sent events at `path`, which come while the answer goes on.
pub(crate) fn events(address: SocketAddr, path: &str, count: usize) -> Vec<String> {
    let mut stream = connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    let mut part = [0; 1024];
    loop {
        let read = stream.read(&mut part).unwrap();
        assert_ne!(read, 0, "{path} ended: {text}");
        text.push_str(&String::from_utf8_lossy(&part[..read]));
        let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        if lines.len() > count {
            return lines[..count].to_vec();
        }
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
